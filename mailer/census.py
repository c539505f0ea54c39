"""Census: how many readers there were, day by day; sums that say nothing of anybody.

A worker counts anew every half hour, so that the last count of a day (UTC) is that of its end.
Nothing else could say it later: whoever left is erased in time, and with them when they came.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from mailer import db
from mailer.db import Connection

SQL = db.statements("census")

LEAVING = timedelta(days=3)
"""Whoever leaves within that time of a digest's approval is counted beside it."""


@dataclass(frozen=True)
class Day:
    """Readers at the end of a day, and who left on it."""

    day: date
    pending: int
    confirmed: int
    gone: int


@dataclass(frozen=True)
class Group:
    """Readers of a newsletter in one language at the latest count; `gone`: in the last 30 days."""

    newsletter: int
    language: str
    pending: int
    confirmed: int
    gone: int


@dataclass(frozen=True)
class Outcome:
    """What became of a digest. `deferred`: mails that are tried again; `bounced`: refused or came
    back; `gone`: left its newsletter within LEAVING of its approval."""

    newsletter: int
    number: int
    state: str
    approved_at: datetime
    delivered: int
    deferred: int
    bounced: int
    gone: int


async def take(conn: Connection) -> None:
    """Count for today; of two workers at once the later one is right."""
    await conn.execute(SQL.clear)
    await conn.execute(SQL.take)


async def over(
    conn: Connection, days: int, newsletter: int | None = None, language: str | None = None
) -> list[Day]:
    """The last `days`, oldest first; days on which nobody counted are left out."""
    return await db.fetch(conn, Day, SQL.over, days, newsletter, language)


async def groups(conn: Connection) -> list[Group]:
    return await db.fetch(conn, Group, SQL.groups)


async def outcomes(conn: Connection, most: int) -> Sequence[Outcome]:
    """Of the latest digests, newest first."""
    return await db.fetch(conn, Outcome, SQL.outcomes, LEAVING, most)
