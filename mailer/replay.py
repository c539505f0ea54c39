"""Replay: what the events of a person say of their subscriptions, and whether the tables say so.

There is no second truth: the state, language, cadence, notice and pause of a subscription are
what its events make of them, one after the other. Tables that say otherwise were changed by
somebody else.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol, TypeAlias, TypeVar
from uuid import UUID

import asyncpg
from cryptography.exceptions import InvalidTag

from mailer import consent, db, vault
from mailer.consent import Finding
from mailer.db import Connection
from mailer.errors import Misconfigured
from mailer.subscriptions import State
from mailer.vault import Vault

SQL = db.statements("replay")

DECIDING: tuple[consent.Type, ...] = (
    "subscription.requested",
    "consent.confirmed",
    "consent.renewed",
    "consent.updated",
    "consent.withdrawn",
    "consent.refused",
    "consent.expired",
)
"""The events that change a subscription; the others only tell what else happened."""


@dataclass(frozen=True)
class Place:
    """One person's place in one newsletter. `proven`: they confirmed it at some time. `paused`:
    until when they wanted no mail."""

    state: State
    language: str
    cadence: str
    notice: str
    proven: bool = False
    paused: datetime | None = None

    def __str__(self) -> str:
        paused = f", paused until {self.paused:%Y-%m-%d %H:%M} UTC" if self.paused else ""
        return f"{self.state} ({self.language}, {self.cadence}, notice {self.notice}{paused})"

    def at(self, now: datetime) -> "Place":
        """A pause that is over is none."""
        return self if self.paused is None or self.paused > now else replace(self, paused=None)


Places: TypeAlias = Mapping[str, Place]
"""By the slug of the newsletter; who was forgotten has none."""


def replay(events: Iterable[Mapping[str, Any]]) -> Places:
    """What one person's events, oldest first, come to."""
    places: dict[str, Place] = {}
    for event in events:
        if event["type"] not in DECIDING:
            continue
        slug = event["newsletter"]
        became = follow(places.get(slug), event)
        if became is None:
            places.pop(slug, None)
        else:
            places[slug] = became
    return places


def follow(place: Place | None, event: Mapping[str, Any]) -> Place | None:
    """The place after one event of DECIDING; None: the person has no place there."""
    type_, evidence = event["type"], event["evidence"]
    if type_ == "subscription.requested":
        asked = Place("pending", event["language"], evidence["cadence"], event["notice"]["id"])
        return replace(asked, proven=place.proven, paused=place.paused) if place else asked
    if place is None:
        return None
    if type_ in ("consent.confirmed", "consent.renewed"):
        paused = place.paused if type_ == "consent.renewed" else None
        notice = event["notice"]["id"]
        return replace(place, state="confirmed", notice=notice, proven=True, paused=paused)
    if type_ == "consent.updated":
        became = {name: evidence["to"].get(name, getattr(place, name)) for name in CHANGED}
        pause = consent.pause(event)
        return replace(place, **became, paused=place.paused if pause is None else pause or None)
    if type_ == "consent.withdrawn" or place.proven:
        return replace(place, state="left")
    return None


CHANGED = ("language", "cadence", "state")
"""What may change without asking anew: a state, where what ended it was a mistake of others."""


# the tables beside it


class Row(Protocol):
    """What belongs to somebody."""

    @property
    def subject(self) -> UUID: ...


Kind = TypeVar("Kind", bound=Row)


@dataclass(frozen=True)
class Told:
    """A deciding event of a person who is not erased; `dek` wrapped, `body` sealed."""

    subject: UUID
    dek: bytes
    seq: int
    id: UUID
    body: bytes


@dataclass(frozen=True)
class Held:
    """A subscription as the tables have it."""

    subject: UUID
    newsletter: str
    state: State
    language: str
    cadence: str
    notice: str
    proven: bool
    paused: datetime | None

    @property
    def place(self) -> Place:
        return Place(self.state, self.language, self.cadence, self.notice, self.proven, self.paused)


async def check(conn: Connection, keys: Vault) -> AsyncIterator[Finding]:
    """Subscriptions that are not what their events say.

    Streams in the caller's transaction, a person at a time.
    """
    now: datetime = await conn.fetchval(SQL.now)
    all_told = by_subject(conn.cursor(SQL.told, list(DECIDING), prefetch=db.A_TURN), Told)
    all_held = by_subject(conn.cursor(SQL.held, prefetch=db.A_TURN), Held)
    told, held = await anext(all_told, None), await anext(all_held, None)
    while told or held:
        whose = min(group[0].subject for group in (told, held) if group)
        events = told if told and told[0].subject == whose else []
        places = held if held and held[0].subject == whose else []
        for finding in compare(keys, whose, events, places, now):
            yield finding
        told = await anext(all_told, None) if events else told
        held = await anext(all_held, None) if places else held


async def by_subject(
    rows: "asyncpg.cursor.CursorFactory[asyncpg.Record]", kind: Callable[..., Kind]
) -> AsyncIterator[list[Kind]]:
    """Rows in the order of their subjects, the rows of one subject together."""
    group: list[Kind] = []
    async for record in rows:
        row = kind(**record)
        if group and group[0].subject != row.subject:
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def compare(
    keys: Vault, whose: UUID, events: list[Told], places: list[Held], now: datetime
) -> list[Finding]:
    try:
        replayed = replay(opened(keys, event) for event in events)
    except (InvalidTag, Misconfigured, ValueError):
        return []  # what a changed event (or key) said can't be known; that it was is found anyway
    said = {slug: place.at(now) for slug, place in replayed.items()}
    kept = {held.newsletter: held.place.at(now) for held in places}
    return [
        finding(whose, events, slug, kept.get(slug), said.get(slug))
        for slug in sorted({*said, *kept})
        if kept.get(slug) != said.get(slug)
    ]


def opened(keys: Vault, event: Told) -> Mapping[str, Any]:
    subject = keys.unwrap(event.subject, event.dek)
    content: Mapping[str, Any] = json.loads(vault.unseal(subject, consent.PLACE, event.body))
    return content


def finding(
    whose: UUID, events: list[Told], slug: str, kept: Place | None, said: Place | None
) -> Finding:
    last = events[-1] if events else None
    what = f"the subscription to {slug} is {kept or 'not there'}; its events say {said or 'none'}"
    return Finding(whose, last.seq if last else 0, last.id if last else None, what)
