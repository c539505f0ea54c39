"""The gate before the staff's pages: every route, tried by every role and by nobody."""

import re
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from mailer import staff
from mailer.db import Connection, Pool
from mailer.staff import ROLES, Role
from mailer.vault import Vault
from mailer.web import app, desk
from mailer.web.desk import Entry, Who
from tests import desk as table
from tests import site
from tests.desk import BASE, PASSWORD, Seat

ENTRIES = app.STAFF
UUID = "00000000-0000-4000-8000-000000000000"


def named(entry: Entry) -> str:
    return f"{entry.method} {entry.path}"


def somewhere(entry: Entry) -> str:
    """A path of the route; there need be nothing."""
    return re.sub(r"\{(\w+)(:[^{}]*(\{[^}]*\}[^{}]*)*)?\}", one, entry.path)


def one(match: re.Match[str]) -> str:
    """What a placeholder may stand for."""
    pattern = (match[2] or ":.+")[1:]
    tried = ("1", "weekly", UUID, "x" * 27, "en", "0" * 32)
    return next(text for text in tried if re.fullmatch(pattern, text))


async def ask(seat: Seat, entry: Entry, **headers: str) -> tuple[int, str]:
    """Status and, if it leads on, where to."""
    path = somewhere(entry)
    if entry.method == "GET":
        answer = await seat.get(path, **headers)
    else:
        answer = await seat.post(path, {}, **headers)
    answer.close()
    return answer.status, answer.headers.get("Location", "").partition("?")[0]


def test_every_route_of_the_staff_is_in_the_table(pool_less: web.Application) -> None:
    routes = {
        (route.method, route.resource.canonical)
        for route in pool_less.router.routes()
        if route.resource and route.resource.canonical.startswith("/staff")
        if route.method != "HEAD"
    }
    assert routes == {(entry.method, canonical(entry.path)) for entry in ENTRIES}


def canonical(path: str) -> str:
    return web.Application().router.add_resource(path).canonical


@pytest.fixture
def pool_less(vault: Vault, pool: Pool) -> web.Application:
    return app.make(site.settings(), pool, vault)


def test_a_route_beside_the_table_stops_the_start() -> None:
    async def handler(request: web.Request) -> web.Response:
        raise AssertionError

    made = web.Application()
    made.router.add_get("/staff/secrets/{id}", handler)
    with pytest.raises(ValueError, match=r"/staff/secrets/\{id\}"):
        desk.install(made, ENTRIES)


def test_a_line_that_names_no_role_stops_the_start() -> None:
    async def handler(request: web.Request, who: Who) -> web.Response:
        raise AssertionError

    with pytest.raises(ValueError, match="says of no role"):
        desk.install(web.Application(), [desk.get("/staff/secrets", handler)])


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_comes_where_the_table_says_and_nowhere_else(
    pool: Pool, vault: Vault, conn: Connection, role: Role
) -> None:
    async with table.signed_in(pool, vault, role) as seat:
        for entry in ENTRIES:
            if entry.path == "/staff/sign-out":
                continue
            status, onward = await ask(seat, entry)
            if entry.half:
                assert (status, onward) == (303, "/staff"), named(entry)
            elif entry.open is None and role not in entry.roles:
                assert status == 403, named(entry)
            else:
                assert status not in (403, 500), named(entry)
                assert onward not in ("/staff/code", "/staff/again"), named(entry)


@pytest.mark.parametrize("ended", [False, True], ids=["nobody", "a session that has ended"])
async def test_nobody_comes_anywhere(
    pool: Pool, vault: Vault, conn: Connection, ended: bool
) -> None:
    async with table.signed_in(pool, vault, "owner") as seat:
        if ended:
            await conn.execute("update session set seen_at = now() - interval '121 minutes'")
        else:
            seat.client.session.cookie_jar.clear()
        for entry in ENTRIES:
            if entry.open is None:
                assert await ask(seat, entry) == (303, "/staff/sign-in"), named(entry)


async def test_half_way_there_is_only_the_code(pool: Pool, vault: Vault, conn: Connection) -> None:
    who = await table.member(conn, vault, "editor", factor=True)
    async with table.seat(pool, vault, who) as seat:
        await seat.post("/staff/sign-in", {"email": who.email, "password": PASSWORD})
        for entry in ENTRIES:
            if entry.open is None and not entry.half:
                assert await ask(seat, entry) == (303, "/staff/code"), named(entry)


@pytest.mark.parametrize("role", sorted(staff.FACTOR_ROLES))
async def test_who_must_have_a_second_factor_does_nothing_before(
    pool: Pool, vault: Vault, conn: Connection, role: Role
) -> None:
    who = await table.member(conn, vault, role, factor=False)
    async with table.seat(pool, vault, who) as seat:
        await seat.sign_in(conn)
        for entry in ENTRIES:
            if entry.roles and not entry.bare:
                assert await ask(seat, entry) == (303, "/staff/factor"), named(entry)


async def test_what_asks_for_it_is_done_only_by_who_has_just_shown_who_they_are(
    pool: Pool, vault: Vault, conn: Connection
) -> None:
    async with table.signed_in(pool, vault, "owner") as seat:
        await table.stale(conn, seat.member)
        asking = [entry for entry in ENTRIES if entry.fresh and "owner" in entry.roles]
        assert asking
        for entry in asking:
            assert await ask(seat, entry) == (303, "/staff/again"), named(entry)


async def test_afterwards_one_is_where_one_wanted_to_go(
    pool: Pool, vault: Vault, conn: Connection
) -> None:
    async with table.signed_in(pool, vault, "owner") as seat:
        await table.stale(conn, seat.member)
        await seat.get("/staff/factor?lang=ru")
        answer = await seat.show_again(conn)
        assert (answer.status, answer.headers["Location"]) == (303, "/staff/factor?lang=ru")
        assert (await seat.get("/staff/factor")).status == 200


FOREIGN = [
    {"Origin": "https://evil.example.org"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": BASE, "Sec-Fetch-Site": "cross-site"},
    {"Origin": BASE, "Sec-Fetch-Site": "same-site"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_pages_of_others_can_do_nothing(
    pool: Pool, vault: Vault, headers: dict[str, str]
) -> None:
    async with table.signed_in(pool, vault, "owner") as seat:
        for entry in ENTRIES:
            if entry.method != "GET":
                assert await ask(seat, entry, **headers) == (403, ""), named(entry)


async def test_a_link_in_somebody_elses_page_leads_by_way_of_ours(
    pool: Pool, vault: Vault, conn: Connection
) -> None:
    who = await table.member(conn, vault, "viewer")
    async with table.seat(pool, vault, who) as seat:
        answer = await seat.get("/staff/acts?who=1", **{"Sec-Fetch-Site": "cross-site"})
        assert answer.status == 200
        assert 'content="0; url=/staff/acts?who=1"' in await answer.text()


@pytest.fixture
async def viewer(pool: Pool, vault: Vault) -> AsyncIterator[Seat]:
    async with table.signed_in(pool, vault, "viewer") as seat:
        yield seat


async def test_a_page_is_strict_and_kept_nowhere(viewer: Seat) -> None:
    answer = await viewer.get("/staff")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["Cache-Control"] == "no-store"
    assert not re.search(r"<script(?![^>]*\bsrc=)|\bon\w+=|\bstyle=", await answer.text())


async def test_the_menu_shows_what_one_may(pool: Pool, vault: Vault, viewer: Seat) -> None:
    assert "/staff/acts" not in await (await viewer.get("/staff")).text()
    async with table.signed_in(pool, vault, "privacy") as officer:
        assert "/staff/acts" in await (await officer.get("/staff")).text()
