"""One's own page: another address, being left alone, being forgotten, without staff or script."""

import re

import pytest

from mailer import (
    address,
    bounces,
    digests,
    erasures,
    outbox,
    people,
    rectification,
    subjects,
    subscribers,
    suppressions,
)
from mailer.bounces import Report
from mailer.bounces.reading import Claim, Reading
from mailer.config import Settings
from mailer.db import Connection, Pool
from mailer.vault import new_master
from tests import commands, site, world
from tests.test_delivery import Post
from tests.test_pages import NOBODY, Here, here  # noqa: F401 - a fixture
from tests.test_rectification import link
from tests.world import ANNA, BORIS

NEW = "anna.new@example.net"
PARTS = ("address", "restrict", "erase")


async def events(here: Here, email: str) -> list[str]:  # noqa: F811 - the fixture
    return [event.content["type"] for event in await here.events(email)]


# GET changes nothing, and an unknown link is answered kindly


async def test_looking_changes_nothing(here: Here) -> None:  # noqa: F811
    me = await here.me(ANNA)
    await here.client.post(f"{me}/address", data={"email": NEW})
    moving = f"/address/{await link(here.conn, here.vault, ANNA)}"
    before = await site.content(here.conn)
    for path in (*(f"{me}/{part}" for part in PARTS), moving):
        for method in ("GET", "HEAD"):
            for more in ("", "?action=restrict&answer=yes&never_again=yes&lang=ru"):
                answer = await here.client.request(method, path + more)
                assert answer.status == 200
                assert answer.headers["Cache-Control"] == "no-store"
                assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert await site.content(here.conn) == before


@pytest.mark.parametrize(
    "part", ["/me/{}/address", "/me/{}/restrict", "/me/{}/erase", "/address/{}"]
)
async def test_an_unknown_link_is_answered_alike_and_does_nothing(here: Here, part: str) -> None:  # noqa: F811
    before = await site.content(here.conn)
    for token in (NOBODY, "x", "%00"):
        for method in ("GET", "POST"):
            sent = {"email": NEW, "answer": "yes"} if method == "POST" else None
            answer = await here.client.request(method, part.format(token), data=sent)
            assert answer.status == 404
    assert await site.content(here.conn) == before


# another address


async def told(here: Here, email: str) -> tuple[int, str, str]:  # noqa: F811
    """What is answered to ANNA who gives that address, but for what is hers."""
    me = await here.me(ANNA)
    answer = await here.client.post(f"{me}/address", data={"email": email})
    return answer.status, str(answer.url.with_query("")), await answer.text()


async def bounced(here: Here, token: str) -> None:  # noqa: F811
    """A mail to the person came back."""
    found = Reading("no-mailbox", "5.1.1", "User unknown", (Claim("bounce", token),))
    async with here.conn.transaction():
        taken = await bounces.take(here.conn, here.vault, Report("stdin", b"1", found))
    assert taken.bounce is not None


async def test_nothing_tells_whose_an_address_is(here: Here) -> None:  # noqa: F811
    await suppressions.add(here.conn, here.vault, address.parse("vera@example.org"), "person")
    answers = {await told(here, email) for email in (NEW, BORIS, "vera@example.org")}
    assert len(answers) == 1
    assert "there is a letter on its way" in answers.pop()[2]


async def test_the_button_at_the_new_address_moves_the_person_and_opens_their_page(
    here: Here,  # noqa: F811
) -> None:
    old = await here.me(ANNA)
    await here.client.post(f"{old}/address", data={"email": NEW})
    path = f"/address/{await link(here.conn, here.vault, ANNA)}"
    told_of_the_old = await world.link(here.conn, here.vault, ANNA, "bounce")
    await bounced(here, told_of_the_old)
    page = await (await here.client.get(path)).text()
    assert "a…\N{WORD JOINER}@example.net" in page
    answer = await here.client.post(path, data={"answer": "yes"}, allow_redirects=False)
    assert answer.status == 303
    assert answer.headers["Location"] == f"{await here.me(NEW)}?done=moved"
    assert (await here.client.get(old)).status == 404
    assert (await events(here, NEW))[-1] == "address.changed"
    assert await bounces.latest(here.conn, None, None, 1) == [], "the new address has no past"
    again = await here.client.post(path, data={"answer": "yes"}, allow_redirects=False)
    assert again.status == 200
    assert "/me/" not in await again.text()


