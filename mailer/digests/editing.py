"""What editors do with a draft. Each verb speaks of an article and means its translations, too.

Who edits says which version of the draft they have seen; if somebody changed it since, they are
told so instead of overwriting it. A version of None: whatever it is by now.
"""

from collections.abc import Mapping, Sequence

from mailer.db import Connection
from mailer.digests.rows import SQL, Digest, contents, get
from mailer.errors import Conflict, Unknown

MOST_INTRODUCTION = 5000
"""Characters, in each language."""


async def introduce(
    conn: Connection, digest: Digest, introduction: Mapping[str, str], version: int | None = None
) -> None:
    """Say something first, by language, in Markdown (`letters.markdown`)."""
    await edit(conn, digest, version)
    await conn.execute(SQL.introduce, digest.id, dict(introduction))


async def pick(conn: Connection, digest: Digest, article: int, version: int | None = None) -> None:
    """Put an article at the end, also one that came before we listened, or was passed over once."""
    await edit(conn, digest, version)
    if not await conn.fetch(SQL.pick, digest.id, article):
        number = await conn.fetchval(SQL.whereabouts, digest.id, article)
        if number is None:
            raise Unknown("There is no article {id} to pick in this newsletter.", id=article)
        raise Conflict(
            "Article {id} is in digest {number} of this cadence already.", id=article, number=number
        )


async def skip(conn: Connection, digest: Digest, article: int, version: int | None = None) -> None:
    """Pass it over in this cadence, for good."""
    await edit(conn, digest, version)
    concerns(article, await conn.fetch(SQL.skip, digest.id, article))


async def put_back(
    conn: Connection, digest: Digest, article: int, version: int | None = None
) -> None:
    """Take it out: it comes with the next digest."""
    await edit(conn, digest, version)
    concerns(article, await conn.fetch(SQL.put_back, digest.id, article))


async def pin(
    conn: Connection,
    digest: Digest,
    article: int,
    version: int | None = None,
    *,
    pinned: bool = True,
) -> None:
    """Let it stay before all that are not pinned."""
    await edit(conn, digest, version)
    concerns(article, await conn.fetch(SQL.pin, digest.id, article, pinned))


async def reorder(
    conn: Connection, digest: Digest, order: Sequence[int], version: int | None = None
) -> None:
    """Put these articles first, in this order; the others follow in theirs."""
    await edit(conn, digest, version)
    items = await contents(conn, digest)
    works = {item.article.id: item.work for item in items}
    for article in order:
        concerns(article, article in works)
    wanted = list(dict.fromkeys(works[article] for article in order))
    rank = {work: place for place, work in enumerate(wanted)}
    ranked = sorted(items, key=lambda item: rank.get(item.work, len(rank)))
    await conn.execute(SQL.reorder, digest.id, [item.article.id for item in ranked])


async def edit(conn: Connection, digest: Digest, version: int | None) -> None:
    """Raises Conflict once it is approved, or if somebody else edited it since that version."""
    if await conn.fetchval(SQL.edit, digest.id, version):
        return
    raise changed(await get(conn, digest.id))


def changed(now: Digest) -> Conflict:
    """It is not the draft any more that somebody has seen."""
    if now.state != "draft":
        return Conflict("Digest {number} is no draft any more.", number=now.number)
    return Conflict(
        "Digest {number} was changed meanwhile: look at version {version}, then decide again.",
        number=now.number,
        version=now.version,
    )


def concerns(article: int, found: object) -> None:
    if not found:
        raise Unknown("Article {id} is not in this digest.", id=article)
