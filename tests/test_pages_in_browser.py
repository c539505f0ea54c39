"""Every page in every state, as people meet it: read aloud, by keyboard, small, large, dark.

In English and in Arabic, which runs from right to left; axe-core looks for what keeps people out.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, Page, Request, Response, ViewportSize

from mailer import render
from mailer.config import Settings
from mailer.db import Connection, Pool
from mailer.vault import Vault
from mailer.web import app
from tests import axe
from tests.states import STATES, Stage

pytestmark = pytest.mark.browser

WIDE: ViewportSize = {"width": 1280, "height": 900}
NARROW: ViewportSize = {"width": 320, "height": 640}
MOST_BYTES, MOST_REQUESTS = 30_000, 2
TARGET = 44
"""CSS pixels that a finger needs (WCAG 2.2 asks for 24)."""

NO_PAGES = (
    "/static/",
    "/picture/",
    "/embed.js",
    "/log/",
    "/api/",
    "/healthz",
    "/readyz",
    "/metrics",
    "/staff",
)
"""What is no page for visitors; the staff's pages have a table of their own."""

ALIKE = (
    ["no_newsletter", "one_newsletter", "several_newsletters"],
    ["no_archive", "archives"],
    ["nothing_sent", "past_issues"],
    ["empty_form", "form_with_puzzle", "form_for_the_element"],
    ["check_inbox", "check_inbox_with_puzzle"],
    ["nothing_there", "form_for_nothing"],
    ["form_without_words", "not_that_way"],
    ["a_fault_of_ours", "no_database"],
    ["mine", "mine_waiting", "mine_only_kept"],
    ["my_address", "my_address_only_kept"],
)
"""One page with more or less on it. All others tell by their titles what they are."""

NO_HTML = (".json", ".jsonld", ".xml")


@pytest.fixture(params=["en", "ar"])
def language(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """One that the service speaks, if only by an operator's catalogue with nothing in it."""
    chosen: str = request.param
    if chosen not in render.LANGUAGES:
        (tmp_path / "own" / "translations").mkdir(parents=True)
        empty = (
            f'msgid ""\nmsgstr "Language: {chosen}\\nContent-Type: text/plain; charset=UTF-8\\n"\n'
        )
        (tmp_path / "own" / "translations" / f"{chosen}.po").write_text(empty)
        render.use(tmp_path / "own")
    yield chosen
    render.use(None)


@dataclass
class Traffic:
    """Whom the browser asked, what it complained of; what the latest page is made of."""

    hosts: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)
    pieces: dict[str, int] = field(default_factory=dict)

    def ask(self, request: Request) -> None:
        self.hosts.add(urlsplit(request.url).netloc)
        if request.is_navigation_request():
            self.pieces.clear()

    def answer(self, response: Response) -> None:
        length = response.headers.get("content-length", "0")
        if response.status < 300 or response.status >= 400:
            self.pieces[response.url] = int(length)

    def too_much(self) -> list[str]:
        total = sum(self.pieces.values())
        if not self.pieces:  # written into an empty page
            return []
        # A form that poses a puzzle, when very many are sent, brings what solves it.
        most = MOST_REQUESTS + any(url.endswith("puzzle.js") for url in self.pieces)
        if len(self.pieces) > most or not 0 < total <= MOST_BYTES:
            return [f"{total} bytes in {len(self.pieces)} answers"]
        return []


@asynccontextmanager
async def staged(
    browser: Browser,
    conn: Connection,
    pool: Pool,
    vault: Vault,
    settings: Settings,
    language: str,
) -> AsyncIterator[tuple[Stage, Traffic]]:
    server = TestServer(app.make(settings, pool, vault))
    await server.start_server()
    opened = await browser.new_context(viewport=WIDE, reduced_motion="reduce")
    page, traffic = await opened.new_page(), Traffic()
    page.on("request", traffic.ask)
    page.on("response", traffic.answer)
    page.on("console", lambda said: traffic.complaints.append(said.text))
    base = str(server.make_url("")).rstrip("/")
    yield Stage(page, base, conn, vault, settings, language), traffic
    await opened.close()
    await server.close()
    assert traffic.hosts - {""} == {urlsplit(base).netloc}, "nobody else is asked for anything"
    assert [said for said in traffic.complaints if "the server responded" not in said] == []


