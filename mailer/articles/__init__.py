"""Articles: published items with what is attached to them, from feeds, the keyboard or the API.

Whatever comes in becomes a `Draft` first: texts cleaned, links absolute, lengths within limits.
A person's JSON is refused with a sentence where a feed's item is cut to fit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from mailer import db
from mailer.articles.cleaning import clean
from mailer.articles.draft import Bundle, Draft, Enclosed, Image, Related
from mailer.articles.given import from_json, from_object
from mailer.db import Connection
from mailer.errors import Conflict, Unknown

__all__ = [
    "Added",
    "Article",
    "Attachment",
    "Bundle",
    "Draft",
    "Enclosed",
    "Image",
    "Related",
    "add",
    "among",
    "attachments_of",
    "clean",
    "find",
    "from_json",
    "from_object",
    "held",
    "hold",
    "latest",
    "let_go",
    "listed",
    "most_at_once",
    "named",
    "translations",
    "withdraw",
]

SQL = db.statements("articles")

ONE_A_LANGUAGE = "article_translation"
"""The index that keeps a work to one article a language."""


@dataclass(frozen=True)
class Article:
    """`id`: order of first sight; `known`: there before we were, and never sent.

    `work`: the same in every translation of one article, None where nobody said. `related`: each
    with `title` and `url`. `revised_at`: when what it says last changed. `held`: waits for an
    editor. One that is known, held or withdrawn is in no digest.
    """

    id: int
    newsletter: int
    feed: int | None
    external_id: str
    language: str
    title: str
    url: str | None
    summary: str
    published_at: datetime | None
    seen_at: datetime
    known: bool
    work: str | None = None
    image_url: str | None = None
    image_alt: str | None = None
    bundle_url: str | None = None
    bundle_type: str | None = None
    bundle_size: int | None = None
    categories: Sequence[str] = ()
    related: Sequence[Mapping[str, str]] = ()
    revised_at: datetime | None = None
    withdrawn_at: datetime | None = None
    held: bool = False


@dataclass(frozen=True)
class Attachment:
    """A file of an article: type, size (bytes) and language are None when nobody said."""

    article: int
    position: int
    name: str
    url: str
    type: str | None
    size: int | None
    language: str | None


@dataclass(frozen=True)
class Added:
    """What `add` did: `new` for the first time, or `changed` what was there, or nothing."""

    id: int
    new: bool
    changed: bool


async def add(
    conn: Connection,
    newsletter: int,
    draft: Draft,
    *,
    feed: int | None = None,
    known: bool = False,
) -> Added:
    """Keep the article. One with the same external_id is brought up to date in its place, but a
    feed changes only what came from it.

    Raises Conflict if its work has another article in its language.
    """
    try:
        row = await conn.fetchrow(SQL.put, newsletter, feed, *values(draft), draft.withdrawn, known)
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name != ONE_A_LANGUAGE:
            raise
        raise Conflict(
            "There is another article of the work {work} in {language}: "
            "withdraw it, or give this one another work.",
            field="work",
            work=draft.work,
            language=draft.language,
        ) from None
    standing = row or await conn.fetchrow(SQL.standing, newsletter, draft.external_id)
    assert standing is not None, "articles are never deleted"
    id_: int = standing["id"]
    if feed is None and standing["feed"] is not None:
        await conn.execute(SQL.take_over, id_)
    elif standing["feed"] != feed:
        return Added(id_, new=False, changed=False)
    attached = await conn.fetchval(SQL.attach, id_, [vars(a) for a in draft.attachments])
    new = bool(row and row["new"])
    if attached and not row:
        await conn.execute(SQL.revise, id_)
    return Added(id_, new, not new and bool(row or attached))


def values(draft: Draft) -> tuple[object, ...]:
    """What it says, in the order of the columns."""
    image, bundle = draft.image, draft.bundle
    return (
        draft.external_id,
        draft.language,
        draft.title,
        draft.url,
        draft.summary,
        draft.published_at,
        draft.work,
        image and image.url,
        image and image.alt,
        bundle and bundle.url,
        bundle and bundle.type,
        bundle and bundle.size,
        list(draft.categories),
        [vars(story) for story in draft.related],
    )


async def attachments_of(
    conn: Connection, articles: Sequence[int]
) -> Mapping[int, Sequence[Attachment]]:
    """The files of each article that has any, in their order."""
    found: dict[int, list[Attachment]] = {}
    for attachment in await db.fetch(conn, Attachment, SQL.attachments, list(articles)):
        found.setdefault(attachment.article, []).append(attachment)
    return found


async def among(conn: Connection, newsletter: int, feed: int, ids: Sequence[str]) -> list[Article]:
    """Those of a newsletter with one of these external ids, and the latest of a feed."""
    return await db.fetch(conn, Article, SQL.among, newsletter, feed, list(ids), 2 * len(ids))


async def listed(
    conn: Connection,
    *,
    newsletter: int | None = None,
    external_id: str | None = None,
    before: int | None = None,
    limit: int,
) -> list[Article]:
    """Newest first; the next page is that `before` the last of this one."""
    return await db.fetch(conn, Article, SQL.listed, newsletter, external_id, before, limit)


async def latest(conn: Connection, feed: int, limit: int) -> list[Article]:
    """What a feed brought, newest first."""
    return await db.fetch(conn, Article, SQL.latest, feed, limit)


async def find(conn: Connection, id_: int) -> Article:
    """Raises Unknown."""
    found = await db.first(conn, Article, SQL.find, id_)
    if found is None:
        raise Unknown("There is no article {id}.", field="id", id=id_)
    return found


async def named(conn: Connection, newsletter: int, external_id: str) -> Article:
    """By the id that its site gave it. Raises Unknown."""
    for found in await listed(conn, newsletter=newsletter, external_id=external_id, limit=1):
        return found
    raise Unknown("There is no article {id}.", field="external_id", id=external_id)


async def withdraw(conn: Connection, id_: int) -> None:
    """Take it back: it is in no digest from now on. What was mailed was mailed."""
    await conn.execute(SQL.withdraw, id_)


async def translations(
    conn: Connection, articles: Sequence[int]
) -> Mapping[int, Mapping[str, int]]:
    """For each article that has any: the articles of the same work, by language."""
    found: dict[int, dict[str, int]] = {}
    for row in await conn.fetch(SQL.translations, list(articles)):
        found.setdefault(row["id"], {})[row["language"]] = row["other"]
    return found


# waiting for an editor


async def most_at_once(conn: Connection, feed: int) -> int:
    """How many articles this feed has brought with one fetch of late."""
    most: int = await conn.fetchval(SQL.most_at_once, feed)
    return most


async def hold(conn: Connection, ids: Sequence[int]) -> None:
    """They go into no digest until somebody lets them go."""
    await conn.execute(SQL.hold, list(ids))


async def held(conn: Connection, feed: int) -> list[Article]:
    return await db.fetch(conn, Article, SQL.held, feed)


async def let_go(conn: Connection, feed: int, *, known: bool) -> int:
    """Those held: as news, or as `known` and never sent; how many."""
    many: int = await conn.fetchval(SQL.let_go, feed, known)
    return many
