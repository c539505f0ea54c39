"""A new address: it counts once its reader says so, and tells nobody anything before."""

import asyncio
from datetime import timedelta

import pytest

from mailer import (
    address,
    consent,
    people,
    rectification,
    subscribers,
    subscriptions,
    suppressions,
)
from mailer import (
    vault as vaults,
)
from mailer.consent import SUBJECT
from mailer.db import Connection, Pool
from mailer.errors import Conflict, Invalid, TooMany
from mailer.tokens import Token
from mailer.vault import Vault
from tests import world
from tests.test_delivery import Post
from tests.world import ANNA, BORIS, HOURS, VERA

NEW = "anna.new@example.net"
ON_THE_PAGE = {"channel": "page", "page": "test"}


@pytest.fixture
def post(settings, pool: Pool, vault: Vault, conn: Connection) -> Post:  # type: ignore[no-untyped-def]  # as in test_delivery
    return Post(settings, pool, vault, conn)


async def ask(conn: Connection, keys: Vault, email: str, new: str) -> None:
    own = await people.find(conn, keys, email)
    await rectification.ask(conn, keys, own, new, language="en", hours=HOURS, actor=SUBJECT)


async def link(conn: Connection, keys: Vault, email: str) -> str:
    """The token in the letter to the new address."""
    own = await people.find(conn, keys, email)
    row = await conn.fetchrow(
        "select handle, asked_at from address_change where subscriber = $1", own.subscriber.id
    )
    assert row is not None
    bound = rectification.bound_to(own.subscriber.id, row["asked_at"])
    proof = vaults.proof(own.subscriber.subject(keys), "address", bound)
    return str(Token(row["handle"], proof))


async def subscribed(conn: Connection, keys: Vault, *emails: str) -> None:
    weekly = await world.make(conn, keys)
    for email in emails:
        await world.confirmed(conn, keys, weekly.wish(email))
    await conn.execute("delete from outbox")


async def test_until_it_is_confirmed_everything_stays_as_it_is(post: Post) -> None:
    conn, keys = post.conn, post.vault
    await subscribed(conn, keys, ANNA)
    await ask(conn, keys, ANNA, NEW)
    handed = (await post.round()).handed
    assert [recipient for _, _, recipient in handed] == [NEW]
    body = handed[0][0].replace(b"=\r\n", b"")
    assert f"/address/{await link(conn, keys, ANNA)}".encode() in body
    assert ANNA.encode() not in body
    assert (await people.find(conn, keys, ANNA)).address.given == ANNA


async def test_with_their_yes_the_new_address_is_theirs_and_the_consent_stays(post: Post) -> None:
    conn, keys = post.conn, post.vault
    await subscribed(conn, keys, ANNA)
    before = (await people.find(conn, keys, ANNA)).subscriber.id
    await ask(conn, keys, ANNA, NEW)
    text = await link(conn, keys, ANNA)
    outcome, own = await rectification.confirm(conn, keys, text, ON_THE_PAGE)
    assert outcome == "changed"
    found = await people.find(conn, keys, NEW)
    assert (found.subscriber.id, found.address.given) == (before, NEW)
    assert own == found.subscriber.manage_token(keys)
    assert found.subscriptions[0].subscription.state == "confirmed"
    assert await subscribers.by_address(conn, keys, address.parse(ANNA)) is None
    last = found.record[-1].content
    assert last["type"] == "address.changed"
    assert last["evidence"]["asked_by"] == SUBJECT
    assert last["evidence"]["seconds_since_asked"] >= 0
    assert "@" not in str(last)
    again, _ = await rectification.confirm(conn, keys, text, ON_THE_PAGE)
    assert again == "already"


async def test_links_in_the_old_mailbox_end_but_for_those_that_only_withdraw(post: Post) -> None:
    conn, keys = post.conn, post.vault
    await subscribed(conn, keys, ANNA)
    cases = await world.make(conn, keys, "cases")
    await world.ask(conn, keys, cases.wish(ANNA))
    own = await people.find(conn, keys, ANNA)
    manage = str(own.subscriber.manage_token(keys))
    confirm = str(own.subscriptions[1].subscription.token(own.subscriptions[1].subject, "confirm"))
    leave = str(own.subscriptions[0].subscription.token(own.subscriptions[0].subject, "leave"))
    await ask(conn, keys, ANNA, NEW)
    await rectification.confirm(conn, keys, await link(conn, keys, ANNA), ON_THE_PAGE)
    assert await subscriptions.manage(conn, keys, manage) is None
    assert await subscriptions.look(conn, keys, confirm, "confirm") is None
    assert await subscriptions.leave(conn, keys, leave, "page") is not None
    moved = (await people.find(conn, keys, NEW)).subscriber
    forged = Token(moved.handle, own.subscriber.manage_token(keys).proof)
    assert await subscriptions.manage(conn, keys, str(forged)) is None


