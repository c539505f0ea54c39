"""axe-core in a page: what of it keeps somebody out (WCAG 2.2 AA and good practice)."""

from importlib.resources import files

from playwright.async_api import Page

SCRIPT = (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
SEEN = ("color-contrast", "link-in-text-block", "target-size", "scrollable-region-focusable")
"""The rules whose answer may change with colours and widths."""

RUN = """async (only) => {
    const options = only.length ? {runOnly: only} : {rules: {'target-size': {enabled: true}}};
    const found = await axe.run(document, {...options, resultTypes: ['violations']});
    return found.violations.flatMap(rule => rule.nodes.map(
        node => `${rule.id}: ${node.target.join(' ')}: ${node.failureSummary}`));
}"""


async def enter(page: Page) -> None:
    """The page's policy does not bind it."""
    await page.evaluate(SCRIPT)


async def look(page: Page, *rules: str) -> list[str]:
    """What it finds, a sentence each; of all rules, or of these."""
    found: list[str] = await page.evaluate(RUN, list(rules))
    return found
