"""sql/roles.sql: the whole road runs under its roles, and neither can rewrite the record."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import asyncpg
import pytest
from aiohttp.test_utils import TestServer

from mailer import config, db, log, people, resources
from mailer.config import Settings
from mailer.db import Connection, Pool
from mailer.log.keep import Keep
from mailer.mailbox import Mailbox
from mailer.vault import Vault
from mailer.web import app
from tests import world
from tests.test_log import events, seal
from tests.test_whole_road import Road, header, link, publish, send, until, working
from tests.world import ANNA, BORIS

ROLES = (resources("sql") / "roles.sql").read_text("utf-8")
WEB, WORKER = "mailer_web", "mailer_worker"


def under(url: str, role: str) -> str:
    """The database as somebody who logged in with this role alone."""
    return f"{url}{'&' if '?' in url else '?'}role={role}"


@pytest.fixture
async def restricted(conn: Connection, vault: Vault, database_url: str) -> str:
    """The database after `psql -f sql/roles.sql`, which may be run again."""
    for _ in range(2):
        await conn.execute(ROLES)
    return database_url


@asynccontextmanager
async def pool(url: str, role: str) -> AsyncIterator[Pool]:
    async with db.pool(under(url, role), size=10) as opened:
        async with opened.acquire() as conn:
            assert await conn.fetchval("select current_user") == role
        yield opened


async def test_the_whole_road_runs_under_them(
    conn: Connection, vault: Vault, settings: Settings, restricted: str, tmp_path: Path
) -> None:
    weekly = await world.make(conn, vault)
    mailbox = Mailbox(tmp_path / "mail")
    port = await mailbox.start()
    settings = replace(settings, smtp=(config.smtp(f"smtp://127.0.0.1:{port}"),))
    async with pool(restricted, WEB) as web, pool(restricted, WORKER) as work:
        server = TestServer(app.make(settings, web, vault))
        await server.start_server()
        settings = replace(settings, base_url=str(server.make_url("")).rstrip("/"))
        async with aiohttp.ClientSession() as site, working(settings, work, vault):
            road = Road(site, settings.base_url, mailbox, weekly)
            await road.subscribe(ANNA)
            await road.confirm(ANNA)
            await road.subscribe(BORIS)
            await road.press(link(await road.mail(BORIS), "refuse"), never_again="yes")
            await publish(conn, weekly, "Order 660 was published")
            await send(conn, settings, weekly)
            leave = header(await road.mail(ANNA, 2), "List-Unsubscribe").split(">")[0].strip("<")
            await road.press(leave, **{"List-Unsubscribe": "One-Click"})
            types = [e.content["type"] for e in (await people.find(conn, vault, ANNA)).record]
            assert types[-1] == "consent.withdrawn"

            async def all_sealed() -> bool:
                signed = await log.checkpoint(conn, vault)
                total = await conn.fetchval("select count(*) from consent_event")
                return signed is not None and signed.size == total

            await until(all_sealed)
            for path in ("/log/checkpoint", "/log/key", "/readyz", "/archive/weekly/1"):
                async with site.get(f"{settings.base_url}{path}") as answer:
                    assert answer.status == 200, path
        await server.close()
    await mailbox.stop()


@pytest.mark.parametrize("role", [WEB, WORKER])
@pytest.mark.parametrize(
    "statement",
    [
        "update consent_event set at = now()",
        "update consent_event set leaf = 100",
        "update consent_event set body = null",
        "delete from consent_event",
        "truncate consent_event cascade",
        "update subject set dek = null",
        "update subject set erased_at = now()",
        "update notice set wording = 'x'",
        "delete from notice",
        "update vault_key set wrapped = ''",
        "delete from vault_key",
        "update house set origin = 'x'",
        "delete from log_tile",
        "delete from log_checkpoint",
        "delete from migration",
        "alter table consent_event disable trigger all",
        "set session_replication_role = replica",
        "create table consent_event_2 (id uuid)",
        "drop function refuse_change() cascade",
        "select erase_subject('00000000-0000-0000-0000-000000000000')",
    ],
)
async def test_neither_can_rewrite_the_record(
    conn: Connection, vault: Vault, keep: Keep, restricted: str, role: str, statement: str
) -> None:
    await events(conn, vault, 3)
    await seal(conn, vault, keep)
    async with db.connection(under(restricted, role)) as own:
        for first in ("select 1", "select set_config('mailer.erasing', id::text, false) "
                      "from subject order by created_at desc limit 1"):  # fmt: skip
            await own.execute(first)
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await own.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "select seal_events(array[]::uuid[], 0)",
        "insert into log_tile values (3, 0, sha256(''))",
        "update log_tile set hashes = hashes || sha256('')",
        "insert into log_checkpoint (size, note) values (1, 'x')",
        "insert into log_objection values (gen_random_uuid(), 'x')",
        "insert into worker values (gen_random_uuid())",
    ],
)
async def test_the_web_cant_touch_the_log(
    conn: Connection, vault: Vault, restricted: str, statement: str
) -> None:
    async with db.connection(under(restricted, WEB)) as own:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await own.execute(statement)


async def test_a_subject_with_events_cant_be_deleted(
    conn: Connection, vault: Vault, restricted: str
) -> None:
    await events(conn, vault, 1)
    async with db.connection(under(restricted, WORKER)) as own:
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await own.execute("delete from subject where seq > 0")


def test_the_table_at_the_top_names_what_is_kept_apart() -> None:
    explained = ROLES.split("do $$")[0]
    named = re.search(r"not in \(([^)]*)\)", ROLES)
    assert named is not None
    for table in re.findall(r"'(\w+)'", named[1]):
        assert re.search(rf"\b{table}\b", explained), table
