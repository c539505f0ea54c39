"""In a flood: the browser proves itself by itself, or the form goes the slower road."""

from collections import Counter
from pathlib import Path

import pytest
from playwright.async_api import Page

from mailer import example, floods, newsletters, puzzles, resources, subscriptions
from mailer.web import page as pages
from tests.test_embed import Foreign, email, foreign
from tests.test_whole_road import until
from tests.world import ANNA

__all__ = ["foreign"]

pytestmark = pytest.mark.browser
MOST_BYTES = 4_000


async def flood(here: Foreign) -> None:
    newsletter = await newsletters.find(here.conn, example.SLUG)
    await floods.count(here.conn, {newsletter.id: floods.MANY + 1})
    await floods.watch(here.conn)


async def queues(here: Foreign) -> Counter[str]:
    rows = await here.conn.fetch("select slow, proven from request")
    return Counter("slow" if r["slow"] else "proven" if r["proven"] else "prompt" for r in rows)


async def people_take_a_moment(page: Page) -> None:
    """Longer than a form may be filled in without doubt."""
    await page.wait_for_timeout(2200)


def test_the_solver_is_small_and_asks_nobody_else() -> None:
    script = (Path(str(resources("templates"))) / "static/puzzle.js").read_text("utf-8")
    assert len(script.encode()) < MOST_BYTES
    assert "http:" not in script.replace("plain http", "")
    assert "https:" not in script
    whole = pages.files()["puzzle.js"].body + pages.files()["embed.js"].body
    assert len(whole) < 10_000


async def test_in_somebody_elses_page_under_a_strict_policy(foreign: Foreign) -> None:
    await flood(foreign)
    async with foreign.page() as page:
        await email(page).fill(ANNA)
        await page.locator("newsletter-form input[name=consent]").check()
        await people_take_a_moment(page)
        await page.locator("newsletter-form button").click()
        await page.locator("newsletter-form h1", has_text="Check your inbox").wait_for(
            timeout=60_000
        )
    assert await queues(foreign) == {"proven": 1}
    assert foreign.complaints == []


@pytest.mark.parametrize("hasty", [False, True])
async def test_in_the_hosted_form(foreign: Foreign, hasty: bool) -> None:
    """Also when the button is pressed before the puzzle is solved."""
    await flood(foreign)
    async with foreign.page() as page:
        await page.goto(f"{foreign.service}/form?newsletter={example.SLUG}&lang=en")
        await page.fill("#email", ANNA)
        await page.check("#consent")
        if not hasty:
            await people_take_a_moment(page)
        await page.click("main button")
        await page.wait_for_url("**/check-inbox*", timeout=60_000)
    assert await queues(foreign) == {"proven": 1}
    assert [said for said in foreign.complaints if "Cross-Origin" not in said] == []


@pytest.mark.parametrize("where", ["hosted", "element"])
async def test_shown_before_the_flood_and_sent_in_it_the_browser_proves_itself_afterwards(
    foreign: Foreign, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(puzzles, "NUMBERS_IN_FLOODS", 2_000)  # this is not about how long it takes
    async with foreign.page() as page:
        within = "newsletter-form " if where == "element" else ""
        if where == "hosted":
            await page.goto(f"{foreign.service}/form?newsletter={example.SLUG}&lang=en")
        await page.locator(f"{within}input[type=email]").fill("anna@gmial.com")
        await page.locator(f"{within}input[name=consent]").check()
        await flood(foreign)
        await people_take_a_moment(page)
        await page.locator(f"{within}form button").click()
        inbox = page.locator(f"{within}h1", has_text="Check your inbox")
        await inbox.wait_for(timeout=60_000)
        await until(lambda: has_proven(foreign), seconds=60)
        await page.locator(f"{within}[data-puzzle]").wait_for(state="detached", timeout=60_000)
        assert await page.locator(f"{within}#meant").is_visible()
        assert await inbox.is_visible()
    assert [said for said in foreign.complaints if "Cross-Origin" not in said] == []


async def has_proven(here: Foreign) -> bool:
    async with here.conn.transaction():
        await subscriptions.promote(here.conn)
    return await queues(here) == {"proven": 1}


async def test_by_keyboard_it_says_what_it_waits_for(foreign: Foreign) -> None:
    await flood(foreign)
    async with foreign.page() as page:
        await page.goto(f"{foreign.service}/form?newsletter={example.SLUG}&lang=ru")
        # A puzzle that takes longer than anybody looks.
        await page.evaluate(
            "() => { const input = document.querySelector('[data-puzzle]');"
            "input.dataset.puzzle = JSON.stringify({ ...JSON.parse(input.dataset.puzzle),"
            "challenge: '0'.repeat(64), maxNumber: 1e9 }); }"
        )
        await page.fill("#email", ANNA)
        await page.check("#consent")
        await page.press("#email", "Enter")
        status = page.locator("[role=status]")
        await until(lambda: said(status))
        assert "не робот" in await status.inner_text()
        assert await page.locator("main button").get_attribute("aria-disabled") == "true"
        assert "/form" in page.url


async def said(status: object) -> bool:
    return bool(await status.inner_text())  # type: ignore[attr-defined]  # a Locator


@pytest.mark.parametrize("language", ["en", "ru"])
async def test_without_javascript_it_says_so_and_is_sent_all_the_same(
    foreign: Foreign,
    language: str,
) -> None:
    await flood(foreign)
    async with foreign.page(java_script_enabled=False) as page:
        await page.goto(f"{foreign.service}/form?newsletter={example.SLUG}&lang={language}")
        assert await page.locator("noscript p").is_visible()
        assert not await page.locator("input[name=remark]").is_visible()
        await page.fill("#email", ANNA)
        await page.check("#consent")
        await page.click("main button")
        await page.wait_for_url("**/check-inbox*")
    assert await queues(foreign) == {"slow": 1}
