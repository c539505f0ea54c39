"""A line of a list as somebody who may be brought over; or why not, in one sentence."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

from mailer import address, lookalikes
from mailer.address import Address
from mailer.errors import Invalid
from mailer.imports.reading import Line, Read, Wrong
from mailer.newsletters import Newsletter

LANGUAGE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")
AGREED = ("agreed_at", "agreed_how", "agreed_words", "agreed_source")
MOST: Mapping[str, int] = {"agreed_how": 500, "agreed_words": 2000, "agreed_source": 500}
TOMORROW = timedelta(days=1)
"""Clocks and time zones of old lists are not exact; more than that is no mistake of a clock."""

Passed: TypeAlias = Literal["newsletter", "state"]


@dataclass(frozen=True)
class Terms:
    """What people are brought over to. `notices`: ids of the words in force, by language;
    `documented`: lines may hold evidence of an earlier consent."""

    newsletter: Newsletter
    notices: Mapping[str, str]
    language: str | None = None
    documented: bool = False


@dataclass(frozen=True)
class Agreed:
    """An earlier consent, as the list documents it: when, how, to which words (or where they are:
    a URL or a hash), and where the proof of it is kept."""

    at: datetime
    how: str
    words: str
    source: str


@dataclass(frozen=True)
class Person:
    """`number`: of the line."""

    number: int
    address: Address = field(repr=False)
    language: str
    cadence: str
    agreed: Agreed | None


def sift(read: Read, terms: Terms) -> Person | Passed | Wrong:
    """What is to be made of a line, whatever stands in it."""
    if isinstance(read, Wrong):
        return read
    try:
        return check(read, terms)
    except Invalid as error:
        return Wrong(read.number, error)


def check(line: Line, terms: Terms) -> Person | Passed:
    """Who it is; or in which respect it is not about this newsletter. Raises Invalid."""
    cells, newsletter = line.cells, terms.newsletter
    if cells.get("newsletter") not in (None, newsletter.slug):
        return "newsletter"
    if cells.get("state", "confirmed").casefold() not in ("confirmed", "subscribed", "active"):
        return "state"
    reached = address.parse(cells["email"])
    lookalikes.check(reached)
    return Person(
        line.number,
        reached,
        language(cells, terms),
        cadence(cells, newsletter),
        agreed(cells) if terms.documented else None,
    )


def language(cells: Mapping[str, str], terms: Terms) -> str:
    """One that the newsletter comes in."""
    said = cells.get("language") or terms.language or terms.newsletter.fallback
    if not LANGUAGE.fullmatch(said):
        raise Invalid("Give the language as a code, such as en.", field="language")
    whole = said.replace("_", "-").lower()
    offered = {each.lower(): each for each in terms.newsletter.languages}
    spoken = offered.get(whole) or offered.get(whole.partition("-")[0], terms.newsletter.fallback)
    if spoken not in terms.notices:
        raise Invalid(
            "{slug} has no notice in {language}: publish one first.",
            field="language",
            slug=terms.newsletter.slug,
            language=spoken,
        )
    return spoken


def cadence(cells: Mapping[str, str], newsletter: Newsletter) -> str:
    said = cells.get("cadence") or newsletter.cadences[0]
    if said not in newsletter.cadences:
        raise Invalid("This newsletter does not come that often.", field="cadence")
    return said


def agreed(cells: Mapping[str, str]) -> Agreed | None:
    """None: the line says nothing of an earlier consent, so that the person is asked."""
    said = {name: cells.get(name, "") for name in AGREED}
    if not any(said.values()):
        return None
    for name, text in said.items():
        if not text:
            raise Invalid(
                "An earlier consent needs all of its evidence, and {name} is missing.",
                field=name,
                name=name,
            )
        if len(text) > MOST.get(name, 40) or not text.replace("\n", " ").isprintable():
            raise Invalid(
                "{name} is too long or has invisible characters: {most} visible ones at most.",
                field=name,
                name=name,
                most=MOST.get(name, 40),
            )
    return Agreed(
        moment(said["agreed_at"]),
        said["agreed_how"],
        said["agreed_words"],
        said["agreed_source"],
    )


def moment(text: str) -> datetime:
    """UTC unless it says otherwise. Raises Invalid."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(
            "agreed_at must be a time such as 2024-05-31 or 2024-05-31T09:00+02:00.",
            field="agreed_at",
        ) from None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    if found > datetime.now(UTC) + TOMORROW:
        raise Invalid("agreed_at is a time to come: nobody has agreed yet.", field="agreed_at")
    return found
