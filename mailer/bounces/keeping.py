"""Keeping a bounce: what was said is sealed under its reader's own key, without addresses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal, TypeAlias
from uuid import UUID

from mailer import address, db, subscriptions, vault
from mailer.bounces.reasons import KINDS, WORDS, Kind
from mailer.db import Connection
from mailer.errors import Unknown
from mailer.subscriptions import Found
from mailer.vault import Subject, Vault

SQL = db.statements("bounces")

PLACE = "bounce.report"
REPORT_CHARACTERS = 4000

Channel: TypeAlias = Literal[
    "smtp", "lmtp", "imap", "stdin", "ses", "mailgun", "postmark", "sendgrid"
]
Act: TypeAlias = Literal["left", "suppressed"]


@dataclass(frozen=True)
class Mail:
    """A mail of ours that a report is about."""

    message: UUID
    digest: int | None


@dataclass(frozen=True)
class Kept:
    """A bounce as it is kept; `report` sealed."""

    id: int
    subscription: int
    digest: int | None
    channel: Channel
    kind: Kind
    reason: str
    status: str | None
    report: bytes | None = field(repr=False)
    act: Act | None
    acted_at: datetime | None
    undone_at: datetime | None
    created_at: datetime


async def keep(
    conn: Connection,
    keys: Vault,
    channel: Channel,
    found: Found,
    mail: Mail | None,
    reason: str,
    status: str | None,
    text: str,
) -> int:
    """The number of the bounce."""
    given = found.subscriber.reach(keys).given
    kept: int = await conn.fetchval(
        SQL.keep,
        found.subscription.id,
        mail.digest if mail else None,
        mail.message if mail else None,
        channel,
        KINDS[reason],
        reason,
        status,
        sealed(found.subject, text, given),
    )
    return kept


def sealed(subject: Subject, text: str, given: str) -> bytes:
    """What was said, for staff to read: without addresses, and under the person's own key."""
    return vault.seal(subject, PLACE, address.scrubbed(text, given)[:REPORT_CHARACTERS].encode())


async def get(conn: Connection, keys: Vault, id_: int) -> tuple[Kept, Found]:
    """A bounce and whose it is, locked. Raises Unknown."""
    kept = await db.first(conn, Kept, SQL.get, id_)
    found = await subscriptions.locked(conn, keys, kept.subscription) if kept else None
    if kept is None or found is None:
        raise Unknown("There is no bounce {id}: see mailer bounce list.", id=id_)
    return kept, found


def described(kept: Kept, found: Found) -> Mapping[str, object]:
    """A bounce for staff: what was said, without addresses."""
    said = vault.unseal(found.subject, PLACE, kept.report).decode() if kept.report else None
    return {
        "id": kept.id,
        "at": kept.created_at,
        "newsletter": found.newsletter.slug,
        "channel": kept.channel,
        "kind": kept.kind,
        "reason": WORDS[kept.reason],
        "status": kept.status,
        "act": kept.act,
        "undone_at": kept.undone_at,
        "report": said,
    }


async def forget_of(conn: Connection, subscriber: UUID) -> None:
    """The person has another address: what was told of the earlier one says nothing of it."""
    await conn.execute(SQL.forget_of, subscriber)


# listing


@dataclass(frozen=True)
class Line:
    """One line of a list of bounces: nothing in it names anybody."""

    id: int
    at: datetime
    newsletter: str
    digest: int | None
    channel: Channel
    kind: Kind
    reason: str
    status: str | None
    act: Act | None
    forgiven: bool
    undone_by: str | None


@dataclass(frozen=True)
class Stray:
    """How many reports on a day bore no token of ours."""

    day: date
    channel: Channel
    kind: Kind
    count: int


async def latest(
    conn: Connection, subscriber: UUID | None, kind: Kind | None, limit: int
) -> list[Line]:
    """The latest bounces, of a person or of all, newest first."""
    return await db.fetch(conn, Line, SQL.latest, subscriber, kind, limit)


async def strays(conn: Connection) -> list[Stray]:
    """Of the last 30 days."""
    return await db.fetch(conn, Stray, SQL.strays)
