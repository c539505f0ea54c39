"""Without a mouse, and read aloud: the order, names and states that assistive programs are told."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page

from mailer.config import Settings
from mailer.db import Connection, Pool
from mailer.vault import Vault
from tests import states
from tests.states import STATES, Stage
from tests.test_pages_in_browser import staged

pytestmark = pytest.mark.browser

TABBABLE = """() => [...document.querySelectorAll(
        'a[href], button, select, summary, input:not([type=hidden])')]
    .filter(e => e.checkVisibility({contentVisibilityAuto: true}))
    .filter(e => e.type !== 'radio' || e.checked
                 || !e.form.querySelector(`[name=${e.name}]:checked`)
                    && e === e.form.querySelector(`[name=${e.name}]`))
    .map(e => (e.id || e.name || e.textContent).trim().replace(/\\s+/g, ' '))"""
FOCUSED = """() => {
    const e = document.activeElement, style = getComputedStyle(e);
    return [(e.id || e.name || e.textContent).trim().replace(/\\s+/g, ' '),
            style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
            e === window.before || !(window.before = e)];
}"""


@pytest.fixture
async def stage(
    browser: Browser, conn: Connection, pool: Pool, vault: Vault, settings: Settings
) -> AsyncIterator[Stage]:
    async with staged(browser, conn, pool, vault, settings, "en") as (made, _):
        yield made


async def tabbed(page: Page) -> list[str]:
    """What the Tab key comes to, from the top of the page to where it leaves it."""
    await page.evaluate("document.body.tabIndex = -1; document.body.focus()")
    reached: list[str] = []
    for _ in range(100):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement === document.body"):
            return reached
        name, seen, again = await page.evaluate(FOCUSED)
        assert seen, f"nobody sees that {name} has the focus"
        if not again:  # as each part of a date is
            reached.append(name)
    raise AssertionError(f"the keyboard is caught: {reached[-5:]}")


@pytest.mark.parametrize(
    "step",
    [
        states.empty_form,
        states.form_with_faults,
        states.confirming,
        states.left,
        states.mine,
        states.my_record,
        states.two_versions_compared,
    ],
)
async def test_the_keyboard_reaches_everything_in_the_order_in_which_it_is_read(
    stage: Stage, step: states.Step
) -> None:
    await step(stage)
    assert await tabbed(stage.page) == await stage.page.evaluate(TABBABLE)


async def test_the_form_is_read_aloud_as_it_is_seen(stage: Stage) -> None:
    await states.empty_form(stage)
    assert await stage.page.locator("main").aria_snapshot() == FORM.strip()


FORM = """
- main:
  - heading "Rights Weekly" [level=1]
  - text: Your e-mail address
  - paragraph: We will send one mail there and ask you to confirm.
  - textbox "Your e-mail address"
  - group "How often":
    - text: How often
    - radio "Weekly" [checked]
    - text: Weekly
    - radio "Daily"
    - text: Daily
    - radio "Monthly"
    - text: Monthly
  - group "Your consent":
    - text: Your consent
    - checkbox "Yes, send me the weekly digest. I agree that my address is stored for it."
    - text: Yes, send me the weekly digest. I agree that my address is stored for it.
    - group: What happens with your address
  - paragraph:
    - button "Subscribe"
"""


async def test_mistakes_are_read_first_and_lead_to_their_fields(stage: Stage) -> None:
    await states.form_with_faults(stage)
    page = stage.page
    assert (await page.title()).startswith("To mend:")
    assert await page.evaluate("document.activeElement.getAttribute('role')") == "alert"
    email = page.locator("input[name=email]")
    assert await email.get_attribute("autocomplete") == "email"
    assert await email.get_attribute("aria-invalid") == "true"
    described = (await email.get_attribute("aria-describedby") or "").split()
    told = [await page.locator(f"#{id_}").inner_text() for id_ in described]
    assert "Enter an e-mail address such as name@example.org." in " ".join(told)
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    assert await page.evaluate("document.activeElement.id") == "email"


@pytest.mark.parametrize(
    ("step", "role", "said"),
    [
        (states.mine_saved, "status", "Saved."),
        (states.mine_paused, "status", "Paused."),
        (states.mine_not_saved, "alert", "Any day from"),
        (states.left_and_told_why, "status", "Thank you"),
        (states.renewing_changed_words, "alert", "The words changed once more"),
        (states.my_address_mistyped, "alert", "Enter an e-mail address"),
    ],
)
async def test_what_became_of_it_is_announced(
    stage: Stage, step: states.Step, role: str, said: str
) -> None:
    await step(stage)
    told = stage.page.get_by_role(role, name=None).first  # type: ignore[arg-type]  # one of two
    assert said in await told.inner_text()


async def test_nothing_is_lost_in_forced_colours(stage: Stage) -> None:
    """Whoever chooses the colours themselves sees what is a button and what is wrong."""
    await stage.page.emulate_media(forced_colors="active")
    await STATES["/form"]["form_with_faults"](stage)
    for seen in ("main button", "input[name=email]", ".summary", ".faulty"):
        style = await stage.page.locator(seen).first.evaluate(
            "e => { const s = getComputedStyle(e);"
            " return [s.borderInlineStartStyle, parseFloat(s.borderInlineStartWidth)]; }"
        )
        assert style[0] == "solid", seen
        assert style[1] >= 1, seen


@pytest.mark.parametrize("step", [states.a_notice, states.my_record])
async def test_a_record_and_a_notice_print_whole_and_in_black_on_white(
    stage: Stage, step: states.Step
) -> None:
    await step(stage)
    page = stage.page
    await page.evaluate("for (const d of document.querySelectorAll('details')) d.open = false")
    await page.emulate_media(media="print", color_scheme="dark")
    ink = await page.locator("h1").evaluate("e => getComputedStyle(e).color")
    paper = await page.locator("body").evaluate("e => getComputedStyle(e).backgroundColor")
    assert (ink, paper) == ("rgb(0, 0, 0)", "rgb(255, 255, 255)")
    assert not await page.locator("footer nav").is_visible()
    shown = "e => e.checkVisibility({contentVisibilityAuto: true})"
    for words in await page.locator("blockquote").all():
        assert await words.evaluate(shown)
