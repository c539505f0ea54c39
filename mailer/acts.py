"""Acts: what staff do, in the same record as everything else; listed for who must answer for it.

What concerns a reader is in that reader's chain of events (`staff.viewed`), what left the house in
the house's (`staff.exported`, `notice.published`); the rest, sign-ins too, in the chain of whoever
did it, or the house's if that was somebody at a terminal. So nobody waits for anybody's chain.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidTag

from mailer import consent, db, subjects, vault
from mailer.consent import STAFF, Actor, Type
from mailer.db import Connection
from mailer.vault import Subject, Vault

SQL = db.statements("acts")

TYPES: tuple[Type, ...] = (
    "staff.signed_in", "staff.acted", "staff.viewed", "staff.exported", "notice.published",
    "subject.erased", "subject.exported", "address.changed", "consent.updated",
    "consent.withdrawn", "subject.imported", "subscription.requested", "consent.confirmed",
    "key.rotated",
)  # fmt: skip
"""What staff may cause."""

BY_THE_THOUSAND: tuple[Type, ...] = (
    "subject.imported", "subscription.requested", "consent.confirmed",
)  # fmt: skip
"""What a list brought over leaves of each person on it: listed only when asked for."""


async def record(
    conn: Connection, keys: Vault, actor: Actor, act: str, on: str = "", **details: object
) -> None:
    """`act`: what was done, as noun.verb (`digest.approved`); `on`: to what (`weekly/3`).

    No address and no secret in either, nor in `details`, of which `reason` is shown by itself.
    """
    subject = await whose(conn, keys, actor)
    evidence = {"act": act, "on": on, **details}
    await consent.record(conn, subject, "staff.acted", actor=actor, evidence=evidence)


async def signed_in(
    conn: Connection, keys: Vault, actor: Actor, shown: Sequence[str], *, known: bool
) -> None:
    """`shown`: what proved who they are; `known`: in a browser they had been in before."""
    evidence = {"shown": list(shown), "browser": "known" if known else "new"}
    subject = await whose(conn, keys, actor)
    await consent.record(conn, subject, "staff.signed_in", actor=actor, evidence=evidence)


async def whose(conn: Connection, keys: Vault, actor: Actor) -> Subject:
    """In whose chain an act belongs that is about no reader."""
    try:
        own = await subjects.find(conn, keys, UUID(actor.removeprefix(STAFF)))
    except ValueError:
        own = None
    return own or await subjects.house(conn, keys)


# who did what


@dataclass(frozen=True)
class Filter:
    """Which acts; None: all. `staff`: without `staff:`. `since` is included, `until` is not."""

    staff: str | None = None
    type: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Row:
    """An event that staff caused; `dek` wrapped, `body` sealed, both None once erased."""

    id: UUID
    at: datetime
    type: Type
    staff: str
    subject: UUID
    newsletter: str | None
    dek: bytes | None
    body: bytes | None


@dataclass(frozen=True)
class Act:
    """One line of the list. `evidence` is empty if what it was about has been erased since."""

    id: UUID
    at: datetime
    type: Type
    staff: str
    subject: UUID
    newsletter: str | None
    evidence: Mapping[str, Any]
    erased: bool = False

    @property
    def actor(self) -> Actor:
        return STAFF + self.staff

    @property
    def reason(self) -> str:
        return str(self.evidence.get("reason") or "")


async def listed(
    conn: Connection, keys: Vault, wanted: Filter, *, before: UUID | None, most: int
) -> list[Act]:
    """Newest first; `before`: the last one that was shown."""
    rows = await db.fetch(
        conn, Row, SQL.listed, wanted.staff, wanted.type, wanted.since, wanted.until, before, most,
        BY_THE_THOUSAND,
    )  # fmt: skip
    return [opened(keys, row) for row in rows]


def opened(keys: Vault, row: Row) -> Act:
    act = Act(row.id, row.at, row.type, row.staff, row.subject, row.newsletter, {}, erased=True)
    if row.body is None or row.dek is None:
        return act
    try:
        body = vault.unseal(keys.unwrap(row.subject, row.dek), consent.PLACE, row.body)
    except InvalidTag:  # `mailer consent verify` says so, and which
        return act
    return replace(act, evidence=json.loads(body)["evidence"], erased=False)
