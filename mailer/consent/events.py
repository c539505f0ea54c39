"""One consent event: written, read, streamed."""

import asyncio
import hashlib
import json
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, get_args
from uuid import UUID

import rfc8785
from cryptography.exceptions import InvalidTag

from mailer import db, vault
from mailer.db import Connection
from mailer.vault import Subject, Vault

SQL = db.statements("consent")

VERSION = 1
CONTEXT = b"mailer/consent-event/v1\n"
PLACE = "consent_event.body"

MICROSECOND = timedelta(microseconds=1)

Type: TypeAlias = Literal[
    "subscription.requested",
    "confirmation.sent",
    "confirmation.accepted",
    "confirmation.failed",
    "consent.confirmed",
    "consent.expired",
    "consent.refused",
    "consent.updated",
    "consent.renewed",
    "consent.withdrawn",
    "address.changed",
    "subject.imported",
    "subject.exported",
    "subject.erased",
    "staff.viewed",
    "staff.exported",
    "staff.signed_in",
    "staff.acted",
    "notice.published",
    "key.rotated",
]
TYPES: tuple[Type, ...] = get_args(Type)

Pause: TypeAlias = datetime | Literal[False]

Actor: TypeAlias = str
"""`subject`, `system` or `staff:<id>`."""

SUBJECT: Actor = "subject"
SYSTEM: Actor = "system"
STAFF = "staff:"


