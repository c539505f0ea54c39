"""Floods: more forms than people send. While one is on, who proves nothing waits.

Every form is counted, whatever becomes of it. In a flood hardly anybody confirms; when an article
makes many subscribe, people do. So a flood is on when more than MANY came in WINDOW, or SOME of
which it is seen that hardly anybody answers; never while people do. It is over when half as many
come.

It is said in the log when it begins and ends, and by `mailer health` and `mailer check` meanwhile.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from mailer import db, limits
from mailer.db import Connection

SQL = db.statements("floods")

TALLY_SECONDS = 60
WINDOW = timedelta(minutes=10)
SOME = 100
MANY = 1500
OF_ALL = 2
"""Forms for one newsletter; over all of them together, so many times as many."""

ASKED_WITHIN = timedelta(hours=1)
TO_ANSWER = timedelta(minutes=3)
ENOUGH_ASKED = 20
ENOUGH_ANSWER = 0.2
"""It is seen whether people answer when at least so many were asked within the hour and have had a
little time; they do when that share of them has."""

UNSEEN = timedelta(minutes=5)
"""Nobody has looked for so long: no flood is known of."""


@dataclass(frozen=True)
class Seen:
    """What came for one newsletter, or (`newsletter` None) for all; `on`: a flood was on before."""

    newsletter: int | None
    forms: int
    asked: int
    answered: int
    on: bool

    @property
    def flood(self) -> bool:
        most = MANY if self.asked < ENOUGH_ASKED else SOME
        if self.newsletter is None:
            most *= OF_ALL
        return self.forms > (most / 2 if self.on else most) and not self.people

    @property
    def people(self) -> bool:
        return self.asked >= ENOUGH_ASKED and self.answered >= ENOUGH_ANSWER * self.asked


@dataclass(frozen=True)
class Flood:
    """One that is on; `newsletter`: its slug, None: over all of them."""

    id: int | None
    newsletter: str | None
    forms: int
    asked: int
    answered: int
    since: datetime

    def __str__(self) -> str:
        return (
            f"{self.forms} forms in {WINDOW.seconds // 60} minutes for "
            f"{self.newsletter or 'all newsletters'}; of {self.asked} who were asked to confirm, "
            f"{self.answered} did. Forms that prove nothing wait; see docs/abuse.md"
        )


def key(newsletter: int) -> bytes:
    """What the forms for a newsletter are counted by."""
    return f"forms {newsletter}".encode()


async def count(conn: Connection, forms: Mapping[int, int]) -> None:
    """So many forms came for these newsletters, by id."""
    await limits.add(conn, {key(id_): many for id_, many in forms.items()}, TALLY_SECONDS)


async def watch(conn: Connection) -> tuple[list[Flood], list[Flood]]:
    """Look whether floods begin or end; those that began and those that ended."""
    before = {flood.id: flood for flood in await on(conn)}
    seen = await db.fetch(conn, Seen, SQL.look, WINDOW, ASKED_WITHIN, TO_ANSWER)
    for each in seen:
        if each.flood:
            await conn.execute(SQL.keep, each.newsletter, each.forms, each.asked, each.answered)
        elif each.on:
            await conn.execute(SQL.end, each.newsletter)
    after = {flood.id: flood for flood in await on(conn)}
    began = [flood for id_, flood in after.items() if id_ not in before]
    return began, [flood for id_, flood in before.items() if id_ not in after]


async def on(conn: Connection) -> list[Flood]:
    """Those that are on."""
    return await db.fetch(conn, Flood, SQL.on, UNSEEN)
