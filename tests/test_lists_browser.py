"""A list brought over in a browser, by keyboard alone; and what each step of it looks like."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, Page

from mailer import imports
from mailer.config import Settings
from mailer.db import Connection, Pool
from mailer.vault import Vault
from mailer.web import app
from mailer.worker import Worker
from tests import axe, desk, site, world
from tests.world import ANNA, BORIS, HOURS

pytestmark = pytest.mark.browser

LIST = f"""E-Mail;Sprache;agreed_at;agreed_how;agreed_words;agreed_source
{ANNA};ru;2024-05-31;paper form;Yes, send it;folder 7
{BORIS};en;;;;
nobody;en;;;;
"""


@asynccontextmanager
async def working(settings: Settings, pool: Pool, vault: Vault) -> AsyncIterator[None]:
    """What a worker does of lists, over and over."""
    worker = Worker(settings, pool, vault, asyncio.Event())
    async with pool.acquire() as conn:
        await conn.execute("insert into worker (id) values ($1)", worker.id)

    async def work() -> None:
        while True:
            await worker.lists.read()
            async with pool.acquire() as conn, conn.transaction():
                await imports.take(conn, vault, HOURS, 500)
            await asyncio.sleep(0.2)

    going = asyncio.create_task(work())
    try:
        yield
    finally:
        going.cancel()
        with suppress(asyncio.CancelledError):
            await going


async def looked_at(page: Page, step: str) -> list[str]:
    """What keeps somebody out of this step: narrow and wide, light and dark; in Russian, whose
    words are longer, where it is narrow."""
    found = []
    for width in (390, 1280) if step.startswith("en") else (390,):
        await page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("dark", "light") if step.startswith("en") else ("light",):
            await page.emulate_media(color_scheme=scheme)
            if folder := os.environ.get("MAILER_PICTURES"):
                path = Path(folder) / f"{step}-{width}-{scheme}.png"
                await page.screenshot(path=path, full_page=True)
            await axe.enter(page)
            found += await axe.look(page)
            wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
            found += [f"{step}: {wide} pixels wider than {width}"] if wide > 0 else []
    return found


async def press(page: Page, name: str) -> None:
    """Tab as far as the control of that name, and press Enter."""
    await page.evaluate("document.body.tabIndex = -1; document.body.focus()")
    for _ in range(60):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.textContent.trim()") == name:
            await page.keyboard.press("Enter")
            return
    raise AssertionError(f"the keyboard does not come to {name}")


@pytest.mark.parametrize("language", ["en", "ru"])
async def test_a_list_is_brought_over_by_keyboard(
    browser: Browser, pool: Pool, vault: Vault, conn: Connection, settings: Settings,
    tmp_path: Path, language: str,
) -> None:  # fmt: skip
    await world.make(conn, vault)
    file = tmp_path / "list.csv"
    file.write_text(LIST)
    who = await desk.member(conn, vault, "privacy")
    await conn.execute("update staff set language = $2 where id = $1", who.id, language)
    said = {
        "en": (
            "Upload and look at it",
            "Read the whole file",
            "Bring them over",
            "What will happen",
        ),
        "ru": ("Загрузить и посмотреть", "Прочитать весь файл", "Перенести", "Что произойдёт"),
    }[language]
    server = TestServer(app.make(site.settings(), pool, vault))
    await server.start_server()
    base = str(server.make_url("")).rstrip("/")
    found: list[str] = []
    async with (
        desk.sitting(browser, base, conn, who) as page,
        working(settings, pool, vault),
    ):
        await page.goto(f"{base}/staff/import")
        found += await looked_at(page, f"{language}-1-upload")
        await page.set_input_files("#file", file)
        await press(page, said[0])
        await page.wait_for_url(f"{base}/staff/import/1")
        await page.select_option("#column-language", "Sprache")
        await page.focus("[name=documented]")
        await page.keyboard.press("Space")
        found += await looked_at(page, f"{language}-2-look")
        await press(page, said[1])
        await page.wait_for_selector(f"h2:text('{said[3]}')")  # the script brings it
        found += await looked_at(page, f"{language}-3-confirm")
        await press(page, said[2])
        await page.wait_for_selector(".tag.good")
        found += await looked_at(page, f"{language}-4-done")
    await server.close()
    assert found == []
    done = await imports.find(conn, 1)
    assert (done.state, done.asked, done.confirmed, done.wrong) == ("done", 1, 1, 1)