async def test_somebody_elses_address_is_told_only_to_its_reader(post: Post) -> None:
    conn, keys = post.conn, post.vault
    await subscribed(conn, keys, ANNA, BORIS)
    await ask(conn, keys, ANNA, BORIS)
    assert [recipient for _, _, recipient in (await post.round()).handed] == [BORIS]
    outcome, own = await rectification.confirm(
        conn, keys, await link(conn, keys, ANNA), ON_THE_PAGE
    )
    assert (outcome, own) == ("taken", None)
    assert (await people.find(conn, keys, ANNA)).address.given == ANNA
    assert (await people.find(conn, keys, BORIS)).address.given == BORIS


async def test_a_suppressed_address_gets_no_letter_and_nobody_learns_of_it(post: Post) -> None:
    conn, keys = post.conn, post.vault
    await subscribed(conn, keys, ANNA)
    await suppressions.add(conn, keys, address.parse(NEW), "person")
    await ask(conn, keys, ANNA, NEW)
    assert (await post.round()).handed == []
    outcome, _ = await rectification.confirm(conn, keys, await link(conn, keys, ANNA), ON_THE_PAGE)
    assert outcome == "unknown"


async def test_asking_anew_ends_the_earlier_link_and_the_letter_goes_to_the_later(
    post: Post,
) -> None:
    conn, keys = post.conn, post.vault
    await subscribed(conn, keys, ANNA)
    await ask(conn, keys, ANNA, VERA)
    earlier = await link(conn, keys, ANNA)
    await ask(conn, keys, ANNA, NEW)
    assert await rectification.look(conn, keys, earlier) is None
    assert {recipient for _, _, recipient in (await post.round()).handed} == {NEW}


async def test_no_forgets_the_new_address_and_a_letter_still_waiting_is_dropped(
    post: Post,
) -> None:
    conn, keys = post.conn, post.vault
    await subscribed(conn, keys, ANNA)
    await ask(conn, keys, ANNA, NEW)
    assert await rectification.refuse(conn, keys, await link(conn, keys, ANNA))
    assert await conn.fetchval("select count(*) from address_change") == 0
    assert (await post.round()).handed == []
    assert [state for state, _ in await post.states()] == ["dropped"]


async def test_a_link_holds_as_long_as_any_confirmation(post: Post) -> None:
    conn, keys = post.conn, post.vault
    await subscribed(conn, keys, ANNA)
    await ask(conn, keys, ANNA, NEW)
    text = await link(conn, keys, ANNA)
    left = await conn.fetchval("select expires_at - now() from address_change")
    assert timedelta(hours=HOURS - 1) < left <= timedelta(hours=HOURS)
    await conn.execute("update address_change set expires_at = now() - interval '1 second'")
    assert await rectification.look(conn, keys, text) is None
    assert (await rectification.confirm(conn, keys, text, ON_THE_PAGE))[0] == "unknown"


async def test_nobody_is_flooded_with_letters(post: Post) -> None:
    conn, keys = post.conn, post.vault
    everybody = [f"reader{n}@example.org" for n in range(4)]
    await subscribed(conn, keys, *everybody)
    for email in everybody[:3]:
        await ask(conn, keys, email, NEW)
    assert len((await post.round()).handed) == 3
    await ask(conn, keys, everybody[3], NEW)
    assert (await post.round()).handed == []
    for _ in range(rectification.ASKED_MOST - 1):
        await ask(conn, keys, everybody[0], VERA)
    with pytest.raises(TooMany):
        await ask(conn, keys, everybody[0], VERA)


async def test_what_is_no_address_or_may_not_be_used_is_refused(
    conn: Connection, vault: Vault
) -> None:
    await subscribed(conn, vault, ANNA)
    with pytest.raises(Invalid):
        await ask(conn, vault, ANNA, "nobody")
    own = await people.find(conn, vault, ANNA)
    await people.restrict(conn, vault, own, "page", actor=SUBJECT)
    with pytest.raises(Conflict):
        await ask(conn, vault, ANNA, NEW)


async def test_the_same_address_in_another_spelling_is_a_change_like_any(
    conn: Connection, vault: Vault
) -> None:
    await subscribed(conn, vault, ANNA)
    await ask(conn, vault, ANNA, "Anna@example.org")
    text = await link(conn, vault, ANNA)
    assert (await rectification.confirm(conn, vault, text, ON_THE_PAGE))[0] == "changed"
    assert (await people.find(conn, vault, ANNA)).address.given == "Anna@example.org"


async def test_two_clicks_at_once_change_it_once(
    pool: Pool, conn: Connection, vault: Vault
) -> None:
    await subscribed(conn, vault, ANNA)
    await ask(conn, vault, ANNA, NEW)
    text = await link(conn, vault, ANNA)

    async def click() -> str:
        async with pool.acquire() as own, own.transaction():
            return (await rectification.confirm(own, vault, text, ON_THE_PAGE))[0]

    assert sorted(await asyncio.gather(*(click() for _ in range(4)))) == ["already"] * 3 + [
        "changed"
    ]
    record = (await people.find(conn, vault, NEW)).record
    assert [e.content["type"] for e in record].count("address.changed") == 1
    async with conn.transaction():
        assert [f async for f in consent.verify(conn, vault, consent.Verification())] == []
