"""Mail gateways open every link of a mail and run what they find: nothing comes of it.

Here one does worse than they do: a real browser that runs scripts, and HEAD, GET and OPTIONS to
every address in every kind of mail, and to every address on the pages behind them.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import aiohttp
import pytest
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser

from mailer import config, notices, people, rectification, renewals, subjects
from mailer.config import Settings
from mailer.consent import SUBJECT
from mailer.db import Connection, Pool
from mailer.mailbox import Mailbox, Parsed
from mailer.vault import Vault
from mailer.web import app
from tests import site, world
from tests.test_whole_road import publish, send, until, working
from tests.world import ANNA, BORIS, HOURS

NEW = "boris.new@example.org"
URL = re.compile(r"https?://[^\s<>\"']+")
MOST_PAGES = 300
FOUND = """() => [...document.querySelectorAll('[href], [src], [action], [formaction]')].flatMap(
    e => [e.href, e.src, e.action, e.formAction]).filter(u => typeof u === 'string')"""


@pytest.fixture
async def mailed(
    conn: Connection, pool: Pool, vault: Vault, settings: Settings, tmp_path: Path
) -> AsyncIterator[tuple[str, Mailbox]]:
    """The site, and a mailbox with one of each kind of mail: Anna was asked to confirm; Boris, who
    had confirmed, asked again, got a digest, is asked to agree to newer words and to move."""
    box = Mailbox(tmp_path / "mail")
    smtp = config.smtp(f"smtp://127.0.0.1:{await box.start()}")
    server = TestServer(app.make(settings, pool, vault))
    await server.start_server()
    base = str(server.make_url("")).rstrip("/")
    settings = replace(settings, base_url=base, smtp=(smtp,))
    async with working(settings, pool, vault):
        weekly = await world.make(conn, vault)
        await world.ask(conn, vault, weekly.wish(ANNA))
        await world.confirmed(conn, vault, weekly.wish(BORIS))
        await world.ask(conn, vault, weekly.wish(BORIS))
        await publish(conn, weekly, "Order 660 was published")
        await send(conn, settings, weekly)
        await conn.execute("update subscription set mailed_at = null where state = 'confirmed'")
        house = await subjects.house(conn, vault)
        newer = world.words("en", retention="one year")
        await notices.publish(conn, house, newer, actor="staff:anna")
        soon = datetime.now(UTC) + timedelta(days=30)
        async with conn.transaction():
            await renewals.begin(conn, weekly.newsletter, soon, by="staff:anna")
            await renewals.ask(conn, 10)
        own = await people.find(conn, vault, BORIS)
        async with conn.transaction():
            await rectification.ask(
                conn, vault, own, NEW, language="en", hours=HOURS, actor=SUBJECT
            )
        await until(lambda: len(box.list()) >= 5)
    yield base, box
    await server.close()
    await box.stop()


@pytest.mark.browser
async def test_whoever_only_follows_links_confirms_ends_and_uses_up_nothing(
    mailed: tuple[str, Mailbox], browser: Browser, conn: Connection, vault: Vault
) -> None:
    base, box = mailed
    found = [mail for each in box.list() if (mail := box.read(each.id)) is not None]
    kinds = {kind for mail in found for kind in PURPOSES if f"/{kind}/" in (mail.text or "")}
    assert kinds == set(PURPOSES), "every kind of link was mailed"
    before = await site.content(conn)

    todo = [url for mail in found for url in URL.findall(f"{mail.text}\n{mail.html}")]
    seen: set[str] = set()
    opened = await browser.new_page()
    async with aiohttp.ClientSession() as session:
        while todo and len(seen) < MOST_PAGES:
            url = urljoin(base, todo.pop(0).replace("&amp;", "&").rstrip(".,;)")).partition("#")[0]
            if url in seen or urlsplit(url).netloc != urlsplit(base).netloc:
                continue
            seen.add(url)
            for method in ("HEAD", "OPTIONS", "GET"):
                async with session.request(method, url) as answer:
                    kind = answer.content_type
                    assert answer.status in (200, 204, 404, 405), f"{method} {url}"
            if kind == "text/html":
                await opened.goto(url)
                todo += await opened.evaluate(FOUND)
    visited = {urlsplit(url).path.split("/")[1] for url in seen}
    assert {*PURPOSES, "me", "notice", "archive", "form", "static"} <= visited
    assert await site.content(conn) == before

    # And every link still does what it is for, once a person presses its button.
    by_kind = {kind: url for mail in found for kind in PURPOSES if (url := first(mail, kind))}
    async with aiohttp.ClientSession() as session:
        for kind, wanted in DONE.items():
            fields = {"answer": "yes", "notice": await newest(conn)}
            async with session.post(by_kind[kind], data=fields) as answer:
                assert wanted in await answer.text(), kind
    anna = await world.found(conn, vault, ANNA)
    assert anna.subscription.state == "confirmed"


DONE = {
    "confirm": "is confirmed",
    "renew": "everything goes on",
    "address": "Your subscriptions",
    "u": "You have left",
}
PURPOSES = ("confirm", "refuse", "u", "me", "renew", "address")


def first(mail: Parsed, kind: str) -> str | None:
    return next((url for url in URL.findall(mail.text or "") if f"/{kind}/" in url), None)


async def newest(conn: Connection) -> str:
    id_: str = await conn.fetchval("select id from notice order by valid_from desc limit 1")
    return id_
