"""An editor's road in a real browser, with a real worker and a mail server behind it: from new
articles to a digest that was sent, once with everything and once without JavaScript. And each page
of theirs in each state, as axe sees it, light and dark, wide and on a phone."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace

import pytest
from aiohttp.test_utils import TestServer
from aiosmtpd.smtp import SMTP, Envelope, Session
from playwright.async_api import Browser, Page, expect

from mailer import config
from mailer.config import Settings
from mailer.db import Connection, Pool
from mailer.vault import Vault
from mailer.web import app
from tests import axe, desk, offices, world
from tests.desk import Member
from tests.test_whole_road import until, working
from tests.world import World

pytestmark = pytest.mark.browser

DRAFT = "/staff/digests/weekly/1"
READERS = 6
PATIENCE = 60_000
"""Milliseconds: on a loaded day, all may take long."""


@dataclass
class Post:
    """A mail server that takes two mails of a digest, and the others once it may."""

    may: asyncio.Event = field(default_factory=asyncio.Event)
    digests: list[str] = field(default_factory=list)
    letters: list[str] = field(default_factory=list)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        (recipient,) = envelope.rcpt_tos
        if not recipient.startswith("reader"):
            self.letters.append(recipient)
            return "250 OK"
        if len(self.digests) >= 2:
            await self.may.wait()
        self.digests.append(recipient)
        return "250 OK"


@dataclass
class Road:
    """The service with everything that belongs to it, and an editor who has not signed in yet."""

    base: str
    conn: Connection
    post: Post
    editor: Member
    weekly: World


@pytest.fixture
async def road(
    conn: Connection, pool: Pool, vault: Vault, settings: Settings
) -> AsyncIterator[Road]:
    weekly = await world.make(conn, vault)
    for number in range(READERS):
        language = "en" if number % 2 else "ru"
        await world.confirmed(conn, vault, weekly.wish(f"reader{number}@example.org", language))
    await offices.publish(conn, weekly, offices.TITLES)
    async with serving(settings, pool, vault) as (base, post):
        yield Road(base, conn, post, await desk.member(conn, vault, "editor"), weekly)


@asynccontextmanager
async def serving(settings: Settings, pool: Pool, vault: Vault) -> AsyncIterator[tuple[str, Post]]:
    loop, post = asyncio.get_running_loop(), Post()
    smtp = await loop.create_server(lambda: SMTP(post, loop=loop), "127.0.0.1", 0)
    host, port = smtp.sockets[0].getsockname()
    settings = replace(settings, smtp=(config.smtp(f"smtp://{host}:{port}"),))
    server = TestServer(app.make(settings, pool, vault))
    await server.start_server()
    base = str(server.make_url("")).rstrip("/")
    async with working(replace(settings, base_url=base), pool, vault):
        yield base, post
        post.may.set()
    await server.close()
    smtp.close()


@contextmanager
def step(name: str) -> Iterator[None]:
    """Say how long it took, for whoever looks; a slow day is no fault."""
    began = time.monotonic()
    yield
    print(f"{name}: {time.monotonic() - began:.1f} s")


async def titles(page: Page) -> list[str]:
    return await page.locator("ol.works bdi").all_inner_texts()


async def press(page: Page, verb: str, place: int = 0) -> None:
    """A button of the draft, by keyboard."""
    async with page.expect_navigation(timeout=PATIENCE):
        await page.locator(f"button[name=do][value^='{verb}']").nth(place).press("Enter")


COURT, LAW, LETTERS = (english for english, _ in offices.TITLES)


async def test_an_editor_goes_the_whole_road(road: Road, browser: Browser) -> None:
    began, errors = time.monotonic(), list[str]()
    async with desk.sitting(browser, road.base, road.conn, road.editor) as page:
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        with step("a draft of what is new"):
            await page.click("text=Digests")
            await expect(page.locator("form.cards")).to_contain_text("3 articles")
            await page.click("form.cards button >> nth=0")
            await page.wait_for_url(f"**{DRAFT}*")
        with step("choosing and putting in order"):
            await choose(page)
        with step("the introduction, and how it looks"):
            await introduce(page)
        with step("checks and a test mail"):
            await expect(page.locator("#checks")).to_be_visible()
            async with page.expect_navigation():
                await page.click("text=Send a test mail")
            await expect(page.locator("p.done")).to_contain_text("on its way")
            await until(lambda: road.editor.email in road.post.letters, PATIENCE / 1000)
        with step("approving"):
            await approve(page)
        with step("watching, pausing, going on"):
            await until(lambda: len(road.post.digests) == 2, PATIENCE / 1000)
            await page.click("text=Pause")
            await expect(page.locator("p.done")).to_contain_text("Paused")
            road.post.may.set()
            await page.click("text=Go on")
            await expect(page.locator(".tag").first).to_have_text("Sent", timeout=PATIENCE)
            assert await page.inner_text("[data-of=sent]") == str(READERS)
        with step("the archive"):
            await page.click("text=In the archive")
            await expect(page.locator("strong").first).to_have_text("two things")
    assert sorted(road.post.digests) == sorted(f"reader{n}@example.org" for n in range(READERS))
    assert errors == []
    print(f"in all: {time.monotonic() - began:.1f} s")


async def choose(page: Page) -> None:
    rows = page.locator("ol.works li")
    async with page.expect_navigation():
        await rows.nth(2).drag_to(rows.nth(0), target_position={"x": 40, "y": 4})
    assert await titles(page) == [LETTERS, COURT, LAW]
    await press(page, "up", 1)
    assert await titles(page) == [COURT, LETTERS, LAW]
    await press(page, "down", 0)
    assert await titles(page) == [LETTERS, COURT, LAW]
    held = await page.evaluate("document.activeElement.value")
    assert held.startswith("down"), "the hand is still on the article that moved"
    await press(page, "skip", 0)
    assert await titles(page) == [COURT, LAW]
    await press(page, "pick", 0)
    assert await titles(page) == [COURT, LAW, LETTERS]


async def introduce(page: Page) -> None:
    for language, text in offices.INTRODUCTION.items():
        await page.fill(f"#introduction-{language}", text)
    look = page.frame_locator(".frames iframe >> nth=-1")
    await expect(look.locator("strong")).to_have_text("two things", timeout=PATIENCE)
    await page.select_option("#look-language", "ru")
    await expect(look.locator("strong")).to_have_text("два вопроса", timeout=PATIENCE)
    for view in ("phone", "dark", "text"):
        await page.check(f"input[value={view}]")
    await expect(look.locator("pre")).to_contain_text("* приказ отменён [1]", timeout=PATIENCE)
    await press(page, "introduce")
    await expect(page.locator("p.done")).to_have_text("Saved.")


async def approve(page: Page) -> None:
    await page.click("text=Approve and send")
    await expect(page.locator("h2").first).to_have_text(f"It goes to {READERS} readers")
    if await page.locator("input[name=despite]").count():
        await page.check("input[name=despite]")
    await page.click("main form button")
    await expect(page.locator(".tag").first).to_have_text("On its way", timeout=PATIENCE)


async def test_the_road_needs_no_javascript(road: Road, browser: Browser) -> None:
    async with desk.sitting(
        browser, road.base, road.conn, road.editor, java_script_enabled=False
    ) as page:
        page.set_default_timeout(PATIENCE)
        await page.goto(f"{road.base}/staff/digests")
        await page.click("form.cards button >> nth=0")
        first, *_ = await titles(page)
        # What was typed is kept whichever button is pressed.
        await page.fill("#introduction-en", "**Three** articles.")
        await press(page, "down", 0)
        assert (await titles(page))[1] == first
        assert await page.input_value("#introduction-en") == "**Three** articles."
        await page.fill("#introduction-en", "**Four** words for you.")
        await page.click("button[formtarget=look]")
        look = page.frame_locator(".frames iframe >> nth=-1")
        await expect(look.locator("strong")).to_have_text("Four", timeout=PATIENCE)
        await press(page, "approve")
        await page.check("input[name=despite]")
        await page.click("main form button")
        await expect(page.locator("p.done")).to_have_text("Approved.")
        await page.click("text=Pause")
        road.post.may.set()
        await page.click("text=Go on")
        async with asyncio.timeout(PATIENCE / 1000):
            while await page.locator(".tag").first.inner_text() != "Sent":
                await page.reload()
        await page.click("text=In the archive")
        await expect(page.locator("strong").first).to_have_text("Four")


async def test_two_editors_see_what_the_other_wrote(road: Road, browser: Browser) -> None:
    async with desk.sitting(browser, road.base, road.conn, road.editor) as page:
        page.set_default_timeout(PATIENCE)
        await page.goto(f"{road.base}/staff/digests")
        await page.click("form.cards button >> nth=0")
        other = await page.context.new_page()
        await other.goto(road.base + DRAFT)
        await other.fill("#introduction-en", "Theirs.")
        await press(other, "introduce")
        await press(page, "up", 1)  # on a page that is old by now, without a word typed
        await expect(page.locator(".summary")).to_contain_text("was changed meanwhile")
        assert await page.input_value("#introduction-en") == "Theirs."
        await page.fill("#introduction-en", "Mine.")
        await press(page, "introduce")
        assert await page.input_value("#introduction-en") == "Mine."


LOOKS = [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)]


async def test_no_page_of_an_editor_keeps_anybody_out(
    conn: Connection, pool: Pool, vault: Vault, settings: Settings, browser: Browser
) -> None:
    paths = await offices.furnish(conn, vault, settings)
    who = await desk.member(conn, vault, "owner")
    server = TestServer(app.make(settings, pool, vault))
    await server.start_server()
    base = str(server.make_url("")).rstrip("/")
    found: dict[str, list[str]] = {}
    async with desk.sitting(browser, base, conn, who) as page:
        page.set_default_timeout(PATIENCE)
        async for name in offices.visited(page, base, paths):
            await axe.enter(page)
            for scheme, width in LOOKS:
                await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of two words
                await page.set_viewport_size({"width": width, "height": 900})
                rules = () if (scheme, width) == LOOKS[0] else axe.SEEN
                wrong = await axe.look(page, *rules)
                wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
                if wide > 0:
                    wrong.append(f"the page is {wide} pixels wider than the window")
                if wrong:
                    found[f"{name}, {scheme}, {width}"] = wrong
    await server.close()
    assert found == {}
