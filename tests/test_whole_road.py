"""The whole road over HTTP and SMTP: form, mail, button, digest, one click, record."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from mailer import address, articles, config, consent, digests, editions, people, replay
from mailer.articles import Draft, Enclosed
from mailer.config import Settings
from mailer.consent import Verification
from mailer.db import Connection, Pool
from mailer.mailbox import Mailbox, Parsed
from mailer.vault import Vault
from mailer.web import app
from mailer.worker import Worker
from tests import test_renewals, world
from tests.world import ANNA, BORIS, VERA, World

LINK = re.compile(r"https?://\S+/(confirm|refuse|renew|u|me)/([\w-]{27})")


@dataclass
class Road:
    """A running service and what a person at its other end can do."""

    site: aiohttp.ClientSession
    base: str
    mailbox: Mailbox
    weekly: World

    async def subscribe(self, email: str, language: str = "en") -> None:
        form = {
            "email": email,
            "newsletter": "weekly",
            "consent": "yes",
            "notice": self.weekly.notices[language].id,
            "lang": language,
        }
        async with self.site.post(f"{self.base}/subscribe", data=form) as answer:
            assert answer.status == 200, await answer.text()
            assert answer.url.path == "/check-inbox"

    async def mail(self, to: str, number: int = 1) -> Parsed:
        """The person's latest mail, when they have `number` of them."""
        await until(lambda: len(self.mails(to)) >= number)
        found = self.mails(to)
        assert len(found) == number
        return found[0]

    def mails(self, to: str) -> list[Parsed]:
        """Newest first."""
        listed = [m for m in self.mailbox.list() if m.recipient == address.wire(to)]
        return [mail for m in listed if (mail := self.mailbox.read(m.id)) is not None]

    async def press(self, link: str, **fields: str) -> str:
        """What the page says after its button was pressed."""
        async with self.site.post(link, data=fields) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.text()

    async def confirm(self, email: str, number: int = 1) -> None:
        await self.press(link(await self.mail(email, number), "confirm"))


def link(mail: Parsed, kind: str) -> str:
    for found in LINK.finditer(mail.text or ""):
        if found[1] == kind:
            return found[0]
    raise AssertionError(f"no {kind} link in {mail.text}")


def header(mail: Parsed, name: str) -> str:
    return next(value for key, value in mail.headers if key.lower() == name.lower())


async def until(met: Callable[[], bool | Awaitable[bool]], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while True:
            found = met()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.02)


async def settled(conn: Connection) -> bool:
    return not await conn.fetchval("select exists (select from outbox where state = 'waiting')")


@asynccontextmanager
async def working(settings: Settings, pool: Pool, vault: Vault) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(Worker(settings, pool, vault, stop).run())
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 20)


@pytest.fixture
async def road(
    conn: Connection, pool: Pool, vault: Vault, settings: Settings, tmp_path: Path
) -> AsyncIterator[Road]:
    weekly = await world.make(conn, vault)
    mailbox = Mailbox(tmp_path / "mail")
    port = await mailbox.start()
    settings = replace(settings, smtp=(config.smtp(f"smtp://127.0.0.1:{port}"),))
    server = TestServer(app.make(settings, pool, vault))
    await server.start_server()
    settings = replace(settings, base_url=str(server.make_url("")).rstrip("/"))
    async with aiohttp.ClientSession() as site, working(settings, pool, vault):
        yield Road(site, settings.base_url, mailbox, weekly)
    await server.close()
    await mailbox.stop()


async def publish(conn: Connection, weekly: World, *titles: str) -> None:
    for title in titles:
        attached = Enclosed("Приказ №660.pdf", "https://site.example.org/660.pdf",
                            "application/pdf", 311_296, "ru")  # fmt: skip
        draft = Draft(title, title, "en", f"https://site.example.org/{len(title)}",
                      "<p>What <b>happened</b>.</p>", attachments=(attached,))  # fmt: skip
        await articles.add(conn, weekly.newsletter.id, draft)


async def send(conn: Connection, settings: Settings, weekly: World) -> int:
    """Create and approve a digest; wait until it is sent."""
    async with conn.transaction():
        digest = await digests.create(conn, weekly.newsletter, "weekly", by="staff:anna")
        _, composed = await editions.compose(conn, settings, digest)
        await digests.approve(conn, digest, [edition for edition, _ in composed], by="staff:anna")

    async def sent() -> bool:
        return (await digests.get(conn, digest.id)).state == "sent"

    await until(sent)
    return digest.id


