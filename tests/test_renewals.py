"""Asking readers who agreed to older words to agree to newer ones."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mailer import address, notices, people, renewals, subjects, suppressions
from mailer import subscriptions as places
from mailer.db import Connection, Pool
from mailer.errors import Conflict, Invalid, Unknown
from mailer.notices import Notice
from mailer.renewals import Summary
from mailer.vault import Vault
from tests import world
from tests.world import ANNA, BORIS, VERA, World

SOON = timedelta(days=14)
NEWER = "Yes, send me the weekly digest and, at most once a month, an appeal."


async def newer(
    conn: Connection, vault: Vault, language: str = "en", said: str = NEWER, **more: object
) -> Notice:
    house = await subjects.house(conn, vault)
    words = world.words(language, wording=said, **more)
    return await notices.publish(conn, house, words, actor="staff:anna")


async def begun(conn: Connection, weekly: World, after: timedelta = SOON) -> int:
    by = datetime.now(UTC) + after
    _, readers = await renewals.begin(conn, weekly.newsletter, by, by="staff:anna")
    return readers


async def over(conn: Connection) -> None:
    """The day has come."""
    await conn.execute("update renewal set answer_by = now() - interval '1 second'")


async def sent(conn: Connection) -> None:
    """A mail server took everything."""
    await conn.execute("update outbox set state = 'sent', settled_at = now()")


async def summary(conn: Connection) -> Summary:
    return (await renewals.summaries(conn))[0]


async def types(conn: Connection, vault: Vault, email: str) -> list[str]:
    own = await people.find(conn, vault, email)
    return [event.content["type"] for event in own.record]


async def state(conn: Connection, vault: Vault, email: str) -> str:
    return (await world.found(conn, vault, email)).subscription.state


@pytest.fixture
async def weekly(conn: Connection, vault: Vault) -> World:
    """Anna and Vera confirmed (English, Russian), Boris was asked; all their mails went out."""
    made = await world.make(conn, vault)
    await world.confirmed(conn, vault, made.wish(ANNA))
    await world.confirmed(conn, vault, made.wish(VERA, "ru"))
    await world.ask(conn, vault, made.wish(BORIS))
    await sent(conn)
    return made


async def mails(conn: Connection) -> list[str]:
    return [row["kind"] for row in await conn.fetch(
        "select kind from outbox where state = 'waiting' order by id")]  # fmt: skip


async def test_everyone_confirmed_under_older_words_is_asked_once(
    conn: Connection, vault: Vault, weekly: World
) -> None:
    await newer(conn, vault)
    assert await begun(conn, weekly) == 1
    for _ in range(3):
        await renewals.ask(conn, 100)
    assert await mails(conn) == ["renew"]
    asked = await renewals.asked(conn, (await world.found(conn, vault, ANNA)).subscription.id)
    assert asked is not None
    assert (
        await renewals.asked(conn, (await world.found(conn, vault, VERA)).subscription.id) is None
    )


async def test_who_changed_their_language_is_asked_in_it_only_about_newer_words(
    conn: Connection, vault: Vault, weekly: World
) -> None:
    held = await world.found(conn, vault, ANNA)
    await places.change(conn, held, "ru", "weekly")
    with pytest.raises(Conflict, match="agreed to current words"):
        await begun(conn, weekly)  # in English, but to what is current
    new = await newer(conn, vault, "ru", "Да, присылайте мне рассылку и призывы.")
    await newer(conn, vault)
    await begun(conn, weekly)
    await renewals.ask(conn, 100)
    asked = await renewals.asked(conn, held.subscription.id)
    assert asked is not None
    assert asked.notice == new.id


async def test_the_button_puts_the_new_words_on_record(
    conn: Connection, vault: Vault, weekly: World
) -> None:
    old = (await world.found(conn, vault, ANNA)).notice
    new = await newer(conn, vault)
    await begun(conn, weekly)
    await renewals.ask(conn, 100)
    link = await world.link(conn, vault, ANNA, "renew")
    for _ in range(2):
        await renewals.renew(conn, vault, link, new.id, {"page": "test"})
    last = (await people.find(conn, vault, ANNA)).record[-1].content
    assert (last["type"], last["actor"]) == ("consent.renewed", "subject")
    assert last["notice"] == {"id": new.id, "sha256": new.sha256.hex()}
    assert last["evidence"]["from"] == {"notice": old.id, "sha256": old.sha256.hex()}
    assert (await types(conn, vault, ANNA)).count("consent.renewed") == 1
    assert (await renewals.look(conn, vault, link)).standing == "already"
    await sent(conn)
    await over(conn)
    assert await renewals.end(conn, vault, 100) == 0
    assert await state(conn, vault, ANNA) == "confirmed"
    assert (await summary(conn)).renewed == 1


async def test_the_button_means_nothing_beside_other_words(
    conn: Connection, vault: Vault, weekly: World
) -> None:
    old = (await world.found(conn, vault, ANNA)).notice
    await newer(conn, vault)
    await begun(conn, weekly)
    await renewals.ask(conn, 100)
    link = await world.link(conn, vault, ANNA, "renew")
    for shown in (old.id, "", "0" * 32):
        assert (await renewals.renew(conn, vault, link, shown, {})).standing == "asked"
    assert "consent.renewed" not in await types(conn, vault, ANNA)


async def test_no_answer_changes_nothing_until_the_day_and_then_ends_it(
    conn: Connection, vault: Vault, weekly: World
) -> None:
    await newer(conn, vault)
    await begun(conn, weekly)
    await renewals.ask(conn, 100)
    await sent(conn)
    assert await renewals.end(conn, vault, 100) == 0
    assert await state(conn, vault, ANNA) == "confirmed"
    await over(conn)
    assert await renewals.end(conn, vault, 100) == 1
    assert await renewals.end(conn, vault, 100) == 0
    last = (await people.find(conn, vault, ANNA)).record[-1].content
    assert (last["type"], last["actor"]) == ("consent.expired", "system")
    assert await state(conn, vault, ANNA) == "left"
    assert await state(conn, vault, VERA) == "confirmed"
    assert await state(conn, vault, BORIS) == "pending"
    told = await summary(conn)
    assert (told.asked, told.expired, told.silent) == (1, 1, 0)
    assert told.ended_at is not None
    link = await world.link(conn, vault, ANNA, "renew")
    assert (await renewals.look(conn, vault, link)).standing == "left"


async def test_who_left_and_came_back_under_the_new_words_has_answered(
    conn: Connection, vault: Vault, weekly: World
) -> None:
    new = await newer(conn, vault)
    await begun(conn, weekly)
    await renewals.ask(conn, 100)
    await sent(conn)
    await conn.execute("update subscription set mailed_at = null")
    await places.leave(conn, vault, await world.link(conn, vault, ANNA, "leave"), "page")
    await conn.execute("update renewal_asked set asked_at = asked_at - interval '1 second'")
    await world.confirmed(conn, vault, replace(weekly.wish(ANNA), notice=new.id))
    await over(conn)
    assert await renewals.end(conn, vault, 100) == 0
    assert await state(conn, vault, ANNA) == "confirmed"


async def test_nobody_goes_for_a_question_that_never_reached_them(
    conn: Connection, vault: Vault, weekly: World
) -> None:
    await newer(conn, vault)
    await begun(conn, weekly)
    await suppressions.add(conn, vault, address.parse(ANNA), "bounce")
    await renewals.ask(conn, 100)
    await over(conn)
    assert await renewals.end(conn, vault, 100) == 0
    assert await state(conn, vault, ANNA) == "confirmed"
    assert await mails(conn) == []  # and it is not asked after the day
    told = await summary(conn)
    assert (told.silent, told.ended_at is not None) == (1, True)


async def test_caps_hold_for_renewals_too_and_let_them_through_a_day_later(
    conn: Connection, vault: Vault, weekly: World
) -> None:
    await newer(conn, vault)
    await begun(conn, weekly)
    await world.ask(conn, vault, weekly.wish(ANNA))  # told that she is subscribed, a moment ago
    await renewals.ask(conn, 100)
    assert await mails(conn) == ["already"]
    await conn.execute("update subscription set mailed_at = mailed_at - interval '25 hours'")
    await renewals.ask(conn, 100)
    assert await mails(conn) == ["already", "renew"]


async def test_it_can_be_stopped_and_then_nobody_goes(
    conn: Connection, vault: Vault, weekly: World
) -> None:
    await newer(conn, vault)
    await begun(conn, weekly)
    with pytest.raises(Conflict, match="running already"):
        await begun(conn, weekly)
    await renewals.ask(conn, 100)
    await renewals.stop(conn, weekly.newsletter)
    assert await mails(conn) == []
    await sent(conn)
    await over(conn)
    assert await renewals.end(conn, vault, 100) == 0
    link = await world.link(conn, vault, ANNA, "renew")
    assert (await renewals.look(conn, vault, link)).standing == "already"
    with pytest.raises(Unknown, match="running"):
        await renewals.stop(conn, weekly.newsletter)


async def test_readers_have_a_week_at_least_and_nobody_is_asked_in_the_last_days(
    conn: Connection, vault: Vault, weekly: World
) -> None:
    await newer(conn, vault)
    with pytest.raises(Invalid) as refused:
        await begun(conn, weekly, timedelta(days=6))
    assert refused.value.field == "until"
    await begun(conn, weekly)
    await conn.execute("update renewal set answer_by = now() + interval '2 days'")
    await renewals.ask(conn, 100)
    assert await mails(conn) == []


async def test_two_buttons_at_once_are_recorded_once(
    conn: Connection, pool: Pool, vault: Vault, weekly: World
) -> None:
    new = await newer(conn, vault)
    await begun(conn, weekly)
    await renewals.ask(conn, 100)
    link = await world.link(conn, vault, ANNA, "renew")

    async def press() -> None:
        async with pool.acquire() as mine, mine.transaction():
            await renewals.renew(mine, vault, link, new.id, {})

    await asyncio.gather(*(press() for _ in range(6)))
    assert (await types(conn, vault, ANNA)).count("consent.renewed") == 1


async def test_many_workers_ask_everybody_once_and_let_everybody_go_once(
    conn: Connection, pool: Pool, vault: Vault, weekly: World
) -> None:
    readers = [f"reader{n}@example.org" for n in range(12)]
    for email in readers:
        await world.confirmed(conn, vault, weekly.wish(email))
    await sent(conn)
    await newer(conn, vault)
    assert await begun(conn, weekly) == 13

    async def ask() -> int:
        async with pool.acquire() as mine, mine.transaction():
            return await renewals.ask(mine, 5)

    async def end() -> int:
        async with pool.acquire() as mine, mine.transaction():
            return await renewals.end(mine, vault, 5)

    while sum(await asyncio.gather(*(ask() for _ in range(4)))):
        pass
    assert len(await mails(conn)) == 13
    await sent(conn)
    await over(conn)
    gone = 0
    while more := sum(await asyncio.gather(*(end() for _ in range(4)))):
        gone += more
    assert gone == 13
    for email in readers:
        assert (await types(conn, vault, email)).count("consent.expired") == 1
    assert (await summary(conn)).ended_at is not None


async def test_an_erased_reader_leaves_no_question_behind(
    conn: Connection, vault: Vault, weekly: World
) -> None:
    await newer(conn, vault)
    await begun(conn, weekly)
    await renewals.ask(conn, 100)
    own = await people.find(conn, vault, ANNA)
    await people.erase(conn, vault, own, never_again=False, actor="subject")
    assert await conn.fetchval("select count(*) from renewal_asked") == 0


async def test_a_token_of_another_purpose_answers_nothing(
    conn: Connection, vault: Vault, weekly: World
) -> None:
    new = await newer(conn, vault)
    await begun(conn, weekly)
    await renewals.ask(conn, 100)
    leave = await world.link(conn, vault, ANNA, "leave")
    assert (await renewals.renew(conn, vault, leave, new.id, {})).standing == "unknown"
    assert "consent.renewed" not in await types(conn, vault, ANNA)
