"""An embedded PostgreSQL: a real server in the data directory, for as long as somebody uses it.

Three parts, held together by two locks (flock: the kernel drops them with their last holder, even
on kill -9), `use` and `own` in data_dir/postgres:

    users        any number of processes, each holding `use` shared as long as it lives
    supervisor   one, detached; starts the server, waits until `use` is free, stops it and ends
    server       shares the lock `own` with the supervisor; whoever gets `own` knows both are gone

What holds: users killed with -9 in any number stop the server like users that leave. A supervisor
killed with -9 takes the server along (the kernel sends it a fast shutdown) and the users that
remain start both again, at the same address, within a second or two: their open connections break
once. So nothing outlives a kill -9 of everybody. Only where the kernel has no such signal (macOS)
does the server of a killed supervisor stay: the next users share it, and it ends when told to.
"""

import asyncio
import fcntl
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

from mailer.errors import Unavailable

START_SECONDS = 60
"""A server that was killed first reads its journal again."""


@asynccontextmanager
async def server(data_dir: Path) -> AsyncIterator[str]:
    """The URL of the server in `data_dir`, started if nobody uses it yet.

    Raises Unavailable with what to do.
    """
    place = made(data_dir)
    with (place / "use").open("a") as use:
        try:
            async with asyncio.timeout(START_SECONDS):
                while not locked(use, fcntl.LOCK_SH):  # the last server is stopping
                    await asyncio.sleep(0.02)
                url = await started(place)
        except TimeoutError:
            raise failed(place, f"it was not ready within {START_SECONDS} seconds") from None
        watch = asyncio.create_task(keep_supervised(place))
        try:
            yield url
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)


def made(data_dir: Path) -> Path:
    place = data_dir.absolute() / "postgres"
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        (place / "use").touch()
    except OSError as error:
        raise Unavailable(
            "MAILER_DATA_DIR ({path}) can't be used: {reason}.",
            path=data_dir,
            reason=error.strerror,
        ) from None
    return place


def locked(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def started(place: Path) -> str:
    """Wait until the server answers; summon a supervisor if there is none, but only once."""
    summoned = False
    while (url := ready(place)) is None:
        if summoned and unowned(place):
            raise failed(place, last_words(place / "log"))
        summoned = await asyncio.to_thread(summon, place) or summoned
        await asyncio.sleep(0.01)
    return url


async def keep_supervised(place: Path) -> None:
    """Start the server again should it, or its supervisor, be killed."""
    while True:
        await asyncio.sleep(1)
        await asyncio.to_thread(summon, place)


def failed(place: Path, reason: str) -> Unavailable:
    return Unavailable(
        "The embedded PostgreSQL did not start: {reason} (all of its words: {log}).",
        reason=reason,
        log=place / "log",
    )


def ready(place: Path) -> str | None:
    """The server's URL if it says it is ready (last line of its file) and takes connections."""
    try:
        lines = (place / "data" / "postmaster.pid").read_text().splitlines()
    except OSError:
        return None
    if len(lines) < 8 or lines[7].strip() != "ready":
        return None
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(f"{lines[4]}/.s.PGSQL.5432"):
            return None
    return f"postgresql://mailer@/postgres?host={lines[4]}&port=5432"


def last_words(log: Path) -> str:
    lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    told = [line for line in lines if re.search(r"FATAL|error|Error|Unavailable", line)]
    return (told or lines or ["it left no word"])[-1].strip().rstrip(".")


def unowned(place: Path) -> bool:
    with (place / "own").open("a") as own:
        return locked(own, fcntl.LOCK_EX)


def summon(place: Path) -> bool:
    """Start a supervisor unless there is one; the lock `own` goes to it as its standard input,
    and from it to postgres."""
    with (place / "own").open("a") as own:
        if not locked(own, fcntl.LOCK_EX):
            return False
        with (place / "log").open("w") as log:
            subprocess.run(
                [sys.executable, "-m", "mailer.embedded.supervisor", str(place)],
                cwd=Path(__file__).parents[2],
                stdin=own,
                stdout=log,
                stderr=log,
                start_new_session=True,
                check=True,
            )
    return True