async def test_an_address_of_somebody_else_is_said_to_its_reader_alone(here: Here) -> None:  # noqa: F811
    await here.client.post(f"{await here.me(ANNA)}/address", data={"email": BORIS})
    path = f"/address/{await link(here.conn, here.vault, ANNA)}"
    page = await (await here.client.post(path, data={"answer": "yes"})).text()
    assert "subscribed already" in page
    assert await here.me(ANNA)


async def test_no_deletes_the_new_address(here: Here) -> None:  # noqa: F811
    await here.client.post(f"{await here.me(ANNA)}/address", data={"email": NEW})
    path = f"/address/{await link(here.conn, here.vault, ANNA)}"
    assert (await here.client.post(path, data={"answer": "no"})).status == 200
    assert await here.conn.fetchval("select count(*) from address_change") == 0
    assert (await here.client.get(path)).status == 404


async def test_a_mistake_is_said_beside_the_field_in_the_readers_language(here: Here) -> None:  # noqa: F811
    me = await here.me(ANNA)
    answer = await here.client.post(f"{me}/address?lang=ru", data={"email": "anna <b>"})
    page = await answer.text()
    assert answer.status == 422
    assert "Укажите адрес" in page
    assert 'value="anna &lt;b&gt;"' in page
    for _ in range(rectification.ASKED_MOST):
        await here.client.post(f"{me}/address", data={"email": NEW})
    answer = await here.client.post(f"{me}/address", data={"email": NEW})
    assert answer.status == 429
    assert answer.headers["Retry-After"]


# being left alone


async def test_whoever_wants_to_be_left_alone_gets_no_mail_of_any_kind(
    here: Here,  # noqa: F811
    pool: Pool,
    settings: Settings,
) -> None:
    conn, keys = here.conn, here.vault
    me = await here.me(ANNA)
    await here.client.post(f"{me}/address", data={"email": NEW})
    await digest(here)
    page = await here.client.post(f"{me}/restrict", data={"action": "restrict"})
    assert "your data is only kept" in await page.text()
    own = await people.find(conn, keys, BORIS)
    await people.restrict(conn, keys, own, "staff", actor="staff:anna")
    await world.ask(conn, keys, here.weekly.wish(ANNA))
    post = Post(settings, pool, keys, conn)
    assert (await post.round()).handed == []
    assert (await post.round(letters=False)).handed == []
    kinds = await conn.fetch("select kind from outbox where state = 'dropped' order by id")
    assert [row["kind"] for row in kinds] == ["confirm", "confirm", "address", "digest"]
    assert await here.state(ANNA) == "confirmed"
    assert (await here.events(ANNA))[-1].content["evidence"] == {
        "channel": "page", "from": {"restricted": False}, "to": {"restricted": True},
    }  # fmt: skip


async def digest(here: Here) -> None:  # noqa: F811
    """One for ANNA, on its way."""
    id_ = await here.conn.fetchval(
        """insert into digest (newsletter, number, cadence, state, created_by)
           values ($1, 1, 'weekly', 'sending', 'staff:anna') returning id""",
        here.weekly.newsletter.id,
    )
    await here.conn.execute(
        """insert into edition (digest, language, subject, html, text)
           values ($1, 'en', 'Issue 1', '<p>News.</p>', 'News.')""",
        id_,
    )
    assert await outbox.put_digest(here.conn, id_) == 1
    assert (await digests.get(here.conn, id_)).state == "sending"


