"""PostgreSQL: restarted, replaced by its standby, out of connections or of the web's patience."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal

import asyncpg

from bench import place
from bench.servers import SETTINGS, Server
from faults import house as houses
from faults.house import House
from mailer import db

AWAY_SECONDS = 2.0
PROMOTE_SECONDS = 3.0
HELD_SECONDS = 8.0
FEW = {**SETTINGS, "max_connections": "60"}
IMPATIENT = 40
"""Visitors who come while the web process has no connection to spare: it has ten."""


@asynccontextmanager
async def servers(folder: Path, many: int = 1) -> AsyncIterator[list[Server]]:
    """The first is the primary, the others follow it, so that what was committed is in all."""
    with ExitStack() as stack:
        made = [Server(folder / f"server-{n}", stack, settings=FEW) for n in range(many)]
        await asyncio.to_thread(made[0].create)
        await asyncio.to_thread(made[0].start)
        for each in made[1:]:
            await asyncio.to_thread(each.follow, made[0])
            await asyncio.to_thread(each.start)
        if many > 1:
            async with db.connection(made[0].url) as conn:
                await conn.execute("alter system set synchronous_standby_names = '*'")
                await conn.execute("select pg_reload_conf()")
        yield made


@asynccontextmanager
async def one(folder: Path) -> AsyncIterator[House]:
    async with servers(folder) as made, houses.opened(made[0].url) as house:
        yield replace(house, servers=made)


@asynccontextmanager
async def pair(folder: Path) -> AsyncIterator[House]:
    """Processes know both by one URL, and use the one that takes writes."""
    async with servers(folder, 2) as made:
        both = ",".join(f"{each.host}:{each.port}" for each in made)
        async with houses.opened(f"postgresql://mailer@{both}/postgres") as house:
            yield replace(house, servers=made)


async def restarted(house: House) -> None:
    """In order: connections are ended, and everything is written."""
    await restart(house, "fast")


async def crashed(house: House) -> None:
    """As after a power failure: it reads its journal again."""
    await restart(house, "immediate")


async def restart(house: House, how: Literal["fast", "immediate"]) -> None:
    (server,) = house.servers
    await asyncio.to_thread(server.stop, how)
    await asyncio.sleep(AWAY_SECONDS)
    await asyncio.to_thread(server.start)
    house.cuts += len(house.workers)  # who takes another for dead frees what that has on the wire


async def failed_over(house: House) -> None:
    first, second = house.servers
    first.die()
    await asyncio.sleep(PROMOTE_SECONDS)
    await asyncio.to_thread(second.promote)
    house.cuts += len(house.workers)


async def exhausted(house: House) -> None:
    """Every request of the web process waits in the database, and more come than it has
    connections: the rest waits for one."""
    async with house.here.pool.acquire() as conn, conn.transaction():
        await conn.execute("lock table newsletter in access exclusive mode")
        for _ in range(IMPATIENT):
            house.crowd.send_one()
        await asyncio.sleep(HELD_SECONDS)


async def full(house: House) -> None:
    """Others take every connection that the server has, the house's own too."""
    (server,) = house.servers
    taken: list[asyncpg.Connection[asyncpg.Record]] = []
    async with AsyncExitStack() as stack, house.here.pool.acquire() as conn:
        await conn.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where backend_type = 'client backend' and pid <> pg_backend_pid()"
        )
        with suppress(asyncpg.TooManyConnectionsError):
            while True:
                taken.append(await asyncpg.connect(server.url))
                stack.push_async_callback(taken[-1].close)
        place.progress(f"{len(taken)} connections are taken by others")
        await asyncio.sleep(HELD_SECONDS)
