"""One of the hosts is cut off: its web process, and one worker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from bench import hosts
from bench.servers import Server
from faults import house as houses
from faults.house import House, Site

CUT_SECONDS = 20.0
"""Longer than a worker may be silent before others take over what it holds."""


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[House]:
    """PostgreSQL and the mail server are on the bridge, the house's processes on two hosts."""
    with hosts.network() as names, ExitStack() as stack:
        server = Server(folder / "server", stack, hosts.address(0))
        await asyncio.to_thread(server.create)
        await asyncio.to_thread(server.start)
        near, far = (hosts.inside(name) for name in names[:2])
        site = Site(hosts.address(1), hosts.address(0), hosts.address(2), (near, near, far))
        async with houses.opened(server.url, site) as house:
            yield replace(house, servers=[server])


async def cut_off(house: House) -> None:
    hosts.ip("link", "set", hosts.cable(0), "down")
    house.cuts += 1
    await asyncio.sleep(CUT_SECONDS)
    hosts.ip("link", "set", hosts.cable(0), "up")
