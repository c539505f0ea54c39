"""Every page a visitor can meet, in every state it can be in: how a browser gets there.

A route of the site that answers GET with a page has its states here, under its own name;
tests/test_pages_in_browser.py fails for one that has none, and looks at each.
"""

import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode

from playwright.async_api import Page

from mailer import (
    articles,
    digests,
    editions,
    newsletters,
    notices,
    people,
    puzzles,
    rectification,
    renewals,
    subjects,
    subscriptions,
    tokens,
    vault,
)
from mailer.articles import Draft, Enclosed
from mailer.config import Settings
from mailer.consent import SUBJECT
from mailer.db import Connection
from mailer.notices import Words
from mailer.vault import Vault
from tests import world
from tests.world import HOURS, World

TITLES = {
    "en": "Rights Weekly",
    "ru": "Права человека за неделю: новости правозащитников",
    "ar": "حقوق الإنسان في أسبوع",
}
WORDING = {
    **world.WORDING,
    "ar": "نعم، أرسلوا إليّ النشرة الأسبوعية. أوافق على حفظ عنواني لهذا الغرض.",
}
PURPOSES = {
    "en": ("sending the digest", "counting readers"),
    "ru": ("отправка рассылки", "подсчёт читателей"),
    "ar": ("إرسال النشرة", "عدّ القراء"),
}
LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"


def words(language: str, **more: object) -> Words:
    said = {"wording": WORDING[language], "purposes": PURPOSES[language], **more}
    return replace(world.words("en"), language=language, **said)  # type: ignore[arg-type]  # as a test wishes


@dataclass
class Stage:
    """A running site, a browser's page, and the people that the states are about."""

    page: Page
    base: str
    conn: Connection
    vault: Vault
    settings: Settings
    language: str
    made: dict[str, World] = field(default_factory=dict)
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def open(self, path: str) -> None:
        """Anew, whatever the browser has kept of it."""
        more = f"{'&' if '?' in path else '?'}lang={self.language}&n={next(self.numbers)}"
        await self.page.goto(self.base + path + more)

    async def press(self, selector: str = "main form button") -> None:
        async with self.page.expect_navigation():
            await self.page.locator(selector).first.click()

    async def fail(self, how: str) -> None:
        """A page for which PostgreSQL has nothing but an error, under that name."""
        weekly = await self.newsletter()
        await self.conn.execute(
            f"""create function fail() returns boolean language plpgsql as
                    $$begin raise {how}; end$$;
                alter table notice rename to notice_away;
                create view notice as select * from notice_away where fail()"""
        )
        await self.open(f"/notice/{weekly.notices['en'].id}")
        await self.conn.execute(
            """drop view notice;
               alter table notice_away rename to notice;
               drop function fail()"""
        )

    async def refused(self, status: int) -> None:
        assert await self.page.locator(".code").inner_text() == str(status)

    async def newsletter(self, slug: str = "weekly") -> World:
        """In three languages, with a choice of cadences."""
        if slug not in self.made:
            added = await newsletters.add(
                self.conn, slug, TITLES, fallback="en", cadences=("weekly", "daily", "monthly")
            )
            house = await subjects.house(self.conn, self.vault)
            published = {
                code: await notices.publish(
                    self.conn, house, words(code, newsletter=added.id), actor="staff:anna"
                )
                for code in TITLES
            }
            self.made[slug] = World(added, published)
        return self.made[slug]

    async def wordless(self) -> None:
        """A newsletter that nobody can agree to yet, with a long title."""
        if "wordless" not in self.made:
            added = await newsletters.add(self.conn, "wordless", {"en": LONG}, fallback="en")
            self.made["wordless"] = World(added, {})

    async def asked(self, slug: str = "weekly") -> str:
        """Somebody new who was asked to confirm: their address."""
        weekly = await self.newsletter(slug)
        email = f"reader-{next(self.numbers)}@example.org"
        await world.ask(self.conn, self.vault, weekly.wish(email, self.language))
        return email

    async def confirmed(self, slug: str = "weekly") -> str:
        email = await self.asked(slug)
        link = await self.link(email, "confirm")
        await subscriptions.confirm(self.conn, self.vault, link, {"page": "test"})
        return email

    async def left(self) -> str:
        email = await self.confirmed()
        link = await self.link(email, "leave")
        await subscriptions.leave(self.conn, self.vault, link, "page")
        return email

    async def link(self, email: str, purpose: tokens.Purpose) -> str:
        return await world.link(self.conn, self.vault, email, purpose)

    async def me(self, email: str) -> str:
        own = await people.find(self.conn, self.vault, email)
        return f"/me/{own.subscriber.manage_token(self.vault)}"

    async def restricted(self) -> str:
        """The page of somebody whose data is only kept."""
        email = await self.confirmed()
        own = await people.find(self.conn, self.vault, email)
        await people.restrict(self.conn, self.vault, own, "page", actor=SUBJECT)
        return await self.me(email)

    async def renewing(self) -> str:
        """Somebody who is asked to agree to newer words: their address."""
        slug = f"series-{next(self.numbers)}"
        email = await self.confirmed(slug)
        weekly = self.made[slug]
        house = await subjects.house(self.conn, self.vault)
        newer = words(self.language, newsletter=weekly.newsletter.id, retention="one year",
                      wording=WORDING[self.language] + " 2.")  # fmt: skip
        await notices.publish(self.conn, house, newer, actor="staff:anna")
        soon = datetime.now(UTC) + timedelta(days=30)
        await renewals.begin(self.conn, weekly.newsletter, soon, by="staff:anna")
        await renewals.ask(self.conn, 10)
        return email

    async def moving(self, new: str | None = None) -> str:
        """A link to confirm a new address."""
        own = await people.find(self.conn, self.vault, await self.confirmed())
        await rectification.ask(
            self.conn, self.vault, own, new or f"new-{next(self.numbers)}@example.org",
            language=self.language, hours=HOURS, actor=SUBJECT,
        )  # fmt: skip
        change = (await self.conn.fetch(
            "select handle, subscriber, asked_at from address_change order by asked_at desc"
        ))[0]  # fmt: skip
        bound = rectification.bound_to(change["subscriber"], change["asked_at"])
        proof = vault.proof(own.subscriber.subject(self.vault), "address", bound)
        return str(tokens.Token(change["handle"], proof))

    async def sent(self) -> None:
        """A digest of `weekly`, in every language."""
        weekly = await self.newsletter()
        if await digests.sent(self.conn, weekly.newsletter.id, 1):
            return
        for code, title in TITLES.items():
            enclosed = Enclosed("Приказ №660.pdf", "https://site.example.org/660.pdf",
                                "application/pdf", 311_296, "ru")  # fmt: skip
            draft = Draft(
                code,
                f"{title}: {LONG}",
                code,
                "https://site.example.org/660",
                "<p>What <b>happened</b>.</p>",
                attachments=(enclosed,),
                work="660",
            )
            await articles.add(self.conn, weekly.newsletter.id, draft)
        async with self.conn.transaction():
            digest = await digests.create(self.conn, weekly.newsletter, "weekly", by="staff:anna")
            await editions.approve(
                self.conn, self.settings, digest, by="staff:anna", despite_warnings=True
            )
            await editions.begin(self.conn, self.settings, digest)
        await self.conn.execute("update digest set state = 'sent', finished_at = now()")


