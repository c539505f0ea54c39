"""A privacy officer in a real browser: from a letter to its answer, and every page on the way.

The letter: "what do you know about me? delete it".
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, Page

from mailer import outbox, people, suppressions
from mailer.address import parse
from mailer.bounces.reasons import WORDS
from mailer.config import Settings
from mailer.db import Connection, Pool
from mailer.errors import Unknown
from mailer.log.keep import Keep
from mailer.vault import Vault
from mailer.web import app
from mailer.worker.jobs import Jobs
from mailer.worker.loops import Loops
from tests import axe, desk, site, world
from tests.desk import PASSWORD, Member
from tests.test_log import seal
from tests.world import ANNA, BORIS

CLICK_SECONDS, KEY_SECONDS = 2.65, 0.28
"""To find something, point at it and press; to type a character (the keystroke-level model of Card,
Moran and Newell: 1.35 + 1.1 + 0.2; an average typist). So a loaded machine makes nobody slower."""

LOOKS = [(width, scheme) for width in (390, 1280) for scheme in ("light", "dark")]

Look = Callable[[str], Awaitable[None]]


@dataclass
class Hand:
    """What somebody does on a page, and how long that takes them."""

    page: Page
    look: Look
    seconds: float = 0.0

    async def click(self, what: str) -> None:
        await self.page.click(what)
        self.seconds += CLICK_SECONDS

    async def fill(self, what: str, text: str) -> None:
        await self.page.fill(what, text)
        self.seconds += CLICK_SECONDS + KEY_SECONDS * len(text)


@dataclass
class Here:
    """An officer at the door of a service with two readers."""

    base: str
    conn: Connection
    pool: Pool
    vault: Vault
    settings: Settings
    who: Member


@pytest.fixture
async def here(
    conn: Connection, pool: Pool, vault: Vault, settings: Settings
) -> AsyncIterator[Here]:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA, "ru"))
    held = await world.confirmed(conn, vault, weekly.wish(BORIS))
    await outbox.put(conn, "already", held.subscription.id)
    await conn.execute(
        "insert into bounce (subscription, channel, kind, reason, status, act, acted_at) "
        "values ($1, 'smtp', 'hard', $2, '5.1.1', 'suppressed', now())",
        held.subscription.id, next(iter(WORDS)),
    )  # fmt: skip
    await seal(conn, vault, Keep(settings.data_dir))
    server = TestServer(app.make(site.settings(), pool, vault))
    await server.start_server()
    base = str(server.make_url("")).rstrip("/")
    yield Here(base, conn, pool, vault, settings, await desk.member(conn, vault, "privacy"))
    await server.close()


async def sign_in(here: Here, hand: Hand) -> None:
    await hand.page.goto(f"{here.base}/staff/sign-in")
    await hand.fill("#email", here.who.email)
    await hand.fill("#password", PASSWORD)
    await hand.click("main button")
    await hand.look("code")
    await hand.fill("#code", await here.who.code(here.conn))
    await hand.click("main button")
    await hand.page.wait_for_url(f"{here.base}/staff")


async def answer_the_letter(here: Here, hand: Hand, folder: Path) -> str:
    """Find, record, hand over, erase, close; the text to send."""
    page = hand.page
    today = str(await here.conn.fetchval("select (now() at time zone 'utc')::date"))
    await hand.click("nav >> text=People")
    await hand.look("people")
    await hand.fill("#email", ANNA)
    await hand.fill("#reason", "Her letter of today")
    await hand.click("text=Open their record")
    await hand.look("person")
    assert await page.inner_text("h1") == ANNA
    assert world.WORDING["ru"] in await page.content()
    await hand.click("text=Record a request")
    await hand.look("record a request")
    await hand.click("input[value=access]")
    await hand.click("input[value=erasure]")
    await hand.fill("#received", today)
    await hand.click("main form button")
    await hand.look("request")
    await hand.click("main >> text=Download everything held about them")
    await hand.look("export")
    async with page.expect_download() as downloading:
        await hand.click("main form button")
    await (await downloading.value).save_as(folder / "person.json")
    await hand.click("text=Back to the request")
    await hand.click("main >> text=Erase this person")
    await hand.look("erase")
    await hand.click("main form button")
    await page.wait_for_url("**/staff/requests/1?*")
    await hand.look("answered")
    return await page.inner_text("pre.mail-text")


@pytest.mark.browser
async def test_a_letter_is_answered_in_under_two_minutes_and_no_page_keeps_anybody_out(
    here: Here, browser: Browser, tmp_path: Path
) -> None:
    opened = await browser.new_context(locale="en")
    page = await opened.new_page()
    found: dict[str, list[str]] = {}

    async def look(name: str) -> None:
        found[name] = await seen(page)

    hand = Hand(page, look)
    await sign_in(here, hand)
    letter = await answer_the_letter(here, hand, tmp_path)
    assert hand.seconds < 120
    assert json.loads((tmp_path / "person.json").read_text())["email"] == ANNA
    assert "Все ваши данные, которые у нас были, стёрты." in letter
    with pytest.raises(Unknown):
        await people.find(here.conn, here.vault, ANNA)
    assert await suppressions.reason(here.conn, here.vault, parse(ANNA)) is None

    await every_other_page(here, page, look)
    await opened.close()
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


async def seen(page: Page) -> list[str]:
    """What keeps somebody out, at each width and in each light."""
    await axe.enter(page)
    found = await axe.look(page)
    for width, scheme in LOOKS:
        await page.set_viewport_size({"width": width, "height": 900})
        await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of the two
        found += await axe.look(page, *axe.SEEN)
        wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if wide > 0:
            found.append(f"the page is {wide} pixels wider than the window of {width}")
    return found


async def every_other_page(here: Here, page: Page, look: Look) -> None:
    """Of Boris, who stays: what may be done for him; requests, long work, who did what."""
    boris = (await people.find(here.conn, here.vault, BORIS)).subscriber.id
    person = f"{here.base}/staff/people/{boris}"
    await page.goto(person)
    await look("why")
    await page.fill("#reason", "x")
    await page.click("main form button")
    await look("asked back")
    await page.click("main form button")
    await look("person with returns")
    for deed in ("correct", "restrict", "lift", "suppress", "release", "pack", "undo?bounce=1"):
        await page.goto(f"{person}/{deed}")
        await look(deed)
    for path in ("requests", "requests?state=closed", "requests/new", "people/address", "acts"):
        await page.goto(f"{here.base}/staff/{path}")
        await look(path)
    await page.click("main form button")
    await page.goto(f"{here.base}/staff/consent")
    await look("consent")
    await page.click("text=Verify it now")
    await look("job that waits")
    own = uuid4()
    await outbox.beat(here.conn, own)
    assert await Jobs(here.settings, here.pool, here.vault, own, Loops(asyncio.Event())).work()
    await page.wait_for_selector("text=Every entry is as it was written")
    await look("job that is done")
