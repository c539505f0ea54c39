"""Feeds: where articles come from, and what a fetch of one means for what we keep.

`fetch` brings a `Fetched`; `store` takes it in. What is there at the first fetch counts as known
and is never sent. Articles stand in the order of first sight, never of their dates. A feed that is
all news of a sudden (a site that moved and gave everything new ids, say) waits for an editor, who
says `release` or `dismiss`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias
from urllib.parse import urlsplit

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

FLOOD = 10
"""So many articles at once are no flood, whatever the feed is used to."""

REPLACED = 5
"""So many make one where nothing of what the feed shows was there before."""

HICCUP = timedelta(days=1)
"""A feed that could not be read for longer needs somebody to look."""

PATIENCE = timedelta(days=14)
"""So long any feed may be silent; one that is slower by habit, five times as long as usual."""

PATIENCE_UNKNOWN = timedelta(days=60)
"""And one whose habits aren't known yet."""


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
    id_host: str


@dataclass(frozen=True)
class Standing(Feed):
    """A feed and how it stands.

    `held`: articles that wait for an editor; `stale`: since it was last read, `quiet`: since its
    latest article (or since it was added); `rhythm`: the usual time between two, None if there were
    fewer.
    """

    held: int
    stale: timedelta
    quiet: timedelta
    rhythm: timedelta | None

    @property
    def silent(self) -> bool:
        return self.quiet > (max(PATIENCE, 5 * self.rhythm) if self.rhythm else PATIENCE_UNKNOWN)

    @property
    def failing(self) -> bool:
        """For so long that it is no hiccup."""
        return bool(self.problem) and self.stale > HICCUP

    @property
    def trouble(self) -> str | None:
        """What an editor should know of it, in sentences."""
        said = [self.problem] if self.problem else []
        if self.held:
            said.append(
                f"{self.held} articles came at once and wait: look at them with `mailer feed held "
                f"{self.id}`, then `mailer feed release {self.id}` or `mailer feed dismiss "
                f"{self.id}`."
            )
        if self.silent:
            said.append(
                f"Nothing new for {self.quiet.days} days: look whether the site still feeds it."
            )
        return " ".join(said) or None


@dataclass(frozen=True)
class Document:
    """A feed was read. `drafts`: as they stand in it; `moved`: its new address, for good.

    `ttl`: how long it asks to be left alone; when: `skip_hours` (UTC), `skip_days` (Sunday is 0).
    """

    title: str | None
    language: str | None
    drafts: tuple[Draft, ...]
    etag: str | None = None
    last_modified: str | None = None
    ttl: timedelta | None = None
    skip_hours: tuple[int, ...] = ()
    skip_days: tuple[int, ...] = ()
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
    """What came of a fetch: articles seen for the first time, those brought up to date, and how
    many of the new ones wait for an editor."""

    new: int = 0
    updated: int = 0
    held: int = 0


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
    feed = await db.first(conn, Feed, SQL.add, newsletter, checked, tag, host(checked))
    if feed is None:
        raise Conflict("The newsletter has the feed {url} already.", url=checked)
    return feed


def host(url: str) -> str:
    return urlsplit(url).hostname or ""


async def all_(conn: Connection, slug: str | None = None) -> list[Standing]:
    """Of one newsletter or of all."""
    return await db.fetch(conn, Standing, SQL.all, slug)


async def find(conn: Connection, id_: int) -> Feed:
    """Raises Unknown."""
    found = await db.first(conn, Feed, SQL.find, id_)
    if found is None:
        raise Unknown("There is no feed {id}; `mailer feed list` shows them.", field="id", id=id_)
    return found


async def hasten(conn: Connection, feed: Feed) -> None:
    """The worker reads it next, even if its server said that it is gone."""
    await conn.execute(SQL.hasten, feed.id)


