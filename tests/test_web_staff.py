"""Coming in, going out, second factors, one's own account: the pages of `web.staff`."""

import asyncio
import re
from typing import Any

import pyotp
import pytest
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser

from mailer import acts, census, factors, sessions, staff
from mailer.acts import Filter
from mailer.db import Connection, Pool
from mailer.vault import Vault
from mailer.web import app
from mailer.web.staff import throttle
from tests import axe, desk, site, world
from tests.desk import PASSWORD, Member, Seat
from tests.world import ANNA

NOBODY = "nobody@example.org"


async def typed(seat: Seat, email: str, password: str) -> tuple[int, str]:
    """What the door says to it, without what was typed."""
    answer = await seat.post("/staff/sign-in", {"email": email, "password": password})
    return answer.status, (await answer.text()).replace(email, "")


# the door


async def test_an_unknown_a_disabled_and_a_wrong_one_get_the_same_answer(
    pool: Pool, vault: Vault, conn: Connection
) -> None:
    who, gone = [await desk.member(conn, vault, "viewer") for _ in range(2)]
    await desk.member(conn, vault, "owner")
    await staff.disable(conn, gone.id)
    async with desk.seat(pool, vault, who) as seat:
        wrong = await typed(seat, who.email, "not the password")
        assert wrong[0] == 422
        assert await typed(seat, NOBODY, PASSWORD) == wrong
        assert await typed(seat, gone.email, PASSWORD) == wrong
        assert await typed(seat, "no address", PASSWORD) == wrong


def test_nobodys_password_is_as_much_work_as_a_wrong_one() -> None:
    parameters = staff.nobodys().split("$")[:4]
    assert parameters == desk.hashed().split("$")[:4]
    assert not staff.matches(None, PASSWORD)


async def test_one_is_in_and_out_again(pool: Pool, vault: Vault, conn: Connection) -> None:
    async with desk.signed_in(pool, vault, "viewer") as seat:
        assert (await seat.get("/staff")).status == 200
        kept = await conn.fetchval("select count(*) from session")
        answer = await seat.post("/staff/sign-out")
        assert answer.headers["Location"] == "/staff/sign-in?done=out"
        assert await conn.fetchval("select count(*) from session") == kept - 1
        assert (await seat.get("/staff")).status == 303


async def test_the_cookie_is_for_us_alone_and_its_secret_is_kept_nowhere(
    pool: Pool, vault: Vault, conn: Connection
) -> None:
    who = await desk.member(conn, vault, "viewer")
    base = {"MAILER_BASE_URL": "https://news.example.org"}
    async with desk.seat(pool, vault, who, **base) as seat:
        answer = await seat.post(
            "/staff/sign-in", {"email": who.email, "password": PASSWORD},
            Origin="https://news.example.org",
        )  # fmt: skip
    said = answer.cookies["__Host-staff"]
    assert said["httponly"]
    assert said["secure"]
    assert said["samesite"] == "Strict"
    assert said["path"] == "/"
    assert not said["domain"]
    assert said.value not in str(await site.content(conn))
    assert await sessions.find(conn, said.value) is not None


async def test_a_session_ends_after_two_idle_hours_and_after_a_working_day(
    pool: Pool, vault: Vault, conn: Connection
) -> None:
    async with desk.signed_in(pool, vault, "viewer") as seat:
        await conn.execute("update session set seen_at = now() - interval '119 minutes'")
        assert (await seat.get("/staff")).status == 200
        await conn.execute("update session set created_at = now() - interval '12 hours'")
        answer = await seat.get("/staff")
        assert answer.headers["Location"] == "/staff/sign-in?done=ended"


async def test_who_is_disabled_is_out_at_once(pool: Pool, vault: Vault, conn: Connection) -> None:
    async with desk.signed_in(pool, vault, "viewer") as seat:
        await desk.member(conn, vault, "owner")
        await staff.disable(conn, seat.member.id)
        assert (await seat.get("/staff")).status == 303


