"""What has had its time goes by itself, and nothing else does."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from mailer import (
    address,
    config,
    consent,
    limits,
    people,
    rectification,
    retention,
    subjects,
    subscribers,
    subscriptions,
)
from mailer.config import Settings, Source
from mailer.consent import SUBJECT
from mailer.db import Connection, Pool
from mailer.errors import Misconfigured
from mailer.retention import Terms
from mailer.vault import Vault, new_master
from tests import commands, world
from tests.test_whole_road import until, working
from tests.world import ANNA, BORIS, HOURS, VERA

TERMS = Terms(timedelta(hours=HOURS), timedelta(days=30))


async def sweep(conn: Connection, keys: Vault) -> dict[str, int]:
    async with conn.transaction():
        return dict(await retention.sweep(conn, keys, TERMS))


async def due(conn: Connection) -> dict[str, int]:
    found = await retention.outlook(conn, TERMS)
    return {what: each.due for what, each in found.items() if each.due}


async def late(conn: Connection) -> None:
    """Nobody has answered in time."""
    await conn.execute("update subscription set expires_at = now() - interval '1 second'")


async def long_ago(conn: Connection, days: int) -> None:
    """Whoever has left did so that many days before."""
    await conn.execute(
        "update subscription set left_at = left_at - make_interval(days => $1)", days
    )


async def known(conn: Connection, keys: Vault, email: str) -> bool:
    return await subscribers.by_address(conn, keys, address.parse(email)) is not None


async def leave(conn: Connection, keys: Vault, email: str) -> None:
    await subscriptions.leave(conn, keys, await world.link(conn, keys, email, "leave"), "page")


async def test_whoever_never_confirmed_is_erased_in_time_and_not_before(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    await world.ask(conn, vault, weekly.wish(ANNA))
    assert await sweep(conn, vault) == {}
    looked = (await retention.outlook(conn, TERMS))["unconfirmed subscriptions"]
    assert (looked.due, looked.later) == (0, 1)
    assert looked.next == await conn.fetchval("select expires_at from subscription")
    await late(conn)
    assert await due(conn) == {"unconfirmed subscriptions": 1}
    assert await sweep(conn, vault) == {"unconfirmed subscriptions": 1}
    assert not await known(conn, vault, ANNA)
    house = await consent.of(conn, await subjects.house(conn, vault))
    assert house[-1].content["evidence"]["cause"] == "retention"
    assert await sweep(conn, vault) == {}


async def test_who_has_other_subscriptions_loses_only_the_unconfirmed_one(
    conn: Connection, vault: Vault
) -> None:
    weekly, cases = await world.make(conn, vault), await world.make(conn, vault, "cases")
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    await world.ask(conn, vault, cases.wish(ANNA))
    await late(conn)
    assert await sweep(conn, vault) == {"unconfirmed subscriptions": 1}
    own = await people.find(conn, vault, ANNA)
    assert [f.newsletter.slug for f in own.subscriptions] == ["weekly"]
    last = own.record[-1].content
    assert (last["type"], last["newsletter"], last["actor"]) == (
        "consent.expired", "cases", "system",
    )  # fmt: skip


async def test_the_proof_of_an_earlier_consent_outlives_a_request_nobody_answered(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    await leave(conn, vault, ANNA)
    await long_ago(conn, 10)
    left = await conn.fetchval("select left_at from subscription")
    await world.ask(conn, vault, weekly.wish(ANNA))
    await late(conn)
    await sweep(conn, vault)
    held = (await world.found(conn, vault, ANNA)).subscription
    assert (held.state, held.left_at) == ("left", left)


async def test_whoever_left_is_kept_for_the_proof_and_then_erased(
    conn: Connection, vault: Vault
) -> None:
    weekly, cases = await world.make(conn, vault), await world.make(conn, vault, "cases")
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    for email in (BORIS, VERA):
        await world.confirmed(conn, vault, weekly.wish(email))
        await leave(conn, vault, email)
    await long_ago(conn, 29)
    await world.ask(conn, vault, cases.wish(VERA))  # who is being asked about another
    assert await sweep(conn, vault) == {}
    await long_ago(conn, 1)
    assert await due(conn) == {"people who left": 1}
    assert await sweep(conn, vault) == {"people who left": 1}
    assert [await known(conn, vault, email) for email in (ANNA, BORIS, VERA)] == [
        True, False, True,
    ]  # fmt: skip
    async with conn.transaction():
        assert [f async for f in consent.verify(conn, vault, consent.Verification())] == []


async def test_whoever_is_restricted_is_kept_until_it_is_lifted(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    await leave(conn, vault, ANNA)
    await world.ask(conn, vault, weekly.wish(BORIS))
    await long_ago(conn, 31)
    await late(conn)
    for email in (ANNA, BORIS):
        own = await people.find(conn, vault, email)
        await people.restrict(conn, vault, own, "staff", actor="staff:anna")
    assert (await due(conn), await sweep(conn, vault)) == ({}, {})
    for email in (ANNA, BORIS):
        own = await people.find(conn, vault, email)
        await people.unrestrict(conn, vault, own, "staff", actor="staff:anna")
    assert await sweep(conn, vault) == {"unconfirmed subscriptions": 1, "people who left": 1}


async def test_letters_requests_and_new_addresses_go_in_their_time(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    own = await people.find(conn, vault, ANNA)
    await rectification.ask(conn, vault, own, BORIS, language="en", hours=HOURS, actor=SUBJECT)
    await conn.execute("update outbox set state = 'dropped', settled_at = now()")
    await subscriptions.request(conn, vault, weekly.wish(VERA))
    await limits.count(conn, b"k" * 32, 600)
    assert await sweep(conn, vault) == {}
    await conn.execute(
        """update outbox set created_at = created_at - interval '31 days',
               settled_at = settled_at - interval '31 days'"""
    )
    await conn.execute("update request set created_at = created_at - interval '72 hours'")
    await conn.execute("update address_change set expires_at = now()")
    await conn.execute("update hit set window_start = window_start - interval '25 hours'")
    expected = {"requests": 1, "new addresses": 1, "settled mails": 2}
    assert await due(conn) == {**expected, "counts of forms": 2}
    assert await sweep(conn, vault) == expected
    assert await due(conn) == {}


async def test_somebody_busy_is_left_for_the_next_time(
    pool: Pool, conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    await leave(conn, vault, ANNA)
    await world.ask(conn, vault, weekly.wish(BORIS))
    await long_ago(conn, 31)
    await late(conn)
    async with pool.acquire() as other, other.transaction():
        await other.execute("select from subscription for update")
        assert await sweep(conn, vault) == {}
    assert len(await sweep(conn, vault)) == 2


async def test_a_worker_sweeps_without_being_asked(
    pool: Pool, conn: Connection, vault: Vault, settings: Settings
) -> None:
    weekly = await world.make(conn, vault)
    for n in range(retention.BATCH + 5):
        await world.ask(conn, vault, weekly.wish(f"reader{n}@example.org"))
    await late(conn)
    async with working(settings, pool, vault):

        async def gone() -> bool:
            return not await conn.fetchval("select exists (select from subscriber)")

        await until(gone, seconds=60)


async def test_by_command_a_dry_run_lists_and_deletes_nothing(
    conn: Connection, settings: Settings
) -> None:
    key = new_master()
    keys = await subjects.open_vault(conn, key)
    weekly = await world.make(conn, keys)
    await world.ask(conn, keys, weekly.wish(ANNA))
    await late(conn)
    listed = json.loads(await commands.done(settings, key, "retention", "--dry-run", "--json"))
    assert {row["what"]: row["due"] for row in listed} == {
        "requests": 0, "unconfirmed subscriptions": 1, "new addresses": 0, "people who left": 0,
        "settled mails": 0, "reports that came back": 0, "bounces": 0, "marks of reports": 0,
        "asked in vain": 0, "counts of forms": 0, "requests about data": 0, "pictures": 0,
    }  # fmt: skip
    assert await known(conn, keys, ANNA)
    said = await commands.done(settings, key, "retention")
    assert said == "Deleted: 1 unconfirmed subscriptions.\n"
    assert not await known(conn, keys, ANNA)
    assert "nothing has had its time" in await commands.done(settings, key, "retention")


@pytest.mark.parametrize("given", ["-1", "36501", "soon"])
def test_proof_days_are_days(tmp_path: Path, given: str) -> None:
    with pytest.raises(Misconfigured, match="MAILER_PROOF_DAYS must be a whole number of days"):
        config.read(Source({"MAILER_PROOF_DAYS": given}), tmp_path, dev=False)