Step = Callable[[Stage], Awaitable[None]]
STATES: dict[str, dict[str, Step]] = {}
"""By route, then by name; in this order, because the first is of a site with nothing on it."""


def state(route: str) -> Callable[[Step], Step]:
    """Named as the function is."""

    def keep(step: Step) -> Step:
        STATES.setdefault(route, {})[step.__name__] = step
        return step

    return keep


# the way in


@state("/")
async def no_newsletter(stage: Stage) -> None:
    await stage.open("/")


@state("/archive")
async def no_archive(stage: Stage) -> None:
    await stage.open("/archive")


@state("/")
async def one_newsletter(stage: Stage) -> None:
    await stage.newsletter()
    await stage.open("/")


@state("/form")
async def empty_form(stage: Stage) -> None:
    await stage.newsletter()
    await stage.open("/form?newsletter=weekly")


@state("/form")
async def form_with_faults(stage: Stage) -> None:
    await empty_form(stage)
    await stage.page.fill("input[name=email]", "anna without a dog")
    await stage.press()


@state("/form")
async def form_for_nothing(stage: Stage) -> None:
    await stage.open("/form?newsletter=nosuch")


@state("/form")
async def form_without_words(stage: Stage) -> None:
    await stage.wordless()
    await stage.open("/form?newsletter=wordless")


@state("/form")
async def form_too_often(stage: Stage) -> None:
    await empty_form(stage)
    weekly = await stage.newsletter()
    for _ in range(200):
        answer = await stage.page.request.post(
            f"{stage.base}/subscribe",
            form={"email": "a@example.org", "newsletter": "weekly", "consent": "yes",
                  "notice": weekly.notices["en"].id, "lang": "en"},
            max_redirects=0,
        )  # fmt: skip
        if answer.status == 429:
            break
    await stage.page.fill("input[name=email]", "anna@example.org")
    await stage.page.check("input[name=consent]")
    await stage.press()
    await stage.refused(429)


