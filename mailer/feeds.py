"""Feeds: where articles come from, and what a fetch of one means for what we keep.

`fetch` brings a `Fetched`; `store` takes it in. What is there at the first fetch counts as known
and is never sent. Articles stand in the order of first sight, never of their dates.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from mailer import articles, db
from mailer.articles import Article, Draft
from mailer.articles.cleaning import address
from mailer.articles.cleaning import language as spelt
from mailer.articles.draft import MOST_ID
from mailer.db import Connection
from mailer.errors import Conflict, Invalid, Unknown

SQL = db.statements("feeds")

LEASE = timedelta(minutes=10)
"""A feed taken by a worker that died is due again after this; a fetch takes two minutes at most."""

FLOOR = timedelta(hours=1)
CEILING = timedelta(hours=24)


@dataclass(frozen=True)
class Feed:
    """`polled_at`: the last success; until there is one, nothing of it will be sent.

    `language`: said by staff, else by the feed itself. `problem`: the latest failure in a sentence.
    """

    id: int
    newsletter: int
    url: str
    title: str | None
    language: str | None
    etag: str | None
    last_modified: str | None
    polled_at: datetime | None
    due_at: datetime
    failures: int
    problem: str | None
    gone: bool
    created_at: datetime


@dataclass(frozen=True)
class Document:
    """A feed was read. `drafts`: as they stand in it; `moved`: its new address, for good."""

    title: str | None
    language: str | None
    drafts: tuple[Draft, ...]
    etag: str | None = None
    last_modified: str | None = None
    ttl: timedelta | None = None
    moved: str | None = None


@dataclass(frozen=True)
class Unchanged:
    """Nothing new since the last time."""

    moved: str | None = None


@dataclass(frozen=True)
class Gone:
    """Its server says that it will not come back."""


@dataclass(frozen=True)
class Failed:
    """It could not be had: why in a sentence, and when to come again if the server said so."""

    problem: str
    retry_after: timedelta | None = None


Fetched: TypeAlias = Document | Unchanged | Gone | Failed


@dataclass(frozen=True)
class Stored:
    """What came of a fetch: articles seen for the first time, and those brought up to date."""

    new: int = 0
    updated: int = 0


async def add(conn: Connection, newsletter: int, url: str, language: str | None = None) -> Feed:
    """Due at once. `language`: of items that name none. Raises Invalid or Conflict."""
    checked = address(url.strip())
    if checked is None:
        raise Invalid(
            "The feed must be a web address such as https://example.org/feed.xml.", field="url"
        )
    tag = spelt(language)
    if language and tag is None:
        raise Invalid("The language must be one such as en or pt-BR.", field="language")
    feed = await db.first(conn, Feed, SQL.add, newsletter, checked, tag)
    if feed is None:
        raise Conflict("The newsletter has the feed {url} already.", url=checked)
    return feed


async def all_(conn: Connection, slug: str | None = None) -> list[Feed]:
    """Of one newsletter or of all."""
    return await db.fetch(conn, Feed, SQL.all, slug)


async def find(conn: Connection, id_: int) -> Feed:
    """Raises Unknown."""
    found = await db.first(conn, Feed, SQL.find, id_)
    if found is None:
        raise Unknown("There is no feed {id}; `mailer feed list` shows them.", field="id", id=id_)
    return found


async def remove(conn: Connection, feed: Feed) -> None:
    """Its articles stay."""
    await conn.execute(SQL.remove, feed.id)


async def due(conn: Connection, limit: int) -> list[Feed]:
    """Take up to `limit` feeds that are due; nobody else gets them while the lease lasts."""
    return await db.fetch(conn, Feed, SQL.due, limit, LEASE)


async def store(conn: Connection, feed: Feed, fetched: Fetched) -> Stored:
    """What the fetch means: articles kept, and when to come again."""
    now = await db.first(conn, Feed, SQL.lock, feed.id)
    if now is None:  # removed in the meantime
        return Stored()
    match fetched:
        case Document():
            return await keep(conn, now, fetched)
        case Unchanged(moved):
            await conn.execute(SQL.unchanged, feed.id, moved, FLOOR)
        case Gone():
            await conn.execute(SQL.gone, feed.id)
        case Failed(problem, retry_after):
            pause = min(retry_after or FLOOR, CEILING)
            await conn.execute(SQL.failed, feed.id, problem, max(pause, FLOOR), CEILING)
    return Stored()


async def keep(conn: Connection, feed: Feed, document: Document) -> Stored:
    """The articles of a document that was read."""
    drafts = oldest_first(document.drafts)
    kept = await articles.among(conn, feed.newsletter, feed.id, [d.external_id for d in drafts])
    first = feed.polled_at is None
    new = updated = 0
    for draft in settled(drafts, kept, feed.id):
        language = draft.language or feed.language or document.language
        added = await articles.add(
            conn, feed.newsletter, replace(draft, language=language), feed=feed.id, known=first
        )
        new, updated = new + added.new, updated + added.changed
    pause = min(max(document.ttl or FLOOR, FLOOR), CEILING)
    await conn.execute(
        SQL.read,
        feed.id,
        document.title,
        document.language,
        document.etag,
        document.last_modified,
        document.moved,
        pause,
    )
    return Stored(new, updated)


# which article an item is


Look: TypeAlias = tuple[str | None, str, datetime | None]


def oldest_first(drafts: Sequence[Draft]) -> list[Draft]:
    """Documents are mostly newest first; dates, where all have one, know it better."""
    turned = list(reversed(drafts))
    dated = [(d.published_at, d) for d in turned if d.published_at]
    if len(dated) < len(turned):
        return turned
    return [draft for _, draft in sorted(dated, key=lambda pair: pair[0])]


def settled(drafts: Sequence[Draft], kept: Sequence[Article], feed: int) -> list[Draft]:
    """Each draft under the external_id of the article that it is.

    Most feeds give each item an id of its own for ever. For the others: an item with the address,
    title and time of one whose id is gone is that one, whatever its new id; and one with the id of
    another, but a different address, title and time, is not that other.
    """
    ids = Counter(draft.external_id for draft in drafts)
    looks = {look(a): a.external_id for a in kept if a.feed == feed and a.external_id not in ids}
    held: dict[str, Draft | Article] = {a.external_id: a for a in kept}
    taken: dict[str, Draft] = {}
    for draft in drafts:
        id_ = looks.get(look(draft)) if draft.url else None
        id_ = id_ or own_id(draft, held, shared=ids[draft.external_id] > 1)
        held[id_] = taken[id_] = replace(draft, external_id=id_)
    return list(taken.values())


def look(item: Draft | Article) -> Look:
    url = item.url and item.url.partition("://")[2]  # http became https everywhere
    return url, item.title, item.published_at


def own_id(draft: Draft, held: Mapping[str, Draft | Article], *, shared: bool) -> str:
    """The id the feed gave it, if need be with its address, where another bears the same."""
    other = held.get(draft.external_id)
    if other is None or draft.url == other.url or draft.title == other.title:
        return draft.external_id
    later = (
        draft.published_at is not None
        and other.published_at is not None
        and draft.published_at > other.published_at
    )
    if not later and not shared:
        return draft.external_id  # a page renamed and moved, as editors do
    return fitting(f"{draft.external_id} {draft.url or draft.title}")


def fitting(id_: str) -> str:
    """An id as we keep them: a long one as its hash."""
    return id_ if len(id_) <= MOST_ID else f"sha256:{hashlib.sha256(id_.encode()).hexdigest()}"
