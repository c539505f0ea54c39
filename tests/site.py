"""The site as a visitor meets it: the real app on a real socket."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request

from mailer import config
from mailer.config import Settings, Source
from mailer.db import Connection, Pool
from mailer.mailbox import Mailbox
from mailer.vault import Vault
from mailer.web import app
from tests.world import HOURS, World

Client = TestClient[Request, Application]

JSON = {"Accept": "application/json"}
SITE = "https://site.example.org"


def settings(**given: str) -> Settings:
    texts = {"MAILER_BASE_URL": "http://news.example.org", "MAILER_CONFIRM_HOURS": str(HOURS)}
    return config.read(Source({**texts, **given}), folder(), dev=True)


def folder() -> Path:
    """MAILER_DATA_DIR of every site of this run."""
    return Path(os.environ["MAILER_TEST_FOLDER"]) / "data"


@asynccontextmanager
async def opened(
    pool: Pool, vault: Vault, mailbox: Mailbox | None = None, /, **given: str
) -> AsyncIterator[Client]:
    """A client of the site; it follows no redirects unless told to, and keeps no cookies."""
    made = app.make(settings(**given), pool, vault, mailbox)
    async with TestClient(TestServer(made)) as client:
        yield client


def fields(world: World, email: str, language: str = "en", /, **more: str) -> dict[str, str]:
    """What the hosted form sends."""
    filled = {
        "email": email,
        "newsletter": world.newsletter.slug,
        "consent": "yes",
        "notice": world.notices[language].id,
        "lang": language,
        **more,
    }
    return {name: value for name, value in filled.items() if value}


async def content(conn: Connection) -> dict[str, list[str]]:
    """Everything in the database."""
    tables = await conn.fetch("select tablename from pg_tables where schemaname = 'public'")
    return {
        t["tablename"]: sorted(
            str(row) for row in await conn.fetch(f'select * from "{t["tablename"]}"')
        )
        for t in tables
    }
