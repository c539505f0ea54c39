"""Verification: every commitment and chain, computed once more from what the database has."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidTag

from mailer import db, vault
from mailer.consent.events import PLACE, STAFF, Stored, commit, timestamp
from mailer.db import Connection
from mailer.errors import Misconfigured
from mailer.vault import Vault

SQL = db.statements("consent")


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


async def extent(conn: Connection) -> int:
    """How many events there are, and how many entries of the log, together."""
    counted: int = await conn.fetchval(SQL.extent)
    return counted


async def verify(conn: Connection, keys: Vault, seen: Verification) -> AsyncIterator[Finding]:
    """Recompute every commitment and chain; yields what does not hold, counts into `seen`.

    Streams in the caller's transaction with constant memory.
    """
    for orphan in await db.fetch(conn, Headless, SQL.headless):
        yield Finding(orphan.id, orphan.seq, None, "all events are missing", missing=True)
    previous: Row | None = None
    erased: set[UUID] = set()  # as the house's events say, which come first
    async for record_ in conn.cursor(SQL.chains, prefetch=db.A_TURN):
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
