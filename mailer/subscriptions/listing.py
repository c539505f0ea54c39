"""Who is subscribed, in numbers and one by one."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mailer import db, subscribers
from mailer.db import Connection
from mailer.subscriptions.rows import State
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


# listing


@dataclass(frozen=True)
class ListedRow:
    """A subscription beside its person's sealed address and wrapped key."""

    subscriber: UUID
    dek: bytes
    address: bytes
    newsletter: str
    state: State
    language: str
    cadence: str
    confirmed_at: datetime | None
    left_at: datetime | None


@dataclass(frozen=True)
class Listed:
    """One line of a list of subscribers."""

    email: str
    newsletter: str
    state: State
    language: str
    cadence: str
    confirmed_at: datetime | None
    left_at: datetime | None


async def listing(conn: Connection, keys: Vault, slug: str | None) -> AsyncIterator[Listed]:
    """Everyone, of one newsletter or of all, in constant memory; in the caller's transaction."""
    async for record_ in conn.cursor(SQL.listing, slug, prefetch=1000):
        row = ListedRow(**record_)
        reached = subscribers.open_address(keys.unwrap(row.subscriber, row.dek), row.address)
        yield Listed(
            reached.given,
            row.newsletter,
            row.state,
            row.language,
            row.cadence,
            row.confirmed_at,
            row.left_at,
        )
