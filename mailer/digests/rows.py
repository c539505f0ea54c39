"""Digests as rows: an issue of a newsletter, its articles, its editions, how it stands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID

from mailer import articles, db, outbox, pictures
from mailer.articles import Article, Attachment
from mailer.db import Connection
from mailer.errors import Unknown
from mailer.pictures import Frame

SQL = db.statements("digests")

SCHEDULE = "schedule"
"""By whom digests are made that make themselves."""

State: TypeAlias = Literal["draft", "approved", "sending", "paused", "sent", "cancelled"]


@dataclass(frozen=True)
class Digest:
    """`number`: 1, 2, 3 … within its newsletter; `introduction`: by language, Markdown.

    `version` grows with each edit. `issued`: 1, 2, 3 … in the order in which digests begin to be
    sent. `despite`: warnings that whoever approved it put aside. `problem`: why one that was to go
    by itself waits, in a sentence.
    """

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
    version: int = 1
    send_at: datetime | None = None
    issued: int | None = None
    despite: Sequence[str] = ()
    problem: str | None = None


@dataclass(frozen=True)
class Item:
    """An article in a digest, with what is attached to it; `picture`: if it has one, and it is
    here."""

    article: Article
    attachments: Sequence[Attachment]
    pinned: bool = False
    picture: Frame | None = None

    @property
    def work(self) -> str:
        """What is the same in all translations of it, and in nothing else."""
        return f"w{self.article.work}" if self.article.work else f"a{self.article.id}"


@dataclass(frozen=True)
class Edition:
    """A digest in one language; in place of a reader's own links stand `mime`'s slots.

    `articles`: what it shows, in order. `main`: for all who had what came before, as most have.
    """

    digest: int
    language: str
    subject: str
    html: str
    text: str
    articles: Sequence[int] = ()
    main: bool = True
    id: int | None = None


@dataclass(frozen=True)
class Headline:
    """An edition as a list names it; `articles`: what it shows, in order."""

    digest: int
    language: str
    subject: str
    articles: Sequence[int]


@dataclass(frozen=True)
class Offer:
    """A work that could be picked: `article` stands for all its translations.

    `skipped`: it was passed over once; `known`: it is from before we listened.
    """

    article: int
    title: str
    languages: Sequence[str]
    seen_at: datetime
    skipped: bool
    known: bool


@dataclass(frozen=True)
class Trial:
    """A test mail of a digest in one language."""

    digest: int
    language: str


@dataclass(frozen=True)
class Status:
    """How a digest stands: its mails by state."""

    digest: Digest
    newsletter: str
    articles: int
    mails: Mapping[str, int]


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


async def fresh(
    conn: Connection, newsletter: int | None = None, cadence: str | None = None
) -> Mapping[tuple[int, str], int]:
    """By newsletter and cadence, of one or of all: how many articles it has not had yet;
    translations of one count once."""
    counted = await conn.fetch(SQL.count_new, newsletter, cadence)
    return {(row["newsletter"], row["cadence"]): row["fresh"] for row in counted}


async def on_offer(conn: Connection, digest: Digest, most: int) -> list[Offer]:
    """What could be picked into it, newest first."""
    return await db.fetch(conn, Offer, SQL.on_offer, digest.id, most)


async def readers(conn: Connection, digest: Digest) -> Mapping[str, int]:
    """How many it would go to, by the language of their edition."""
    return {r["language"]: r["readers"] for r in await conn.fetch(SQL.readers, digest.id)}


async def try_out(conn: Connection, digest: Digest, language: str, staff: UUID) -> None:
    """One of the staff is sent the edition in that language, as it is when it goes."""
    await conn.execute(SQL.try_out, staff, digest.id, language)
    await outbox.put_staff(conn, "trial", staff)


async def trial(conn: Connection, staff: UUID) -> Trial | None:
    """What they asked for last."""
    return await db.first(conn, Trial, SQL.trial, staff)


async def stuck(conn: Connection) -> list[Digest]:
    """Those that were to go by themselves, and wait for an editor."""
    return await db.fetch(conn, Digest, SQL.stuck)


async def ready(conn: Connection) -> list[Digest]:
    """Those that a schedule made, and that wait to be approved as they are to."""
    return await db.fetch(conn, Digest, SQL.ready, SCHEDULE)


async def page(
    conn: Connection,
    *,
    before: int | None,
    most: int,
    slug: str | None = None,
    state: State | None = None,
) -> list[Digest]:
    """Newest first; `before`: the id of the last one that was shown. Of one newsletter or of all,
    in one state or in any."""
    return await db.fetch(conn, Digest, SQL.page, slug, state, before, most)


async def sent(conn: Connection, newsletter: int, most: int) -> list[Digest]:
    """The latest that were sent, newest first."""
    return await db.fetch(conn, Digest, SQL.sent, newsletter, most)


async def contents(conn: Connection, digest: Digest) -> list[Item]:
    """Its articles in their order, in every language; not those withdrawn."""
    chosen = await db.fetch(conn, Article, SQL.contents, digest.id)
    pinned = {row["article"] for row in await conn.fetch(SQL.pinned, digest.id)}
    return await items(conn, chosen, pinned)


async def these(conn: Connection, ids: Sequence[int]) -> list[Item]:
    """Articles as items, in the order given."""
    return await items(conn, await articles_of(conn, ids), set())


async def articles_of(conn: Connection, ids: Sequence[int]) -> list[Article]:
    """In the order given."""
    return await db.fetch(conn, Article, SQL.articles, list(ids))


async def items(conn: Connection, chosen: Sequence[Article], pinned: set[int]) -> list[Item]:
    attached = await articles.attachments_of(conn, [article.id for article in chosen])
    frames = await pictures.frames(conn, [a.image_url for a in chosen if a.image_url])
    return [
        Item(a, attached.get(a.id, ()), a.id in pinned, frames.get(a.image_url or ""))
        for a in chosen
    ]


async def edition(conn: Connection, id_: int) -> Edition:
    """The one that a mail shows."""
    found = await db.first(conn, Edition, SQL.edition, id_)
    assert found is not None, "editions of what is being sent are never deleted"
    return found


async def editions(conn: Connection, digest: int) -> list[Edition]:
    """The frozen text in each language that has one."""
    return await db.fetch(conn, Edition, SQL.editions, digest)


async def headlines(conn: Connection, digests: Sequence[Digest]) -> Mapping[int, list[Headline]]:
    """By digest: its editions without their text."""
    found: dict[int, list[Headline]] = {digest.id: [] for digest in digests}
    for each in await db.fetch(conn, Headline, SQL.headlines, list(found)):
        found[each.digest].append(each)
    return found


async def status(conn: Connection, digest: Digest) -> Status:
    """As it is by now."""
    (found,) = await statuses(conn, [await get(conn, digest.id)])
    return found


async def statuses(conn: Connection, listed: Sequence[Digest]) -> list[Status]:
    """Of all these at once."""
    ids = [digest.id for digest in listed]
    counted = {row["digest"]: row for row in await conn.fetch(SQL.count_articles, ids)}
    mails = await outbox.progress_of(conn, ids)
    return [
        Status(d, counted[d.id]["newsletter"], counted[d.id]["articles"], mails[d.id])
        for d in listed
    ]
