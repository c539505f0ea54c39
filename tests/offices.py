"""A desk with everything on it: newsletters, notices and feeds at their busiest, a digest in each
state it can be in; and the pages of an owner there, by name."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from playwright.async_api import Page

from mailer import articles, census, digests, editions, feeds, newsletters, notices, subjects
from mailer.articles import Draft, Enclosed
from mailer.config import Settings
from mailer.db import Connection
from mailer.digests import Digest
from mailer.feeds import Failed
from mailer.vault import Vault
from tests import world
from tests.test_feeds import document, many
from tests.world import ANNA, BORIS, VERA, World

LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
INTRODUCTION = {
    "en": "Dear readers,\n\nthe court decided **two things** this week:\n\n"
    "- the order is [void](https://example.org/order),\n- the fine is *not*.",
    "ru": "Дорогие читатели!\n\nНа этой неделе суд решил **два вопроса**:\n\n"
    "- приказ [отменён](https://example.org/order),\n- штраф — *нет*.",
}
Titles = Sequence[tuple[str, str]]
TITLES: Titles = (
    ("A court declares an order void", "Суд признал приказ недействительным"),
    (f"What the law says of {LONG}, and what officials make of it when nobody looks at them",
     "Что закон говорит об уведомлениях — и что делают из этого чиновники, пока никто не смотрит"),
    ("Three letters", "Три письма"),
)  # fmt: skip
DAYS = 90


async def furnish(
    conn: Connection, vault: Vault, settings: Settings, titles: Titles = TITLES
) -> Mapping[str, str]:
    """Paths by the name of what is there."""
    weekly = await world.make(conn, vault)
    for email, language in ((ANNA, "en"), (BORIS, "en"), (VERA, "ru")):
        await world.confirmed(conn, vault, weekly.wish(email, language))
    await newsletters.add(conn, "empty", {"en": LONG, "ru": "Пустой выпуск"}, fallback="en")
    await words_changed(conn, vault, weekly)
    await counted(conn)
    feed = await troubled_feeds(conn, weekly)
    paths = {
        "newsletters": "/staff/newsletters",
        "newsletter": "/staff/newsletters/weekly",
        "new newsletter": "/staff/newsletters/empty",
        "notices": "/staff/notices",
        "notice": f"/staff/notices/{(await notices.all_(conn))[-1].id}",
        "write notice": f"/staff/notices/new?like={weekly.notices['ru'].id}",
        "ask anew": "/staff/notices/renew/weekly",
        "stop asking": "/staff/notices/renew/weekly/stop",
        "feeds": "/staff/feeds",
        "feed": f"/staff/feeds/{feed}",
        "remove feed": f"/staff/feeds/{feed}/remove",
        "digests": "/staff/digests",
        "home": "/staff",
    }
    for state, reach in STATES.items():
        digest = await drafted(conn, weekly, titles)
        await reach(conn, settings, digest)
        paths[state] = f"/staff/digests/weekly/{digest.number}"
    for below in ("preview", "approve", "cancel"):
        paths[below] = f"{paths['draft']}/{below}"
    return paths


async def words_changed(conn: Connection, vault: Vault, weekly: World) -> None:
    house = await subjects.house(conn, vault)
    later = world.words("en", wording=f"{weekly.notices['en'].wording} And at most once a week.",
                        purposes=("sending the digest", "counting readers"))  # fmt: skip
    await notices.publish(conn, house, later, actor="staff:nina")


async def counted(conn: Connection) -> None:
    """A season of readers who come and leave."""
    await census.take(conn)
    await conn.execute("update census set confirmed = 12345, pending = 40")
    await conn.execute(
        "insert into census (day, newsletter, language, pending, confirmed, left_count) "
        "select c.day - n, c.newsletter, c.language, 40 + n % 7, 12345 - 37 * n, n % 9 "
        "from census c cross join generate_series(1, $1) n",
        DAYS,
    )


async def troubled_feeds(conn: Connection, weekly: World) -> int:
    """One that brought very much at once, and one that can't be read any more."""
    feed = await feeds.add(conn, weekly.newsletter.id, "https://example.org/feed.xml")
    await feeds.store(conn, feed, document())
    await feeds.store(conn, feed, many(range(11)))
    long = f"https://example.org/{LONG}/{LONG}.xml"
    broken = await feeds.add(conn, weekly.newsletter.id, long)
    await feeds.store(conn, broken, Failed("The server answered 500."))
    age = "update feed set created_at = now() - $2::interval where id = $1"
    await conn.execute(age, broken.id, timedelta(days=2))
    return feed.id


