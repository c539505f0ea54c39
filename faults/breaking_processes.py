"""Processes of the house, killed with -9."""

import asyncio
import os
import random
import signal
from contextlib import suppress
from pathlib import Path

from bench import place
from faults.house import House, Part

AGAIN_SECONDS = 1.0
"""Whatever runs the service starts it again after so long."""

TIMES = 12


async def kill(house: House, part: Part) -> None:
    await part.kill()
    house.cuts += part is not house.web
    await asyncio.sleep(AGAIN_SECONDS)
    part.start()


async def web(house: House) -> None:
    await kill(house, house.web)


async def worker(house: House) -> None:
    await kill(house, house.workers[0])


async def postgres(house: House) -> None:
    """The server and all its processes; whoever uses the embedded one starts it again."""
    data = house.folder / "postgres" / "data"
    for pid in everyone(data):
        with suppress(ProcessLookupError):  # one may be gone, for its server is
            os.kill(pid, signal.SIGKILL)


def everyone(data: Path) -> list[int]:
    try:
        server = int((data / "postmaster.pid").read_text().splitlines()[0])
    except (OSError, IndexError):  # it is just being started again
        return []
    return [server, *place.children(server)]


async def at_random(house: House) -> None:
    for _ in range(TIMES):
        victim = random.choice(["web", "worker", "postgres"])
        if victim == "postgres":
            await postgres(house)
        else:
            await kill(house, house.web if victim == "web" else random.choice(house.workers))
        await asyncio.sleep(random.uniform(0.2, 2.0))