# guessing


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few tries, in a window whose end no slow day comes to."""
    monkeypatch.setattr(throttle, "NETWORK_TRIES", 3)
    monkeypatch.setattr(throttle, "ACCOUNT_TRIES", 5)
    monkeypatch.setattr(throttle, "SECONDS", 10**9)


async def test_guessing_ends_soon_whether_the_account_is_there_or_not(
    pool: Pool, vault: Vault, conn: Connection, few: None
) -> None:
    who = await desk.member(conn, vault, "viewer")
    for email in (who.email, NOBODY):
        await conn.execute("delete from hit")
        async with desk.seat(pool, vault, who) as seat:
            for _ in range(throttle.NETWORK_TRIES):
                assert (await typed(seat, email, "a wrong password"))[0] == 422
            answer = await seat.post("/staff/sign-in", {"email": email, "password": PASSWORD})
            assert answer.status == 429
            assert 0 < int(answer.headers["Retry-After"]) <= throttle.SECONDS


async def test_a_stranger_who_guesses_keeps_nobody_out_of_a_browser_they_know(
    pool: Pool, vault: Vault, conn: Connection, few: None
) -> None:
    async with desk.signed_in(pool, vault, "viewer") as seat:
        await seat.post("/staff/sign-out")
        async with desk.seat(pool, vault, seat.member) as stranger:
            for _ in range(throttle.ACCOUNT_TRIES + 1):
                await typed(stranger, seat.member.email, "a wrong password")
            assert (await typed(stranger, seat.member.email, PASSWORD))[0] == 429
        await seat.sign_in(conn)
        assert (await seat.get("/staff")).status == 200


async def test_a_browser_is_known_for_those_who_were_in_it_alone(
    pool: Pool, vault: Vault, conn: Connection, few: None
) -> None:
    other = await desk.member(conn, vault, "viewer")
    async with desk.signed_in(pool, vault, "viewer") as seat:
        for _ in range(throttle.NETWORK_TRIES + 1):
            status, _ = await typed(seat, other.email, "a wrong password")
        assert status == 429


async def test_where_nothing_can_be_guessed_strangers_count_for_themselves_alone(
    pool: Pool, vault: Vault, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "ACCOUNT_TRIES", 0)
    who = await desk.member(conn, vault, "viewer")
    async with desk.seat(pool, vault, who) as seat:
        assert (await seat.post("/staff/forgotten", {"email": who.email})).status == 429
        answer = await seat.client.post("/staff/passkey", json={}, headers={"Origin": desk.BASE})
        assert answer.status == 404, "there are no passkeys at this address, but it was looked"


# the second factor


async def test_a_code_is_taken_once(pool: Pool, vault: Vault, conn: Connection) -> None:
    who = await desk.member(conn, vault, "owner")
    code = await who.code(conn)
    async with desk.seat(pool, vault, who) as first, desk.seat(pool, vault, who) as second:
        for seat in (first, second):
            await seat.post("/staff/sign-in", {"email": who.email, "password": PASSWORD})
        answers = await asyncio.gather(
            *(seat.post("/staff/code", {"code": code}) for seat in (first, second))
        )
    assert sorted(answer.status for answer in answers) == [303, 422]


async def test_the_cookie_of_half_the_way_is_worth_nothing_afterwards(
    pool: Pool, vault: Vault, conn: Connection
) -> None:
    who = await desk.member(conn, vault, "owner")
    async with desk.seat(pool, vault, who) as seat:
        answer = await seat.post("/staff/sign-in", {"email": who.email, "password": PASSWORD})
        half = answer.cookies["staff"].value
        await seat.post("/staff/code", {"code": await who.code(conn)})
        assert (await seat.get("/staff")).status == 200
    assert await sessions.find(conn, half) is None


async def test_an_app_is_set_up_and_its_recovery_codes_let_in_once_each(
    pool: Pool, vault: Vault, conn: Connection
) -> None:
    who = await desk.member(conn, vault, "privacy", factor=False)
    async with desk.seat(pool, vault, who) as seat:
        await seat.sign_in(conn)
        page = await (await seat.get("/staff/factor")).text()
        found = re.search(r'name="secret" value="(\w+)"', page)
        assert found is not None
        secret = found[1]
        wrong = await seat.post("/staff/factor", {"secret": secret, "code": "000000x"})
        assert wrong.status == 422
        assert secret in await wrong.text()
        done = await seat.post(
            "/staff/factor", {"secret": secret, "code": pyotp.TOTP(secret).now()}
        )
        codes = re.findall(r"<code[^>]*>([a-z2-9]{5}-[a-z2-9]{5})</code>", await done.text())
        assert len(set(codes)) == factors.CODES
        assert (await seat.get("/staff")).status == 200
    everything = str(await site.content(conn))
    assert secret not in everything
    assert not any(code in everything for code in codes)
    for status in (303, 422):
        async with desk.seat(pool, vault, who) as seat:
            await seat.post("/staff/sign-in", {"email": who.email, "password": PASSWORD})
            answer = await seat.post("/staff/code", {"code": codes[0].upper()})
            assert answer.status == status
    assert await factors.codes_left(conn, who.id) == factors.CODES - 1


async def test_a_wrong_code_can_be_tried_a_few_times_only(
    pool: Pool, vault: Vault, conn: Connection, few: None
) -> None:
    who = await desk.member(conn, vault, "owner")
    async with desk.seat(pool, vault, who) as seat:
        await seat.post("/staff/sign-in", {"email": who.email, "password": PASSWORD})
        statuses = [
            (await seat.post("/staff/code", {"code": "abcdef"})).status
            for _ in range(throttle.NETWORK_TRIES + 1)
        ]
        assert statuses[-2:] == [422, 429]
        assert (await seat.post("/staff/code", {"code": await who.code(conn)})).status == 429


# who did what


async def test_what_was_done_is_listed_for_those_who_must_answer_for_it(
    pool: Pool, vault: Vault, conn: Connection
) -> None:
    viewer = await desk.member(conn, vault, "viewer")
    async with desk.signed_in(pool, vault, "privacy") as seat:
        await acts.record(conn, vault, viewer.actor, "codes.renewed")
        page = await (await seat.get("/staff/acts")).text()
        assert viewer.email in page
        assert "Made new recovery codes" in page
        only = await (await seat.get(f"/staff/acts?who={seat.member.id}")).text()
        assert "Made new recovery codes" not in only
        assert "Signed in" in only
        assert (await seat.get("/staff/acts?since=yesterday")).status == 422
        assert (await seat.get("/staff/acts?before=7")).status == 422
        future = await (await seat.get("/staff/acts?since=2999-01-01")).text()
        assert "Nothing of the kind." in future


# in a browser


@pytest.mark.browser
async def test_an_owner_comes_in_with_password_and_code(
    browser: Browser, pool: Pool, vault: Vault, conn: Connection
) -> None:
    who = await desk.member(conn, vault, "owner")
    server = TestServer(app.make(site.settings(), pool, vault))
    await server.start_server()
    base = str(server.make_url("")).rstrip("/")
    async with desk.sitting(browser, base, conn, who) as page:
        assert await page.locator("h1").inner_text() == "Home"
        await page.click("text=Русский")
        await page.wait_for_url(f"{base}/staff")
        assert await page.locator("html").get_attribute("lang") == "ru"
        await page.keyboard.press("Tab")
        assert await page.locator(".skip:focus").count() == 1
    await server.close()


# accounts


async def test_a_password_is_changed_by_who_knows_it_and_all_others_are_out(
    pool: Pool, vault: Vault, conn: Connection
) -> None:
    new = "four words without sense"
    async with desk.signed_in(pool, vault, "viewer") as seat:
        async with desk.seat(pool, vault, seat.member) as other:
            await other.sign_in(conn)
            wrong = await seat.post("/staff/account/password", {"password": "x", "new": new})
            assert wrong.status == 422
            short = {"password": PASSWORD, "new": "short"}
            assert (await seat.post("/staff/account/password", short)).status == 422
            right = {"password": PASSWORD, "new": new}
            assert (await seat.post("/staff/account/password", right)).status == 303
            assert (await other.get("/staff")).status == 303
        assert (await seat.get("/staff")).status == 200
    assert staff.matches((await staff.get(conn, seat.member.id)).password, new)


async def test_one_sees_where_one_is_signed_in_and_can_end_it(
    pool: Pool, vault: Vault, conn: Connection
) -> None:
    async with desk.signed_in(pool, vault, "viewer") as seat:
        async with desk.seat(pool, vault, seat.member) as other:
            await other.sign_in(conn)
            listed = re.findall(
                r'name="session" value="([0-9a-f-]{36})"',
                await (await seat.get("/staff/account")).text(),
            )
            assert len(listed) == 1, "of this one it only says that it is this one"
            await seat.post("/staff/account/sessions", {"session": listed[0]})
            assert (await other.get("/staff")).status == 303
            await other.sign_in(conn)
            await seat.post("/staff/account/sessions", {"session": "others"})
            assert (await other.get("/staff")).status == 303
        assert (await seat.get("/staff")).status == 200


async def test_nobody_ends_the_session_of_somebody_else(
    pool: Pool, vault: Vault, conn: Connection
) -> None:
    async with (
        desk.signed_in(pool, vault, "viewer") as seat,
        desk.signed_in(pool, vault, "viewer") as other,
    ):
        (theirs,) = await sessions.of(conn, other.member.id)
        await seat.post("/staff/account/sessions", {"session": str(theirs.id)})
        assert (await other.get("/staff")).status == 200


async def test_an_owner_invites_changes_and_disables_and_says_why(
    pool: Pool, vault: Vault, conn: Connection
) -> None:
    async with desk.signed_in(pool, vault, "owner") as seat:
        invited = {"email": "nina@example.org", "role": "editor", "language": "ru"}
        assert (await seat.post("/staff/accounts", invited)).status == 303
        assert (await seat.post("/staff/accounts", invited)).status == 409
        assert (await seat.post("/staff/accounts", {"email": "x", "role": "x"})).status == 422
        nina = await staff.find(conn, vault, "nina@example.org")
        assert (nina.role, nina.language, nina.password) == ("editor", "ru", None)
        path = f"/staff/accounts/{nina.id}"
        assert (await seat.post(path, {"action": "disable"})).status == 422
        for action in ("role", "factor", "letter", "disable", "enable"):
            sent = {"action": action, "role": "viewer", "reason": "she asked"}
            assert (await seat.post(path, sent)).status == 303, action
            assert (await seat.get(path)).status == 200
        assert (await staff.get(conn, nina.id)).role == "viewer"
        listed = await acts.listed(conn, vault, Filter(), before=None, most=5)
    assert [act.evidence["act"] for act in listed] == [
        "account.enabled", "account.disabled", "letter.sent", "factor.reset", "role.changed",
    ]  # fmt: skip
    assert {act.reason for act in listed} == {"she asked"}


async def test_somebody_stays_owner(pool: Pool, vault: Vault, conn: Connection) -> None:
    async with desk.signed_in(pool, vault, "owner") as seat:
        path = f"/staff/accounts/{seat.member.id}"
        for sent in ({"action": "disable"}, {"action": "role", "role": "viewer"}):
            assert (await seat.post(path, {**sent, "reason": "x"})).status == 409
        assert (await staff.get(conn, seat.member.id)).role == "owner"


async def test_of_two_owners_who_disable_each_other_one_stays(
    pool: Pool, vault: Vault, conn: Connection
) -> None:
    one, two = [await desk.member(conn, vault, "owner") for _ in range(2)]

    async def disable(whom: Member) -> None:
        async with pool.acquire() as own, own.transaction():
            await staff.disable(own, whom.id)

    results = await asyncio.gather(disable(one), disable(two), return_exceptions=True)
    assert [type(result).__name__ for result in results].count("Conflict") == 1


LOOKS = [
    {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    for width in (1280, 390)
    for scheme in ("light", "dark")
]


@pytest.mark.browser
@pytest.mark.parametrize("look", LOOKS, ids=str)
async def test_no_page_of_the_desk_keeps_anybody_out(
    browser: Browser, pool: Pool, vault: Vault, conn: Connection, look: dict[str, Any]
) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    await census.take(conn)
    await conn.execute(
        "insert into census select day - 9, newsletter, language, 3, 2, 1 from census"
    )
    who = await desk.member(conn, vault, "owner")
    await desk.member(conn, vault, "viewer")
    server = TestServer(app.make(site.settings(), pool, vault))
    await server.start_server()
    base = str(server.make_url("")).rstrip("/")
    doors = ["/staff/sign-in", "/staff/forgotten", "/staff/come/x", "/staff?lang=ru"]
    table = [e.path for e in app.STAFF if e.method == "GET" and "owner" in e.roles]
    found: dict[str, list[str]] = {}
    async with desk.sitting(browser, base, conn, who, **look) as page:
        one = f"/staff/accounts/{who.id}"
        for path in (*doors, one, *(path for path in table if "{" not in path)):
            await page.goto(base + path)
            await axe.enter(page)
            found[path] = await axe.look(page)
            wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
            if wide > 0:
                found[path].append(f"the page is {wide} pixels wider than the window")
    await server.close()
    assert {path: wrong for path, wrong in found.items() if wrong} == {}