async def drafted(conn: Connection, weekly: World, titles: Titles) -> Digest:
    """A draft of new articles in two languages, with words before them."""
    await publish(conn, weekly, titles)
    digest = await digests.create(conn, weekly.newsletter, "weekly", by="staff:nina")
    await digests.introduce(conn, digest, INTRODUCTION)
    return await digests.get(conn, digest.id)


async def publish(conn: Connection, weekly: World, titles: Titles) -> None:
    """Articles, each in two languages and with a document."""
    number = await conn.fetchval("select count(*) from article")
    for place, pair in enumerate(titles):
        for language, title in zip(("en", "ru"), pair, strict=True):
            attached = Enclosed("Приказ №660.pdf", "https://site.example.org/660.pdf",
                                "application/pdf", 311_296, "ru")  # fmt: skip
            draft = Draft(
                f"{number}/{place}/{language}", title, language, f"https://site.example.org/{place}",
                "<p>What <b>happened</b>, in a few words.</p>", work=f"{number}/{place}",
                attachments=(attached,),
            )  # fmt: skip
            await articles.add(conn, weekly.newsletter.id, draft)


async def nothing(conn: Connection, settings: Settings, digest: Digest) -> None:
    """It stays a draft."""


async def approved(conn: Connection, settings: Settings, digest: Digest) -> None:
    later = datetime.now(UTC) + timedelta(days=3)
    await editions.approve(conn, settings, digest, by="staff:nina", at=later, despite_warnings=True)


async def sending(conn: Connection, settings: Settings, digest: Digest) -> None:
    await editions.approve(conn, settings, digest, by="staff:nina", despite_warnings=True)
    await editions.begin(conn, settings, digest)


async def paused(conn: Connection, settings: Settings, digest: Digest) -> None:
    await sending(conn, settings, digest)
    await digests.pause(conn, digest)


async def cancelled(conn: Connection, settings: Settings, digest: Digest) -> None:
    await sending(conn, settings, digest)
    await digests.cancel(conn, digest)


async def sent(conn: Connection, settings: Settings, digest: Digest) -> None:
    await sending(conn, settings, digest)
    await conn.execute(
        "update outbox set state = 'sent', settled_at = now() where digest = $1", digest.id
    )
    await conn.execute("update batch set touched = true where digest = $1", digest.id)
    await conn.execute(
        "update digest set state = 'sent', finished_at = now() where id = $1", digest.id
    )


Reach = Callable[[Connection, Settings, Digest], Awaitable[None]]

STATES: Mapping[str, Reach] = {
    "sent": sent,
    "cancelled": cancelled,
    "paused": paused,
    "sending": sending,
    "approved": approved,
    "draft": nothing,
}
"""A digest's, in the order in which they are made."""


async def visited(page: Page, base: str, paths: Mapping[str, str]) -> AsyncIterator[str]:
    """Go to each page in turn, and last to what a form with words in it leads to."""
    for name, path in paths.items():
        await page.goto(base + path)
        yield name
    await page.goto(base + paths["write notice"])
    await page.fill("#wording", "Да, присылайте мне рассылку по понедельникам.")
    await page.click("button[value=preview]")
    await page.wait_for_selector("button[value=publish]")
    yield "changed notice"
