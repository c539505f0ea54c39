"""The bed of all tests: one real PostgreSQL a run, a database of its own for each test.

By default the embedded server in a temporary folder; MAILER_TEST_DATABASE_URL names another one
(15 or newer, by a user who may create databases), so that the same tests run there.
"""

import asyncio
import hashlib
import itertools
import os
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import hypothesis
import pytest
from playwright.async_api import Browser, async_playwright

from mailer import config, db, embedded, migrate, resources, subjects
from mailer.config import Settings, Source
from mailer.db import Connection, Pool
from mailer.log.keep import Keep
from mailer.vault import Vault, new_master

GIVEN = "MAILER_TEST_DATABASE_URL"
FOLDER = "MAILER_TEST_FOLDER"
CHROMIUM = "MAILER_CHROMIUM"
TIMES = "MAILER_TEST_TIMES"
NAMES = ("chromium", "chromium-browser", "google-chrome")
LEFT_OUT = (
    "NO CHROMIUM: {count} browser tests were left out. Install it (on Debian: "
    "apt-get install chromium) or name one in MAILER_CHROMIUM."
)
ROOM_BYTES = 4 << 30
FLAGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
]

left_out = pytest.StashKey[int]()
counter = itertools.count()


hypothesis.settings.register_profile("patient", deadline=None)  # a loaded day is no failure
hypothesis.settings.load_profile("patient")


def times(many: int) -> int:
    """So many examples of what has no end; `./run fuzz` wants more."""
    return many * int(os.environ.get(TIMES, "1"))


# the run: its folder, and whether there is a browser


def pytest_configure(config: pytest.Config) -> None:
    """Processes of one run (xdist) share a folder and so a server."""
    if FOLDER not in os.environ:
        os.environ[FOLDER] = tempfile.mkdtemp(prefix="mailer-test-", dir=memory())
        config.add_cleanup(remove_folder)


def memory() -> str | None:
    """Where a server that needs not survive a crash is fastest, if there is room; else where
    temporary files go."""
    shared = Path("/dev/shm")
    try:
        roomy = os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > ROOM_BYTES
    except OSError:
        roomy = False
    return str(shared) if roomy and "TMPDIR" not in os.environ else None


def remove_folder() -> None:
    shutil.rmtree(os.environ.pop(FOLDER), ignore_errors=True)


def chromium() -> str | None:
    return os.environ.get(CHROMIUM) or next(filter(None, map(shutil.which, NAMES)), None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without a browser its tests are left out, loudly; in CI that is a failure."""
    wanting = [item for item in items if item.get_closest_marker("browser")]
    if not wanting or chromium():
        return
    config.stash[left_out] = len(wanting)
    if os.environ.get("CI") == "true":
        raise pytest.UsageError(LEFT_OUT.format(count=len(wanting)))
    config.hook.pytest_deselected(items=wanting)
    items[:] = [item for item in items if item not in wanting]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not chromium():
        count = terminalreporter.config.stash.get(left_out, "the")
        terminalreporter.write_line(LEFT_OUT.format(count=count), red=True, bold=True)


# the database


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of the run's server, with a migrated template in it."""
    with running() as url:
        asyncio.run(make_template(url))
        yield url


@contextmanager
def running() -> Iterator[str]:
    """A server that needs not survive a crash, held by a thread with a loop of its own."""
    if given := os.environ.get(GIVEN):
        yield given
        return
    ready: list[str] = []
    began, end = threading.Event(), threading.Event()

    async def hold() -> None:
        try:
            async with embedded.server(Path(os.environ[FOLDER])) as url:
                async with db.connection(url) as conn:
                    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                        await conn.execute(f"alter system set {setting} = off")
                    await conn.execute("select pg_reload_conf()")
                ready.append(url)
                began.set()
                await asyncio.to_thread(end.wait)
        finally:
            began.set()

    thread = threading.Thread(target=asyncio.run, args=(hold(),), daemon=True)
    thread.start()
    began.wait()
    assert ready, "the embedded PostgreSQL did not start"
    try:
        yield ready[0]
    finally:
        end.set()
        thread.join()


def template() -> str:
    """Named after the migrations in it."""
    files = sorted((resources("sql") / "migrations").glob("*.sql"))
    whole = b"".join(file.read_bytes() for file in files)
    return f"mailer_template_{hashlib.sha256(whole).hexdigest()[:12]}"


async def make_template(url: str) -> None:
    """One process makes it, the others wait."""
    async with db.connection(url) as conn:
        await conn.execute("select pg_advisory_lock(1)")
        if await conn.fetchval("select 1 from pg_database where datname = $1", template()):
            return
        await conn.execute(f'create database "{template()}"')
        try:
            async with db.connection(named(url, template())) as made:
                await migrate.run(made)
        except BaseException:
            await conn.execute(f'drop database "{template()}" with (force)')
            raise


def named(url: str, database: str) -> str:
    return urlsplit(url)._replace(path=f"/{database}").geturl()


@pytest.fixture
async def database_url(server: str) -> AsyncIterator[str]:
    """A database for this test alone."""
    name = f"mailer_test_{os.getpid()}_{next(counter)}"
    admin = await asyncpg.connect(server)
    try:
        await admin.execute(f'create database "{name}" template "{template()}"')
        yield named(server, name)
        await admin.execute(f'drop database "{name}" with (force)')
    finally:
        await admin.close()


@pytest.fixture
async def conn(database_url: str) -> AsyncIterator[Connection]:
    async with db.connection(database_url) as opened:
        yield opened


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    async with db.pool(database_url, size=10) as opened:
        yield opened


# what else a test works with


@pytest.fixture
async def vault(conn: Connection) -> Vault:
    return await subjects.open_vault(conn, new_master())


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    given = {
        "MAILER_DATABASE_URL": database_url,
        "MAILER_CONTROLLER": "Example Rights Watch, 1 Example Street, Example City",
    }
    return config.read(Source(given), tmp_path, dev=False)


@pytest.fixture
def keep(tmp_path: Path) -> Keep:
    """Where this machine keeps checkpoints of the log."""
    return Keep(tmp_path)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """A real Chromium."""
    path = chromium()
    assert path is not None, "tests that need a browser are marked so"
    sandbox = ["--no-sandbox"] if os.getuid() == 0 else []
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=path, args=[*FLAGS, *sandbox])
        yield launched
        await launched.close()
