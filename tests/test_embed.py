"""The form inside somebody else's page: as an element, as a frame, as plain HTML; real Chromium."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, Locator, Page

from mailer import example, newsletters, notices, resources, subjects, subscriptions
from mailer.config import Settings
from mailer.db import Connection, Pool
from mailer.example import Site
from mailer.notices import Words
from mailer.vault import Vault
from mailer.web import app
from tests.test_whole_road import until
from tests.world import ANNA

MOST_BYTES = 10_000


@dataclass
class Foreign:
    """A foreign site with the form on it, and a browser; `complaints`: of its console."""

    browser: Browser
    site: str
    service: str
    conn: Connection
    complaints: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def page(self, path: str = "/?lang=en", **context: object) -> AsyncIterator[Page]:
        opened = await self.browser.new_context(**context)  # type: ignore[arg-type]  # passed on
        page = await opened.new_page()
        page.on("console", lambda said: self.complaints.append(said.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        await page.goto(self.site + path)
        yield page
        await opened.close()

    async def waiting(self) -> int:
        counted: int = await self.conn.fetchval("select count(*) from request")
        return counted


@pytest.fixture
async def foreign(
    browser: Browser, conn: Connection, pool: Pool, vault: Vault, settings: Settings
) -> AsyncIterator[Foreign]:
    newsletter = await newsletters.add(conn, example.SLUG, example.TITLES, fallback="en")
    house = await subjects.house(conn, vault)
    published = {}
    for language, said in example.NOTICES.items():
        words = Words(newsletter=newsletter.id, language=language, controller="Field Notes",
                      **said)  # type: ignore[arg-type]  # the other parts  # fmt: skip
        published[language] = await notices.publish(conn, house, words, actor="system")
    service = TestServer(app.make(settings, pool, vault))
    await service.start_server()
    at = str(service.make_url("")).rstrip("/")
    site = TestServer(example.make(Site("", at, notices=published)))
    await site.start_server()
    yield Foreign(browser, str(site.make_url("")).rstrip("/"), at, conn)
    await site.close()
    await service.close()


def email(page: Page) -> Locator:
    return page.locator("newsletter-form input[name=email]")


async def focused(page: Page) -> str:
    """The text of what has the focus, also inside the element."""
    found = await page.evaluate(
        "() => { let a = document.activeElement; "
        "while (a.shadowRoot && a.shadowRoot.activeElement) a = a.shadowRoot.activeElement; "
        "return a.textContent; }"
    )
    return " ".join(str(found).split())


def test_the_script_is_small_and_asks_nobody_else() -> None:
    script = (Path(str(resources("templates"))) / "static/embed.js").read_text("utf-8")
    assert len(script.encode()) < MOST_BYTES
    assert "http:" not in script
    assert "https:" not in script


@pytest.mark.browser
async def test_a_visitor_subscribes_by_keyboard_without_leaving_the_page(foreign: Foreign) -> None:
    async with foreign.page() as page:
        await email(page).focus()
        await page.keyboard.type(ANNA)
        await page.keyboard.press("Tab")
        await page.keyboard.press("Space")
        await email(page).press("Enter")
        await page.locator("newsletter-form h1", has_text="Check your inbox").wait_for()
        assert await focused(page) == "Check your inbox"
        assert page.url.startswith(foreign.site)
    assert await foreign.waiting() == 1
    assert foreign.complaints == []


@pytest.mark.browser
async def test_mistakes_are_summarised_and_lead_to_their_fields(foreign: Foreign) -> None:
    async with foreign.page() as page:
        await email(page).fill("not an address")
        await page.locator("newsletter-form button").click()
        summary = page.locator("newsletter-form .summary")
        await summary.wait_for()
        assert "Enter an e-mail address" in await focused(page)
        assert await email(page).input_value() == "not an address"
        assert await email(page).get_attribute("aria-invalid") == "true"
        await summary.locator("a").first.click()
        assert await email(page).evaluate("e => e.getRootNode().activeElement === e")
        await email(page).fill(ANNA)
        await page.locator("newsletter-form input[name=consent]").check()
        await page.locator("newsletter-form button").click()
        await page.locator("newsletter-form h1", has_text="Check your inbox").wait_for()
    assert await foreign.waiting() == 1


@pytest.mark.browser
async def test_it_speaks_the_language_of_its_attribute(foreign: Foreign) -> None:
    async with foreign.page("/?lang=ru") as page:
        await email(page).wait_for()
        assert "Ваш адрес" in await page.locator("newsletter-form form").inner_text()
        assert await page.locator("newsletter-form div[lang=ru]").count() == 1


@pytest.mark.browser
async def test_the_record_says_which_site_and_which_form_it_was(
    foreign: Foreign, vault: Vault
) -> None:
    async with foreign.page() as page:
        await email(page).fill(ANNA)
        await page.locator("newsletter-form input[name=consent]").check()
        await page.locator("newsletter-form button").click()
        await page.locator("newsletter-form h1", has_text="Check your inbox").wait_for()
    (row,) = await foreign.conn.fetch("select id, dek, payload, created_at from request")
    asking = subscriptions.open_request(vault, subscriptions.Request(**row))
    assert asking is not None
    assert asking.wish.evidence is not None
    assert asking.wish.evidence["form"] == "element/1"
    assert asking.wish.evidence["origin"] == foreign.site


@pytest.mark.browser
async def test_its_parts_and_colours_are_the_sites_to_choose(foreign: Foreign) -> None:
    async with foreign.page() as page:
        await email(page).wait_for()
        button = page.locator("newsletter-form button")
        colour = await button.evaluate("e => getComputedStyle(e).backgroundColor")
        assert colour == "rgb(122, 59, 18)"
        title = page.locator("newsletter-form h1")
        assert await title.evaluate("e => getComputedStyle(e).fontVariantCaps") == "small-caps"
        assert await title.get_attribute("aria-level") == "2"


@pytest.mark.browser
async def test_nothing_around_it_moves_when_it_comes_and_when_it_answers(foreign: Foreign) -> None:
    async with foreign.page() as page:
        before = await page.locator("newsletter-form").evaluate("e => e.offsetHeight")
        await email(page).fill(ANNA)
        filled = await page.locator("newsletter-form").evaluate("e => e.offsetHeight")
        await page.locator("newsletter-form input[name=consent]").check()
        await page.locator("newsletter-form button").click()
        await page.locator("newsletter-form h1", has_text="Check your inbox").wait_for()
        after = await page.locator("newsletter-form").evaluate("e => e.offsetHeight")
        assert before > 0
        assert after >= filled


@pytest.mark.browser
async def test_two_on_one_page_do_not_mix(foreign: Foreign) -> None:
    async with foreign.page() as page:
        await email(page).wait_for()
        await page.evaluate(
            "() => { const other = document.createElement('newsletter-form'); "
            "other.setAttribute('newsletter', 'field-notes'); other.lang = 'ru'; "
            "document.body.append(other); }"
        )
        second = page.locator("newsletter-form").nth(1)
        await second.locator("input[name=email]").fill(ANNA)
        await second.locator("button").click()
        await second.locator(".summary").wait_for()
        assert await page.locator("newsletter-form").first.locator(".summary").count() == 0


@pytest.mark.browser
async def test_what_stands_between_the_tags_shows_without_scripts_and_where_we_are_not(
    foreign: Foreign,
) -> None:
    async with foreign.page(java_script_enabled=False) as page:
        form = page.frame_locator("newsletter-form iframe")
        await form.locator("input[name=email]").fill(ANNA)
        await form.locator("input[name=consent]").check()
        await form.locator("button").first.click()
        await until(lambda: any("/check-inbox" in frame.url for frame in page.frames))
    assert await foreign.waiting() == 1
    async with foreign.page() as page:
        await email(page).wait_for()
        await page.evaluate(
            "() => { const other = document.createElement('newsletter-form'); "
            "other.setAttribute('newsletter', 'nosuch'); other.textContent = 'Write to us'; "
            "document.body.append(other); }"
        )
        await page.get_by_text("Write to us").wait_for()


@pytest.mark.browser
async def test_a_form_that_cannot_be_sent_by_script_is_sent_by_the_browser(
    foreign: Foreign,
) -> None:
    async with foreign.page() as page:
        await email(page).fill(ANNA)
        await page.locator("newsletter-form input[name=consent]").check()
        await page.route("**/subscribe?inline=1", lambda route: route.abort())
        await page.locator("newsletter-form button").click()
        await page.wait_for_url("**/check-inbox*")
        assert urlsplit(page.url).netloc == urlsplit(foreign.service).netloc
    assert await foreign.waiting() == 1


@pytest.mark.browser
async def test_a_form_in_the_sites_own_html_works(foreign: Foreign) -> None:
    async with foreign.page("/plain?lang=ru", java_script_enabled=False) as page:
        await page.fill("input[name=email]", ANNA)
        await page.check("input[name=consent]")
        await page.click("button")
        await page.wait_for_url("**/check-inbox*")
    assert await foreign.waiting() == 1


@pytest.mark.browser
async def test_a_page_with_scripts_of_its_own_can_know_what_became_of_it(foreign: Foreign) -> None:
    async with foreign.page() as page:
        await email(page).wait_for()
        await page.evaluate(
            "() => { window.told = []; for (const name of ['newsletter-asked', "
            "'newsletter-refused']) document.addEventListener(name, e => told.push(e.type)); }"
        )
        await page.locator("newsletter-form button").click()
        await page.locator("newsletter-form .summary").wait_for()
        assert await page.evaluate("told") == ["newsletter-refused"]


async def test_only_what_takes_forms_may_be_read_by_other_sites(
    pool: Pool, vault: Vault, settings: Settings
) -> None:
    made = app.make(settings, pool, vault)
    open_to_all = set()
    async with TestServer(made) as server, aiohttp.ClientSession() as session:
        for resource in made.router.resources():
            path = resource.canonical.replace("{", "").replace("}", "")
            async with session.get(server.make_url(path), allow_redirects=False) as answer:
                if "Access-Control-Allow-Origin" in answer.headers:
                    open_to_all.add(path)
                assert "Access-Control-Allow-Credentials" not in answer.headers
    assert open_to_all == {"/subscribe", "/subscribe/solution"}
