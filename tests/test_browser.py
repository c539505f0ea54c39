"""The road as a person walks it: a real Chromium, no JavaScript, by keyboard, in Russian."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, Page

from mailer import config, example, newsletters, notices, subjects
from mailer.config import Settings
from mailer.db import Connection, Pool
from mailer.example import Site
from mailer.mailbox import Mailbox
from mailer.notices import Words
from mailer.vault import Vault
from mailer.web import app
from tests import world
from tests.test_whole_road import publish, send, until, working
from tests.world import VERA, World

pytestmark = pytest.mark.browser


@asynccontextmanager
async def opened(browser: Browser, seen: list[str], complaints: list[str]) -> AsyncIterator[Page]:
    """A page without JavaScript; what it asks for and complains of is kept."""
    context = await browser.new_context(java_script_enabled=False, locale="ru")
    page = await context.new_page()
    page.on("request", lambda request: seen.append(urlsplit(request.url).netloc))
    page.on("console", lambda message: complaints.append(message.text))
    yield page
    await context.close()


async def tab_to(page: Page, selector: str) -> None:
    """By keyboard alone, as far as it takes."""
    for _ in range(60):
        await page.keyboard.press("Tab")
        if await page.locator(f"{selector}:focus").count():
            return
    raise AssertionError(f"the keyboard never reaches {selector}")


@dataclass
class Walk:
    """A running service, and a browser at its door."""

    page: Page
    base: str
    mailbox: Mailbox
    settings: Settings
    weekly: World

    async def press(self) -> None:
        """The page's first button, by keyboard."""
        await tab_to(self.page, "main button")
        async with self.page.expect_navigation():
            await self.page.keyboard.press("Enter")

    async def read_newest(self, count: int) -> None:
        """Open the latest mail in the inbox, when there are `count`."""
        await until(lambda: len(self.mailbox.list()) >= count)
        await self.page.goto(f"{self.base}/inbox")
        await self.page.goto(f"{self.base}/inbox/{self.mailbox.list()[0].id}")


@pytest.fixture
async def walk(
    browser: Browser,
    conn: Connection,
    pool: Pool,
    vault: Vault,
    settings: Settings,
    tmp_path: Path,
) -> AsyncIterator[Walk]:
    weekly = await world.make(conn, vault)
    mailbox = Mailbox(tmp_path / "mail")
    smtp = config.smtp(f"smtp://127.0.0.1:{await mailbox.start()}")
    server = TestServer(app.make(settings, pool, vault, mailbox))
    await server.start_server()
    base = str(server.make_url("")).rstrip("/")
    settings = replace(settings, base_url=base, smtp=(smtp,))
    seen: list[str] = []
    complaints: list[str] = []
    async with working(settings, pool, vault), opened(browser, seen, complaints) as page:
        yield Walk(page, base, mailbox, settings, weekly)
    await server.close()
    await mailbox.stop()
    assert set(seen) == {urlsplit(base).netloc}, "nobody else is asked for anything"
    assert [said for said in complaints if "422" not in said] == []


async def test_a_form_with_a_mistake_comes_back_with_what_was_filled_in(walk: Walk) -> None:
    page = walk.page
    await page.goto(f"{walk.base}/form?newsletter=weekly&lang=ru")
    await tab_to(page, "input[name=email]")
    await page.keyboard.type("вера без собаки")
    await tab_to(page, "input[name=consent]")
    await page.keyboard.press("Space")
    await walk.press()
    assert await page.locator("main a[href^='#']").count() == 1
    assert await page.locator("input[name=email]").input_value() == "вера без собаки"
    assert await page.locator("input[name=consent]").is_checked()


async def test_from_the_form_to_the_digest_to_leaving_by_keyboard(
    walk: Walk, conn: Connection, vault: Vault
) -> None:
    page = walk.page
    await page.goto(f"{walk.base}/form?newsletter=weekly&lang=ru")
    await tab_to(page, "input[name=email]")
    await page.keyboard.type(VERA)
    await tab_to(page, "input[name=consent]")
    await page.keyboard.press("Space")
    await walk.press()
    assert "/check-inbox" in page.url

    await walk.read_newest(1)
    await page.goto(await address_of(page, "confirm"))
    await walk.press()
    assert page.url.endswith("/confirmed/weekly")
    assert world.WORDING["ru"] in " ".join((await page.locator("body").inner_text()).split())

    await publish(conn, walk.weekly, "Order 660 was published")
    await send(conn, walk.settings, walk.weekly)
    await walk.read_newest(2)
    assert "Order 660 was published" in await page.locator("body").inner_text()
    await page.goto(await address_of(page, "u"))
    await walk.press()
    assert (await world.found(conn, vault, VERA)).subscription.state == "left"


async def address_of(page: Page, kind: str) -> str:
    """Where a link of the mail leads that is shown as text."""
    found = await page.locator(f"a[href*='/{kind}/']").first.get_attribute("href")
    assert found is not None
    return found


async def test_the_form_works_inside_somebody_elses_page(
    browser: Browser, conn: Connection, pool: Pool, vault: Vault, settings: Settings
) -> None:
    newsletter = await newsletters.add(conn, example.SLUG, example.TITLES, fallback="en")
    words = Words(newsletter=newsletter.id, language="en", controller="Field Notes",
                  **example.NOTICES["en"])  # type: ignore[arg-type]  # the other parts  # fmt: skip
    await notices.publish(conn, await subjects.house(conn, vault), words, actor="system")
    service = TestServer(app.make(settings, pool, vault))
    await service.start_server()
    site = Site("", str(service.make_url("")).rstrip("/"))
    foreign = TestServer(example.make(site))
    await foreign.start_server()
    async with opened(browser, [], []) as page:
        await page.goto(str(foreign.make_url("/?lang=en")))
        form = page.frame_locator("iframe")
        await form.locator("input[name=email]").fill(VERA)
        await form.locator("input[name=consent]").check()
        await form.locator("button").first.click()
        await form.locator("h1").wait_for()
        await until(lambda: any("/check-inbox" in frame.url for frame in page.frames))
    assert await conn.fetchval("select count(*) from request") == 1
    await foreign.close()
    await service.close()
