"""A million readers in ten languages: from the approval of a digest to its first mails taken.

    python -m bench.editions [--readers 1000000] [--changed 10000]

Of the readers, `changed` came from another cadence and have bookmarks: they get editions of what
they have not had. The yardstick is an insert of as many rows into a bare table with the outbox's
indexes, in the same run. Readers are rows; nothing is sealed or sent.
"""

import argparse
import asyncio
import time
from collections.abc import Mapping
from uuid import uuid4

from bench import place
from bench.place import Place
from mailer import articles, digests, editions, newsletters, outbox
from mailer.articles import Draft
from mailer.db import Connection
from mailer.newsletters import Newsletter

LANGUAGES = ("en", "ru", "ar", "fa", "fr", "es", "de", "tr", "uk", "ka")
ARTICLES = 12
SUMMARY = "<p>What the court held, and what it means for those who are concerned.</p>" * 4

READERS = """
    with people as (
        insert into subject (id) select gen_random_uuid() from generate_series(1, $1) returning id
    ), known as (
        insert into subscriber (id, lookup, address, language, handle)
        select id, sha256(uuid_send(id)), '', 'en', 0 from people returning id
    )
    insert into subscription (subscriber, newsletter, state, language, cadence, notice, handle,
                              expires_at, confirmed_at)
    select id, $2, 'confirmed', $3, 'weekly', $4, 0, now(), now() from known
"""
CHANGED = """
    with changed as (
        update subscription set entered = 1
        where id in (select id from subscription where newsletter = $2 order by id % 997 limit $1)
        returning id, language
    )
    insert into bookmark (subscription, cadence, language, issued)
    select id, 'daily', language, 1 from changed
"""
BARE = "create table bare (like outbox including all excluding identity)"
FILL = """
    insert into bare (id, kind, subscription, digest)
    select s.id, 'digest', s.id, $1 from subscription s where s.newsletter = $2
"""


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.editions", description=__doc__)
    parser.add_argument("--readers", type=int, default=1_000_000)
    parser.add_argument("--changed", type=int, default=10_000)
    given = parser.parse_args()
    async with place.place() as here, here.pool.acquire() as conn:
        place.report(await measure(here, conn, given.readers, given.changed))


async def measure(
    here: Place, conn: Connection, readers: int, changed: int
) -> Mapping[str, object]:
    newsletter = await furnish(here, conn, readers)
    await publish(conn, newsletter, range(ARTICLES // 2))
    await issue(here, conn, newsletter, "daily")  # what the changed ones have had
    await conn.execute(CHANGED, changed, newsletter.id)
    await publish(conn, newsletter, range(ARTICLES // 2, ARTICLES))
    approved, began, mails = await issue(here, conn, newsletter, "weekly")
    start = time.monotonic()
    await outbox.beat(conn, worker := uuid4())
    taken = len(await outbox.claim_digests(conn, worker, 100))
    claimed = time.monotonic() - start
    bare = await yardstick(conn, newsletter)
    kinds = await conn.fetchval("select count(*) from edition where not main")
    return {
        "readers": readers,
        "languages": len(LANGUAGES),
        "changed cadence": changed,
        "editions for them": kinds,
        "mails": mails,
        "approval, s": round(approved, 2),
        "beginning, s": round(began, 2),
        f"first {taken} mails taken, s": round(claimed, 3),
        "from approval to the first mail, s": round(approved + began + claimed, 2),
        "bare insert of as many rows, s": round(bare, 2),
        "ratio": round(began / bare, 2),
    }


async def furnish(here: Place, conn: Connection, readers: int) -> Newsletter:
    newsletter = await newsletters.change(
        conn,
        here.newsletter,
        titles=dict.fromkeys(LANGUAGES, "Rights Weekly"),
        cadences=["weekly", "daily"],
    )
    for language in LANGUAGES:
        place.progress(f"readers in {language}")
        many = readers // len(LANGUAGES)
        await conn.execute(READERS, many, newsletter.id, language, here.notice.id)
    await conn.execute("vacuum analyze subscription")
    return newsletter


async def publish(conn: Connection, newsletter: Newsletter, numbers: range) -> None:
    for n in numbers:
        for language in LANGUAGES:
            draft = Draft(
                f"{n}-{language}", f"Ruling {n}", language, f"https://example.org/{n}", SUMMARY,
                work=str(n),
            )  # fmt: skip
            await articles.add(conn, newsletter.id, draft)


async def issue(
    here: Place, conn: Connection, newsletter: Newsletter, cadence: str
) -> tuple[float, float, int]:
    """Seconds to approve it and to begin it, and its mails."""
    digest = await digests.create(conn, newsletter, cadence, by="bench")
    async with conn.transaction():
        start = time.monotonic()
        await editions.approve(conn, here.settings, digest, by="bench", despite_warnings=True)
        approved = time.monotonic()
        mails = await editions.begin(conn, here.settings, digest)
    return approved - start, time.monotonic() - approved, mails


async def yardstick(conn: Connection, newsletter: Newsletter) -> float:
    await conn.execute(BARE)
    start = time.monotonic()
    await conn.execute(FILL, 1, newsletter.id)
    return time.monotonic() - start


if __name__ == "__main__":
    asyncio.run(main())
