"""Asking, confirming, leaving: who is subscribed, and what is recorded of it."""

import asyncio
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from mailer import (
    address,
    consent,
    newsletters,
    notices,
    people,
    retention,
    subjects,
    subscribers,
    subscriptions,
    suppressions,
)
from mailer.consent import SUBJECT
from mailer.db import Connection, Pool
from mailer.errors import Invalid, Unknown
from mailer.retention import Terms
from mailer.subscriptions import MAILED_MOST, UNANSWERED_MOST, Wish
from mailer.vault import Vault
from tests import site, world
from tests.world import ANNA, BORIS, HOURS, VERA


async def mails(conn: Connection) -> list[str]:
    return [row["kind"] for row in await conn.fetch("select kind from outbox order by id")]


async def age(conn: Connection, hours: int) -> None:
    """Let time pass for every subscription."""
    await conn.execute(
        """update subscription set mailed_at = mailed_at - make_interval(hours => $1),
               asked_at = asked_at - make_interval(hours => $1),
               expires_at = expires_at - make_interval(hours => $1)""",
        hours,
    )


async def types(conn: Connection, vault: Vault, email: str) -> list[str]:
    own = await people.find(conn, vault, email)
    return [event.content["type"] for event in own.record]


async def test_asking_leaves_a_pending_subscription_and_one_mail(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    await world.ask(conn, vault, weekly.wish(ANNA))
    held = await world.found(conn, vault, ANNA)
    assert held.subscription.state == "pending"
    assert await mails(conn) == ["confirm"]
    assert await types(conn, vault, ANNA) == ["subscription.requested"]


async def test_a_request_waits_sealed_and_all_requests_are_of_one_size(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    await subscriptions.request(conn, vault, weekly.wish(ANNA))
    await subscriptions.request(conn, vault, weekly.wish(VERA, "ru", cadence="daily"))
    payloads = [row["payload"] for row in await conn.fetch("select payload from request")]
    assert len({len(payload) for payload in payloads}) == 1
    assert not any(b"anna" in payload for payload in payloads)


async def test_confirming_records_the_very_notice_that_was_shown(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(VERA, "ru"))
    own = await people.find(conn, vault, VERA)
    last = own.record[-1].content
    assert last["type"] == "consent.confirmed"
    assert last["notice"]["sha256"] == weekly.notices["ru"].sha256.hex()
    assert own.subscriptions[0].subscription.language == "ru"


async def test_confirming_again_says_already(conn: Connection, vault: Vault) -> None:
    weekly = await world.make(conn, vault)
    await world.ask(conn, vault, weekly.wish(ANNA))
    token = await world.link(conn, vault, ANNA, "confirm")
    first, _ = await subscriptions.confirm(conn, vault, token, {})
    again, _ = await subscriptions.confirm(conn, vault, token, {})
    assert (first, again) == ("confirmed", "already")
    assert (await types(conn, vault, ANNA)).count("consent.confirmed") == 1


async def test_two_confirmations_at_once_are_recorded_once(
    conn: Connection, pool: Pool, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    await world.ask(conn, vault, weekly.wish(ANNA))
    token = await world.link(conn, vault, ANNA, "confirm")

    async def press() -> str:
        async with pool.acquire() as mine, mine.transaction():
            outcome, _ = await subscriptions.confirm(mine, vault, token, {})
            return outcome

    outcomes = await asyncio.gather(*(press() for _ in range(8)))
    assert sorted(outcomes) == ["already"] * 7 + ["confirmed"]
    assert (await types(conn, vault, ANNA)).count("consent.confirmed") == 1


async def test_the_same_address_asking_twice_at_once_is_one_person(
    conn: Connection, pool: Pool, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    for email in (ANNA, "Anna@Example.org", ANNA, BORIS, ANNA, BORIS):
        await subscriptions.request(conn, vault, weekly.wish(email))

    async def admit() -> int:
        async with pool.acquire() as mine, mine.transaction():
            return await subscriptions.admit(mine, vault, HOURS, 1)

    assert sum(await asyncio.gather(*(admit() for _ in range(6)))) == 6
    assert await conn.fetchval("select count(*) from subscriber") == 2
    assert await conn.fetchval("select count(*) from subject") == 3
    assert await mails(conn) == ["confirm", "confirm"]


async def test_an_expired_link_confirms_nothing_and_a_new_one_can_be_had(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    await world.ask(conn, vault, weekly.wish(ANNA))
    old = await world.link(conn, vault, ANNA, "confirm")
    await conn.execute("update subscription set expires_at = now() - interval '1 second'")
    outcome, _ = await subscriptions.confirm(conn, vault, old, {})
    assert outcome == "expired"
    await conn.execute("update subscription set mailed_at = now() - interval '25 hours'")
    await subscriptions.ask_again(conn, vault, old, HOURS)
    assert await mails(conn) == ["confirm", "confirm"]
    fresh = await world.link(conn, vault, ANNA, "confirm")
    assert fresh != old
    assert (await subscriptions.confirm(conn, vault, old, {}))[0] == "unknown"
    assert (await subscriptions.confirm(conn, vault, fresh, {}))[0] == "confirmed"


async def test_one_address_gets_one_confirmation_a_day_and_three_without_an_answer(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    for _ in range(3):
        await world.ask(conn, vault, weekly.wish(ANNA))
    assert await mails(conn) == ["confirm"]
    for _ in range(UNANSWERED_MOST + 2):
        await age(conn, 25)
        await world.ask(conn, vault, weekly.wish(ANNA))
    assert await mails(conn) == ["confirm"] * UNANSWERED_MOST


async def forgotten(conn: Connection, vault: Vault) -> None:
    """Nobody answered in time."""
    await conn.execute("update subscription set expires_at = now() - interval '1 second'")
    await retention.sweep(conn, vault, Terms(timedelta(hours=HOURS), timedelta(days=30)))
    await conn.execute("delete from outbox")


async def test_whoever_is_forgotten_in_between_is_asked_no_more_often(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    asked = 0
    for _ in range(UNANSWERED_MOST + 2):
        await world.ask(conn, vault, weekly.wish(ANNA))
        asked += len(await mails(conn))
        await forgotten(conn, vault)
        assert await conn.fetchval("select count(*) from subscriber") == 0
        assert await conn.fetchval("select count(*) from subject where seq = 0") <= 1
        await conn.execute("update asked_in_vain set latest = latest - interval '25 hours'")
    assert asked == UNANSWERED_MOST
    assert "anna" not in str(await conn.fetch("select * from asked_in_vain"))
    await conn.execute("update asked_in_vain set latest = now() - interval '366 days'")
    await world.ask(conn, vault, weekly.wish(ANNA))
    assert await mails(conn) == ["confirm"]


async def test_who_said_it_was_not_them_can_be_asked_tomorrow_but_not_for_ever(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    asked = 0
    for day in range(UNANSWERED_MOST + 2):
        for _ in range(2):
            await world.ask(conn, vault, weekly.wish(ANNA))
        waiting = await mails(conn)
        asked += len(waiting)
        if waiting:
            token = await world.link(conn, vault, ANNA, "refuse")
            assert await subscriptions.refuse(conn, vault, token, never_again=False)
        assert asked == min(day + 1, UNANSWERED_MOST)
        await conn.execute("update asked_in_vain set latest = latest - interval '25 hours'")


async def test_an_answer_begins_the_caps_anew(conn: Connection, vault: Vault) -> None:
    weekly = await world.make(conn, vault)
    await world.ask(conn, vault, weekly.wish(ANNA))
    await forgotten(conn, vault)
    await conn.execute("update asked_in_vain set latest = latest - interval '25 hours'")
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    assert await conn.fetchval("select count(*) from asked_in_vain") == 0


async def test_someone_confirmed_is_told_so_three_times_at_most_until_they_leave(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    for _ in range(UNANSWERED_MOST + 2):
        await world.ask(conn, vault, weekly.wish(ANNA))
        await age(conn, 25)
    assert await mails(conn) == ["confirm"] + ["already"] * UNANSWERED_MOST
    await subscriptions.leave(conn, vault, await world.link(conn, vault, ANNA, "leave"), "page")
    await world.ask(conn, vault, weekly.wish(ANNA))
    assert (await mails(conn))[-1] == "confirm"


async def test_the_cap_over_all_newsletters_is_for_everything_that_a_form_can_send(
    conn: Connection, vault: Vault
) -> None:
    worlds = [await world.make(conn, vault, f"series-{n}") for n in range(MAILED_MOST + 2)]
    for each in worlds:
        await world.ask(conn, vault, each.wish(ANNA))
        await conn.execute(
            """update subscription set state = 'confirmed', confirmed_at = now(),
                   mailed_at = null, unanswered = 0"""
        )
    before = len(await mails(conn))
    for each in worlds:
        await world.ask(conn, vault, each.wish(ANNA))
    assert len(await mails(conn)) == before + MAILED_MOST


async def test_one_address_gets_few_confirmations_over_all_newsletters(
    conn: Connection, vault: Vault
) -> None:
    worlds = [await world.make(conn, vault, f"series-{n}") for n in range(MAILED_MOST + 2)]
    for each in worlds:
        await world.ask(conn, vault, each.wish(ANNA))
    assert len(await mails(conn)) == MAILED_MOST


async def test_someone_confirmed_is_told_so_once_a_day(conn: Connection, vault: Vault) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    for _ in range(2):
        await world.ask(conn, vault, weekly.wish(ANNA))
    assert await mails(conn) == ["confirm", "already"]
    assert (await world.found(conn, vault, ANNA)).subscription.state == "confirmed"


async def test_a_suppressed_address_is_asked_nothing(conn: Connection, vault: Vault) -> None:
    weekly = await world.make(conn, vault)
    await suppressions.add(conn, vault, address.parse(ANNA), "person")
    await world.ask(conn, vault, weekly.wish("ANNA@example.org"))
    assert await mails(conn) == []
    assert await conn.fetchval("select count(*) from subscriber") == 0


async def test_leaving_is_recorded_once_and_works_for_ever(conn: Connection, vault: Vault) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    token = await world.link(conn, vault, ANNA, "leave")
    for _ in range(2):
        assert await subscriptions.leave(conn, vault, token, "one-click") is not None
    assert (await types(conn, vault, ANNA)).count("consent.withdrawn") == 1
    await world.ask(conn, vault, weekly.wish(ANNA))
    again = await world.link(conn, vault, ANNA, "confirm")
    assert (await subscriptions.confirm(conn, vault, again, {}))[0] == "confirmed"
    await subscriptions.leave(conn, vault, token, "page")
    assert (await world.found(conn, vault, ANNA)).subscription.state == "left"


async def test_the_link_that_confirmed_does_not_bring_back_someone_who_left(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    await world.ask(conn, vault, weekly.wish(ANNA))
    token = await world.link(conn, vault, ANNA, "confirm")
    await subscriptions.confirm(conn, vault, token, {})
    await subscriptions.leave(conn, vault, await world.link(conn, vault, ANNA, "leave"), "page")
    assert (await subscriptions.confirm(conn, vault, token, {}))[0] == "expired"


async def test_a_token_opens_only_what_it_was_made_for(conn: Connection, vault: Vault) -> None:
    weekly = await world.make(conn, vault)
    await world.ask(conn, vault, weekly.wish(ANNA))
    await world.ask(conn, vault, weekly.wish(BORIS))
    leave = await world.link(conn, vault, ANNA, "leave")
    assert await subscriptions.look(conn, vault, leave, "confirm") is None
    assert await subscriptions.look(conn, vault, leave[:-2] + "AA", "leave") is None
    assert await subscriptions.look(conn, vault, "x" * 27, "leave") is None
    opened = await subscriptions.look(conn, vault, leave, "leave")
    assert opened is not None
    assert opened.subscriber.reach(vault).given == ANNA


async def test_this_was_not_me_forgets_the_person(conn: Connection, vault: Vault) -> None:
    weekly = await world.make(conn, vault)
    await world.ask(conn, vault, weekly.wish(ANNA))
    token = await world.link(conn, vault, ANNA, "refuse")
    assert await subscriptions.refuse(conn, vault, token, never_again=True)
    assert await subscribers.by_address(conn, vault, address.parse(ANNA)) is None
    house = await consent.of(conn, await subjects.house(conn, vault))
    assert [e.content["type"] for e in house[-2:]] == ["notice.published", "subject.erased"]
    assert house[-1].content["evidence"]["cause"] == "refused"
    left = await conn.fetchval("select count(*) from consent_event where body is not null")
    assert left == len(house)
    assert await suppressions.reason(conn, vault, address.parse(ANNA)) == "person"
    assert not await subscriptions.refuse(conn, vault, token, never_again=False)


async def test_this_was_not_me_after_leaving_keeps_the_proof(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    refuse = await world.link(conn, vault, ANNA, "refuse")
    await subscriptions.leave(conn, vault, await world.link(conn, vault, ANNA, "leave"), "page")
    assert await subscriptions.refuse(conn, vault, refuse, never_again=False)
    assert "consent.confirmed" in await types(conn, vault, ANNA)


async def test_changing_language_and_cadence_is_recorded(conn: Connection, vault: Vault) -> None:
    weekly = await world.make(conn, vault)
    held = await world.confirmed(conn, vault, weekly.wish(ANNA))
    await subscriptions.change(conn, held, "ru", "daily")
    now = (await world.found(conn, vault, ANNA)).subscription
    assert (now.language, now.cadence) == ("ru", "daily")
    assert (await types(conn, vault, ANNA))[-1] == "consent.updated"
    with pytest.raises(Invalid, match="often"):
        await subscriptions.change(conn, held, "ru", "monthly")


async def test_leaving_everything_for_good_suppresses_the_address(
    conn: Connection, vault: Vault
) -> None:
    weekly, other = await world.make(conn, vault), await world.make(conn, vault, "other")
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    await world.ask(conn, vault, other.wish(ANNA))
    own = await people.find(conn, vault, ANNA)
    token = str(own.subscriber.manage_token(vault))
    opened = await subscriptions.manage(conn, vault, token)
    assert opened is not None
    await subscriptions.end(conn, vault, opened, "page", "person", SUBJECT)
    states = [f.subscription.state for f in (await people.find(conn, vault, ANNA)).subscriptions]
    assert states == ["left", "left"]
    assert await suppressions.reason(conn, vault, address.parse(ANNA)) == "person"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"email": "not an address"}, "email"),
        ({"email": "anna@example.org\r\nBcc: boris@example.org"}, "email"),
        ({"newsletters": ()}, "newsletter"),
        ({"newsletters": ("nosuch",)}, "newsletter"),
        ({"notice": "nosuch"}, "notice"),
        ({"notice": ""}, "notice"),
        ({"cadence": "monthly"}, "cadence"),
    ],
)
async def test_a_malformed_wish_is_refused_with_its_field(
    conn: Connection, vault: Vault, change: dict[str, object], field: str
) -> None:
    weekly = await world.make(conn, vault)
    good = weekly.wish(ANNA)
    wish = Wish(**{**good.__dict__, **change})
    with pytest.raises((Invalid, Unknown)) as refused:
        await subscriptions.request(conn, vault, wish)
    assert refused.value.field == field
    assert await conn.fetchval("select count(*) from request") == 0


async def test_every_state_is_what_its_events_say(conn: Connection, vault: Vault) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    await world.ask(conn, vault, weekly.wish(BORIS))
    await world.confirmed(conn, vault, weekly.wish(VERA, "ru"))
    await subscriptions.leave(conn, vault, await world.link(conn, vault, VERA, "leave"), "page")
    became = {
        "subscription.requested": "pending",
        "consent.confirmed": "confirmed",
        "consent.withdrawn": "left",
    }
    for email in (ANNA, BORIS, VERA):
        held = await world.found(conn, vault, email)
        events = await consent.of(conn, held.subject)
        assert became[events[-1].content["type"]] == held.subscription.state


# pausing, and thinking better of it


async def test_a_pause_lasts_until_the_day_begins_where_the_newsletter_is(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    await newsletters.change(conn, weekly.newsletter, timezone="Asia/Almaty")
    found = await world.confirmed(conn, vault, weekly.wish(ANNA))
    day = date.today() + timedelta(days=30)
    await subscriptions.pause(conn, found, day)
    found = await world.found(conn, vault, ANNA)
    until = found.subscription.paused_until
    assert until is not None
    assert until.astimezone(ZoneInfo("Asia/Almaty")) == datetime(
        day.year, day.month, day.day, tzinfo=ZoneInfo("Asia/Almaty")
    )
    await subscriptions.pause(conn, found, day)  # the same again is no change
    await subscriptions.pause(conn, found, None)
    own = await people.find(conn, vault, ANNA)
    said = [e.content for e in own.record if e.content["type"] == "consent.updated"]
    assert [consent.pause(content) for content in said] == [until, False]


@pytest.mark.parametrize("days", [-400, -2, 400])
async def test_nobody_pauses_into_the_past_or_for_years(
    conn: Connection, vault: Vault, days: int
) -> None:
    weekly = await world.make(conn, vault)
    found = await world.confirmed(conn, vault, weekly.wish(ANNA))
    with pytest.raises(Invalid) as refused:
        await subscriptions.pause(conn, found, date.today() + timedelta(days=days))
    assert refused.value.field == "until"
    assert (await world.found(conn, vault, ANNA)).subscription.paused_until is None


async def test_a_new_consent_begins_without_the_old_pause(conn: Connection, vault: Vault) -> None:
    weekly = await world.make(conn, vault)
    found = await world.confirmed(conn, vault, weekly.wish(ANNA))
    await subscriptions.pause(conn, found, date.today() + timedelta(days=30))
    leave = await world.link(conn, vault, ANNA, "leave")
    await subscriptions.leave(conn, vault, leave, "page")
    await subscriptions.ask_back(conn, vault, leave, HOURS)
    await subscriptions.confirm(conn, vault, await world.link(conn, vault, ANNA, "confirm"), {})
    held = (await world.found(conn, vault, ANNA)).subscription
    assert (held.state, held.paused_until) == ("confirmed", None)


async def test_whoever_thinks_better_of_leaving_is_asked_anew_under_the_words_of_today(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    leave = await world.link(conn, vault, ANNA, "leave")
    await subscriptions.ask_back(conn, vault, leave, HOURS)  # nothing was left yet
    assert (await world.found(conn, vault, ANNA)).subscription.state == "confirmed"
    await subscriptions.leave(conn, vault, leave, "page")
    house = await subjects.house(conn, vault)
    newer = world.words("en", retention="one year")
    today = await notices.publish(conn, house, newer, actor="staff:anna")
    before = await mails(conn)
    for _ in range(3):
        await subscriptions.ask_back(conn, vault, leave, HOURS)
    assert await mails(conn) == [*before, "confirm"]
    held = (await world.found(conn, vault, ANNA)).subscription
    assert (held.state, held.notice) == ("pending", today.id)
    confirm = await world.link(conn, vault, ANNA, "confirm")
    assert (await subscriptions.confirm(conn, vault, confirm, {}))[0] == "confirmed"
    own = await people.find(conn, vault, ANNA)
    asked = [e.content for e in own.record if e.content["type"] == "subscription.requested"]
    assert asked[-1]["evidence"] == {"channel": "undo", "cadence": "weekly"}
    assert asked[-1]["notice"]["id"] == today.id


async def test_whoever_wished_never_to_be_written_to_is_not_asked_anew(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    leave = await world.link(conn, vault, ANNA, "leave")
    own = await people.find(conn, vault, ANNA)
    await subscriptions.end(conn, vault, own, "page", "person", "subject")
    before = await site.content(conn)
    await subscriptions.ask_back(conn, vault, leave, HOURS)
    assert await site.content(conn) == before


async def test_why_somebody_left_is_counted_once_and_kept_beside_nobody(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    for email in (ANNA, BORIS):
        await world.confirmed(conn, vault, weekly.wish(email))
    leave = await world.link(conn, vault, ANNA, "leave")
    await subscriptions.tell_why(conn, vault, leave, "unsafe")  # has not left yet
    assert await subscriptions.reasons(conn, weekly.newsletter.id) == []
    await subscriptions.leave(conn, vault, leave, "page")
    for _ in range(2):
        await subscriptions.tell_why(conn, vault, leave, "unsafe")
    boris = await world.link(conn, vault, BORIS, "leave")
    await subscriptions.leave(conn, vault, boris, "one-click")
    await subscriptions.tell_why(conn, vault, boris, "unsafe")
    (counted,) = await subscriptions.reasons(conn, weekly.newsletter.id)
    assert (counted.reason, counted.count) == ("unsafe", 2)
    everything = await site.content(conn)
    assert [table for table, rows in everything.items() if "unsafe" in str(rows)] == ["leaving"]
    await subscriptions.ask_back(conn, vault, leave, HOURS)
    await subscriptions.confirm(conn, vault, await world.link(conn, vault, ANNA, "confirm"), {})
    await subscriptions.leave(conn, vault, leave, "page")
    await subscriptions.tell_why(conn, vault, leave, "often")
    reasons = await subscriptions.reasons(conn, weekly.newsletter.id)
    assert {r.reason: r.count for r in reasons} == {"unsafe": 2, "often": 1}