@state("/form")
async def more_than_the_form_takes(stage: Stage) -> None:
    await stage.newsletter()
    await stage.open("/form?newsletter=weekly")
    async with stage.page.expect_navigation():
        await stage.page.evaluate(
            """language => {
                const form = document.querySelector("main form");
                form.action += `?lang=${language}`;
                form.elements.remark.value = "x".repeat(70_000);
                form.submit();
            }""",
            stage.language,
        )
    await stage.refused(413)


@state("/")
async def nothing_there(stage: Stage) -> None:
    await stage.open("/nowhere")
    await stage.refused(404)


@state("/subscribe")
async def not_that_way(stage: Stage) -> None:
    await stage.open("/subscribe/solution")
    await stage.refused(405)


@state("/notice/{id}")
async def a_fault_of_ours(stage: Stage) -> None:
    await stage.fail("data_exception")
    await stage.refused(500)


@state("/notice/{id}")
async def no_database(stage: Stage) -> None:
    await stage.fail("cannot_connect_now")
    await stage.refused(503)


@state("/form")
async def form_with_puzzle(stage: Stage) -> None:
    """After so many forms of one network."""
    await empty_form(stage)
    assert await stage.page.locator("[data-puzzle]").count()


@state("/")
async def several_newsletters(stage: Stage) -> None:
    await stage.newsletter()
    await stage.newsletter("cases")
    await stage.open("/")


@state("/subscribe")
async def form_for_the_element(stage: Stage) -> None:
    await stage.newsletter()
    await stage.open("/subscribe?newsletter=weekly")


@state("/check-inbox")
async def check_inbox(stage: Stage) -> None:
    await stage.open("/check-inbox")


@state("/check-inbox")
async def check_inbox_with_puzzle(stage: Stage) -> None:
    """A flood is on; no script runs, so that it stays as it is."""
    puzzle = puzzles.packed(puzzles.pose(stage.vault, puzzles.NUMBERS_IN_FLOODS))
    await stage.page.route(
        "**/puzzle.js", lambda route: route.fulfill(body="", content_type="text/javascript")
    )
    await stage.open(f"/check-inbox?{urlencode({'puzzle': puzzle, 'meant': 'gmail.com'})}")
    assert await stage.page.locator("[data-puzzle]").count()


@state("/notice/{id}")
async def a_notice(stage: Stage) -> None:
    weekly = await stage.newsletter()
    await stage.open(f"/notice/{weekly.notices[stage.language].id}")


@state("/notices/{slug}")
async def one_version(stage: Stage) -> None:
    await stage.newsletter()
    await stage.open("/notices/weekly")


@state("/notices/{slug}")
async def two_versions_compared(stage: Stage) -> None:
    weekly = await stage.newsletter("cases")
    house = await subjects.house(stage.conn, stage.vault)
    for years in ("one year", "two years"):
        newer = words(stage.language, newsletter=weekly.newsletter.id, retention=years)
        await notices.publish(stage.conn, house, newer, actor="staff:anna")
    await stage.open("/notices/cases")
    await stage.press()
    await stage.page.locator("summary").first.click()


# links in mails


@state("/confirm/{token}")
async def confirming(stage: Stage) -> None:
    await stage.open(f"/confirm/{await stage.link(await stage.asked(), 'confirm')}")
    await stage.page.locator("summary").click()


@state("/me/{token}/confirmed/{slug}")
async def confirmed(stage: Stage) -> None:
    await confirming(stage)
    await stage.press()


@state("/confirm/{token}")
async def confirmed_already(stage: Stage) -> None:
    await stage.open(f"/confirm/{await stage.link(await stage.confirmed(), 'confirm')}")


@state("/confirm/{token}")
async def confirming_too_late(stage: Stage) -> None:
    link = await stage.link(await stage.asked(), "confirm")
    await stage.conn.execute(
        "update subscription set expires_at = now() - interval '1 hour' where state = 'pending'"
    )
    await stage.open(f"/confirm/{link}")


@state("/confirm/{token}")
async def unknown_link(stage: Stage) -> None:
    await stage.open(f"/confirm/{tokens.Token(7, b'x' * 16)}")


@state("/refuse/{token}")
async def refusing(stage: Stage) -> None:
    await stage.open(f"/refuse/{await stage.link(await stage.asked(), 'refuse')}")


@state("/refuse/{token}")
async def refused(stage: Stage) -> None:
    await refusing(stage)
    await stage.page.check("input[name=never_again]")
    await stage.press()


@state("/renew/{token}")
async def renewing(stage: Stage) -> None:
    await stage.open(f"/renew/{await stage.link(await stage.renewing(), 'renew')}")


