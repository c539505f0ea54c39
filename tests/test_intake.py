"""The door under load and attack: one commit for many, counted by network; who has to wait."""

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from html import unescape
from ipaddress import ip_address

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer import floods, limits, puzzles, subscriptions
from mailer.db import Connection, Pool
from mailer.subscriptions import admitting, requests
from mailer.subscriptions.requests import Kept, Left
from mailer.vault import Vault
from mailer.web import guard, page
from mailer.web.intake import INTAKE, TOGETHER, Intake
from mailer.web.known import KNOWN
from tests import site, world
from tests.site import JSON, Client, fields
from tests.test_puzzles import solution
from tests.world import ANNA, HOURS, World


@dataclass(frozen=True)
class Here:
    """The site behind a proxy, its database and a newsletter."""

    client: Client
    conn: Connection
    vault: Vault
    weekly: World

    async def send(self, email: str, network: str = "192.0.2.1", **more: str) -> int:
        headers = {**JSON, "X-Forwarded-For": network}
        sent = fields(self.weekly, email, "en", **more)
        answer = await self.client.post("/subscribe", data=sent, headers=headers)
        await answer.read()
        return answer.status

    async def sent(self, email: str, network: str = "192.0.2.1", **more: str) -> dict[str, object]:
        """What a form is answered with."""
        headers = {**JSON, "X-Forwarded-For": network}
        sent = fields(self.weekly, email, "en", **more)
        answer = await self.client.post("/subscribe", data=sent, headers=headers)
        said: dict[str, object] = await answer.json()
        return said

    async def solve(self, solution: str) -> int:
        sent = {"puzzle": solution}
        answer = await self.client.post("/subscribe/solution", data=sent, headers=JSON)
        assert await answer.json() == {"status": "check_inbox"}
        return answer.status

    async def queues(self) -> Counter[str]:
        rows = await self.conn.fetch("select slow, proven from request")
        return Counter("slow" if r["slow"] else "proven" if r["proven"] else "prompt" for r in rows)

    async def form(self, network: str = "192.0.2.1", path: str = "/form?newsletter=weekly") -> str:
        answer = await self.client.get(path, headers={"X-Forwarded-For": network})
        return await answer.text()

    async def flood(self) -> None:
        await floods.count(self.conn, {self.weekly.newsletter.id: floods.MANY + 1})
        await floods.watch(self.conn)
        await known(self.client).refresh(now=True)

    def shown(self, seconds: int) -> str:
        """The stamp of a form that was shown so long ago."""
        return guard.stamped(self.vault, int(time.time()) - seconds)


def known(client: Client):  # type: ignore[no-untyped-def]  # of the app
    assert client.app is not None
    return client.app[KNOWN]


@pytest.fixture
async def here(pool: Pool, vault: Vault) -> AsyncIterator[Here]:
    trusting = {"MAILER_TRUSTED_PROXIES": "127.0.0.0/8"}
    async with site.opened(pool, vault, **trusting) as client, pool.acquire() as conn:
        yield Here(client, conn, vault, await world.make(conn, vault))


def posed(form: str) -> str | None:
    """The puzzle in a form."""
    found = re.search(r'data-puzzle="([^"]+)"', form)
    return unescape(found[1]) if found else None


# together


def left(vault: Vault, weekly: World, n: int, network: bytes = b"n" * 32) -> Left:
    sealed = requests.seal(vault, weekly.wish(f"reader{n}@example.org"))
    return Left(sealed, network, None, doubtful=False)


async def test_forms_of_one_moment_are_counted_one_by_one(conn: Connection, vault: Vault) -> None:
    weekly = await world.make(conn, vault)
    those = [left(vault, weekly, n) for n in range(requests.MOST + 3)]
    others = [left(vault, weekly, n, b"o" * 32) for n in range(2)]
    kept = await requests.leave(conn, [others[0], *those, others[1]])
    assert [each.kept for each in kept] == [True, *[True] * requests.MOST, *[False] * 3, True]
    assert [each.present for each in kept] == [1, *range(1, len(those) + 1), 2]
    waiting = {row["id"] for row in await conn.fetch("select id from request")}
    assert waiting == {f.request.id for f in [*others, *those[: requests.MOST]]}


