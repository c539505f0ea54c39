"""Consent events: the append-only record of who agreed to what, when and in which words.

An event is one JSON object. Its commitment is

    SHA-256("mailer/consent-event/v1\\n" | salt | RFC 8785 form of the event)

with a salt that is derived from the subject's key, so that it means nothing once that key is
destroyed. Each event names the commitment of the same subject's previous one (`prev`) and a number
without gaps (`seq`). The event itself is sealed; the columns beside it are there to filter by.
"""

import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Protocol, TypeAlias, get_args
from uuid import UUID

import rfc8785
from cryptography.exceptions import InvalidTag

from mailer import db, vault
from mailer.db import Connection
from mailer.errors import Misconfigured
from mailer.vault import Subject, Vault

SQL = db.statements("consent")

VERSION = 1
CONTEXT = b"mailer/consent-event/v1\n"
PLACE = "consent_event.body"

Type: TypeAlias = Literal[
    "subscription.requested",
    "confirmation.sent",
    "confirmation.accepted",
    "confirmation.failed",
    "consent.confirmed",
    "consent.expired",
    "consent.refused",
    "consent.expired",
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
class Turn:
    """The next place in a subject's chain, taken under a lock on the subject."""

    origin: str
    seq: int
    prev: bytes | None
    at: datetime


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
class Row(Stored):
    """An event beside its subject's wrapped key, the place its chain has come to and the hash of
    the notice it names; `staff`: whom of them it is listed under."""

    staff: str | None
    dek: bytes | None
    last_seq: int
    head: bytes | None
    notice_sha256: bytes | None


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
    event_id = uuid7(turn.at)
    content = {
        "v": VERSION,
        "origin": turn.origin,
        "id": str(event_id),
        "subject": str(subject.id),
        "seq": turn.seq,
        "prev": turn.prev.hex() if turn.prev else None,
        "type": type_,
        "at": timestamp(turn.at),
        "actor": actor,
        "newsletter": newsletter,
        "notice": {"id": notice.id, "sha256": notice.sha256.hex()} if notice else None,
        "language": language,
        "purposes": list(notice.purposes) if notice else [],
        "evidence": dict(evidence or {}),
    }
    body = canonical(content)
    commitment = commit(subject, event_id, body)
    await conn.execute(
        SQL.append,
        event_id,
        subject.id,
        turn.seq,
        turn.prev,
        commitment,
        turn.at,
        type_,
        newsletter,
        notice.id if notice else None,
        vault.seal(subject, PLACE, body),
        actor.removeprefix(STAFF) if actor.startswith(STAFF) else None,
    )
    return event_id


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
        prefetch=1000,
    )
    async for record_ in rows:
        row = Matching(**record_)
        subject = keys.unwrap(row.subject, row.dek)
        yield open_(subject, row), subject, row.address


# verification


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was recorded, and where it shows, as far as that can be told.

    `leaf`: its place in the log; `missing`: something is gone, rather than changed.
    """

    subject: UUID | None
    seq: int | None
    event: UUID | None
    what: str
    leaf: int | None = None
    missing: bool = False


@dataclass
class Verification:
    """What `verify` has seen so far."""

    events: int = 0
    erased: int = 0
    subjects: int = 0


async def verify(conn: Connection, keys: Vault, seen: Verification) -> AsyncIterator[Finding]:
    """Recompute every commitment and chain; yields what does not hold, counts into `seen`.

    Streams in the caller's transaction with constant memory.
    """
    for orphan in await db.fetch(conn, Headless, SQL.headless):
        yield Finding(orphan.id, orphan.seq, None, "all events are missing", missing=True)
    previous: Row | None = None
    erased: set[UUID] = set()  # as the house's events say, which come first
    async for record_ in conn.cursor(SQL.chains, prefetch=1000):
        row = Row(**record_)
        if previous is not None and previous.subject != row.subject:
            for finding in check_end(previous, erased):
                yield finding
            previous = None
        seen.subjects += previous is None
        seen.events += 1
        seen.erased += row.body is None
        for finding in (*check_link(previous, row), *check_body(keys, row)):
            yield finding
        erased |= said_to_be_erased(keys, row)
        previous = row
    if previous is not None:
        for finding in check_end(previous, erased):
            yield finding


@dataclass(frozen=True)
class Headless:
    """A subject that has counted events of which none is left."""

    id: UUID
    seq: int


def check_link(previous: Row | None, row: Row) -> list[Finding]:
    expected = previous.seq + 1 if previous else 1
    if row.seq != expected:
        what = f"events {expected} to {row.seq - 1} of the subject are missing"
        return [Finding(row.subject, row.seq, row.id, what, row.leaf, missing=True)]
    if row.prev != (previous.commitment if previous else None):
        return [found(row, "it does not follow the subject's previous event")]
    if previous and row.leaf is not None and (previous.leaf is None or previous.leaf > row.leaf):
        return [found(row, "it is in the log before the subject's previous event")]
    return []


def found(row: Stored, what: str) -> Finding:
    return Finding(row.subject, row.seq, row.id, what, row.leaf)


def check_end(row: Row, erased: set[UUID]) -> list[Finding]:
    findings = []
    if row.seq != row.last_seq or row.commitment != row.head:
        what = f"the subject's latest event is number {row.last_seq}, and is missing or changed"
        findings.append(Finding(row.subject, row.last_seq, None, what, missing=True))
    if row.dek is None and row.subject not in erased:
        what = "the subject was erased without a word in the record"
        findings.append(Finding(row.subject, row.seq, None, what, missing=True))
    return findings


def said_to_be_erased(keys: Vault, row: Row) -> set[UUID]:
    """Whom an event of the house says to have been erased."""
    if row.type != "subject.erased" or row.subject != vault.HOUSE or not (row.body and row.dek):
        return set()
    try:
        body = vault.unseal(keys.unwrap(row.subject, row.dek), PLACE, row.body)
    except (InvalidTag, Misconfigured, ValueError):
        return set()  # that it was changed is a finding of its own
    return {UUID(json.loads(body)["evidence"]["subject"])}


def check_body(keys: Vault, row: Row) -> list[Finding]:
    """An event without a body is right only if its subject's key is gone as well."""
    if row.body is None or row.dek is None:
        kept = row.body is not None or row.dek is not None
        return [found(row, "its content is gone although the subject was not erased")][:kept]
    try:
        subject = keys.unwrap(row.subject, row.dek)
    except (InvalidTag, Misconfigured, ValueError):
        return [found(row, "the key of its subject was changed")]
    try:
        body = vault.unseal(subject, PLACE, row.body)
    except InvalidTag:
        return [found(row, "its content was changed or moved")]
    if commit(subject, row.id, body) != row.commitment or not matches(row, json.loads(body)):
        return [found(row, "it is not what was committed to")]
    return []


def matches(row: Row, content: Mapping[str, Any]) -> bool:
    """Whether the columns to filter by, and the notice, say what the event says."""
    notice = content["notice"] or {"id": None, "sha256": None}
    return bool(
        content["id"] == str(row.id)
        and content["subject"] == str(row.subject)
        and content["seq"] == row.seq
        and content["prev"] == (row.prev.hex() if row.prev else None)
        and content["type"] == row.type
        and content["at"] == timestamp(row.at)
        and content["newsletter"] == row.newsletter
        and row.staff in (None, content["actor"].removeprefix(STAFF))
        and notice["id"] == row.notice
        and notice["sha256"] == (row.notice_sha256.hex() if row.notice_sha256 else None)
    )


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
