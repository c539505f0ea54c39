"""Keys that change: MAILER_SECRET_KEY is replaced while everything runs.

    every process is told the new key, first, and the old one after it     (nothing changes yet)
    rotate: the house's own keys are wrapped with the new one              (the turning point)
            every process sees it at its next beat and wraps with it too
            subjects and requests are wrapped anew, round after round, until none is left
    every process is told the new key alone

What wraps is thus said by the database, never by a setting that two processes may read at different
times: at each instant everybody can open what anybody writes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias
from uuid import UUID

from mailer import consent, db, subjects
from mailer.consent import Actor
from mailer.db import Connection
from mailer.vault import Vault

SQL = db.statements("keys")

BATCH = 500
BEAT_SECONDS = 3.0

Kind: TypeAlias = Literal["web", "worker"]


@dataclass(frozen=True)
class Holder:
    """A running process; keys by their names."""

    id: UUID
    kind: Kind
    holds: Sequence[bytes]
    wraps: bytes


@dataclass(frozen=True)
class Wrapped:
    """A subject's or a request's key."""

    id: UUID
    dek: bytes


@dataclass(frozen=True)
class Count:
    """How many keys are wrapped with the one of that name."""

    name: bytes
    count: int


# who knows which


async def beat(conn: Connection, keys: Vault, process: UUID, kind: Kind) -> None:
    """Say which keys the process holds, and learn which one to wrap with.

    Raises Misconfigured if that is none of them.
    """
    await subjects.follow(conn, keys)
    await conn.execute(SQL.beat, process, kind, keys.holds, keys.wraps)


async def bury(conn: Connection, process: UUID) -> None:
    """The process ends in good order."""
    await conn.execute(SQL.bury, process)


async def bury_silent(conn: Connection) -> None:
    await conn.execute(SQL.bury_silent)


async def holders(conn: Connection) -> list[Holder]:
    """Every process that runs."""
    return await db.fetch(conn, Holder, SQL.holders)


async def ignorant(conn: Connection, keys: Vault) -> list[Holder]:
    """Those that run and could not open what the newest key wraps."""
    return [each for each in await holders(conn) if keys.newest not in each.holds]


async def behind(conn: Connection, keys: Vault) -> list[Holder]:
    """Those that run and still wrap with another key than the newest."""
    return [each for each in await holders(conn) if each.wraps != keys.newest]


async def moment(conn: Connection) -> int:
    """A mark in the order of transactions, for `is_past`."""
    number: int = await conn.fetchval(SQL.moment)
    return number


async def is_past(conn: Connection, moment: int) -> bool:
    """Whether every transaction that wrote anything before then has ended."""
    return bool(await conn.fetchval(SQL.is_past, moment))


async def counts(conn: Connection) -> list[Count]:
    return await db.fetch(conn, Count, SQL.counts)


# rotation, in steps that are each a transaction


async def turn(conn: Connection, keys: Vault) -> None:
    """From here on the newest key wraps: the house's own keys first, all at once."""
    keys.wrap_with(keys.newest)
    for name, wrapped in await conn.fetch(SQL.lock_house):
        await conn.execute(SQL.rewrap_house, name, keys.rewrap_key(name, wrapped))


async def rewrap_subjects(conn: Connection, keys: Vault, after: UUID | None) -> list[UUID]:
    """Wrap a batch of subjects' keys with the newest; in the order of their ids, which are given.

    Rows that somebody works on are passed over: go round again until `counts` knows one key.
    """
    found = await db.fetch(conn, Wrapped, SQL.subjects, after, keys.newest, BATCH)
    await conn.execute(SQL.rewrap_subjects, *rewrapped(keys, found))
    return [each.id for each in found]


async def rewrap_requests(conn: Connection, keys: Vault, after: UUID | None) -> list[UUID]:
    """Likewise for what forms have left."""
    found = await db.fetch(conn, Wrapped, SQL.requests, after, keys.newest, BATCH)
    await conn.execute(SQL.rewrap_requests, *rewrapped(keys, found))
    return [each.id for each in found]


async def rewrap_import_lines(conn: Connection, keys: Vault, after: UUID | None) -> list[UUID]:
    """Likewise for who is being brought over."""
    found = await db.fetch(conn, Wrapped, SQL.import_lines, after, keys.newest, BATCH)
    await conn.execute(SQL.rewrap_import_lines, *rewrapped(keys, found))
    return [each.id for each in found]


def rewrapped(keys: Vault, found: Sequence[Wrapped]) -> tuple[list[UUID], list[bytes]]:
    wrapped = [keys.wrap(keys.unwrap(each.id, each.dek)) for each in found]
    return [each.id for each in found], wrapped


async def record(
    conn: Connection, keys: Vault, before: Sequence[Count], rewrapped: int, *, actor: Actor
) -> None:
    """Put on record that it is done."""
    await consent.record(
        conn,
        await subjects.house(conn, keys),
        "key.rotated",
        actor=actor,
        evidence={
            "from": [each.name.hex() for each in before if each.name != keys.newest],
            "to": keys.newest.hex(),
            "rewrapped": rewrapped,
        },
    )