async def remove(conn: Connection, feed: Feed) -> None:
    """Its articles stay; what waited for a decision has had it."""
    await articles.let_go(conn, feed.id, known=True)
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
    usual = 0 if first else await articles.most_at_once(conn, feed.id)
    done = []
    for draft in settled(drafts, kept, feed.id):
        language = draft.language or feed.language or document.language
        said = replace(draft, language=language)
        done.append(await articles.add(conn, feed.newsletter, said, feed=feed.id, known=first))
    new = [added.id for added in done if added.new]
    flood = not first and is_flood(len(new), len(done), usual, had_any=bool(kept))
    if flood:
        await articles.hold(conn, new)
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
        list(document.skip_hours),
        list(document.skip_days),
    )
    return Stored(len(new), sum(added.changed for added in done), len(new) if flood else 0)


def is_flood(new: int, shown: int, usual: int, *, had_any: bool) -> bool:
    """Whether so many new articles at once are more than an established feed has to say."""
    replaced = had_any and new == shown and new >= REPLACED
    return new > 2 * usual and (new > FLOOD or replaced)


# what an editor says of those that wait


async def release(conn: Connection, feed: Feed) -> int:
    """What waits is news, and goes into the next digest; how many. Raises Conflict."""
    return await let_go(conn, feed, known=False)


async def dismiss(conn: Connection, feed: Feed) -> int:
    """What waits is nothing new, and is never sent; how many. Raises Conflict."""
    return await let_go(conn, feed, known=True)


async def let_go(conn: Connection, feed: Feed, *, known: bool) -> int:
    await db.first(conn, Feed, SQL.lock, feed.id)  # not in the middle of a fetch
    many = await articles.let_go(conn, feed.id, known=known)
    if not many:
        raise Conflict("No articles of feed {id} wait for a decision.", id=feed.id)
    return many


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
    alike: dict[str, list[Draft]] = {}
    for draft in drafts:
        alike.setdefault(draft.external_id, []).append(draft)
    looks = {look(a): a.external_id for a in kept if a.feed == feed and a.external_id not in alike}
    held: dict[str, Draft | Article] = {a.external_id: a for a in kept}
    taken: dict[str, Draft] = {}
    for draft in drafts:
        telling = draft.url or draft.published_at
        id_ = looks.get(look(draft)) if telling else None
        id_ = id_ or own_id(draft, held, alike[draft.external_id])
        held[id_] = taken[id_] = replace(draft, external_id=id_)
    return list(taken.values())


def look(item: Draft | Article) -> Look:
    return bare(item.url), item.title, item.published_at


def bare(url: str | None) -> str | None:
    """Without its scheme: http became https everywhere."""
    return url and url.partition("://")[2]


def own_id(draft: Draft, held: Mapping[str, Draft | Article], alike: Sequence[Draft]) -> str:
    """The id the feed gave it, if need be with what tells it from another that bears the same.

    `alike`: those in the document with this id.
    """
    other = held.get(draft.external_id)
    if other is None or same(draft, other, alike):
        return draft.external_id
    told = [bare(draft.url), None if told_by_address(alike) else draft.title]
    return fitting(" ".join([draft.external_id, *filter(None, told)]))


def same(draft: Draft, other: Draft | Article, alike: Sequence[Draft]) -> bool:
    """Whether two with one id are one."""
    if len(alike) == 1:
        one = bare(draft.url) == bare(other.url) or draft.title == other.title
        return one or renamed(draft, other)
    return bare(draft.url) == bare(other.url) and (
        told_by_address(alike) or draft.title == other.title
    )


def told_by_address(alike: Sequence[Draft]) -> bool:
    """Whether each has an address of its own."""
    addresses = {bare(draft.url) for draft in alike if draft.url}
    return len(addresses) == len(alike)


def renamed(draft: Draft, other: Draft | Article) -> bool:
    """Whether an item with another address and title is a page renamed and moved, as editors do,
    and not something else to which the feed gave an id that it had used before."""
    if draft.published_at and other.published_at:
        return draft.published_at <= other.published_at
    return bool(draft.summary) and draft.summary == other.summary


def fitting(id_: str) -> str:
    """An id as we keep them: a long one as its hash."""
    return id_ if len(id_) <= MOST_ID else f"sha256:{hashlib.sha256(id_.encode()).hexdigest()}"
