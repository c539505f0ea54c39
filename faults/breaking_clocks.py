"""The clock jumps, for PostgreSQL and every process of the house; the machine's own is not touched.

By libfaketime, which they load before the C library and which reads the difference from a file each
time. Monotonic clocks go on, as they do when a real clock is set.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from bench.servers import SETTINGS, Server
from faults import house as houses
from faults.house import House, Site

HOUR = 3600
SETTLE_SECONDS = 5.0
PLACES = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib*/faketime/libfaketime.so.1")
FILE = "FAKETIME_TIMESTAMP_FILE"


def library() -> Path | None:
    return next((found for at in PLACES for found in Path("/").glob(at.lstrip("/"))), None)


def lacking() -> str | None:
    return None if library() else "libfaketime is missing (on Debian: apt-get install faketime)"


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[House]:
    clock = folder / "clock"
    clock.write_text("+0")
    environ = {
        "LD_PRELOAD": str(library()),
        FILE: str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DISABLE_SHM": "1",
    }
    with ExitStack() as stack:
        server = Server(folder / "server", stack, settings=SETTINGS, environ=environ)
        await asyncio.to_thread(server.create)
        await asyncio.to_thread(server.start)
        async with houses.opened(server.url, Site(environ=environ)) as house:
            yield replace(house, servers=[server])


async def forward(house: House) -> None:
    await jump(house, HOUR)


async def back(house: House) -> None:
    await jump(house, -HOUR)


async def jump(house: House, seconds: int) -> None:
    """What others took for alive or due a moment ago is no more: wires may be cut."""
    async with house.here.pool.acquire() as conn:
        before = await conn.fetchval("select clock_timestamp()")
        new = Path(house.web.environ[FILE]).with_suffix(".new")
        new.write_text(f"{seconds:+d}")
        new.replace(house.web.environ[FILE])
        jumped = (await conn.fetchval("select clock_timestamp()") - before).total_seconds()
    if not seconds - 60 < jumped < seconds + 60:
        house.wrong.append(f"the clock jumped by {jumped:.0f} s, not by {seconds}")
    house.cuts += len(house.workers)
    await asyncio.sleep(SETTLE_SECONDS)
