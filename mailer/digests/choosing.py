"""What a digest is made of, and which of it a language shows.

An article stands in a cadence's ledger once. A work is one article in all its translations: readers
of a language are shown it once, in the best version there is when it comes to them.
"""

from collections.abc import Collection, Mapping, Sequence

from mailer import db
from mailer.db import Connection
from mailer.digests.rows import SCHEDULE, SQL, Digest, Item, fresh, statuses
from mailer.errors import Conflict
from mailer.newsletters import Newsletter


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
    if not await choose(conn, newsletter, digest, newsletter.most):
        raise Conflict(
            "Nothing new was published in {slug} since its last {cadence} digest.",
            slug=newsletter.slug,
            cadence=cadence,
        )
    return digest


async def create_or_extend(conn: Connection, newsletter: Newsletter, cadence: str) -> Digest | None:
    """What a schedule makes. One that still waits for an editor takes up what is new, so that there
    is one digest after a pause, not many. None: there is too little yet."""
    await conn.execute(SQL.lock_newsletter, newsletter.id)
    waiting = await db.first(conn, Digest, SQL.open_draft, newsletter.id, cadence, SCHEDULE)
    new = (await fresh(conn, newsletter.id, cadence)).get((newsletter.id, cadence), 0)
    if waiting is None:
        if new < newsletter.fewest:
            return None
        return await create(conn, newsletter, cadence, by=SCHEDULE)
    (status,) = await statuses(conn, [waiting])
    room = newsletter.most - status.articles
    if new and room > 0:
        await choose(conn, newsletter, waiting, room)
        await conn.execute(SQL.edit, waiting.id, None)
    return await db.first(conn, Digest, SQL.get, waiting.id)


async def choose(conn: Connection, newsletter: Newsletter, digest: Digest, most: int) -> int:
    """How many works were put at its end."""
    chosen: int = await conn.fetchval(SQL.choose, digest.id, newsletter.id, digest.cadence, most)
    return chosen


async def had(conn: Connection, digest: Digest) -> Mapping[str, set[str]]:
    """By language: works of this digest that readers of its cadence have been shown already."""
    found: dict[str, set[str]] = {}
    for row in await conn.fetch(SQL.had, digest.id):
        found.setdefault(row["language"], set()).add(f"w{row['work']}")
    return found


def in_language(
    items: Sequence[Item], language: str, newsletter: Newsletter, had: Collection[str] = ()
) -> list[Item]:
    """What an edition shows, each work in one version and none that its readers `had`."""
    works: dict[str, list[Item]] = {}
    for item in items:
        works.setdefault(item.work, []).append(item)
    versions = (
        version(work, language, newsletter) for key, work in works.items() if key not in had
    )
    return [found for found in versions if found is not None]


def version(work: Sequence[Item], language: str, newsletter: Newsletter) -> Item | None:
    """In the reader's language, else in the fallback's or what there is; or none, if the newsletter
    says so and there is an edition in whose language it is."""
    by_language = {item.article.language: item for item in reversed(work)}
    if language in by_language:
        return by_language[language]
    if newsletter.untranslated == "omitted" and by_language.keys() & set(newsletter.languages):
        return None
    return by_language.get(newsletter.fallback, work[0])
