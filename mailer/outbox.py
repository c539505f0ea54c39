"""The outbox: mails waiting to go, one row a mail; kind and ids, no text, no secret, no address.

They wait in batches. A worker claims a batch and commits, sends its mails, settles them and
commits; a batch of which no mail waits ends. A worker that falls silent is removed by the others,
and the batches it held are free again: those of their mails that were not settled still wait.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Literal, NamedTuple, TypeAlias
from uuid import UUID

from mailer import db
from mailer.db import Connection

SQL = db.statements("outbox")

CHANNEL = "mailer"
"""NOTIFY on it wakes the workers; the payload says for what."""

LATE = timedelta(minutes=10)
"""A letter to one person that has waited for longer is worth a look."""

BATCH = 200
"""Mails of a digest in a batch: few enough to share a digest among many workers."""

CANCELLED_AT_ONCE = 50
"""Batches of cancelled digests that are ended in one transaction."""

Kind: TypeAlias = Literal["confirm", "already", "digest", "renew", "address"]
StaffKind: TypeAlias = Literal["trouble", "invitation", "password", "trial"]
Bell: TypeAlias = Literal["request", "outbox", "renewal", "import", "job"]
Settled: TypeAlias = Literal["sent", "failed", "dropped"]
STATES = ("waiting", "sent", "failed", "dropped")


class Claimed(NamedTuple):
    """A mail to a reader, taken, and what is needed to compose it; `dek` wrapped, `address` sealed.

    A tuple: of the rows of all statements only these are read by the million.

    `attested`: whether the consent record has it already that it was mailed. `age`: since it was
    put. `replaced`: the next digest of its newsletter and cadence is on its way or was sent. Of a
    letter to a new address, `address`, `language`, `handle` and `asked_at` are those of the change
    (`rectification`); `void`: there is none any more, and nothing to open.
    """

    id: int
    batch: int
    kind: Kind
    digest: int | None
    edition: int | None
    message: UUID
    attempts: int
    attested: bool
    age: timedelta
    replaced: bool
    void: bool
    subscription: int
    newsletter: int
    language: str
    notice: str
    handle: int
    asked_at: datetime
    subscriber: UUID
    subscriber_handle: int
    dek: bytes
    address: bytes


@dataclass(frozen=True)
class ToStaff:
    """A letter to one of the staff, taken; `dek` wrapped, `address` sealed."""

    id: int
    batch: int
    kind: StaffKind
    message: UUID
    attempts: int
    age: timedelta
    staff: UUID
    language: str
    dek: bytes
    address: bytes

    digest: ClassVar[None] = None
    replaced: ClassVar[bool] = False
    void: ClassVar[bool] = False


Mail: TypeAlias = Claimed | ToStaff


@dataclass(frozen=True)
class Due:
    """What is old enough to be forgotten, and when more will be."""

    due: int
    next: datetime | None


@dataclass(frozen=True)
class Delivered:
    """A mail to one person and what became of it. `at`: when it was settled, or put if it waits;
    `reply`: the server's last words, addresses masked."""

    kind: Kind
    newsletter: str
    digest: int | None
    state: str
    attempts: int
    reply: str | None
    at: datetime


async def of_person(conn: Connection, subscriber: UUID, most: int) -> list[Delivered]:
    """Latest first; settled ones are remembered for a month (`retention`)."""
    return await db.fetch(conn, Delivered, SQL.of_person, subscriber, most)


async def put(conn: Connection, kind: Kind, subscription: int) -> None:
    """A letter to one person; it goes before any digest."""
    await conn.execute(SQL.put, kind, subscription)
    await wake(conn, "outbox")


async def put_behind(conn: Connection, kind: Kind, subscriptions: Sequence[int]) -> None:
    """Letters to many; they go when no other letter is due."""
    await conn.execute(SQL.put_behind, kind, list(subscriptions))
    await wake(conn, "outbox")


async def put_staff(conn: Connection, kind: StaffKind, staff: UUID) -> None:
    """A letter to one of the staff; it goes before any digest."""
    await conn.execute(SQL.put_staff, kind, staff)
    await wake(conn, "outbox")


async def put_digest(conn: Connection, digest: int) -> int:
    """One mail for each confirmed reader of the digest's cadence who has no bookmarks; how many."""
    added: int = await conn.fetchval(SQL.put_digest, digest, BATCH)
    await wake(conn, "outbox")
    return added


async def put_edition(
    conn: Connection, digest: int, edition: int, subscriptions: Sequence[int]
) -> int:
    """To these readers this edition; how many are new."""
    added: int = await conn.fetchval(SQL.put_edition, digest, edition, list(subscriptions), BATCH)
    return added


async def wake(conn: Connection, what: Bell) -> None:
    await conn.execute(SQL.wake, CHANNEL, what)


async def by_key(conn: Connection) -> None:
    """Prepare a connection for a delivery, until it goes back to its pool."""
    await conn.execute(SQL.by_key)


# claiming


async def free_strays(
    conn: Connection, worker: UUID, known: Sequence[int], *, letters: bool
) -> None:
    """Batches of letters (or digests) that the worker holds, other than `known`, are free."""
    await conn.execute(SQL.free_strays, worker, letters, list(known))


