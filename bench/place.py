"""Where benchmarks happen: a database of their own, the real commands as processes, the machine."""

import asyncio
import base64
import json
import os
import platform
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from aiohttp import web

from mailer import config, db, embedded, migrate, newsletters, notices, subjects
from mailer.config import Settings
from mailer.db import Connection, Pool
from mailer.newsletters import Newsletter
from mailer.notices import Notice, Words
from mailer.vault import Vault

ROOT = Path(__file__).parents[1]
SBIN = ("/usr/sbin", "/usr/libexec/postfix", "/usr/lib/postfix/sbin", "/usr/local/sbin")

WORDS = Words(
    language="en",
    newsletter=None,
    wording="Yes, send me the digest. I agree that my address is stored for it.",
    controller="Example Rights Watch, 1 Example Street, rights@example.org",
    purposes=("sending the digest",),
    recipients="nobody",
    retention="until you leave",
    withdrawal="with one click, in each mail",
)


@dataclass(frozen=True)
class Place:
    """A house of its own: what its processes are told, and a way into its database."""

    environ: Mapping[str, str]
    settings: Settings
    pool: Pool
    vault: Vault
    newsletter: Newsletter
    notice: Notice


@asynccontextmanager
async def place(*, parent: str = "", url: str = "", **named: str) -> AsyncIterator[Place]:
    """The database at `url`, which must be empty, or an embedded one: migrated, one newsletter.

    It lives in a temporary folder, in `parent`. `named`: settings beside those that every process
    needs.
    """
    with tempfile.TemporaryDirectory(prefix="mailer-bench-", dir=parent or None) as folder:
        async with database(Path(folder), url) as its:
            told = {
                "MAILER_DATA_DIR": folder,
                "MAILER_DATABASE_URL": its,
                "MAILER_SECRET_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
                "MAILER_FROM": "Rights Weekly <weekly@news.example.org>",
                "MAILER_BOUNCE_DOMAIN": "bounces.example.org",
                "MAILER_BASE_URL": "https://news.example.org",
                "MAILER_CONTROLLER": WORDS.controller,
                **named,
            }
            settings = config.load(told, Path(folder) / "none")
            async with db.pool(its) as pool:
                vault, newsletter, notice = await furnish(pool, told["MAILER_SECRET_KEY"])
                yield Place(told, settings, pool, vault, newsletter, notice)


@asynccontextmanager
async def database(folder: Path, named: str) -> AsyncIterator[str]:
    """MAILER_DATABASE_URL where none is named; it must be empty: what is there is not touched."""
    given = named or os.environ.get("MAILER_DATABASE_URL")
    if given:
        yield given
        return
    async with embedded.server(folder) as url:
        yield url
    while not embedded.unowned(folder / "postgres"):  # it writes until it is gone
        await asyncio.sleep(0.05)


async def furnish(pool: Pool, key: str) -> tuple[Vault, Newsletter, Notice]:
    async with pool.acquire() as conn:
        await migrate.run(conn)
        vault = await subjects.open_vault(conn, key)
        async with conn.transaction():
            house = await subjects.house(conn, vault)
            newsletter = await newsletters.add(
                conn, "weekly", {"en": "Rights Weekly"}, fallback="en", cadences=("weekly",)
            )
            notice = await notices.publish(conn, house, WORDS, actor="staff:bench")
    return vault, newsletter, notice


# processes


@contextmanager
def process(
    command: Sequence[str],
    environ: Mapping[str, str] | None = None,
    log: Path | None = None,
    *,
    mortal: bool = False,
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs while the block does; what it says stays in `log`, and is shown only if it ends before
    that, unless it is expected to (`mortal`)."""
    with tempfile.TemporaryFile() if log is None else log.open("w+b") as said:
        started = subprocess.Popen(
            command, cwd=ROOT, stdout=said, stderr=said, env={**bare_environ(), **(environ or {})}
        )
        try:
            yield started
        finally:
            early = started.poll()
            started.terminate()
            try:
                started.wait(20)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()
            if early is not None and not mortal:
                said.seek(0)
                sys.stderr.write(said.read().decode(errors="replace"))


def bare_environ() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if not name.startswith("MAILER_")}


def mailer(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "mailer", *arguments]


def tool(name: str, package: str = "postfix") -> str:
    """A program of a Debian package; Postfix's are seldom in PATH."""
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *SBIN]))
    if found is None:
        raise SystemExit(f"{name} is missing: apt-get install --no-install-recommends {package}")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def reachable(port: int, process: subprocess.Popen[bytes], seconds: float = 30) -> None:
    """Wait until the process listens there."""
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"nothing listens on port {port}") from None
            time.sleep(0.05)
        else:
            return


@asynccontextmanager
async def served(
    answer: Callable[[web.Request], Awaitable[web.Response]], port: int
) -> AsyncIterator[None]:
    """Somebody else's site: one handler for all paths of one part."""
    app = web.Application()
    app.router.add_get("/{name}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield
    finally:
        await runner.cleanup()


# what they use


def cpu_seconds(pid: int) -> float:
    """Of a process, from its start."""
    return sum(times(pid)[:2])


def children_seconds(pid: int) -> float:
    """Of a process and all its children, those that have ended too."""
    return sum(times(pid)) + sum(cpu_seconds(child) for child in children(pid))


def children(pid: int) -> list[int]:
    living = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit()]
    return [each for each in living if parent(each) == pid]


def times(pid: int) -> list[float]:
    """utime, stime, cutime, cstime; nothing of a process that ended meanwhile (proc(5))."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return [0.0] * 4
    return [int(ticks) / os.sysconf("SC_CLK_TCK") for ticks in fields[11:15]]


def parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def family(pid: int) -> list[int]:
    """A process and all that came of it."""
    return [pid, *(each for child in children(pid) for each in family(child))]


def memory(pid: int, which: str = "VmHWM") -> float:
    """The most that a process ever had in memory, in MB; VmRSS: what it has (proc(5))."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(which))


async def postgres(conn: Connection) -> int:
    """The first of the server's processes."""
    pid: int = await conn.fetchval(
        "select split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::integer"
    )
    return pid


# what is printed


def progress(text: str) -> None:
    """For whoever watches; the result alone goes to standard output."""
    print(text, file=sys.stderr, flush=True)


async def machine(conn: Connection) -> dict[str, object]:
    """On what it was measured."""
    shown = ("server_version", "fsync", "synchronous_commit", "shared_buffers")
    return {
        **hardware(),
        "postgresql": {name: await conn.fetchval(f"show {name}") for name in shown},
    }


def hardware() -> dict[str, object]:
    return {
        "cpu": cpu(),
        "cores": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("aiohttp", "asyncpg", "aiosmtplib")},
    }


def cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text() if sys.platform == "linux" else ""
    named = [line.partition(":")[2].strip() for line in lines.splitlines() if "model name" in line]
    return named[0] if named else platform.processor()


def report(result: Mapping[str, object]) -> None:
    print(json.dumps(result, indent=2))