class Noticed(Protocol):
    """What an event says of a notice."""

    @property
    def id(self) -> str: ...
    @property
    def sha256(self) -> bytes: ...
    @property
    def purposes(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class Entry:
    """What is to be put on record of a subject."""

    subject: Subject
    type: Type
    actor: Actor
    newsletter: str | None = None
    notice: Noticed | None = None
    language: str | None = None
    evidence: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Turn:
    """The next place in a subject's chain, taken under a lock on the subject."""

    subject: UUID
    origin: str
    seq: int
    prev: bytes | None
    at: datetime

    def after(self, commitment: bytes) -> "Turn":
        """The one behind it, where several were taken at once."""
        return Turn(self.subject, self.origin, self.seq + 1, commitment, self.at + MICROSECOND)


class Written(NamedTuple):
    """A row of consent_event, as its columns are named."""

    id: UUID
    subject: UUID
    seq: int
    prev: bytes | None
    commitment: bytes
    at: datetime
    type: Type
    newsletter: str | None
    notice: str | None
    body: bytes
    staff: str | None


@dataclass(frozen=True)
class Stored:
    """An event as the database keeps it; `body` is sealed, None once erased; `leaf` its place in
    the log, None until it is sealed there."""

    id: UUID
    subject: UUID
    seq: int
    prev: bytes | None
    commitment: bytes
    at: datetime
    type: str
    newsletter: str | None
    notice: str | None
    body: bytes | None
    leaf: int | None


@dataclass(frozen=True)
class Event:
    """An event opened: `content` is the JSON object that `commitment` commits to."""

    content: Mapping[str, Any]
    commitment: bytes
    leaf: int | None = None


async def record(
    conn: Connection,
    subject: Subject,
    type_: Type,
    *,
    actor: Actor,
    newsletter: str | None = None,
    notice: Noticed | None = None,
    language: str | None = None,
    evidence: Mapping[str, object] | None = None,
) -> UUID:
    """Append one event in the caller's transaction, which thereby orders the subject's events."""
    turn = await db.first(conn, Turn, SQL.take_turn, subject.id)
    assert turn is not None, "every subject is kept before anything is recorded of it"
    entry = Entry(subject, type_, actor, newsletter, notice, language, evidence or {})
    written = write(entry, turn)
    await conn.execute(SQL.append, *written)
    return written.id


async def record_all(conn: Connection, entries: Sequence[Entry]) -> None:
    """As `record`, of many subjects: in three statements, however many they are.

    Of one subject there may be several entries; they follow each other as they stand here.
    """
    counts = Counter(entry.subject.id for entry in entries)
    taken = await db.fetch(conn, Turn, SQL.take_turns, list(counts), list(counts.values()))
    # In a thread, for a thousand of them take a tenth of a second in which mails are to go on.
    rows, heads = await asyncio.to_thread(write_all, entries, taken)
    await conn.copy_records_to_table("consent_event", records=rows, columns=Written._fields)
    await conn.execute(SQL.move_heads, list(heads), list(heads.values()))


def write_all(
    entries: Sequence[Entry], taken: Sequence[Turn]
) -> tuple[list[Written], Mapping[UUID, bytes | None]]:
    """Them, and the latest commitment of each subject."""
    turns = {turn.subject: turn for turn in taken}
    rows = []
    for entry in entries:
        turn = turns[entry.subject.id]
        written = write(entry, turn)
        turns[entry.subject.id] = turn.after(written.commitment)
        rows.append(written)
    return rows, {subject: turn.prev for subject, turn in turns.items()}


def write(entry: Entry, turn: Turn) -> Written:
    """The event as it is kept: sealed, and committed to."""
    subject, notice, actor = entry.subject, entry.notice, entry.actor
    event_id = uuid7(turn.at)
    content = {
        "v": VERSION,
        "origin": turn.origin,
        "id": str(event_id),
        "subject": str(subject.id),
        "seq": turn.seq,
        "prev": turn.prev.hex() if turn.prev else None,
        "type": entry.type,
        "at": timestamp(turn.at),
        "actor": actor,
        "newsletter": entry.newsletter,
        "notice": {"id": notice.id, "sha256": notice.sha256.hex()} if notice else None,
        "language": entry.language,
        "purposes": list(notice.purposes) if notice else [],
        "evidence": dict(entry.evidence),
    }
    body = canonical(content)
    return Written(
        event_id,
        subject.id,
        turn.seq,
        turn.prev,
        commit(subject, event_id, body),
        turn.at,
        entry.type,
        entry.newsletter,
        notice.id if notice else None,
        vault.seal(subject, PLACE, body),
        actor.removeprefix(STAFF) if actor.startswith(STAFF) else None,
    )


async def of(conn: Connection, subject: Subject) -> list[Event]:
    """Everything recorded of one subject, oldest first."""
    stored = await db.fetch(conn, Stored, SQL.of_subject, subject.id)
    return [open_(subject, event) for event in stored if event.body is not None]


async def of_type(conn: Connection, subject: Subject, type_: Type) -> list[Event]:
    """What was recorded of one kind, oldest first; without what was changed and can't be read."""
    events = []
    for stored in await db.fetch(conn, Stored, SQL.of_type, subject.id, type_):
        with suppress(InvalidTag):
            events.append(open_(subject, stored))
    return events


def open_(subject: Subject, stored: Stored) -> Event:
    """Raises InvalidTag if the sealed event was changed or moved."""
    assert stored.body is not None
    body = vault.unseal(subject, PLACE, stored.body)
    return Event(json.loads(body), stored.commitment, stored.leaf)


def pause(content: Mapping[str, Any]) -> Pause | None:
    """Until when an event puts mails off, if it speaks of that; False: not any longer."""
    became = content["evidence"].get("to", {})
    if "paused_until" not in became:
        return None
    until = became["paused_until"]
    return datetime.fromisoformat(until) if until else False


async def erase(conn: Connection, subject: UUID) -> None:
    """Destroy the subject's key and every sealed event; commitments stay, and mean nothing."""
    await conn.execute(SQL.erase, subject)


# export


@dataclass(frozen=True)
class Filter:
    """Which events; None: all. `since` is included, `until` is not."""

    newsletter: str | None = None
    type: str | None = None
    notice: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Matching(Stored):
    """An event that is not erased, its subject's wrapped key and, if it has one, sealed address."""

    dek: bytes
    address: bytes | None


async def count(conn: Connection, wanted: Filter) -> int:
    """How many `stream` yields."""
    counted: int = await conn.fetchval(
        SQL.count, wanted.newsletter, wanted.type, wanted.notice, wanted.since, wanted.until
    )
    return counted


async def stream(
    conn: Connection, keys: Vault, wanted: Filter
) -> AsyncIterator[tuple[Event, Subject, bytes | None]]:
    """Matching events, whose they are and that person's sealed address, in order of time.

    Takes constant memory; inside the caller's transaction.
    """
    rows = conn.cursor(
        SQL.matching,
        wanted.newsletter,
        wanted.type,
        wanted.notice,
        wanted.since,
        wanted.until,
        prefetch=db.A_TURN,
    )
    async for record_ in rows:
        row = Matching(**record_)
        subject = keys.unwrap(row.subject, row.dek)
        yield open_(subject, row), subject, row.address


# forms


def commit(subject: Subject, event: UUID, body: bytes) -> bytes:
    return hashlib.sha256(CONTEXT + vault.salt(subject, event) + body).digest()


def canonical(content: Any) -> bytes:
    """RFC 8785 (JCS): one spelling of one JSON value."""
    return rfc8785.dumps(content)


def timestamp(at: datetime) -> str:
    """UTC with microseconds, always of one length: 2026-01-31T09:00:00.000000Z."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def uuid7(at: datetime) -> UUID:
    """RFC 9562 section 5.7: 48 bits of milliseconds, then chance."""
    milliseconds = int(at.timestamp() * 1000)
    number = milliseconds << 80 | secrets.randbits(80)
    number = number & ~(0xF << 76) | 0x7 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=number)
