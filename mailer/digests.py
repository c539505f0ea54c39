"""Digests: issues of a newsletter for one cadence; chosen articles, frozen at approval.

    draft → sending → sent        paused ↔ sending        draft, sending, paused → cancelled

The ledger (digest_article) is the only memory of what a cadence has had.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from mailer import articles, db, newsletters, outbox
from mailer.articles import Article, Attachment
from mailer.db import Connection
from mailer.errors import Conflict, Unknown
from mailer.newsletters import Newsletter

SQL = db.statements("digests")

MOST_ARTICLES = 50
"""In one digest; what is left comes with the next."""

State: TypeAlias = Literal["draft", "approved", "sending", "paused", "sent", "cancelled"]


@dataclass(frozen=True)
class Digest:
    """`number`: 1, 2, 3 … within its newsletter; `introduction`: by language, plain text."""

    id: int
    newsletter: int
    number: int
    cadence: str
    state: State
    introduction: Mapping[str, str]
    created_by: str
    created_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True)
class Item:
    """An article in a digest, with what is attached to it."""

    article: Article
    attachments: Sequence[Attachment]


@dataclass(frozen=True)
class Edition:
    """A digest in one language; in place of a reader's own links stand `mime`'s slots."""

    digest: int
    language: str
    subject: str
    html: str
    text: str


@dataclass(frozen=True)
class Status:
    """How a digest stands: its mails by state."""

    digest: Digest
    newsletter: str
    articles: int
    mails: Mapping[str, int]


async def create(conn: Connection, newsletter: Newsletter, cadence: str, *, by: str) -> Digest:
    """A draft of what the cadence has not had yet. Raises Conflict if there is nothing new."""
    if cadence not in newsletter.cadences:
        raise Conflict(
            "{slug} has no cadence {cadence}; it has {known}.",
            slug=newsletter.slug,
            cadence=cadence,
            known=", ".join(newsletter.cadences),
        )
    await conn.execute(SQL.lock_newsletter, newsletter.id)
    digest = await db.first(conn, Digest, SQL.create, newsletter.id, cadence, by)
    assert digest is not None
    chosen = await conn.fetchval(SQL.choose, digest.id, newsletter.id, cadence, MOST_ARTICLES)
    if not chosen:
        raise Conflict(
            "Nothing new was published in {slug} since its last {cadence} digest.",
            slug=newsletter.slug,
            cadence=cadence,
        )
    return digest


async def find(conn: Connection, slug: str, number: int) -> Digest:
    """Raises Unknown."""
    found = await db.first(conn, Digest, SQL.find, slug, number)
    if found is None:
        raise Unknown("{slug} has no digest number {number}.", slug=slug, number=number)
    return found


async def get(conn: Connection, id_: int) -> Digest:
    """The digest of a row that refers to it."""
    found = await db.first(conn, Digest, SQL.get, id_)
    assert found is not None, "digests are never deleted"
    return found


async def all_(conn: Connection, slug: str | None = None) -> list[Digest]:
    """Newest first; of one newsletter or of all."""
    return await db.fetch(conn, Digest, SQL.listed, slug)


async def contents(conn: Connection, digest: Digest) -> list[Item]:
    """Its articles in their order."""
    chosen = await db.fetch(conn, Article, SQL.contents, digest.id)
    attached = await articles.attachments_of(conn, [article.id for article in chosen])
    return [Item(article, attached.get(article.id, ())) for article in chosen]


def in_language(items: Sequence[Item], language: str, newsletter: Newsletter) -> list[Item]:
    """What an edition shows: articles in its language, and those that no edition is in.

    Where that is nothing, everything: each article is shown with its language named.
    """
    shown = [
        item
        for item in items
        if item.article.language == language or item.article.language not in newsletter.languages
    ]
    return shown or list(items)


async def introduce(conn: Connection, digest: Digest, introduction: Mapping[str, str]) -> None:
    """Say something first, by language. Raises Conflict once it is approved."""
    if not await conn.fetchval(SQL.introduce, digest.id, dict(introduction)):
        raise refused(digest, "be changed")


async def approve(conn: Connection, digest: Digest, editions: Sequence[Edition], *, by: str) -> int:
    """Freeze its text and put a mail for each reader in the outbox; how many.

    Raises Conflict if it is not a draft (any more).
    """
    if not await conn.fetchval(SQL.approve, digest.id, by):
        raise refused(digest, "be approved")
    for edition in editions:
        await conn.execute(
            SQL.freeze, digest.id, edition.language, edition.subject, edition.html, edition.text
        )
    return await outbox.put_digest(conn, digest.id)


async def edition(conn: Connection, digest: int, language: str) -> Edition | None:
    """The frozen text in that language."""
    return await db.first(conn, Edition, SQL.edition, digest, language)


async def editions(conn: Connection, digest: int) -> list[Edition]:
    return await db.fetch(conn, Edition, SQL.editions, digest)


async def pause(conn: Connection, digest: Digest) -> None:
    if not await conn.fetchval(SQL.pause, digest.id):
        raise refused(digest, "be paused")


async def resume(conn: Connection, digest: Digest) -> None:
    if not await conn.fetchval(SQL.resume, digest.id):
        raise refused(digest, "be resumed")
    await outbox.wake(conn, "outbox")


async def cancel(conn: Connection, digest: Digest) -> None:
    """What is not sent yet never will be. A cancelled draft gives its articles back."""
    if not await conn.fetchval(SQL.cancel, digest.id):
        raise refused(digest, "be cancelled")
    if digest.state == "draft":
        await conn.execute(SQL.give_back, digest.id)
    await outbox.drop_cancelled(conn)


def refused(digest: Digest, what: str) -> Conflict:
    return Conflict(
        "Digest {number} is {state} and can't {what}.",
        number=digest.number,
        state=digest.state,
        what=what,
    )


async def finish_done(conn: Connection) -> int:
    """Digests of which no mail waits any more are sent; how many became so."""
    await outbox.drop_cancelled(conn)
    return len(await conn.fetch(SQL.finish_done))


async def status(conn: Connection, digest: Digest) -> Status:
    newsletter = await newsletters.get(conn, digest.newsletter)
    return Status(
        await get(conn, digest.id),
        newsletter.slug,
        await conn.fetchval(SQL.count_articles, digest.id),
        await outbox.progress(conn, digest.id),
    )
