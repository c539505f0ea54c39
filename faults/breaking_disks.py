"""The disk is full: the data directory is a small file system of its own, and others fill it."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from faults import house as houses
from faults.house import House

MEGABYTES = 300
FULL_SECONDS = 8.0


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[House]:
    """In a namespace of our own (`apart`): nobody else sees the mount."""
    small = folder / "small"
    small.mkdir()
    size = f"size={MEGABYTES}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "none", str(small)], check=True)
    try:
        async with houses.opened(parent=str(small)) as house:
            yield house
    finally:
        subprocess.run(["umount", "--lazy", str(small)], check=True)


async def full(house: House) -> None:
    ballast = house.folder / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))
    try:
        await asyncio.sleep(FULL_SECONDS)
    finally:
        ballast.unlink()
    house.cuts += len(house.workers)  # the database may crash, and who is silent is taken for dead
