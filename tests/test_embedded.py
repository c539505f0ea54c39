"""The embedded PostgreSQL: started by need, shared, and gone with the last who uses it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from mailer import embedded
from mailer.embedded import programs
from mailer.errors import Unavailable

SECONDS = 60

USER = """
import asyncio, sys
from pathlib import Path
from mailer import embedded

async def use():
    async with embedded.server(Path(sys.argv[1])) as url:
        print(url, flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(use())
"""


class User:
    """A process of its own that uses the server until it is told to leave."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(folder)],
            cwd=Path(embedded.__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        assert self.url.startswith("postgresql://")

    def leave(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(SECONDS)

    def kill(self) -> None:
        self.process.kill()
        with self.process:  # closes its pipes
            self.process.wait(SECONDS)


@pytest.fixture
def use(tmp_path: Path) -> Iterator[Callable[[], User]]:
    users: list[User] = []

    def start() -> User:
        users.append(User(tmp_path))
        return users[-1]

    yield start
    for user in users:
        user.kill()
    until(lambda: server(tmp_path) is None)


def server(folder: Path) -> int | None:
    """The process of the server, while it lives."""
    try:
        number = int((folder / "postgres/data/postmaster.pid").read_text().split("\n")[0])
        os.kill(number, 0)
    except (OSError, ValueError):
        return None
    return number


def until(met: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not met():
        assert time.monotonic() < end
        time.sleep(0.02)


async def answer(url: str, question: str) -> object:
    conn = await asyncpg.connect(url)
    try:
        return await conn.fetchval(question)
    finally:
        await conn.close()


async def test_two_processes_share_one_server_and_the_last_one_stops_it(
    use: Callable[[], User], tmp_path: Path
) -> None:
    first = use()
    await answer(first.url, "create table kept as select 1 as what")
    running = server(tmp_path)
    second = use()
    assert server(tmp_path) == running
    assert await answer(second.url, "select what from kept") == 1
    first.leave()
    assert await answer(second.url, "select what from kept") == 1
    second.leave()
    until(lambda: server(tmp_path) is None)
    assert await answer(use().url, "select what from kept") == 1


async def test_it_stops_when_all_who_use_it_are_killed(
    use: Callable[[], User], tmp_path: Path
) -> None:
    users = [use(), use()]
    assert server(tmp_path) is not None
    for user in users:
        user.kill()
    until(lambda: server(tmp_path) is None)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGQUIT])  # SIGQUIT: it exits with 0
async def test_a_server_that_is_ended_is_started_again_for_those_who_stay(
    use: Callable[[], User], tmp_path: Path, how: signal.Signals
) -> None:
    user = use()
    await answer(user.url, "create table kept as select 1 as what")
    killed = server(tmp_path)
    assert killed is not None
    os.kill(killed, how)
    until(
        lambda: (
            server(tmp_path) not in (None, killed)
            and embedded.ready(tmp_path / "postgres") == user.url
        )
    )
    assert await answer(user.url, "select what from kept") == 1


async def test_its_socket_and_its_data_are_open_to_nobody_else(
    use: Callable[[], User], tmp_path: Path
) -> None:
    user = use()
    sockets = Path(user.url.split("host=")[1].split("&")[0])
    for folder in (sockets, tmp_path / "postgres", tmp_path / "postgres/data"):
        assert folder.stat().st_mode & 0o077 == 0
    assert await answer(user.url, "show listen_addresses") == ""


def test_it_is_new_enough_and_one_that_made_the_data_is_wanted_again(tmp_path: Path) -> None:
    assert programs.version(programs.binaries(tmp_path)) >= programs.OLDEST
    (tmp_path / "PG_VERSION").write_text("9\n")
    with pytest.raises(Unavailable, match="made by PostgreSQL 9"):
        programs.binaries(tmp_path)


async def test_a_folder_that_cannot_be_used_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match=r"MAILER_DATA_DIR .* can't be used"):
        async with embedded.server(tmp_path / "file"):
            pass
