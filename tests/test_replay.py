"""No second truth: whatever happens, the tables hold what the events say."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailer import address, people, replay, subscribers, subscriptions, suppressions
from mailer.consent import SUBJECT, Finding
from mailer.db import Connection
from mailer.notices import Notice
from mailer.subscriptions import Found
from mailer.tokens import Purpose
from mailer.vault import Vault
from tests import test_renewals, world
from tests.world import ANNA, BORIS, HOURS, VERA, World


async def check(conn: Connection, vault: Vault) -> list[Finding]:
    async with conn.transaction():
        return [found async for found in replay.check(conn, vault)]


Happening: TypeAlias = Callable[["Life", str, str, str], Awaitable[None]]


@dataclass(frozen=True)
class Life:
    """Somebody to whom things happen, in one of two newsletters."""

    conn: Connection
    vault: Vault
    weekly: World
    other: World
    newer: Notice
    email: str = ANNA

    async def held(self, slug: str) -> Found | None:
        reached = address.parse(self.email)
        subscriber = await subscribers.by_address(self.conn, self.vault, reached)
        if subscriber is None:
            return None
        own = await subscriptions.own(self.conn, self.vault, subscriber)
        return await subscriptions.find(self.conn, own, slug)

    async def link(self, slug: str, purpose: Purpose) -> str:
        held = await self.held(slug)
        return str(held.subscription.token(held.subject, purpose)) if held else "x" * 27

    # what can happen

    async def ask(self, slug: str, language: str, cadence: str) -> None:
        here = self.weekly if slug == "weekly" else self.other
        wish = here.wish(self.email, language, cadence=cadence)
        await world.ask(self.conn, self.vault, wish)

    async def be_imported(self, slug: str, language: str, cadence: str) -> None:
        here = self.weekly if slug == "weekly" else self.other
        await world.bring(
            self.conn, self.vault, here, self.email,
            by="staff:anna", language=language, cadence=cadence,
        )  # fmt: skip

    async def ask_newer(self, slug: str, language: str, cadence: str) -> None:
        wish = replace(self.weekly.wish(self.email), newsletters=(slug,), notice=self.newer.id)
        await world.ask(self.conn, self.vault, replace(wish, cadence=cadence))

    async def confirm(self, slug: str, language: str, cadence: str) -> None:
        await subscriptions.confirm(self.conn, self.vault, await self.link(slug, "confirm"), {})

    async def ask_again(self, slug: str, language: str, cadence: str) -> None:
        link = await self.link(slug, "confirm")
        await subscriptions.ask_again(self.conn, self.vault, link, HOURS)

    async def refuse(self, slug: str, language: str, cadence: str) -> None:
        link = await self.link(slug, "refuse")
        never_again = cadence == "daily"
        await subscriptions.refuse(self.conn, self.vault, link, never_again=never_again)

    async def leave(self, slug: str, language: str, cadence: str) -> None:
        link = await self.link(slug, "leave")
        await subscriptions.leave(self.conn, self.vault, link, "one-click")

    async def change(self, slug: str, language: str, cadence: str) -> None:
        held = await self.held(slug)
        if held and held.subscription.state != "left":
            await subscriptions.change(self.conn, held, language, cadence)

    async def pause(self, slug: str, language: str, cadence: str) -> None:
        held = await self.held(slug)
        if held and held.subscription.state == "confirmed":
            day = date.today() + timedelta(days=30) if cadence == "daily" else None
            await subscriptions.pause(self.conn, held, day)

    async def come_back(self, slug: str, language: str, cadence: str) -> None:
        link = await self.link(slug, "leave")
        await subscriptions.ask_back(self.conn, self.vault, link, HOURS)

    async def lapse(self, slug: str, language: str, cadence: str) -> None:
        held = await self.held(slug)
        if held and held.subscription.state != "left":
            await subscriptions.lapse(self.conn, self.vault, held, {})

    async def renew(self, slug: str, language: str, cadence: str) -> None:
        held = await self.held(slug)
        if held and held.subscription.state == "confirmed":
            await subscriptions.renew(self.conn, held, self.newer, {})

    async def complain(self, slug: str, language: str, cadence: str) -> None:
        await world.ended(self.conn, self.vault, await self.link(slug, "bounce"), "complaint")

    async def bounce(self, slug: str, language: str, cadence: str) -> None:
        await world.ended(self.conn, self.vault, await self.link(slug, "bounce"), "bounce")

    async def be_suppressed(self, slug: str, language: str, cadence: str) -> None:
        await people.suppress(self.conn, self.vault, self.email, actor="staff:anna")

    async def be_let_in_again(self, slug: str, language: str, cadence: str) -> None:
        await suppressions.remove(self.conn, self.vault, address.parse(self.email))

    async def be_erased(self, slug: str, language: str, cadence: str) -> None:
        held = await self.held(slug)
        if held:
            own = await people.find(self.conn, self.vault, self.email)
            await people.erase(self.conn, self.vault, own, never_again=False, actor=SUBJECT)

    async def let_a_day_pass(self) -> None:
        await self.conn.execute("""update subscription set
            mailed_at = mailed_at - interval '25 hours', asked_at = asked_at - interval '25 hours',
            expires_at = expires_at - interval '25 hours'""")


ASKING = (Life.ask, Life.be_imported, Life.ask_newer)
ENDING = (Life.leave, Life.complain, Life.bounce, Life.be_suppressed, Life.be_erased, Life.lapse)
POSSIBLE: dict[str, tuple[Happening, ...]] = {
    "none": (*ASKING, Life.be_let_in_again),
    "pending": (Life.confirm, Life.confirm, Life.refuse, Life.ask_again, *ASKING, *ENDING),
    "confirmed": (Life.change, Life.renew, Life.pause, Life.refuse, *ASKING, *ENDING),
    "left": (
        *ASKING,
        *ASKING,
        Life.be_let_in_again,
        Life.confirm,
        Life.ask_again,
        Life.come_back,
        Life.be_erased,
    ),
}
"""What may well happen to somebody in a state; links of mails are pressed in any."""


@given(
    st.lists(
        st.tuples(
            st.integers(0, 59),
            st.sampled_from(["weekly", "weekly", "other"]),
            st.sampled_from(["en", "ru"]),
            st.sampled_from(["weekly", "daily"]),
        ),
        min_size=4,
        max_size=14,
    )
)
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_whatever_happens_the_tables_hold_what_the_events_say(
    conn: Connection, vault: Vault, choices: list[tuple[int, str, str, str]]
) -> None:
    # Each life in a transaction of its own that never was: the next begins in an empty world.
    transaction = conn.transaction()
    await transaction.start()
    try:
        weekly, other = await world.make(conn, vault), await world.make(conn, vault, "other")
        newer = await test_renewals.newer(conn, vault)
        life = Life(conn, vault, weekly, other, newer)
        for number, slug, language, cadence in choices:
            held = await life.held(slug)
            possible = POSSIBLE[held.subscription.state if held else "none"]
            await life.let_a_day_pass()
            await possible[number % len(possible)](life, slug, language, cadence)
            assert await check(conn, vault) == []
    finally:
        await transaction.rollback()


async def several(conn: Connection, vault: Vault) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    await world.confirmed(conn, vault, weekly.wish(VERA, "ru"))
    await world.ask(conn, vault, weekly.wish(BORIS))
    await subscriptions.leave(conn, vault, await world.link(conn, vault, VERA, "leave"), "page")


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("update subscription set state = 'confirmed', confirmed_at = now()"
         " where state = 'left'", "is confirmed (ru"),
        ("update subscription set state = 'confirmed', confirmed_at = now()"
         " where state = 'pending'", "its events say pending (en"),
        ("update subscription set cadence = 'monthly' where state = 'confirmed'", "monthly"),
        ("update subscription set language = 'ru' where state = 'confirmed'", "is confirmed (ru"),
        ("update subscription set notice = (select max(id) from notice where id <> notice)"
         " where notice = (select min(id) from notice)", "its events say"),
        ("update subscription set paused_until = now() + interval '9 days'"
         " where state = 'confirmed'", "paused until"),
        ("delete from subscription where state = 'left'", "is not there; its events say left"),
    ],
)  # fmt: skip
async def test_a_subscription_that_was_changed_behind_the_record_is_named(
    conn: Connection, vault: Vault, statement: str, said: str
) -> None:
    await several(conn, vault)
    assert await check(conn, vault) == []
    await conn.execute(statement)
    findings = await check(conn, vault)
    assert findings
    assert all(said in finding.what for finding in findings)
    assert all(finding.event is not None for finding in findings)


@pytest.mark.parametrize(
    "statement",
    [
        "update subject set dek = set_byte(dek, 20, get_byte(dek, 20) # 1)",
        "update subject set dek = 'x'",
        "alter table consent_event disable trigger user; update consent_event set body = 'x'",
    ],
)
async def test_of_what_cannot_be_read_nothing_is_claimed(
    conn: Connection, vault: Vault, statement: str
) -> None:
    await several(conn, vault)
    await conn.execute(statement)
    assert await check(conn, vault) == []


async def test_a_subscription_that_no_event_speaks_of_is_named(
    conn: Connection, vault: Vault
) -> None:
    await several(conn, vault)
    other = await world.make(conn, vault, "other")
    await conn.execute(
        """insert into subscription (subscriber, newsletter, state, language, cadence, notice,
               handle, expires_at, confirmed_at)
           select subscriber, $1, 'confirmed', language, cadence, notice, 7, now(), now()
           from subscription where state = 'confirmed'""",
        other.newsletter.id,
    )
    (finding,) = await check(conn, vault)
    assert "the subscription to other is confirmed" in finding.what
    assert finding.what.endswith("its events say none")


async def test_a_place_that_the_caps_let_nobody_be_asked_for_is_not_kept(
    conn: Connection, vault: Vault
) -> None:
    most = subscriptions.MAILED_MOST
    for each in [await world.make(conn, vault, f"series-{n}") for n in range(most + 1)]:
        await world.ask(conn, vault, each.wish(ANNA))
    assert await conn.fetchval("select count(*) from subscription") == most
    assert await check(conn, vault) == []


async def test_who_says_not_me_after_an_earlier_yes_keeps_the_proof_of_it(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    await subscriptions.leave(conn, vault, await world.link(conn, vault, ANNA, "leave"), "page")
    left = (await world.found(conn, vault, ANNA)).subscription.left_at
    await conn.execute("update subscription set mailed_at = null")
    await world.ask(conn, vault, weekly.wish(ANNA))
    link = await world.link(conn, vault, ANNA, "refuse")
    assert await subscriptions.refuse(conn, vault, link, never_again=False)
    held = (await world.found(conn, vault, ANNA)).subscription
    assert (held.state, held.left_at) == ("left", left)
    types = [event.content["type"] for event in (await people.find(conn, vault, ANNA)).record]
    assert "consent.confirmed" in types
    assert types[-1] == "consent.refused"


@pytest.mark.parametrize("why", ["complaint", "bounce"])
async def test_a_complaint_or_a_dead_address_ends_everything_for_good(
    conn: Connection, vault: Vault, why: Literal["complaint", "bounce"]
) -> None:
    weekly, other = await world.make(conn, vault), await world.make(conn, vault, "other")
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    await world.ask(conn, vault, other.wish(ANNA))
    token = await world.link(conn, vault, ANNA, "bounce")
    for _ in range(2):
        await world.ended(conn, vault, token, why)
    own = await people.find(conn, vault, ANNA)
    assert [found.subscription.state for found in own.subscriptions] == ["left", "left"]
    assert await suppressions.reason(conn, vault, address.parse(ANNA)) == why
    ended = [e.content for e in own.record if e.content["type"] == "consent.withdrawn"]
    assert [(e["actor"], e["evidence"]["channel"]) for e in ended] == [("system", why)] * 2


async def test_whoever_staff_bring_over_is_asked_in_their_name(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    await world.bring(conn, vault, weekly, ANNA, by="staff:boris")
    record = [event.content for event in (await people.find(conn, vault, ANNA)).record]
    assert [(event["type"], event["actor"]) for event in record] == [
        ("subject.imported", "staff:boris"),
        ("subscription.requested", "staff:boris"),
    ]


async def test_that_staff_looked_is_on_the_persons_record(conn: Connection, vault: Vault) -> None:
    weekly = await world.make(conn, vault)
    await world.ask(conn, vault, weekly.wish(ANNA))
    await people.view(conn, vault, ANNA, what="record", reason="she asked", actor="staff:boris")
    await people.check_suppression(conn, vault, ANNA, reason="", actor="staff:boris")
    assert await people.check_suppression(conn, vault, BORIS, reason="", actor="staff:b") is None
    seen = [event.content for event in (await people.find(conn, vault, ANNA)).record][1:]
    assert [(event["type"], event["actor"]) for event in seen] == [
        ("staff.viewed", "staff:boris")
    ] * 2
    assert [event["evidence"] for event in seen] == [
        {"what": "record", "reason": "she asked"},
        {"what": "suppression", "reason": ""},
    ]
