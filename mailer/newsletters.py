"""Newsletters: named series with languages and cadences."""

import re
import zoneinfo
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal, TypeAlias, get_args
from zoneinfo import ZoneInfo

import asyncpg

from mailer import db
from mailer.db import Connection
from mailer.errors import Conflict, Invalid, Unknown
from mailer.render import lookup

SQL = db.statements("newsletters")

Cadence: TypeAlias = Literal["published", "daily", "weekly", "monthly"]
CADENCES: tuple[Cadence, ...] = get_args(Cadence)
Untranslated: TypeAlias = Literal["shown", "omitted"]
Approval: TypeAlias = Literal["editor", "automatic"]
MOST_ARTICLES = 200
SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Newsletter:
    """`titles`: by language; `fallback`: for readers of a language that is not offered.

    `untranslated`: what readers get of an article that is not in their language. `approval`: of the
    digests that a schedule makes. `fewest`, `most`: articles in one digest. `images`: whether its
    mails show them.
    """

    id: int
    slug: str
    titles: Mapping[str, str]
    languages: Sequence[str]
    fallback: str
    cadences: Sequence[str]
    timezone: str
    archived: bool
    untranslated: Untranslated = "shown"
    approval: Approval = "editor"
    images: bool = False
    fewest: int = 1
    most: int = 50
    created_at: datetime = datetime(1970, 1, 1, tzinfo=UTC)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def title(self, language: str) -> str:
        return self.titles[lookup(language, list(self.titles)) or self.fallback]

    def offered(self, language: str) -> str:
        """The language that a tag such as uk-UA means if there is an edition in it, else the
        fallback."""
        return lookup(language, self.languages) or self.fallback


async def add(
    conn: Connection,
    slug: str,
    titles: Mapping[str, str],
    *,
    fallback: str,
    cadences: Sequence[str] = ("weekly",),
    timezone: str = "UTC",
    archived: bool = True,
) -> Newsletter:
    """Its languages are those it has a title in. Raises Invalid or Conflict."""
    check(slug, titles, fallback, cadences, timezone)
    try:
        added = await db.first(
            conn,
            Newsletter,
            SQL.add,
            slug,
            dict(titles),
            list(titles),
            fallback,
            list(cadences),
            timezone,
            archived,
        )
    except asyncpg.UniqueViolationError:
        raise Conflict("There is a newsletter {slug} already.", slug=slug) from None
    assert added is not None
    return added


def check(
    slug: str, titles: Mapping[str, str], fallback: str, cadences: Sequence[str], timezone: str
) -> None:
    if not SLUG.fullmatch(slug):
        raise Invalid(
            "The slug must be small letters, digits and hyphens, such as weekly-news.", field="slug"
        )
    if not titles or not all(title.strip() for title in titles.values()):
        raise Invalid("Give a title for each language.", field="title")
    if fallback not in titles:
        raise Invalid("The fallback language must be one that has a title.", field="fallback")
    if not cadences or not set(cadences) <= set(CADENCES):
        raise Invalid("Cadences are {known}.", field="cadence", known=", ".join(CADENCES))
    if timezone not in zoneinfo.available_timezones():
        raise Invalid("The time zone must be one such as Europe/Berlin.", field="timezone")


async def change(conn: Connection, newsletter: Newsletter, **changed: object) -> Newsletter:
    """The newsletter with other settings, named as its fields; its slug stays for ever.

    A cadence that is new begins with what comes from now on. Raises Invalid, or Conflict for a
    language or cadence that readers have.
    """
    titles = changed.get("titles")
    if isinstance(titles, Mapping):
        changed["languages"] = list(titles)
    wanted = replace(newsletter, **changed)  # type: ignore[arg-type]  # checked below
    check(wanted.slug, wanted.titles, wanted.fallback, wanted.cadences, wanted.timezone)
    check_choices(wanted)
    if held := await conn.fetchval(
        SQL.held, newsletter.id, list(wanted.languages), list(wanted.cadences)
    ):
        raise Conflict(
            "{count} readers have a language or cadence that would go: it has to stay.", count=held
        )
    for cadence in set(wanted.cadences) - set(newsletter.cadences):
        await conn.execute(SQL.take_over, newsletter.id, cadence)
    saved = await db.first(
        conn,
        Newsletter,
        SQL.change,
        newsletter.id,
        dict(wanted.titles),
        list(wanted.languages),
        wanted.fallback,
        list(wanted.cadences),
        wanted.timezone,
        wanted.archived,
        wanted.untranslated,
        wanted.approval,
        wanted.images,
        wanted.fewest,
        wanted.most,
    )
    assert saved is not None
    return saved


def check_choices(newsletter: Newsletter) -> None:
    if newsletter.untranslated not in get_args(Untranslated):
        raise Invalid("Untranslated articles are shown or omitted.", field="untranslated")
    if newsletter.approval not in get_args(Approval):
        raise Invalid("Digests wait for an editor or are automatic.", field="approval")
    if not 1 <= newsletter.fewest <= newsletter.most <= MOST_ARTICLES:
        raise Invalid(
            "A digest has from {fewest} to {most} articles: the fewest must not be above the most.",
            field="fewest",
            fewest=1,
            most=MOST_ARTICLES,
        )


async def all_(conn: Connection) -> list[Newsletter]:
    return await db.fetch(conn, Newsletter, SQL.all)


async def find(conn: Connection, slug: str) -> Newsletter:
    """Raises Unknown."""
    found = await db.first(conn, Newsletter, SQL.find, slug) if SLUG.fullmatch(slug) else None
    if found is None:
        raise unknown(slug)
    return found


def unknown(slug: str) -> Unknown:
    return Unknown("There is no newsletter {slug}.", field="newsletter", slug=slug)


async def get(conn: Connection, id_: int) -> Newsletter:
    """The newsletter of a row that refers to it."""
    found = await db.first(conn, Newsletter, SQL.get, id_)
    assert found is not None, "newsletters are never deleted"
    return found
