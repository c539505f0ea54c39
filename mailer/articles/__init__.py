"""Articles: published items with what is attached to them, from feeds, the keyboard or the API.

Whatever comes in becomes a `Draft` first: texts cleaned, links absolute, lengths within limits.
A person's JSON is refused with a sentence where a feed's item is cut to fit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mailer import db
from mailer.articles.cleaning import clean
from mailer.articles.draft import Draft, Enclosed, from_json
from mailer.db import Connection

__all__ = [
    "Added",
    "Article",
    "Attachment",
    "Draft",
    "Enclosed",
    "add",
    "among",
    "attachments_of",
    "clean",
    "from_json",
]

SQL = db.statements("articles")


@dataclass(frozen=True)
class Article:
    """`id`: order of first sight; `known`: there before we were, and never sent."""

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
    """Keep the article. One with the same external_id is brought up to date in its place."""
    values = (
        newsletter,
        feed,
        draft.external_id,
        draft.language,
        draft.title,
        draft.url,
        draft.summary,
        draft.published_at,
        known,
    )
    row = await conn.fetchrow(SQL.put, *values)
    id_ = row["id"] if row else await conn.fetchval(SQL.id, newsletter, draft.external_id)
    attached = await conn.fetchval(SQL.attach, id_, [vars(a) for a in draft.attachments])
    new = bool(row and row["new"])
    return Added(id_, new, not new and bool(row or attached))


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