async def test_what_was_stopped_can_be_lifted_and_letters_go_out_again(here: Here) -> None:  # noqa: F811
    me = await here.me(ANNA)
    for action, said in (("restrict", "Use my data again"), ("lift", "Only keep my data")):
        await here.client.post(f"{me}/restrict", data={"action": action})
        await here.client.post(f"{me}/restrict", data={"action": action})
        assert said in await (await here.client.get(f"{me}/restrict")).text()
    assert (await events(here, ANNA)).count("consent.updated") == 2
    record = await (await here.client.get(f"{me}/record")).text()
    assert "You allowed us to use your data again" in record


async def test_whoever_is_left_alone_may_still_leave_and_be_erased(here: Here) -> None:  # noqa: F811
    me = await here.me(ANNA)
    await here.client.post(f"{me}/restrict", data={"action": "restrict"})
    refused = await here.client.post(f"{me}/address", data={"email": NEW})
    assert refused.status == 409
    assert "lift that first" in await refused.text()
    await here.client.post(me, data={"action": "leave", "newsletter": "weekly"})
    assert await here.state(ANNA) == "left"
    assert (await here.client.post(f"{me}/erase", data={"x": "y"})).status == 200


# being forgotten


@pytest.mark.parametrize("never_again", [True, False])
async def test_the_button_forgets_the_person_at_once(here: Here, never_again: bool) -> None:  # noqa: F811
    me = await here.me(ANNA)
    subject = (await people.find(here.conn, here.vault, ANNA)).subscriber.id
    page = await (await here.client.get(f"{me}/erase")).text()
    box = re.search(r"<input[^>]*never_again[^>]*>", page)
    assert box
    assert "checked" not in box[0]
    sent = {"never_again": "yes"} if never_again else {}
    answer = await here.client.post(f"{me}/erase", data=sent, allow_redirects=False)
    assert answer.status == 200
    assert "You are forgotten" in await answer.text()
    reached = address.parse(ANNA)
    assert await subscribers.by_address(here.conn, here.vault, reached) is None
    known = await suppressions.reason(here.conn, here.vault, reached)
    assert (known == "person") == never_again
    assert subject in erasures.read(erasures.file(site.folder()))
    for path in (me, f"{me}/erase"):
        assert (await here.client.get(path)).status == 404
    assert (await here.client.post(f"{me}/erase", data={"x": "y"})).status == 404


# by command


@pytest.mark.parametrize("command", ["correct", "restrict", "unrestrict", "erase"])
async def test_nobody_is_served_by_command_who_is_not_known(
    settings: Settings, command: str
) -> None:
    more = {"correct": (NEW,), "erase": ("--yes",)}.get(command, ())
    refused = await commands.run(settings, new_master(), "person", command, ANNA, *more)
    assert refused.returncode == 1
    assert "Nobody with this address is known." in refused.stderr


async def test_staff_answer_a_known_person_by_command(conn: Connection, settings: Settings) -> None:
    key = new_master()
    keys = await subjects.open_vault(conn, key)
    weekly = await world.make(conn, keys)
    await world.confirmed(conn, keys, weekly.wish(ANNA))

    async def run(*args: str) -> str:
        return await commands.done(settings, key, "person", *args)

    await run("restrict", ANNA)
    assert (await people.find(conn, keys, ANNA)).subscriber.restricted_at is not None
    await run("unrestrict", ANNA)
    await run("correct", ANNA, NEW)
    text = await link(conn, keys, ANNA)
    outcome, _ = await rectification.confirm(conn, keys, text, {"channel": "page"})
    assert outcome == "changed"
    record = (await people.find(conn, keys, NEW)).record
    assert record[-1].content["evidence"]["asked_by"].startswith("staff:")
    subject = (await people.find(conn, keys, NEW)).subscriber.id
    await run("erase", NEW, "--yes")
    assert list(erasures.read(erasures.file(settings.data_dir))) == [subject]
    assert "1 erasures in the journals, 0 erased again" in await run("replay")
