"""The secret key is replaced while everything runs: nobody waits, and nothing fails."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest

from mailer import (
    config,
    consent,
    keys,
    people,
    subjects,
    subscribers,
    subscriptions,
    vault,
)
from mailer.config import Listen, Settings
from mailer.db import Connection, Pool
from mailer.errors import Misconfigured
from mailer.mailbox import Mailbox
from mailer.vault import Vault, key_id, masters
from mailer.web import app
from tests import commands, site, world
from tests.test_pages import free_port, served
from tests.test_whole_road import until, working
from tests.world import ANNA

OLD, NEW = vault.new_master(), vault.new_master()
BOTH = f"{NEW} {OLD}"
NAMES = {text: key_id(masters(text)[0]) for text in (OLD, NEW)}


async def rotate(conn: Connection, held: Vault) -> int:
    """What the command does, as long as nobody else is there."""
    await keys.turn(conn, held)
    done = 0
    for step in (keys.rewrap_subjects, keys.rewrap_requests, keys.rewrap_import_lines):
        found = await step(conn, held, None)
        done += len(found)
    return done


async def names(conn: Connection) -> set[bytes]:
    return {each.name for each in await keys.counts(conn)}


@pytest.fixture
async def old(conn: Connection) -> Vault:
    """Takes the place of `vault`: the database is written with OLD."""
    return await subjects.open_vault(conn, OLD)


async def test_a_new_key_wraps_nothing_until_it_is_its_turn(conn: Connection, old: Vault) -> None:
    both = await subjects.open_vault(conn, BOTH)
    assert both.wraps == NAMES[OLD]
    weekly = await world.make(conn, both)
    await world.confirmed(conn, both, weekly.wish(ANNA))
    assert await names(conn) == {NAMES[OLD]}
    assert (await people.find(conn, old, ANNA)).address.given == ANNA


async def test_afterwards_the_new_key_opens_everything_and_the_old_one_nothing(
    conn: Connection, old: Vault
) -> None:
    weekly = await world.make(conn, old)
    await world.confirmed(conn, old, weekly.wish(ANNA))
    async with conn.transaction():
        await subscriptions.request(conn, old, weekly.wish("boris@example.org"))
    link = await world.link(conn, old, ANNA, "leave")
    assert await rotate(conn, await subjects.open_vault(conn, BOTH)) == 3
    assert await names(conn) == {NAMES[NEW]}
    with pytest.raises(Misconfigured):
        await subjects.open_vault(conn, OLD)
    for wrapped in await conn.fetch(
        "select id, dek from subject union select id, dek from request"
    ):
        with pytest.raises(Misconfigured):
            old.unwrap(wrapped["id"], wrapped["dek"])
    new = await subjects.open_vault(conn, NEW)
    assert (await people.find(conn, new, ANNA)).address.given == ANNA
    assert await world.link(conn, new, ANNA, "leave") == link
    assert await subscriptions.admit(conn, new, world.HOURS, 50) == 1
    async with conn.transaction():
        assert [f async for f in consent.verify(conn, new, consent.Verification())] == []


async def test_a_process_learns_at_its_beat_which_key_wraps(conn: Connection, old: Vault) -> None:
    running = await subjects.open_vault(conn, BOTH)
    process = uuid4()
    await keys.beat(conn, running, process, "web")
    held = await subjects.open_vault(conn, BOTH)
    await keys.turn(conn, held)
    assert [each.id for each in await keys.behind(conn, held)] == [process]
    await keys.beat(conn, running, process, "web")
    assert running.wraps == NAMES[NEW]
    assert await keys.behind(conn, held) == []
    with pytest.raises(Misconfigured):
        await keys.beat(conn, old, uuid4(), "worker")


async def test_whoever_is_busy_is_passed_over_and_taken_in_the_next_round(
    pool: Pool, conn: Connection, old: Vault
) -> None:
    weekly = await world.make(conn, old)
    held = await world.confirmed(conn, old, weekly.wish(ANNA))
    both = await subjects.open_vault(conn, BOTH)
    async with pool.acquire() as other, other.transaction():
        await other.execute("select from subject where id = $1 for update", held.subject.id)
        assert await rotate(conn, both) == 1  # the house alone
    assert await rotate(conn, both) == 1
    assert await names(conn) == {NAMES[NEW]}


async def test_a_transaction_begun_before_is_waited_for(pool: Pool, conn: Connection) -> None:
    async with pool.acquire() as other:
        writing = other.transaction()
        await writing.start()
        await other.execute("insert into pace (name, at) values ('x', now())")
        moment = await keys.moment(conn)
        assert not await keys.is_past(conn, moment)
        await writing.commit()
    await until(lambda: keys.is_past(conn, moment))


# by command, on a running service


async def test_a_process_that_lacks_the_new_key_stops_the_rotation(
    conn: Connection, old: Vault, settings: Settings
) -> None:
    beating = asyncio.create_task(beat_for_ever(conn, old))
    refused = await commands.run(settings, BOTH, "keys", "rotate")
    beating.cancel()
    assert refused.returncode == 1
    assert "1 of the running processes (web" in refused.stderr
    assert "restart them with the new key first" in refused.stderr
    assert await names(conn) == {NAMES[OLD]}


async def beat_for_ever(conn: Connection, held: Vault) -> None:
    process = uuid4()
    while True:
        await keys.beat(conn, held, process, "web")
        await asyncio.sleep(1)


@pytest.fixture
async def mailbox(tmp_path: Path) -> AsyncIterator[tuple[Mailbox, int]]:
    box = Mailbox(tmp_path / "mail")
    yield box, await box.start()
    await box.stop()


async def test_under_load_no_request_fails_and_every_row_ends_on_the_new_key(
    conn: Connection, pool: Pool, settings: Settings, old: Vault, mailbox: tuple[Mailbox, int]
) -> None:
    weekly = await world.make(conn, old)
    running = await subjects.open_vault(conn, BOTH)
    listen, stop = Listen("127.0.0.1", free_port()), asyncio.Event()
    url = f"http://{listen.host}:{listen.port}"
    settings = replace(
        settings, listen=listen, base_url=url, smtp=(config.smtp(f"smtp://127.0.0.1:{mailbox[1]}"),),
        trusted_proxies=config.networks("127.0.0.0/8"),
    )  # fmt: skip
    serving = asyncio.create_task(app.serve(settings, pool, running, stop))
    await served(url)
    statuses: list[int] = []
    numbers = count()
    rotated = asyncio.Event()

    async def visitor(http: aiohttp.ClientSession) -> None:
        """Asks for the newsletter and opens the form, until a while after the rotation."""
        while not rotated.is_set():
            n = next(numbers)
            sent = site.fields(weekly, f"reader{n}@example.org")
            seen = {"X-Forwarded-For": f"{1 + n % 200}.{n // 200 % 250}.7.1"}
            async with http.post(f"{url}/subscribe", json=sent, headers=seen) as answer:
                statuses.append(answer.status)
            async with http.get(f"{url}/form?newsletter=weekly") as answer:
                statuses.append(answer.status)
            await asyncio.sleep(0.1)

    async with aiohttp.ClientSession() as http, working(settings, pool, running):
        visitors = [asyncio.create_task(visitor(http)) for _ in range(4)]
        await until(lambda: len(statuses) > 60, seconds=60)
        held = await people_with_links(conn, running)
        done = await commands.run(settings, BOTH, "keys", "rotate", "--json")
        assert done.returncode == 0, done.stderr
        await asyncio.sleep(0.5)
        rotated.set()
        await asyncio.gather(*visitors)
        for link in held:  # mailed before, pressed after
            async with http.post(f"{url}/u/{link}") as answer:
                statuses.append(answer.status)

        async def admitted() -> bool:
            return not await conn.fetchval("select exists (select from request)")

        await until(admitted, seconds=120)
        await until(lambda: all_mailed(conn), seconds=120)
    stop.set()
    await serving
    assert set(statuses) == {200, 202}
    assert json.loads(done.stdout)["rewrapped"] > 10
    assert await names(conn) == {NAMES[NEW]}
    assert await conn.fetchval("select count(*) from subscriber") == statuses.count(202)
    assert await conn.fetchval("select count(*) from outbox where state = 'sent'") == (
        statuses.count(202)
    )
    new = await subjects.open_vault(conn, NEW)
    house = await consent.of(conn, await subjects.house(conn, new))
    last = house[-1].content
    assert last["type"] == "key.rotated"
    assert (last["evidence"]["from"], last["evidence"]["to"]) == (
        [NAMES[OLD].hex()],
        NAMES[NEW].hex(),
    )
    again = await commands.run(settings, NEW, "keys", "list", "--json")
    assert [(row["key"], row["setting"]) for row in json.loads(again.stdout)] == [
        (NAMES[NEW].hex(), "newest")
    ]


async def people_with_links(conn: Connection, held: Vault) -> list[str]:
    some = await conn.fetch("select id from subscriber limit 3")
    found = [await subscribers.get(conn, row["id"]) for row in some]
    owned = [await subscriptions.own(conn, held, each) for each in found if each]
    return [
        str(place.subscription.token(place.subject, "leave"))
        for own in owned
        for place in own.subscriptions
    ]


async def all_mailed(conn: Connection) -> bool:
    return not await conn.fetchval("select exists (select from outbox where state = 'waiting')")
