"""Imports beside visitors, suppressions, erasures and crashes of the same moment."""

import asyncio
import io
from dataclasses import replace

import asyncpg
import pytest

from mailer import (
    address,
    consent,
    imports,
    newsletters,
    outbox,
    people,
    replay,
    subscribers,
    subscriptions,
)
from mailer.db import Connection, Pool
from mailer.imports import Line, Manner, Person, Reading
from mailer.newsletters import Newsletter
from mailer.vault import Vault
from tests import world
from tests.world import HOURS, World

STAFF = "staff:anna"
MANY = 60


@pytest.fixture
async def weekly(conn: Connection, vault: Vault) -> World:
    return await world.make(conn, vault)


def emails(many: int = MANY) -> list[str]:
    return [f"reader{n}@example.org" for n in range(many)]


async def going(conn: Connection, vault: Vault, newsletter: Newsletter, some: list[str]) -> int:
    """A list with these people, on its way."""
    terms = await imports.terms(conn, newsletter, documented=False)
    reading = Reading(io.BytesIO("\n".join(["email", *some]).encode()), Manner())
    id_ = await imports.begin(conn, terms, by=STAFF)
    found = [imports.check(line, terms) for line in reading if isinstance(line, Line)]
    await imports.stage(conn, vault, id_, [each for each in found if isinstance(each, Person)])
    await imports.close(conn, id_, reading.sha256)
    await imports.start(conn, id_)
    return id_


async def take_all(pool: Pool, vault: Vault, at_once: int) -> None:
    async with pool.acquire() as own:
        await outbox.by_key(own)
        taken = 1
        while taken:
            async with own.transaction():
                taken = await imports.take(own, vault, HOURS, at_once)


async def unbroken(conn: Connection, vault: Vault) -> None:
    """The record holds, and says the same as the subscriptions."""
    async with conn.transaction():
        assert [finding async for finding in replay.check(conn, vault)] == []
        seen = consent.Verification()
        assert [finding async for finding in consent.verify(conn, vault, seen)] == []


async def test_visitors_who_ask_at_the_same_moment_get_one_mail(
    pool: Pool, conn: Connection, vault: Vault, weekly: World
) -> None:
    """Some are known from another newsletter, some are new; the forms come in another order."""
    other = await newsletters.add(conn, "other", {"en": "Other"}, fallback="en",
                                  cadences=("weekly",))  # fmt: skip
    for email in emails()[::3]:
        await world.ask(conn, vault, replace(weekly.wish(email), newsletters=(other.slug,)))
    for email in reversed(emails()):
        await subscriptions.request(conn, vault, weekly.wish(email))

    async def admit() -> None:
        async with pool.acquire() as own:
            taken = 1
            while taken:
                async with own.transaction():
                    taken = await subscriptions.admit(own, vault, HOURS, 7)

    id_ = await going(conn, vault, weekly.newsletter, emails())
    await asyncio.gather(admit(), take_all(pool, vault, 10), admit(), take_all(pool, vault, 10))
    found = await imports.find(conn, id_)
    assert (found.state, found.asked + found.known, found.waiting) == ("done", MANY, 0)
    mails = await conn.fetch(
        "select count(*) from outbox o join subscription s on s.id = o.subscription "
        "where s.newsletter = $1 group by s.subscriber",
        weekly.newsletter.id,
    )
    assert [row["count"] for row in mails] == [1] * MANY
    await unbroken(conn, vault)


async def test_no_mail_goes_to_whoever_is_suppressed_or_erased_at_the_same_moment(
    pool: Pool, conn: Connection, vault: Vault, weekly: World
) -> None:
    for email in emails()[::2]:
        await world.confirmed(conn, vault, weekly.wish(email))
    other = await newsletters.add(conn, "other", {"en": "Other"}, fallback="en",
                                  cadences=("weekly",))  # fmt: skip
    await going(conn, vault, other, emails())

    async def away(email: str, number: int) -> None:
        async with pool.acquire() as own, own.transaction():
            if number % 4 == 0:
                held = await people.find(own, vault, email)
                await people.erase(own, vault, held, never_again=True, actor=STAFF)
            else:
                await people.suppress(own, vault, email, actor=STAFF)

    async def all_away() -> None:
        for number, email in enumerate(emails()):
            await away(email, number)

    await asyncio.gather(take_all(pool, vault, 8), all_away())
    worker = await conn.fetchval("insert into worker values (gen_random_uuid()) returning id")
    while claimed := await outbox.claim_letters(conn, worker, 500):
        mails = await outbox.mails(conn, claimed)
        asked = {
            mail.id: vault.suppression(
                subscribers.open_address(
                    vault.unwrap(mail.subscriber, mail.dek), mail.address
                ).normal
            )
            for mail in mails
        }
        assert not any((await outbox.turn(conn, worker, [], asked, letters=True)).values())
        await conn.execute("delete from batch where id = any ($1)", claimed)
    for number, email in enumerate(emails()):
        held = await subscribers.by_address(conn, vault, address.parse(email))
        assert held is None or number % 4


async def test_what_a_crash_took_back_is_taken_in_again_once(
    pool: Pool, conn: Connection, vault: Vault, weekly: World
) -> None:
    id_ = await going(conn, vault, weekly.newsletter, emails())

    async def killed() -> None:
        async with pool.acquire() as own, own.transaction():
            assert await imports.take(own, vault, HOURS, 20) == 20
            pid = await own.fetchval("select pg_backend_pid()")
            await conn.execute("select pg_terminate_backend($1)", pid)
            await own.fetch("select pg_sleep(5)")

    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError)):
        await killed()
    assert (await imports.find(conn, id_)).asked == 0
    await take_all(pool, vault, 20)
    found = await imports.find(conn, id_)
    assert (found.state, found.asked) == ("done", MANY)
    assert await conn.fetchval("select count(*) from outbox") == MANY
    await unbroken(conn, vault)


async def test_who_asks_by_a_form_goes_before_all_of_a_list(
    conn: Connection, vault: Vault, weekly: World
) -> None:
    """Also before letters of the list that were put off, and are due again."""
    await going(conn, vault, weekly.newsletter, emails(10))
    assert await imports.take(conn, vault, HOURS, 500) == 10
    worker = await conn.fetchval("insert into worker values (gen_random_uuid()) returning id")
    (first,) = await outbox.claim_letters(conn, worker, 1)
    (mail,) = await outbox.mails(conn, [first])
    await outbox.move(conn, worker, None, [(mail.id, None)], attempts=1)
    await outbox.end(conn, worker, [first])
    await world.ask(conn, vault, weekly.wish("visitor@example.org"))
    (first,) = await outbox.claim_letters(conn, worker, 1)
    (mail,) = await outbox.mails(conn, [first])
    visitor = await subscribers.by_address(conn, vault, address.parse("visitor@example.org"))
    assert visitor is not None
    assert mail.subscriber == visitor.id