def states() -> Iterator[tuple[str, str]]:
    return ((route, name) for route, named in STATES.items() for name in named)


def routes() -> set[str]:
    return {
        route.path
        for route in app.ROUTES
        if route.method == "GET"
        and not route.path.startswith(NO_PAGES)
        and not route.path.endswith(NO_HTML)
    }


def test_every_page_has_its_states() -> None:
    plain = {path.replace(r":[1-9]\d{0,8}", "").replace(":[0-9a-f]{32}", "") for path in routes()}
    assert plain - STATES.keys() == set(), "write down how a browser gets there, in tests/states.py"
    assert STATES.keys() - plain == set(), "no page any more"


MEASURE = """() => {
    const wide = document.documentElement.clientWidth;
    return document.documentElement.scrollWidth <= wide ? [] : [...document.querySelectorAll('*')]
        .filter(e => e.getBoundingClientRect().right > wide + 1
                     || e.getBoundingClientRect().left < -1)
        .map(e => `${e.localName}.${e.className}`.slice(0, 80));
}"""
PRESSED = "button, select, input:not([type=hidden]), summary, a"
SMALL = f"""() => [...document.querySelectorAll('{PRESSED}')]
    .filter(e => e.offsetParent && !e.closest('table'))  // the text of a mail
    .map(e => (e.matches('.choice input') ? e.closest('.choice') : e))
    .filter(e => Math.max(...[...e.getClientRects()].map(r => r.height)) < {TARGET} - .5)
    .map(e => `${{e.localName}}: ${{e.textContent.trim().slice(0, 40)}}`)"""


@pytest.mark.parametrize("part", ["in public", "one's own"])
async def test_nobody_is_kept_out_of_any_page_in_any_state(
    browser: Browser,
    conn: Connection,
    pool: Pool,
    vault: Vault,
    settings: Settings,
    language: str,
    part: str,
) -> None:
    found: list[str] = []
    titles: dict[str, list[str]] = {}
    async with staged(browser, conn, pool, vault, settings, language) as (stage, traffic):
        for route, name in states():
            if route.startswith("/me/") == (part == "one's own"):
                await STATES[route][name](stage)
                titles.setdefault(await stage.page.title(), []).append(name)
                found += [f"{name}: {said}" for said in traffic.too_much()]
                found += [f"{name}: {said}" async for said in faults(stage.page, language)]
    if found:
        pytest.fail("\n".join(found))
    assert [names for names in titles.values() if len(names) > 1 and names not in ALIKE] == []


async def faults(page: Page, language: str) -> AsyncIterator[str]:
    """In light and dark, wide, narrow, and with letters of twice the size."""
    html = page.locator("html")
    if await html.get_attribute("lang") != language:
        yield "another language"
    if await html.get_attribute("dir") != render.direction(language):
        yield "another direction"
    await axe.enter(page)
    for scheme, size, rules in (
        ("light", WIDE, ()),
        ("dark", WIDE, axe.SEEN),
        ("dark", NARROW, ()),
        ("light", NARROW, axe.SEEN),
    ):
        await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of two words
        await page.set_viewport_size(size)
        for said in await axe.look(page, *rules):
            yield f"{scheme}, {size['width']}: {said}"
    for said in [*await page.evaluate(MEASURE), *await page.evaluate(SMALL)]:
        yield f"narrow: {said}"
    await page.set_viewport_size({"width": 640, "height": 900})
    await page.evaluate("document.documentElement.style.fontSize = '225%'")  # ours is 112.5%
    for said in await page.evaluate(MEASURE):
        yield f"zoomed: {said}"
    await page.set_viewport_size(WIDE)
