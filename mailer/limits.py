"""Limits: how often something was done in the present window of time, shared by all processes.

A sliding window is the present one and, of the one before, as much as still counts: after a third
of the present window, two thirds of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import ceil

from mailer import db
from mailer.db import Connection

SQL = db.statements("limits")


async def count(conn: Connection, key: bytes, seconds: int) -> int:
    """Count one more for `key` in the present window of `seconds`; returns how many there are."""
    counted: int = await conn.fetchval(SQL.count, key, seconds)
    return counted


@dataclass(frozen=True)
class Weight:
    """How often something was done in a sliding window."""

    key: bytes
    weight: float


async def add(conn: Connection, counts: Mapping[bytes, int], seconds: int) -> None:
    """Count so many more for each key in the present window of `seconds`."""
    await conn.execute(SQL.add, list(counts), list(counts.values()), seconds)


async def sliding(conn: Connection, keys: Sequence[bytes], seconds: int) -> dict[bytes, float]:
    """How many there were of each key in a sliding window of `seconds`."""
    found = await db.fetch(conn, Weight, SQL.sliding, list(keys), seconds)
    return {each.key: each.weight for each in found}


async def slide(conn: Connection, counts: Mapping[bytes, int], seconds: int) -> dict[bytes, float]:
    """Count so many more for each key; how many there are then in a sliding window."""
    if not counts:
        return {}
    await add(conn, counts, seconds)
    return await sliding(conn, list(counts), seconds)


def wait(present: int, before: int, most: int, elapsed: float, seconds: int) -> int:
    """Seconds until one more is not too many, if none comes meanwhile.

    There were `present` in the present window, which is `elapsed` seconds old, and `before` in the
    one before; a sliding window may hold `most`.
    """
    rest = seconds - elapsed
    if present < most:
        enough = seconds * (1 - (most - 1 - present) / max(before, 1)) - elapsed
        if enough <= rest:
            return max(1, ceil(enough))
    return max(1, ceil(rest + seconds * max(0.0, 1 - (most - 1) / max(present, 1))))


async def reserve(conn: Connection, name: str, many: int, rate: float) -> float:
    """Take the next `many` turns of `rate` a second; how many seconds until the first of them."""
    wait: float = await conn.fetchval(SQL.reserve, name, timedelta(seconds=many / rate))
    return wait


async def forget_old(conn: Connection) -> None:
    """Windows that ended more than a day ago say nothing any more."""
    await conn.execute(SQL.forget_old)
