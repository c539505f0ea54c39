"""Invitations and new passwords by mail: letters to staff with a link that holds once."""

import asyncio
from email import message_from_bytes, policy

import pytest

from mailer import invitations, staff
from mailer.config import Settings
from mailer.db import Connection, Pool
from mailer.vault import Vault
from mailer.web.staff import links
from tests import desk
from tests.desk import Member
from tests.test_delivery import Post, verdict

NEW = "four words without sense"


@pytest.fixture
def post(settings: Settings, pool: Pool, vault: Vault, conn: Connection) -> Post:
    return Post(settings, pool, vault, conn)


async def token(conn: Connection, vault: Vault, who: Member, kind: invitations.Purpose) -> str:
    link = await invitations.holding(conn, who.id, kind)
    assert link is not None
    return str(link.token((await staff.get(conn, who.id)).subject(vault)))


async def letters(conn: Connection) -> list[str]:
    rows = await conn.fetch("select kind from outbox where staff is not null order by id")
    return [row["kind"] for row in rows]


@pytest.mark.parametrize("kind", ["invitation", "password"])
async def test_the_letter_has_the_link_that_holds(
    post: Post, conn: Connection, vault: Vault, kind: invitations.Purpose
) -> None:
    who = await desk.member(conn, vault, "viewer")
    await invitations.send(conn, who.id, kind)
    answers = await post.round(verdict("sent"))
    ((mail, _, recipient),) = answers.handed
    assert recipient == who.email
    whole = message_from_bytes(mail, policy=policy.default)
    for part in ("plain", "html"):
        body = whole.get_body((part,))
        assert body is not None
        assert f"/staff/come/{await token(conn, vault, who, kind)}" in body.get_content()


async def test_who_is_invited_chooses_a_password_and_is_in(
    pool: Pool, vault: Vault, conn: Connection
) -> None:
    id_ = await staff.add(conn, vault, "nina@example.org", "viewer", None)
    who = Member(id_, "nina@example.org", "viewer", None)
    await invitations.send(conn, id_, "invitation")
    path = f"/staff/come/{await token(conn, vault, who, 'invitation')}"
    async with desk.seat(pool, vault, who) as seat:
        assert "nina@example.org" in await (await seat.get(path)).text()
        assert (await seat.post(path, {"password": "short"})).status == 422
        answer = await seat.post(path, {"password": NEW})
        assert (answer.status, answer.headers["Location"]) == (303, "/staff")
        assert (await seat.get("/staff")).status == 200
        assert (await seat.get(path)).status == 404
        assert (await seat.post(path, {"password": NEW})).status == 404
    account = await staff.get(conn, id_)
    assert staff.matches(account.password, NEW)


async def test_a_new_password_does_not_replace_the_second_factor_and_ends_all_sessions(
    pool: Pool, vault: Vault, conn: Connection
) -> None:
    async with desk.signed_in(pool, vault, "owner") as seat:
        who = seat.member
        await invitations.send(conn, who.id, "password")
        path = f"/staff/come/{await token(conn, vault, who, 'password')}"
        async with desk.seat(pool, vault, who) as other:
            answer = await other.post(path, {"password": NEW})
            assert answer.headers["Location"] == "/staff/code"
            assert (await other.get("/staff")).headers["Location"] == "/staff/code"
        assert (await seat.get("/staff")).headers["Location"].startswith("/staff/sign-in")


async def test_of_two_who_use_a_link_at_once_one_does(
    pool: Pool, vault: Vault, conn: Connection
) -> None:
    who = await desk.member(conn, vault, "viewer")
    await invitations.send(conn, who.id, "password")
    path = f"/staff/come/{await token(conn, vault, who, 'password')}"
    async with desk.seat(pool, vault, who) as one, desk.seat(pool, vault, who) as two:
        answers = await asyncio.gather(*(seat.post(path, {"password": NEW}) for seat in (one, two)))
    assert sorted(answer.status for answer in answers) == [303, 404]


@pytest.mark.parametrize(
    "spoil",
    ["update staff_link set expires_at = now()", "update staff set disabled_at = now()"],
    ids=["too late", "disabled"],
)
async def test_a_link_holds_for_a_while_and_for_those_who_may(
    conn: Connection, vault: Vault, spoil: str
) -> None:
    who = await desk.member(conn, vault, "viewer")
    await invitations.send(conn, who.id, "password")
    spelt = await token(conn, vault, who, "password")
    assert await invitations.look(conn, vault, spelt) is not None
    await conn.execute(spoil)
    assert await invitations.look(conn, vault, spelt) is None


async def test_a_newer_letter_replaces_the_older(conn: Connection, vault: Vault) -> None:
    who = await desk.member(conn, vault, "viewer")
    await invitations.send(conn, who.id, "password")
    first = await token(conn, vault, who, "password")
    await invitations.send(conn, who.id, "password")
    assert await invitations.look(conn, vault, first) is None
    assert await invitations.look(conn, vault, await token(conn, vault, who, "password"))


async def test_asking_says_nothing_of_whether_there_is_an_account(
    pool: Pool, vault: Vault, conn: Connection
) -> None:
    who = await desk.member(conn, vault, "viewer")
    gone = await desk.member(conn, vault, "viewer")
    await desk.member(conn, vault, "owner")
    await staff.disable(conn, gone.id)
    async with desk.seat(pool, vault, who) as seat:
        loop = asyncio.get_running_loop()
        for email in (who.email, who.email, gone.email, "nobody@example.org", "no address"):
            began = loop.time()
            answer = await seat.post("/staff/forgotten", {"email": email})
            assert answer.headers["Location"] == "/staff/forgotten?done=asked"
            assert loop.time() - began >= links.ANSWER_SECONDS
    assert await letters(conn) == ["password"], "and nobody is flooded"


async def test_two_who_ask_at_once_get_one_letter(
    pool: Pool, vault: Vault, conn: Connection
) -> None:
    who = await desk.member(conn, vault, "viewer")
    async with desk.seat(pool, vault, who) as seat:
        await asyncio.gather(
            *(seat.post("/staff/forgotten", {"email": who.email}) for _ in range(4))
        )
    assert await letters(conn) == ["password"]
