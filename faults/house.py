"""The processes of a house, as they run for real; each can be killed and started again."""

import asyncio
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import place
from bench.place import Place
from bench.servers import Server
from faults.crowd import BROKEN, Crowd, workers
from faults.post import Post
from mailer.config import Listen
from mailer.smtp import DEPTH
from mailer.worker import LETTER_CONNECTIONS

CONNECTIONS = 2
WIRE = (CONNECTIONS + LETTER_CONNECTIONS) * DEPTH
"""Mails that one worker has on its wire at most: so many may come twice when it is cut."""

RATE = 40
WORKERS = 2
START_SECONDS = 60.0
STOP_SECONDS = 30.0


@dataclass
class Part:
    """One process. `apart`: the command that comes before it, such as one that enters a host."""

    name: str
    command: str
    environ: Mapping[str, str]
    log: Path
    apart: Sequence[str] = ()
    running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as said:
            self.running = subprocess.Popen(
                [*self.apart, *place.mailer(self.command)],
                cwd=place.ROOT,
                stdout=said,
                stderr=said,
                env={**place.bare_environ(), **self.environ},
            )

    @property
    def pid(self) -> int:
        assert self.running is not None
        return self.running.pid

    async def kill(self) -> None:
        """With -9."""
        assert self.running is not None
        self.running.kill()
        await asyncio.to_thread(self.running.wait)

    async def stop(self) -> None:
        """As it is told to by whoever runs it, with a time limit as systemd's."""
        if self.running is None:
            return
        self.running.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(self.running.wait, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            place.progress(f"{self.name} did not stop within {STOP_SECONDS:g} s")
            await self.kill()

    def last_words(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])


@dataclass
class House:
    """One web process and two workers on a database; `cuts`: wires of workers that were cut;
    `servers`: of PostgreSQL, where it is not the embedded one; `wrong`: sentences of the fault's
    own; `promised`: who had been thanked, and who was sure, at a moment that a fault remembers."""

    here: Place
    post: Post
    crowd: Crowd
    web: Part
    workers: list[Part]
    folder: Path
    cuts: int = 0
    servers: Sequence[Server] = ()
    wrong: list[str] = field(default_factory=list)
    promised: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())

    @property
    def parts(self) -> list[Part]:
        return [self.web, *self.workers]

    async def start(self) -> None:
        for part in self.parts:
            part.start()
        await self.ready()
        await workers(self.here, len(self.workers))

    async def ready(self) -> None:
        """Until the web process says so."""
        end = time.monotonic() + START_SECONDS
        while not await self.is_ready():
            ended = self.web.running is not None and self.web.running.poll() is not None
            if ended or time.monotonic() > end:
                raise SystemExit(f"the web process is not ready:\n{self.web.last_words()}")
            await asyncio.sleep(0.1)

    async def is_ready(self) -> bool:
        try:
            async with self.crowd.http() as http, http.get(f"{self.crowd.base}/readyz") as answer:
                return answer.status == 200
        except BROKEN:
            return False

    async def stop(self) -> None:
        await asyncio.gather(*(part.stop() for part in self.parts))

    def memory(self) -> float:
        """Of all its processes together, in MB."""
        return sum(place.memory(part.pid, "VmRSS") for part in self.parts)

    async def command(self, *arguments: str, **more: str) -> tuple[int, str]:
        """A command of the house's: exit status, and what it said."""
        started = await asyncio.create_subprocess_exec(
            *place.mailer(*arguments), cwd=place.ROOT, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**place.bare_environ(), **self.web.environ, **more},
        )  # fmt: skip
        said, _ = await started.communicate()
        return started.returncode or 0, said.decode()


@dataclass(frozen=True)
class Site:
    """Where its processes are: where the web listens, the mail server and whoever hands in bounces;
    `apart`: of the web and of each worker."""

    web: str = "127.0.0.1"
    post: str = "127.0.0.1"
    lmtp: str = "127.0.0.1"
    apart: Sequence[Sequence[str]] = ((), (), ())
    environ: Mapping[str, str] = field(default_factory=dict)


@asynccontextmanager
async def opened(
    url: str = "",
    site: Site = Site(),
    parent: str = "",
) -> AsyncIterator[House]:
    """A house on the database at `url`, or on an embedded one that its processes share."""
    post = Post(site.post)
    port, lmtp = place.free_port(), place.free_port()
    settings = {
        "MAILER_SMTP_URL": f"smtp://{site.post}:{post.port}",
        "MAILER_SMTP_CONNECTIONS": str(CONNECTIONS),
        "MAILER_RATE": str(RATE),
        "MAILER_LISTEN": f"{site.web}:{port}",
        "MAILER_BASE_URL": f"http://{site.web}:{port}",
        "MAILER_TRUSTED_PROXIES": f"{site.post}/32",
        "MAILER_LMTP_LISTEN": f"{site.lmtp}:{lmtp}",
    }
    async with place.place(parent=parent, url=url, **settings) as here, post.open():
        folder = Path(here.environ["MAILER_DATA_DIR"])
        told = {**here.environ, **site.environ}
        if not url:
            del told["MAILER_DATABASE_URL"]  # so each holds the embedded one, and starts it again
        crowd = Crowd(here, post, f"http://{site.web}:{port}", Listen(site.lmtp, lmtp))
        web, *work = (
            Part(name, command, told, folder / f"{name}.log", before)
            for name, command, before in zip(
                ("web", *(f"worker-{n}" for n in range(WORKERS))),
                ("serve", *["work"] * WORKERS),
                site.apart,
                strict=True,
            )
        )
        house = House(here, post, crowd, web, work, folder)
        try:
            await house.start()
            yield house
        finally:
            await house.stop()