async def test_what_another_release_says_besides_in_a_wish_holds_nobody_up(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    wish = weekly.wish(ANNA)
    object.__setattr__(wish, "colour", "blue")  # it is sealed with all it says
    sealed = requests.seal(vault, wish)
    await requests.leave(conn, [Left(sealed, b"n" * 32, None, doubtful=False)])
    assert await subscriptions.admit(conn, vault, HOURS, 50) == 1
    assert await conn.fetchval("select state from subscription") == "pending"


async def test_no_count_is_lost_and_nobody_waits_for_ever_when_processes_meet(
    pool: Pool, vault: Vault
) -> None:
    async with pool.acquire() as conn:
        weekly = await world.make(conn, vault)
    networks = [bytes([n]) * 32 for n in range(8)]

    async def process(n: int) -> None:
        async with pool.acquire() as conn:
            for _ in range(5):
                turned = networks[n:] + networks[:n]
                await requests.leave(conn, [left(vault, weekly, n, each) for each in turned])

    async with asyncio.timeout(60):
        await asyncio.gather(*(process(n) for n in range(6)))
    async with pool.acquire() as conn:
        counted = await conn.fetch("select key, sum(count) as count from hit group by key")
        assert {row["count"] for row in counted} == {30}
        expected = len(networks) * min(30, requests.MOST)
        assert await conn.fetchval("select count(*) from request") >= expected


async def test_each_of_many_who_come_at_once_gets_their_own_answer(here: Here) -> None:
    many = 2 * TOGETHER + 10
    statuses = await asyncio.gather(
        *(here.send(f"reader{n}@example.org", f"10.{n // 5}.0.1") for n in range(many))
    )
    assert set(statuses) == {202}
    assert await here.conn.fetchval("select count(*) from request") == many


async def test_whoever_gives_up_waiting_takes_nobody_along(pool: Pool, vault: Vault) -> None:
    async with pool.acquire() as conn:
        weekly = await world.make(conn, vault)
    taking = Intake(pool)
    first, second = (
        asyncio.create_task(taking.leave(left(vault, weekly, n), [weekly.newsletter]))
        for n in range(2)
    )
    await asyncio.sleep(0)
    first.cancel()
    async with taking.open():
        assert (await asyncio.wait_for(second, 20)).kept


async def test_a_database_that_is_gone_is_said_and_found_again(pool: Pool, vault: Vault) -> None:
    async with pool.acquire() as conn:
        weekly = await world.make(conn, vault)
    taking = Intake(pool)
    async with taking.open():
        await taking.leave(left(vault, weekly, 1), [weekly.newsletter])
        async with pool.acquire() as conn:
            await conn.execute(
                """select pg_terminate_backend(pid) from pg_stat_activity
                   where datname = current_database() and pid <> pg_backend_pid()"""
            )
        with pytest.raises(page.LOST):
            await taking.leave(left(vault, weekly, 2), [weekly.newsletter])
        assert (await taking.leave(left(vault, weekly, 3), [weekly.newsletter])).kept


async def test_a_fault_of_ours_is_everybodys_and_stops_nothing(
    pool: Pool, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pool.acquire() as conn:
        weekly = await world.make(conn, vault)
    taking = Intake(pool)

    async def broken(conn: Connection, forms: list[Left]) -> list[Kept]:
        raise asyncpg.DataError("broken")

    async with taking.open():
        with monkeypatch.context() as patch:
            patch.setattr(requests, "leave", broken)
            with pytest.raises(asyncpg.DataError):
                await taking.leave(left(vault, weekly, 1), [weekly.newsletter])
        assert (await taking.leave(left(vault, weekly, 2), [weekly.newsletter])).kept


async def test_every_form_is_counted_for_its_newsletters(here: Here) -> None:
    for n in range(3):
        await here.send(f"reader{n}@example.org")
    assert here.client.app is not None
    await here.client.app[INTAKE].count()
    key = floods.key(here.weekly.newsletter.id)
    assert await here.conn.fetchval("select sum(count) from hit where key = $1", key) == 3


# the window


@given(st.integers(0, 300), st.integers(0, 300), st.integers(2, 50), st.floats(0, 599))
def test_who_waits_as_long_as_told_is_not_too_many(
    present: int, before: int, most: int, elapsed: float
) -> None:
    wait = limits.wait(present, before, most, elapsed, 600)
    assert 1 <= wait <= 1201
    later = elapsed + wait
    if later < 600:
        weight = present + 1 + before * (1 - later / 600)
    elif later < 1200:
        weight = 1 + present * (1 - (later - 600) / 600)
    else:
        weight = 1.0
    assert weight <= most + 1e-6


async def test_the_window_slides(here: Here) -> None:
    """What came just before it began counts nearly whole; what came two windows ago, not at all."""
    key = guard.key(here.vault, ip_address("192.0.2.1"))
    await here.conn.execute(
        """insert into hit (key, window_start, count)
           select $1, to_timestamp((floor(extract(epoch from now()) / $2::integer) - 1) * $2),
                  $3""",
        key,
        requests.WINDOW_SECONDS,
        10**6,
    )
    assert await here.send(ANNA) == 429
    await here.conn.execute(
        "update hit set window_start = window_start - make_interval(secs => $1)",
        requests.WINDOW_SECONDS,
    )
    assert await here.send(ANNA) == 202


# who has to wait


async def test_a_form_in_somebodys_own_html_goes_on_at_once(here: Here) -> None:
    assert await here.send(ANNA) == 202
    assert await here.queues() == {"prompt": 1}


@pytest.mark.parametrize(
    ("shown", "queue"),
    [(0, "slow"), (1, "slow"), (10, "prompt"), (3600, "prompt"), (90_000, "slow"), (-60, "slow")],
)
async def test_a_form_sent_faster_than_people_can_or_days_later_has_to_wait(
    here: Here, shown: int, queue: str
) -> None:
    assert await here.send(ANNA, form="hosted/1", stamp=here.shown(shown)) == 202
    assert await here.queues() == {queue: 1}


@pytest.mark.parametrize(
    "stamp", ["", "x", "5f.00000000000000000000000000000000", "\0", "ff" * 300]
)
async def test_a_stamp_that_we_did_not_make_has_to_wait(here: Here, stamp: str) -> None:
    assert await here.send(ANNA, form="element/1", stamp=stamp) == 202
    assert await here.queues() == {"slow": 1}


async def test_what_people_do_not_see_is_filled_in_by_programs_which_wait(here: Here) -> None:
    sent = {"form": "hosted/1", "stamp": here.shown(20), "remark": "cheap watches"}
    assert await here.send(ANNA, **sent) == 202
    assert await here.queues() == {"slow": 1}


async def test_the_answer_is_the_same_for_who_has_to_wait(here: Here) -> None:
    answers = set()
    for more in ({}, {"remark": "x"}, {"form": "hosted/1"}):
        sent = fields(here.weekly, ANNA, "en", **more)
        answer = await here.client.post("/subscribe", data=sent, allow_redirects=False)
        told = {k: v for k, v in answer.headers.items() if k != "Date"}
        answers.add((answer.status, str(told), await answer.text()))
    assert len(answers) == 1


async def test_who_mends_a_mistake_is_not_new_to_the_form(here: Here) -> None:
    stamp = here.shown(30)
    for given_, kept in ((stamp, True), ("5f." + "0" * 32, False)):
        sent = fields(here.weekly, "anna", "en", form="hosted/1", stamp=given_)
        answer = await here.client.post("/subscribe", data=sent)
        assert answer.status == 422
        assert (f'name="stamp" value="{given_}"' in await answer.text()) is kept


async def test_the_form_has_a_field_that_nobody_sees(here: Here) -> None:
    form = await here.form()
    assert '<p class="trap" aria-hidden="true">' in form
    assert 'name="remark" tabindex="-1" autocomplete="off"' in form
    style = page.files()["style.css"].body.decode()
    assert ".trap { display: none; }" in style
    assert ".trap { display: none; }" in page.files()["embed.js"].body.decode()


# puzzles


async def test_on_a_quiet_day_the_form_has_no_puzzle_and_no_script(here: Here) -> None:
    form = await here.form()
    assert posed(form) is None
    assert "<script" not in form


@pytest.mark.parametrize("path", ["/form?newsletter=weekly", "/subscribe?newsletter=weekly"])
async def test_a_network_that_sent_several_forms_gets_a_puzzle(here: Here, path: str) -> None:
    for n in range(requests.SEVERAL):
        await here.send(f"reader{n}@example.org")
    assert posed(await here.form(path=path)) is not None
    assert posed(await here.form("198.51.100.1", path=path)) is None
    answer = await here.client.get(path, headers={"X-Forwarded-For": "192.0.2.200"})
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


async def test_with_a_solution_a_network_may_send_more_and_each_counts_once(here: Here) -> None:
    statuses = [await here.send(f"reader{n}@example.org") for n in range(requests.MOST + 1)]
    assert statuses == [*[202] * requests.MOST, 429]
    solved = solution(posed(await here.form()) or "")
    assert await here.send("more@example.org", puzzle=solved) == 202
    assert await here.send("again@example.org", puzzle=solved) == 429
    assert await here.queues() == {"prompt": requests.MOST, "proven": 1}


async def test_one_solution_shown_twice_at_once_counts_once(here: Here) -> None:
    solved = solution(puzzles.pose(here.vault, 50))
    await here.flood()
    await asyncio.gather(
        *(here.send(f"reader{n}@example.org", f"10.{n}.0.1", puzzle=solved) for n in range(12))
    )
    assert await here.queues() == {"proven": 1, "slow": 11}


async def test_in_a_flood_who_proves_something_goes_on_and_the_others_wait(here: Here) -> None:
    await here.flood()
    form = await here.form()
    puzzle = posed(form)
    assert puzzle is not None
    assert json.loads(puzzle)["maxNumber"] == puzzles.NUMBERS_IN_FLOODS
    assert "<noscript>" in form
    assert await here.send(ANNA, puzzle=solution(puzzle)) == 202
    assert await here.send("boris@example.org") == 202
    assert await here.queues() == {"proven": 1, "slow": 1}


async def test_what_came_before_the_flood_was_seen_and_is_still_here_waits_too(here: Here) -> None:
    other = await world.make(here.conn, here.vault, "other")
    shown = {"form": "hosted/1", "stamp": here.shown(20)}
    await here.send(ANNA, **shown)
    sent = fields(other, "vera@example.org")
    assert (await here.client.post("/subscribe", data=sent, headers=JSON)).status == 202
    proven = solution(puzzles.pose(here.vault, 50))
    await here.send("boris@example.org", puzzle=proven)
    await here.flood()
    await subscriptions.admit(here.conn, here.vault, HOURS, 10)
    assert await here.queues() == {"slow": 1}
    assert await mails(here.conn) == 2
    await turn(here.conn, here.vault)
    assert await world.found(here.conn, here.vault, ANNA)


async def test_a_flood_over_one_newsletter_is_none_over_another(here: Here) -> None:
    other = await world.make(here.conn, here.vault, "other")
    await here.flood()
    sent = fields(other, ANNA)
    assert (await here.client.post("/subscribe", data=sent, headers=JSON)).status == 202
    assert await here.queues() == {"prompt": 1}


async def test_whose_form_came_before_the_flood_proves_something_afterwards(here: Here) -> None:
    """The answer bears a puzzle; solved, it makes the form prompt that waits, and only that one."""
    await here.flood()
    asked = [await here.sent(f"reader{n}@example.org", f"10.{n}.0.1") for n in range(3)]
    found = solution(json.dumps(asked[1]["puzzle"]))
    for _ in range(2):
        assert await here.solve(found) == 202
        await subscriptions.promote(here.conn)
        assert await here.queues() == {"proven": 1, "slow": 2}
    await subscriptions.admit(here.conn, here.vault, HOURS, 10)
    assert await world.found(here.conn, here.vault, "reader1@example.org")
    assert await here.send("other@example.org", "10.9.0.1", puzzle=found) == 202
    assert await here.queues() == {"slow": 3}, "it counts once"


async def test_of_a_solution_nobody_learns_whether_its_form_still_waits(here: Here) -> None:
    await here.flood()
    posed = (await here.sent(ANNA))["puzzle"]
    never = puzzles.pose(here.vault, 50)
    wrong = "x"
    answers = [await here.solve(s) for s in (solution(json.dumps(posed)), solution(never), wrong)]
    assert answers == [202] * 3
    assert await here.conn.fetchval("select count(*) from spent") == 2
    await here.conn.execute("delete from request")
    await subscriptions.promote(here.conn)
    assert await here.queues() == {}


async def test_only_a_flood_asks_for_a_proof_afterwards(here: Here) -> None:
    """Not who filled the form in oddly: a program need not learn that it was seen."""
    assert "puzzle" not in await here.sent(ANNA, remark="x")
    await here.flood()
    assert "puzzle" not in await here.sent(ANNA, puzzle=solution(puzzles.pose(here.vault, 50)))


async def test_two_workers_promote_once(pool: Pool, here: Here) -> None:
    await here.flood()
    for n in range(8):
        posed = (await here.sent(f"reader{n}@example.org", f"10.{n}.0.1"))["puzzle"]
        await here.solve(solution(json.dumps(posed)))

    async def work() -> None:
        async with pool.acquire() as conn:
            await subscriptions.promote(conn)

    await asyncio.gather(*(work() for _ in range(5)))
    assert await here.queues() == {"proven": 8}


# the slow queue


async def turn(conn: Connection, vault: Vault, most: int = 50) -> bool:
    """What a worker does with slow ones; whether it would go on."""
    waiting = await subscriptions.waiting_longest(conn, vault, most)
    async with conn.transaction():
        return bool(waiting) and await subscriptions.admit_slow(conn, vault, HOURS, waiting)


async def mails(conn: Connection) -> int:
    counted: int = await conn.fetchval("select count(*) from outbox")
    return counted


async def test_one_mail_comes_of_slow_ones_at_a_time(here: Here) -> None:
    for n in range(3):
        await here.send(f"reader{n}@example.org", remark="x")
    assert [await turn(here.conn, here.vault) for _ in range(3)] == [False] * 3
    assert await mails(here.conn) == 1
    assert await here.queues() == {"slow": 2}
    await here.conn.execute("update pace set at = now()")
    await turn(here.conn, here.vault)
    assert await mails(here.conn) == 2


async def test_those_that_no_mail_comes_of_cost_no_turn(here: Here) -> None:
    for n in range(12):
        await here.send(ANNA, f"192.0.{n}.1", remark="x")
    for _ in range(3):
        await here.send("boris@example.org", "198.51.100.1", remark="x")
    await turn(here.conn, here.vault)
    await here.conn.execute("update pace set at = now()")
    while await turn(here.conn, here.vault, 5):
        pass
    assert await mails(here.conn) == 2
    assert await here.queues() == {"slow": 2}
    await here.conn.execute("update pace set at = now()")
    assert await turn(here.conn, here.vault)
    assert await here.queues() == {}
    assert await here.conn.fetchval("select at <= now() from pace")


async def test_two_workers_do_not_take_two_turns(pool: Pool, here: Here) -> None:
    for n in range(6):
        await here.send(f"reader{n}@example.org", remark="x")

    async def work() -> None:
        async with pool.acquire() as conn:
            await turn(conn, here.vault)

    await asyncio.gather(*(work() for _ in range(5)))
    assert await mails(here.conn) == 1
    assert await here.queues() == {"slow": 5}


async def test_whose_network_asked_least_comes_first(here: Here) -> None:
    for n in range(5):
        await here.send(f"many{n}@example.org", "192.0.2.1", remark="x")
    await here.send("one@example.org", "198.51.100.1", remark="x")
    for _ in range(2):
        await here.conn.execute("update pace set at = now()")
        await turn(here.conn, here.vault)
    assert await world.found(here.conn, here.vault, "one@example.org")


async def test_in_a_turn_go_many_ordinary_ones_and_one_other(here: Here) -> None:
    """Ordinary are those that a form of ours was shown to, and whose network sent few; in a flood,
    however many others came before."""
    await here.flood()
    for n in range(4):
        await here.send(f"other{n}@example.org", f"10.{n}.0.1")
    people = [f"reader{n}@example.org" for n in range(admitting.ORDINARY_A_TURN + 2)]
    for n, email in enumerate(people):
        shown = {"form": "hosted/1", "stamp": here.shown(20)}
        await here.send(email, f"172.16.{n}.1", **shown)
    assert await turn(here.conn, here.vault) is False
    assert await here.queues() == {"slow": 6}
    await here.conn.execute("update pace set at = now()")
    await turn(here.conn, here.vault)
    assert await here.queues() == {"slow": 3}
    assert all([await world.found(here.conn, here.vault, email) for email in people])


@pytest.mark.parametrize(
    ("before", "ordinary"), [(requests.SEVERAL - 1, True), (requests.SEVERAL, False)]
)
async def test_of_a_network_that_sent_several_none_is_ordinary(
    here: Here, before: int, ordinary: bool
) -> None:
    for n in range(before):
        await here.send(f"reader{n}@example.org")
    await here.flood()
    await here.send(ANNA, form="hosted/1", stamp=here.shown(20))
    assert await here.conn.fetchval("select ordinary from request where slow") is ordinary


async def test_ordinary_ones_too_many_for_a_small_domain_wait_with_the_others(here: Here) -> None:
    await here.flood()
    most = admitting.DOMAIN_MOST
    for n in range(most + 5):
        shown = {"form": "hosted/1", "stamp": here.shown(20)}
        await here.send(f"reader{n}@small.dns-name.net", f"10.{n}.0.1", **shown)
    for _ in range(most // admitting.ORDINARY_A_TURN):
        await here.conn.execute("update pace set at = now()")
        await turn(here.conn, here.vault)
    assert await mails(here.conn) == most // admitting.ORDINARY_A_TURN * admitting.ORDINARY_A_TURN
    await here.conn.execute("update pace set at = now()")
    await turn(here.conn, here.vault)
    # The last of the fifty, and one of those on top.
    assert await mails(here.conn) == most
    assert await here.conn.fetchval("select count(*) from request where ordinary") == 0


async def test_who_has_proven_something_comes_before_those_who_have_not(here: Here) -> None:
    for n in range(4):
        await here.send(f"many{n}@example.org", "192.0.2.1")
    await here.send("one@example.org", "198.51.100.1")
    await here.send("two@example.org", puzzle=solution(puzzles.pose(here.vault, 50)))
    await subscriptions.admit(here.conn, here.vault, HOURS, 3)
    for email in ("two@example.org", "one@example.org", "many0@example.org"):
        assert await world.found(here.conn, here.vault, email)
    assert await here.queues() == {"prompt": 3}


async def test_many_for_one_small_domain_have_to_wait(here: Here) -> None:
    for n in range(admitting.DOMAIN_MOST + 2):
        for domain in ("small.dns-name.net", "gmail.com", "example.org"):
            await here.send(f"reader{n}@{domain}", f"10.{n}.0.1")
    await subscriptions.admit(here.conn, here.vault, HOURS, 1000)
    assert await here.queues() == {"slow": 2}
    await here.send("proven@small.dns-name.net", puzzle=solution(puzzles.pose(here.vault, 50)))
    await here.send("late@small.dns-name.net")
    await subscriptions.admit(here.conn, here.vault, HOURS, 1000)
    assert await here.queues() == {"slow": 3}


async def test_whoever_comes_first_of_all_waits_for_what_is_known(here: Here) -> None:
    """Many at once, at the very start: none of them is let in as if there was no flood."""
    await floods.count(here.conn, {here.weekly.newsletter.id: floods.MANY + 1})
    await floods.watch(here.conn)
    forms = await asyncio.gather(*(here.form(f"10.{n}.0.1") for n in range(10)))
    assert all(posed(form) for form in forms)
    statuses = await asyncio.gather(
        *(here.send(f"reader{n}@example.org", f"10.{n}.0.1") for n in range(10))
    )
    assert set(statuses) == {202}
    assert await here.queues() == {"slow": 10}