async def claim_letters(conn: Connection, worker: UUID, limit: int) -> list[int]:
    """Take up to `limit` letters to one person that are due: their batches."""
    return [row["id"] for row in await conn.fetch(SQL.claim_letters, worker, limit)]


async def claim_digests(
    conn: Connection, worker: UUID, limit: int, providers: Sequence[str] = ()
) -> list[int]:
    """Take up to `limit` batches that are due, of the digests being sent.

    Of those that wait for a provider only what waits for one of `providers`.
    """
    claimed = await conn.fetch(SQL.claim_digests, worker, limit, list(providers))
    return [row["id"] for row in claimed]


async def mails(conn: Connection, batches: Sequence[int]) -> list[Claimed]:
    """The mails to readers that wait in them."""
    return [Claimed._make(row) for row in await conn.fetch(SQL.mails, list(batches))]


async def mails_to_staff(conn: Connection, batches: Sequence[int]) -> list[ToStaff]:
    """The letters to staff that wait in them."""
    return await db.fetch(conn, ToStaff, SQL.mails_to_staff, list(batches))


async def turn(
    conn: Connection,
    worker: UUID,
    settled: Sequence[tuple[int, Settled, str | None]],
    asked: Mapping[int, bytes],
    *,
    letters: bool,
) -> Mapping[int, bool]:
    """Settle what came back, and take the last look before the wire at what is to go.

    `settled`: ids, what became of them for good, the server's words. `asked`: ids with the
    suppression hash of their addresses; all are letters, or all mails of digests. Returns whether
    each of these is still wanted by whom it goes to; left out: what the worker does not hold any
    more, or is settled already, or is of a digest that is paused or cancelled.
    """
    ids, states, replies = zip(*settled, strict=True) if settled else ((), (), ())
    said = list(ids), list(states), list(replies)
    turn = SQL.turn_letters if letters else SQL.turn_digests
    rows = await conn.fetch(turn, worker, list(asked), list(asked.values()), *said)
    return {row["id"]: row["wanted"] for row in rows}


async def attest(conn: Connection, id_: int) -> None:
    """The consent record says of this confirmation that it is being mailed."""
    await conn.execute(SQL.attest, id_)


async def drop_of(conn: Connection, subscription: int) -> None:
    """The reader left: what waits for them never goes."""
    await conn.execute(SQL.drop_of, subscription)


async def drop_renewals(conn: Connection, newsletter: int) -> None:
    """A renewal is over: what still waits to ask its readers never goes."""
    await conn.execute(SQL.drop_renewals, newsletter)


# settling


async def move(
    conn: Connection,
    worker: UUID,
    digest: int | None,
    moved: Sequence[tuple[int, str | None]],
    *,
    delay: timedelta = timedelta(0),
    provider: str | None = None,
    attempts: int = 0,
) -> None:
    """Let mails of one digest wait on, in another batch: after a delay, or for a provider.

    `moved`: ids and the server's words; `attempts`: how many tries that cost.
    """
    ids, replies = zip(*moved, strict=True)
    await conn.execute(
        SQL.move, worker, digest, list(ids), delay, provider, attempts, list(replies)
    )


async def end(conn: Connection, worker: UUID, batches: Sequence[int]) -> None:
    """Done with these: those of which no mail waits are no more, the others are free."""
    await conn.execute(SQL.end, worker, list(batches))
    await conn.execute(SQL.give_back, worker, list(batches))


async def drop_cancelled(conn: Connection) -> None:
    """Some mails of cancelled digests that nobody holds; workers do it until none is left."""
    await conn.execute(SQL.drop_cancelled, CANCELLED_AT_ONCE)


async def progress(conn: Connection, digest: int) -> Mapping[str, int]:
    """How many mails of a digest are in each state."""
    return (await progress_of(conn, [digest]))[digest]


async def progress_of(conn: Connection, digests: Sequence[int]) -> Mapping[int, Mapping[str, int]]:
    """The same by digest."""
    counted = await conn.fetch(SQL.progress, list(digests))
    return {row["digest"]: {state: row[state] for state in STATES} for row in counted}


# forgetting


async def forget_settled(conn: Connection, days: int, limit: int) -> int:
    """Up to `limit` mails done with so many days ago; how many there were.

    Digests keep their totals: `progress` answers as before.
    """
    gone: int = await conn.fetchval(SQL.forget_settled, days, limit)
    return gone


async def settled_due(conn: Connection, days: int) -> Due:
    """How many mails `forget_settled` would find now, and when there will be more."""
    found = await db.first(conn, Due, SQL.settled_due, days)
    assert found is not None
    return found


# who works


async def beat(conn: Connection, worker: UUID) -> None:
    """Say that the worker lives, and free what silent ones hold.

    Whoever was silent themselves, or is new, waits a beat: perhaps it was the database that nobody
    could reach, and the others are about to say that they live.
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


async def objection(conn: Connection) -> str | None:
    """What is wrong with letters to single people in a sentence, None if they go."""
    late: int = await conn.fetchval(SQL.late, LATE)
    if not late:
        return None
    return f"Letters have waited for more than {LATE // timedelta(minutes=1)} minutes: {late}."
