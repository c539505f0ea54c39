"""POST /subscribe requests a second of one web process; beside a bare handler with one insert.

    python -m bench.subscribe [--connections 32] [--seconds 8]

Load comes from wrk (Debian: apt-get install wrk). Three rounds, each as fast as it goes and then at
half of that: the web process alone; with a worker whose mail server answers 20 ms late; with a
worker whose mail server is gone. The bare handler (bench/bare.py) is measured before and after:
`ratio` is ours, alone, to the mean of both. Every answered form is counted again in the database.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench import place
from bench.place import Place

LATE_SECONDS = 0.02
SCRIPT = Path(__file__).with_name("forms.lua")


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.subscribe", description=__doc__)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=8)
    given = parser.parse_args()
    port, mail = place.free_port(), place.free_port()
    settings = {
        "MAILER_LISTEN": f"127.0.0.1:{port}",
        "MAILER_TRUSTED_PROXIES": "127.0.0.1/32",
        "MAILER_SMTP_URL": f"smtp://127.0.0.1:{mail}",
    }
    async with place.place(**settings) as here:
        bench = Bench(here, port, mail, given.connections, given.seconds)
        place.report(await bench.compare())


class Bench:
    """The rounds, on one database."""

    def __init__(self, here: Place, port: int, mail: int, connections: int, seconds: float):
        self.here, self.port, self.mail = here, port, mail
        self.connections, self.seconds = connections, seconds

    async def compare(self) -> dict[str, object]:
        before = await self.bare()
        rounds = {name: await self.round(name) for name in ("alone", "late", "gone")}
        after = await self.bare()
        async with self.here.pool.acquire() as conn:
            machine = await place.machine(conn)
        mean = (before["a_second"] + after["a_second"]) / 2
        return {
            "bench": "subscribe",
            "machine": machine,
            "connections": self.connections,
            "seconds": self.seconds,
            "rounds": rounds,
            "bare": [before, after],
            "ratio": round(rounds["alone"]["full"]["a_second"] / mean, 3),
        }

    async def round(self, name: str) -> dict[str, Any]:
        place.progress(f"{name}: {self.connections} connections, {self.seconds:g} s, twice")
        before = await self.kept()
        with self.others(name), place.process(place.mailer("serve"), self.here.environ) as web:
            place.reachable(self.port, web)
            warm = await self.load(self.port, 1, 0)
            began = place.cpu_seconds(web.pid)
            full = await self.load(self.port, self.seconds, 0)
            half = await self.load(self.port, self.seconds, self.pause(full))
            cpu = place.cpu_seconds(web.pid) - began
        answered = sum(each["answers"] for each in (warm, full, half))
        kept = await self.kept() - before
        # What was on its way when wrk stopped is kept, and nobody was told.
        assert answered <= kept <= answered + 3 * self.connections, (answered, kept)
        return {
            "full": full,
            "half": half,
            "web_cpu_us": round(cpu / (answered - warm["answers"]) * 1e6),
        }

    def pause(self, full: dict[str, Any]) -> float:
        """Milliseconds that each connection rests, so that all together come to half the rate."""
        whole: float = self.connections * 1000 / (full["a_second"] / 2)
        return max(0.0, whole - float(full["p50_ms"]) * 0.75)

    @contextmanager
    def others(self, name: str) -> Iterator[None]:
        with ExitStack() as running, tempfile.TemporaryDirectory() as folder:
            if name == "late":
                log = str(Path(folder) / "sink.log")
                command = [sys.executable, "-m", "bench.sink", log, str(self.mail)]
                command += ["--late", str(LATE_SECONDS)]
                sink = running.enter_context(place.process(command))
                place.reachable(self.mail, sink)
            if name != "alone":
                running.enter_context(place.process(place.mailer("work"), self.here.environ))
            yield

    async def kept(self) -> int:
        """Forms that wait, and that were taken by a worker."""
        async with self.here.pool.acquire() as conn:
            counted: int = await conn.fetchval(
                "select (select count(*) from request) + (select count(*) from subscription)"
            )
        return counted

    async def bare(self) -> dict[str, Any]:
        port = place.free_port()
        url = self.here.environ["MAILER_DATABASE_URL"]
        with place.process([sys.executable, "-m", "bench.bare", url, str(port)]) as running:
            place.reachable(port, running)
            await self.load(port, 1, 0)
            return await self.load(port, self.seconds, 0)

    async def load(self, port: int, seconds: float, pause: float) -> dict[str, Any]:
        command = [
            *(place.tool("wrk", "wrk"), "-t1", f"-c{self.connections}", f"-d{seconds:g}s"),
            *("-s", str(SCRIPT), f"http://127.0.0.1:{port}/subscribe", "--"),
            *(self.here.notice.id, f"{pause:.3f}", f"{os.getpid()}x{time.time_ns()}"),
        ]
        wrk = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        said, _ = await wrk.communicate()
        line = next(line for line in said.splitlines() if line.startswith(b"RESULT "))
        found: dict[str, Any] = json.loads(line.removeprefix(b"RESULT "))
        assert not found["refused"] + found["broken"], found
        return {"a_second": round(found["answers"] / found["seconds"], 1), **found}


if __name__ == "__main__":
    asyncio.run(main())