@state("/renew/{token}")
async def renewing_changed_words(stage: Stage) -> None:
    await renewing(stage)
    await stage.page.evaluate("document.querySelector('[name=notice]').value = 'older'")
    await stage.press()


@state("/renew/{token}")
async def renewed(stage: Stage) -> None:
    await renewing(stage)
    await stage.press()


@state("/u/{token}")
async def leaving(stage: Stage) -> None:
    await stage.open(f"/u/{await stage.link(await stage.confirmed(), 'leave')}")


@state("/u/{token}")
async def left(stage: Stage) -> None:
    await leaving(stage)
    await stage.press()


@state("/u/{token}")
async def left_and_told_why(stage: Stage) -> None:
    await left(stage)
    await stage.page.check("input[value=unsafe]")
    await stage.press("form[action*=reason] button")


@state("/address/{token}")
async def moving(stage: Stage) -> None:
    await stage.open(f"/address/{await stage.moving()}")


@state("/address/{token}")
async def moving_to_anothers(stage: Stage) -> None:
    await stage.open(f"/address/{await stage.moving(await stage.confirmed())}")
    await stage.press()


@state("/address/{token}")
async def moved(stage: Stage) -> None:
    await moving(stage)
    link = stage.page.url
    await stage.press()
    await stage.page.goto(link)


# one's own page


@state("/me/{token}")
async def mine(stage: Stage) -> None:
    await stage.wordless()
    await stage.newsletter("cases")
    await stage.open(await stage.me(await stage.confirmed()))
    await stage.page.locator("summary").first.click()


@state("/me/{token}")
async def mine_saved(stage: Stage) -> None:
    await mine(stage)
    await stage.press("button[value=change]")


@state("/me/{token}")
async def mine_not_saved(stage: Stage) -> None:
    await mine(stage)
    await stage.page.fill("[name=until]", "2020-01-31")
    await stage.press("button[value=pause]")


@state("/me/{token}")
async def mine_paused(stage: Stage) -> None:
    await mine(stage)
    await stage.page.fill("[name=until]", (date.today() + timedelta(days=60)).isoformat())
    await stage.press("button[value=pause]")


@state("/me/{token}")
async def mine_waiting(stage: Stage) -> None:
    await stage.open(await stage.me(await stage.asked()))


@state("/me/{token}")
async def mine_left(stage: Stage) -> None:
    await stage.open(f"{await stage.me(await stage.left())}?done=leave")


@state("/me/{token}")
async def mine_only_kept(stage: Stage) -> None:
    await stage.open(await stage.restricted())


@state("/me/{token}/record")
async def my_record(stage: Stage) -> None:
    await stage.open(f"{await stage.me(await stage.confirmed())}/record")
    for summary in await stage.page.locator("summary").all():
        await summary.click()


@state("/me/{token}/address")
async def my_address(stage: Stage) -> None:
    await stage.open(f"{await stage.me(await stage.confirmed())}/address")


@state("/me/{token}/address")
async def my_address_mistyped(stage: Stage) -> None:
    await my_address(stage)
    await stage.page.fill("input[name=email]", "anna without a dog")
    await stage.press()


@state("/me/{token}/address")
async def my_address_only_kept(stage: Stage) -> None:
    await stage.open(f"{await stage.restricted()}/address")


@state("/me/{token}/restrict")
async def only_keeping(stage: Stage) -> None:
    await stage.open(f"{await stage.me(await stage.confirmed())}/restrict")


@state("/me/{token}/restrict")
async def only_kept(stage: Stage) -> None:
    await stage.open(f"{await stage.restricted()}/restrict")


@state("/me/{token}/erase")
async def erasing(stage: Stage) -> None:
    await stage.open(f"{await stage.me(await stage.confirmed())}/erase")


@state("/me/{token}/erase")
async def erased(stage: Stage) -> None:
    await erasing(stage)
    await stage.page.check("input[name=never_again]")
    await stage.press()


# past issues


@state("/archive/{slug}")
async def nothing_sent(stage: Stage) -> None:
    await stage.newsletter("cases")
    await stage.open("/archive/cases")


@state("/archive/{slug}")
async def past_issues(stage: Stage) -> None:
    await stage.sent()
    await stage.open("/archive/weekly")


@state("/archive")
async def archives(stage: Stage) -> None:
    await stage.newsletter("cases")
    await stage.open("/archive")


@state("/archive/{slug}/{number}")
async def past_issue(stage: Stage) -> None:
    """As it stands there; but in its sandbox nothing could look at it."""
    await stage.sent()
    await stage.open("/archive/weekly/1")
    shown = await (await stage.page.request.get(stage.page.url)).text()
    await stage.page.goto("about:blank")
    await stage.page.set_content(shown)
