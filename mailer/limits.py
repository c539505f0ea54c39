"""Limits: how often something was done in the present window of time, shared by all processes."""

from datetime import timedelta

from mailer import db
from mailer.db import Connection

SQL = db.statements("limits")


async def count(conn: Connection, key: bytes, seconds: int) -> int:
    """Count one more for `key` in the present window of `seconds`; returns how many there are."""
    counted: int = await conn.fetchval(SQL.count, key, seconds)
    return counted


async def reserve(conn: Connection, name: str, many: int, rate: float) -> float:
    """Take the next `many` turns of `rate` a second; how many seconds until the first of them."""
    wait: float = await conn.fetchval(SQL.reserve, name, timedelta(seconds=many / rate))
    return wait


async def forget_old(conn: Connection) -> None:
    """Windows that ended more than a day ago say nothing any more."""
    await conn.execute(SQL.forget_old)
