"""Polling: a worker asks feeds that are due, each at its own pace, and stops when told to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer

from mailer import config, feeds, newsletters
from mailer.config import Settings, Source
from mailer.db import Connection, Pool
from mailer.vault import Vault
from mailer.worker import Worker
from mailer.worker.feeds import AT_ONCE

RSS = """<rss version="2.0"><channel><title>News</title><item><title>Story</title>
<link>https://example.org/{}</link></item></channel></rss>"""


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    given = {"MAILER_DATABASE_URL": database_url, "MAILER_FEED_NETWORKS": "127.0.0.0/8"}
    return config.read(Source(given), tmp_path, dev=False)


@asynccontextmanager
async def server(hanging: asyncio.Event) -> AsyncIterator[BaseTestServer]:
    """Feeds at /NUMBER; /hang never answers, and says that it was asked."""

    async def feed(request: web.Request) -> web.Response:
        return web.Response(text=RSS.format(request.match_info["number"]))

    async def hang(request: web.Request) -> web.Response:
        hanging.set()
        await asyncio.Event().wait()
        raise AssertionError

    application = web.Application()
    application.add_routes([web.get(r"/{number:\d+}", feed), web.get("/hang", hang)])
    async with TestServer(application, host="127.0.0.1") as running:
        yield running


async def test_a_server_that_hangs_holds_up_neither_other_feeds_nor_the_end(
    conn: Connection, pool: Pool, vault: Vault, settings: Settings
) -> None:
    weekly = await newsletters.add(conn, "weekly", {"en": "Weekly"}, fallback="en")
    hanging, stop = asyncio.Event(), asyncio.Event()
    async with server(hanging) as running:
        await feeds.add(conn, weekly.id, str(running.make_url("/hang")))
        await conn.execute("update feed set due_at = due_at - interval '1 hour'")  # asked first
        others = 3 * AT_ONCE
        for number in range(others):
            await feeds.add(conn, weekly.id, str(running.make_url(f"/{number}")))
        worker = asyncio.create_task(Worker(settings, pool, vault, stop).run())
        await hanging.wait()
        while await conn.fetchval("select count(*) from article") < others:
            await asyncio.sleep(0.05)
        stop.set()
        await worker
        left = await conn.fetch("select url from feed where polled_at is null")
        assert [row["url"] for row in left] == [str(running.make_url("/hang"))]
        # Its lease ends, and then it is due again; nothing is held against it.
        assert await conn.fetchval("select max(failures) from feed") == 0