async def test_from_a_form_to_a_digest_to_one_click_to_the_record(
    road: Road, conn: Connection, vault: Vault, settings: Settings
) -> None:
    settings = replace(settings, base_url=road.base)
    await road.subscribe(ANNA)
    await road.subscribe(BORIS)
    await road.subscribe(VERA, "ru")
    asked = await road.mail(ANNA)
    assert world.WORDING["en"] in " ".join((asked.text or "").split())
    assert "List-Unsubscribe-Post" not in dict(asked.headers)
    await until(lambda: settled(conn))
    assert "Rights Weekly" in await road.press(link(asked, "confirm"))
    await road.confirm(VERA)

    await publish(conn, road.weekly, "Order 660 was published", "A second article")
    await send(conn, settings, road.weekly)
    digest = await road.mail(ANNA, 2)
    assert await road.mail(VERA, 2)
    assert len(road.mails(BORIS)) == 1  # never confirmed
    assert "Order 660 was published" in (digest.text or "")
    assert "304" in (digest.text or "")
    assert "Order 660 was published" in (digest.html or "")
    assert header(digest, "List-Unsubscribe-Post") == "List-Unsubscribe=One-Click"

    one_click = header(digest, "List-Unsubscribe").split(">")[0].strip("<")
    async with road.site.post(
        one_click, data={"List-Unsubscribe": "One-Click"}, allow_redirects=False
    ) as left:
        assert left.status == 200
        assert not left.cookies

    await publish(conn, road.weekly, "A third article")
    await send(conn, settings, road.weekly)
    await road.mail(VERA, 3)
    assert len(road.mails(ANNA)) == 2

    record = (await people.find(conn, vault, ANNA)).record
    assert [event.content["type"] for event in record] == [
        "subscription.requested",
        "confirmation.sent",
        "confirmation.accepted",
        "consent.confirmed",
        "consent.withdrawn",
    ]
    assert record[-1].content["evidence"]["channel"] == "one-click"
    message_id = header(asked, "Message-ID")
    assert record[1].content["evidence"]["message_id"] == message_id
    async with conn.transaction():
        assert [f async for f in consent.verify(conn, vault, Verification())] == []


async def test_who_agreed_to_older_words_is_mailed_a_button_to_agree_to_newer_ones(
    road: Road, conn: Connection, vault: Vault
) -> None:
    await road.subscribe(ANNA)
    await road.confirm(ANNA)
    new = await test_renewals.newer(conn, vault)
    await test_renewals.begun(conn, road.weekly)
    asked = await road.mail(ANNA, 2)
    assert test_renewals.NEWER in " ".join((asked.text or "").split())
    assert header(asked, "List-Unsubscribe-Post") == "List-Unsubscribe=One-Click"
    async with road.site.get(link(asked, "renew")) as page:
        assert test_renewals.NEWER in await page.text()
    assert "everything goes on" in await road.press(link(asked, "renew"), notice=new.id)
    assert (await world.found(conn, vault, ANNA)).notice == new
    async with conn.transaction():
        assert [f async for f in replay.check(conn, vault)] == []


async def test_that_a_confirmation_was_mailed_is_on_record_before_anybody_can_answer_it(
    road: Road, conn: Connection, vault: Vault
) -> None:
    for n in range(20):
        await road.subscribe(f"quick{n}@example.org")
        await road.confirm(f"quick{n}@example.org")
        record = (await people.find(conn, vault, f"quick{n}@example.org")).record
        types = [event.content["type"] for event in record]
        assert types.index("confirmation.sent") < types.index("consent.confirmed")


async def test_a_confirmation_mail_leaves_within_a_quarter_of_a_second(road: Road) -> None:
    await road.subscribe("warm@example.org")
    await road.mail("warm@example.org")
    took = []
    for n in range(5):
        began = asyncio.get_running_loop().time()
        await road.subscribe(f"quick{n}@example.org")
        await road.mail(f"quick{n}@example.org")
        took.append(asyncio.get_running_loop().time() - began)
    # The target is 0.25 s; asked for with room, as a machine may have a slow day, but far below
    # the seconds that a worker would take that is not woken.
    assert min(took) < 1.0


async def test_links_in_a_mail_that_a_scanner_follows_change_nothing(
    road: Road, conn: Connection, vault: Vault
) -> None:
    await road.subscribe(ANNA)
    asked = await road.mail(ANNA)
    for found in LINK.finditer((asked.text or "") + (asked.html or "")):
        for method in ("GET", "HEAD"):
            async with road.site.request(method, found[0]) as answer:
                assert answer.status == 200
    assert (await world.found(conn, vault, ANNA)).subscription.state == "pending"
    await road.confirm(ANNA)
    assert (await world.found(conn, vault, ANNA)).subscription.state == "confirmed"


async def test_whoever_says_it_was_not_them_is_forgotten(
    road: Road, conn: Connection, vault: Vault
) -> None:
    await road.subscribe(ANNA)
    asked = await road.mail(ANNA)
    await road.press(link(asked, "refuse"), never_again="yes")
    assert await conn.fetchval("select count(*) from subscriber") == 0
    await road.subscribe(ANNA)
    await asyncio.sleep(0.5)
    assert len(road.mails(ANNA)) == 1


async def test_a_mail_server_that_is_gone_costs_nobody_their_mail(
    road: Road, conn: Connection
) -> None:
    assert road.mailbox.server is not None
    port = road.mailbox.server.sockets[0].getsockname()[1]
    await road.mailbox.stop()
    await road.subscribe(ANNA)

    async def tried() -> bool:
        return bool(await conn.fetchval("select count(*) from outbox where due_at > now()"))

    await until(tried)
    assert await conn.fetchval("select attempts from outbox") == 0
    await road.mailbox.start("127.0.0.1", port)
    await conn.execute("update outbox set due_at = now()")
    await conn.execute("select pg_notify('mailer', 'outbox')")
    await road.mail(ANNA)
