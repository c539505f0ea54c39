"""The outbox: mails waiting to go, one row a mail; kind and ids, no text, no secret, no address.

A worker claims mails and commits, sends them, settles them and commits. A worker that falls silent
is removed by the others, and the mails it held are free again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias
from uuid import UUID

from mailer import db
from mailer.db import Connection

SQL = db.statements("outbox")

CHANNEL = "mailer"
"""NOTIFY on it wakes the workers; the payload says for what."""

Kind: TypeAlias = Literal["confirm", "already", "digest", "renew"]
STATES = ("waiting", "sent", "failed", "dropped")


@dataclass(frozen=True)
class Claimed:
    """A mail taken, and what is needed to compose it; `dek` wrapped, `address` sealed.

    `attested`: whether the consent record has it already that it was mailed. `wanted`: whether its
    subscription is still in the state that the mail was put for.
    """

    id: int
    kind: Kind
    digest: int | None
    message: UUID
    attempts: int
    attested: bool
    created_at: datetime
    subscription: int
    newsletter: int
    language: str
    notice: str
    handle: int
    asked_at: datetime
    wanted: bool
    subscriber: UUID
    subscriber_handle: int
    dek: bytes
    address: bytes


async def put(conn: Connection, kind: Kind, subscription: int) -> None:
    """A letter to one person; it goes before any digest."""
    await conn.execute(SQL.put, kind, subscription)
    await wake(conn, "outbox")


async def put_digest(conn: Connection, digest: int) -> int:
    """One mail for each confirmed reader of the digest's cadence; how many are new."""
    added: int = await conn.fetchval(SQL.put_digest, digest)
    await wake(conn, "outbox")
    return added


async def wake(conn: Connection, what: Literal["request", "outbox", "renewal"]) -> None:
    await conn.execute(SQL.wake, CHANNEL, what)


async def claim_letters(conn: Connection, worker: UUID, limit: int) -> list[Claimed]:
    """Take up to `limit` letters to one person that are due."""
    return await db.fetch(conn, Claimed, SQL.claim_letters, worker, limit)


async def claim_digests(conn: Connection, worker: UUID, limit: int) -> list[Claimed]:
    """Take up to `limit` mails that are due, of the digests being sent."""
    return await db.fetch(conn, Claimed, SQL.claim_digests, worker, limit)


async def attest(conn: Connection, id_: int) -> None:
    """The consent record says of this confirmation that it is being mailed."""
    await conn.execute(SQL.attest, id_)


async def drop(conn: Connection, ids: Sequence[int]) -> None:
    """Mails that nobody wants any more."""
    await conn.execute(SQL.drop, list(ids))


async def drop_renewals(conn: Connection, newsletter: int) -> None:
    """A renewal is over: what still waits to ask its readers never goes."""
    await conn.execute(SQL.drop_renewals, newsletter)


async def settle(
    conn: Connection, id_: int, state: Literal["sent", "failed"], reply: str | None
) -> None:
    """What became of a mail, for good."""
    await conn.execute(SQL.settle, id_, state, reply)


async def defer(conn: Connection, id_: int, delay: timedelta, reply: str | None) -> None:
    """Try again after `delay`."""
    await conn.execute(SQL.defer, id_, delay, reply)


async def release(conn: Connection, ids: Sequence[int], delay: timedelta) -> None:
    """Give mails back that were not tried; it costs them no attempt."""
    await conn.execute(SQL.release, list(ids), delay)


async def progress(conn: Connection, digest: int) -> Mapping[str, int]:
    """How many mails of a digest are in each state."""
    counted = {row["state"]: row["count"] for row in await conn.fetch(SQL.progress, digest)}
    return {state: counted.get(state, 0) for state in STATES}


# who works


async def beat(conn: Connection, worker: UUID) -> None:
    """Say that the worker lives, and free what silent ones hold.

    Whoever was silent themselves waits a beat: perhaps it was the database that nobody could reach.
    """
    was_silent = await conn.fetchval(SQL.beat, worker)
    if not was_silent:
        await conn.execute(SQL.bury_silent)


async def bury(conn: Connection, worker: UUID) -> None:
    """The worker ends in good order."""
    await conn.execute(SQL.bury, worker)


async def workers(conn: Connection) -> int:
    """How many work at present."""
    counted: int = await conn.fetchval(SQL.workers)
    return counted
