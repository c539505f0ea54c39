"""Who is subscribed, in numbers and one by one."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

from mailer import db, subscribers
from mailer.db import Connection
from mailer.subscriptions.rows import State, Why
from mailer.vault import Vault

SQL = db.statements("subscriptions")


@dataclass(frozen=True)
class Count:
    """How many subscriptions of a newsletter are in a state and language."""

    newsletter: str
    language: str
    state: State
    count: int


async def counts(conn: Connection) -> list[Count]:
    return await db.fetch(conn, Count, SQL.counts)


@dataclass(frozen=True)
class Reason:
    """How many told that they left for it."""

    reason: Why
    count: int


async def reasons(conn: Connection, newsletter: int) -> list[Reason]:
    """Of those who told, the most frequent first."""
    return await db.fetch(conn, Reason, SQL.reasons, newsletter)


# listing


@dataclass(frozen=True)
class Wanted:
    """Which subscriptions; None: all. `since`: first asked for then or later."""

    newsletter: str | None = None
    state: State | None = None
    language: str | None = None
    since: datetime | None = None


@dataclass(frozen=True)
class Listed:
    """One line of a list of subscribers. `agreed_…`: of who is confirmed, what another list that
    they are brought over to has to know of it (`imports`)."""

    subject_id: UUID
    newsletter: str
    state: State
    language: str
    cadence: str
    confirmed_at: datetime | None
    left_at: datetime | None
    agreed_how: str | None
    agreed_words: str | None
    agreed_source: str | None


LISTED = tuple(each.name for each in fields(Listed))


@dataclass(frozen=True)
class ListedRow(Listed):
    """Beside the person's sealed address and wrapped key."""

    dek: bytes
    address: bytes


async def how_many(conn: Connection, wanted: Wanted) -> int:
    """Lines of `listing`."""
    counted: int = await conn.fetchval(
        SQL.how_many, wanted.newsletter, wanted.state, wanted.language, wanted.since
    )
    return counted


async def listing(
    conn: Connection, keys: Vault, wanted: Wanted, *, with_addresses: bool
) -> AsyncIterator[tuple[Mapping[str, object], str | None]]:
    """Lines by LISTED, and the address if it is asked for; in constant memory, in the caller's
    transaction."""
    rows = conn.cursor(
        SQL.listing,
        wanted.newsletter,
        wanted.state,
        wanted.language,
        wanted.since,
        prefetch=db.A_TURN,
    )
    async for record_ in rows:
        row = ListedRow(**record_)
        shown = {name: getattr(row, name) for name in LISTED}
        if with_addresses:
            opened = subscribers.open_address(keys.unwrap(row.subject_id, row.dek), row.address)
            yield shown, opened.given
        else:
            yield shown, None
