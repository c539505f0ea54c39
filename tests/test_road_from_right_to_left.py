"""The whole road in Arabic, from a page of somebody else's site, by keyboard: form, mail, button,
leaving, and thinking better of it."""

from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, Page

from mailer import config, render
from mailer.config import Settings
from mailer.db import Connection, Pool
from mailer.mailbox import Mailbox
from mailer.vault import Vault
from mailer.web import app
from tests import world
from tests.states import WORDING, Stage
from tests.test_browser import tab_to
from tests.test_whole_road import LINK, until, working
from tests.world import ANNA

PAGE = (
    "<!doctype html><html lang=ar dir=rtl><title>موقع</title><main><h1>موقع</h1>"
    '<newsletter-form newsletter="weekly" lang="ar"></newsletter-form></main>'
    '<script src="{service}/embed.js"></script></html>'
)


async def mailed(box: Mailbox, count: int, kind: str) -> str:
    """A link of the latest mail, when there are `count`; the mail runs from right to left."""
    await until(lambda: len(box.list()) >= count)
    mail = box.read(box.list()[0].id)
    assert mail is not None
    assert 'dir="rtl"' in (mail.html or "")
    return next(found[0] for found in LINK.finditer(mail.text or "") if found[1] == kind)


async def press(page: Page, selector: str = "main form button") -> None:
    await tab_to(page, selector)
    async with page.expect_navigation():
        await page.keyboard.press("Enter")
    html = page.locator("html")
    assert (await html.get_attribute("lang"), await html.get_attribute("dir")) == ("ar", "rtl")


@pytest.mark.browser
async def test_the_road_in_arabic_by_keyboard_from_a_foreign_page(
    browser: Browser,
    conn: Connection,
    pool: Pool,
    vault: Vault,
    settings: Settings,
    tmp_path: Path,
) -> None:
    box = Mailbox(tmp_path / "mail")
    smtp = config.smtp(f"smtp://127.0.0.1:{await box.start()}")
    service = TestServer(app.make(settings, pool, vault))
    await service.start_server()
    base = str(service.make_url("")).rstrip("/")

    async def front(_: web.Request) -> web.Response:
        return web.Response(text=PAGE.format(service=base), content_type="text/html")

    site = web.Application()
    site.add_routes([web.get("/", front)])
    foreign = TestServer(site)
    await foreign.start_server()
    page = await (await browser.new_context(locale="ar")).new_page()
    await Stage(page, base, conn, vault, settings, "ar").newsletter()
    settings = replace(settings, base_url=base, smtp=(smtp,))

    async with working(settings, pool, vault):
        await page.goto(str(foreign.make_url("/")))
        form = page.locator("newsletter-form")
        await form.locator("input[name=email]").wait_for()
        assert await form.locator("div[dir=rtl]").count() == 1
        await form.locator("input[name=email]").focus()
        await page.keyboard.type(ANNA)
        await form.locator("input[name=consent]").press("Space")
        await form.locator("input[name=email]").press("Enter")
        await form.locator("h1", has_text=render.translate("Check your inbox", "ar")).wait_for()

        await page.goto(await mailed(box, 1, "confirm"))
        await press(page)
        assert page.url.partition("?")[0].endswith("/confirmed/weekly")
        assert WORDING["ar"] in await page.locator("main").inner_text()

        leave = await world.link(conn, vault, ANNA, "leave")
        await page.goto(f"{base}/u/{leave}")
        await press(page)
        assert (await world.found(conn, vault, ANNA)).subscription.state == "left"
        await press(page, "form[action*=again] button")
        await page.goto(await mailed(box, 2, "confirm"))
        await press(page)
    assert (await world.found(conn, vault, ANNA)).subscription.state == "confirmed"
    await foreign.close()
    await service.close()
    await box.stop()
