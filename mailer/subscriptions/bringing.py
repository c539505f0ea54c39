"""Bringing people over, many at a time: asked to confirm, or confirmed by an earlier consent.

The rules are those of `asking`; what stands already, or was wished for here, is never changed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, TypeAlias
from uuid import UUID

from mailer import consent, db, outbox, subscribers, suppressions, tokens
from mailer.address import Address
from mailer.consent import Actor, Entry
from mailer.db import Connection
from mailer.newsletters import Newsletter
from mailer.notices import Notice
from mailer.subscriptions.asking import hash_of, may_mail
from mailer.subscriptions.rows import State
from mailer.vault import Subject, Vault

SQL = db.statements("subscriptions")

Brought: TypeAlias = Literal["asked", "confirmed", "suppressed", "known", "gone", "capped"]
"""What came of somebody: `known`: subscribed, asked or restricted already; `gone`: has left;
`capped`: was written to enough."""


@dataclass(frozen=True)
class Guest:
    """Somebody who is brought over; `subject` is theirs from now on if the address is new.

    `agreed`: the evidence documents an earlier consent, so that they need not be asked.
    """

    subject: Subject
    address: Address
    language: str
    cadence: str
    notice: Notice
    evidence: Mapping[str, Any]
    agreed: bool


@dataclass(frozen=True)
class Standing:
    """Somebody known, by look-up; `dek` wrapped; `state`: in the newsletter, None: not there."""

    lookup: bytes
    subscriber: UUID
    dek: bytes
    restricted: bool
    state: State | None


@dataclass(frozen=True)
class Coming:
    """A guest nothing stands against; `subject`: the person's own."""

    guest: Guest
    subject: Subject

    @property
    def new(self) -> bool:
        return self.subject is self.guest.subject


async def bring(
    conn: Connection,
    keys: Vault,
    newsletter: Newsletter,
    guests: Sequence[Guest],
    *,
    by: Actor,
    confirm_hours: int,
) -> list[Brought]:
    """What comes of each, in their order; each address is among them once."""
    lookups = [keys.lookup(guest.address.normal) for guest in guests]
    await subscribers.hold(conn, lookups)
    mute = await suppressions.among(conn, keys, [guest.address for guest in guests])
    rows = await db.fetch(conn, Standing, SQL.standings, newsletter.id, lookups)
    known = {row.lookup: row for row in rows}
    came: dict[UUID, Brought] = {}
    coming = []
    for guest, lookup in zip(guests, lookups, strict=True):
        standing = known.get(lookup)
        against = "suppressed" if guest.address.normal in mute else passed(standing)
        if against is not None:
            came[guest.subject.id] = against
        else:
            own = keys.unwrap(standing.subscriber, standing.dek) if standing else guest.subject
            coming.append(Coming(guest, own))
    decent = await decent_of(conn, keys, newsletter, coming)
    placed = await place(conn, keys, newsletter, decent, confirm_hours)
    here = [each for each in decent if each.subject.id in placed]
    came.update((each.guest.subject.id, "capped") for each in coming)
    came.update((each.guest.subject.id, "known") for each in decent)
    came.update((e.guest.subject.id, "confirmed" if e.guest.agreed else "asked") for e in here)
    await consent.record_all(conn, [e for each in here for e in entries(each, newsletter, by)])
    asked = [placed[each.subject.id] for each in here if not each.guest.agreed]
    await outbox.put_behind(conn, "confirm", asked)
    return [came[guest.subject.id] for guest in guests]


def passed(standing: Standing | None) -> Brought | None:
    """What stands against bringing somebody over; None: nothing."""
    if standing is None or (standing.state is None and not standing.restricted):
        return None
    return "gone" if standing.state == "left" else "known"


async def decent_of(
    conn: Connection, keys: Vault, newsletter: Newsletter, coming: Sequence[Coming]
) -> list[Coming]:
    """Those who need not be asked, and whom one more mail may ask."""
    known_by = [
        (None if each.new else each.subject.id, hash_of(keys, each.guest.address))
        for each in coming
    ]
    allowed = await may_mail(conn, newsletter.id, known_by)
    return [each for each, may in zip(coming, allowed, strict=True) if may or each.guest.agreed]


async def place(
    conn: Connection,
    keys: Vault,
    newsletter: Newsletter,
    coming: Sequence[Coming],
    confirm_hours: int,
) -> dict[UUID, int]:
    """Keep who is new, and a subscription for each: its id, by subscriber.

    Left out is who came another way just now: to an address, or into the newsletter.
    """
    new = [each for each in coming if each.new]
    kept = await subscribers.keep_all(
        conn, keys, [(each.subject, each.guest.address, each.guest.language) for each in new]
    )
    there = [each for each in coming if not each.new or each.subject.id in kept]
    rows = await conn.fetch(
        SQL.bring,
        newsletter.id,
        timedelta(hours=confirm_hours),
        [each.subject.id for each in there],
        [each.guest.language for each in there],
        [each.guest.cadence for each in there],
        [each.guest.notice.id for each in there],
        [tokens.new_handle() for _ in there],
        [each.guest.agreed for each in there],
    )
    return {row["subscriber"]: row["id"] for row in rows}


def entries(came: Coming, newsletter: Newsletter, by: Actor) -> list[Entry]:
    guest = came.guest
    types: tuple[consent.Type, ...] = ("subject.imported", "subscription.requested")
    if guest.agreed:
        types = (*types, "consent.confirmed")
    said = {**guest.evidence, "cadence": guest.cadence}
    return [
        Entry(came.subject, type_, by, newsletter.slug, guest.notice, guest.language, said)
        for type_ in types
    ]
