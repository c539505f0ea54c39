"""An hour of everything at once, at a moderate pace: does anything grow, wait or go wrong?

    python -m bench.soak [--minutes 60] [--readers 3000] [--pace 0.5]

Visitors subscribe by the form and confirm by their mail (`--pace`: so many a second); a feed brings
an article now and then, which goes to all readers as a digest every few minutes; mails come back as
bounces of every class; readers leave, take their record along and have themselves erased; the
consent record is exported again and again. One web process, one worker, an embedded PostgreSQL.

Every half minute memory (PSS, with children; of PostgreSQL what is not shared), open files,
connections, what waits, the event loop's lag and the database's size are written down. At the end
the first sixth of the time stands beside the last; that of a run of an hour is ten minutes. Exit
status 1 if an answer was a 5xx, anything failed, an error was logged, a process ended, or what
waits or memory has grown beyond noise.
"""

import argparse
import asyncio
import json
import re
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from subprocess import Popen
from typing import TypeAlias

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from bench import place, readers
from bench.crowd import Crowd
from bench.place import Place
from bench.sink import Connection as AtSink
from mailer import feeds, newsletters, schedules
from mailer.db import Connection

LOOK_SECONDS = 30.0
WARM_SECONDS = 300.0
ARTICLE_SECONDS = 100.0
EXPORT_SECONDS = 180.0
DIGESTS = "*/3 * * * *"
DRAIN_SECONDS = 60.0
PARTS = 6
METRICS = "a-token-for-the-soak"

GROWS = 1.10
"""Memory that is above this share of what it was has grown; PostgreSQL's by connection, as how many
there are depends on how busy the machine is. In a run of minutes caches still fill."""

Numbers: TypeAlias = dict[tuple[str, tuple[str, ...]], float]
LONGEST_WAIT = 60.0
"""Seconds: no letter to one person may ever have waited so long."""


@dataclass(frozen=True)
class Look:
    """One sample. `…_mb`: memory; `waiting`: letters, requests and events of the log; `oldest`:
    the longest of those has waited, in seconds; `digests_waiting`: mails of digests."""

    at: float
    web_mb: float
    worker_mb: float
    postgres_mb: float
    postgres_connection_mb: float
    web_files: int
    worker_files: int
    connections: int
    waiting: float
    oldest: float
    digests_waiting: float
    lag_ms: float
    database_mb: float


async def main() -> None:
    given = arguments()
    smtp, web, site, bounces = (place.free_port() for _ in range(4))
    settings = {
        "MAILER_SMTP_URL": f"smtp://127.0.0.1:{smtp}",
        "MAILER_LISTEN": f"127.0.0.1:{web}",
        "MAILER_BASE_URL": f"http://127.0.0.1:{web}",
        "MAILER_LMTP_LISTEN": f"127.0.0.1:{bounces}",
        "MAILER_TRUSTED_PROXIES": "127.0.0.0/8",
        "MAILER_FEED_NETWORKS": "127.0.0.0/8",
        "MAILER_METRICS_TOKEN": METRICS,
        "MAILER_LOG": "json",
    }
    async with AsyncExitStack() as stack:
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mailer-soak-")))
        here = await stack.enter_async_context(place.place(**settings))
        crowd = Crowd(here, here.settings.base_url, bounces, given.pace)
        loop = asyncio.get_running_loop()
        sink = await loop.create_server(lambda: AtSink(crowd.take, smtp), "127.0.0.1", smtp)
        stack.callback(sink.close)
        await stack.enter_async_context(place.served(crowd.feed, site))
        await readers.seed(here, given.readers)
        await furnish(here, site)
        serve, work = (
            stack.enter_context(place.process(place.mailer(name), here.environ, logs / name))
            for name in ("serve", "work")
        )
        await asyncio.to_thread(place.reachable, web, serve)
        exported = here.settings.data_dir / "export.jsonl"
        soak = Soak(here, crowd, serve, work, logs, exported)
        result = await soak.through(given.minutes * 60)
    place.report({"bench": "soak", **vars(given), **result})
    raise SystemExit(1 if result["wrong"] else 0)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--readers", type=int, default=3000)
    parser.add_argument("--pace", type=float, default=0.5)
    return parser.parse_args()


async def furnish(here: Place, site: int) -> None:
    """The newsletter sends by itself what the feed brings."""
    async with here.pool.acquire() as conn, conn.transaction():
        weekly = await newsletters.change(conn, here.newsletter, approval="automatic")
        await schedules.put(conn, weekly, "weekly", DIGESTS)
        await feeds.add(conn, weekly.id, f"http://127.0.0.1:{site}/feed.xml")


@dataclass
class Soak:
    """The run: the processes that are watched, and what was seen of them."""

    here: Place
    crowd: Crowd
    serve: "Popen[bytes]"
    work: "Popen[bytes]"
    logs: Path
    exported: Path

    async def through(self, seconds: float) -> dict[str, object]:
        """Warm up, look for so long, let everything come to rest."""
        over, looks = asyncio.Event(), list[Look]()
        warming = min(WARM_SECONDS, seconds / 3)
        async with self.here.pool.acquire() as conn, aiohttp.ClientSession() as http:
            async with asyncio.TaskGroup() as all_:
                all_.create_task(self.crowd.come(over))
                for every, what in (
                    (ARTICLE_SECONDS, self.publish), (EXPORT_SECONDS, self.export)
                ):  # fmt: skip
                    all_.create_task(again(over, every, what))
                await asyncio.sleep(warming)
                began = time.monotonic()
                cpu = self.cpu(await place.postgres(conn))
                while (due := began + len(looks) * LOOK_SECONDS) <= began + seconds:
                    await asyncio.sleep(due - time.monotonic())
                    looks.append(await self.look(conn, http, began))
                    place.progress(told(looks[-1]))
                used = self.cpu(await place.postgres(conn)) - cpu
                over.set()
            rest = await self.comes_to_rest(conn, http)
            return {
                "machine": await place.machine(conn),
                "seconds": round(seconds),
                "cores_used_by_the_service": round(used / seconds, 3),
                "done": dict(sorted(self.crowd.done.items())),
                "answers": dict(self.crowd.answers),
                "answer_p99_ms": self.answered(began, seconds),
                "first_and_last": compared(looks),
                "logged": dict(self.logged()),
                "wrong": [*self.wrong(looks), *rest],
            }

    async def publish(self) -> None:
        """One article more, and the feed's turn comes at once."""
        self.crowd.published += 1
        async with self.here.pool.acquire() as conn, conn.transaction():
            for feed in await feeds.all_(conn):
                await feeds.hasten(conn, feed)

    async def export(self) -> None:
        started = await asyncio.create_subprocess_exec(
            *place.mailer("consent", "export", "--format", "jsonl", "--out", str(self.exported)),
            cwd=place.ROOT, stderr=asyncio.subprocess.DEVNULL,
            env={**place.bare_environ(), **self.here.environ},
        )  # fmt: skip
        self.crowd.done["failed: export" if await started.wait() else "exports"] += 1

    # looking

    async def look(self, conn: Connection, http: aiohttp.ClientSession, began: float) -> Look:
        found = await self.numbers(http)
        server = await place.postgres(conn)
        letters = [k for k in found if k[0].startswith("mailer_outbox_") and k[1] != ("digest",)]
        waiting = ("mailer_requests_waiting", "mailer_log_events_waiting", "mailer_outbox_mails")
        oldest = ("mailer_requests_oldest_seconds", "mailer_outbox_oldest_seconds")
        others = [k for k in found if not k[1]]
        private = memory(server, "Pss_Anon")
        connections = await conn.fetchval(
            "select count(*) from pg_stat_activity where backend_type = 'client backend'"
        )
        return Look(
            at=round(time.monotonic() - began),
            web_mb=memory(self.serve.pid, "Pss"),
            worker_mb=memory(self.work.pid, "Pss"),
            postgres_mb=private,
            postgres_connection_mb=round(private / connections, 2),
            web_files=files(self.serve.pid),
            worker_files=files(self.work.pid),
            connections=connections,
            waiting=sum(found[key] for key in [*letters, *others] if key[0] in waiting),
            oldest=max(found[key] for key in [*letters, *others] if key[0] in oldest),
            digests_waiting=found.get(("mailer_outbox_mails", ("digest",)), 0),
            lag_ms=round(found["mailer_event_loop_lag_seconds", ()] * 1000, 1),
            database_mb=round(
                await conn.fetchval("select pg_database_size(current_database())") / 2**20, 1
            ),
        )

    async def numbers(self, http: aiohttp.ClientSession) -> Numbers:
        """Every metric by its name and the values of its labels."""
        bearer = {"Authorization": f"Bearer {METRICS}"}
        async with http.get(f"{self.crowd.base}/metrics", headers=bearer) as answer:
            text = await answer.text()
        return {
            (sample.name, tuple(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def cpu(self, server: int) -> float:
        """Seconds of all processes of the service so far."""
        return sum(place.children_seconds(pid) for pid in (self.serve.pid, self.work.pid, server))

    # judging

    async def comes_to_rest(self, conn: Connection, http: aiohttp.ClientSession) -> list[str]:
        """Nobody comes any more: soon nothing waits."""
        end = time.monotonic() + DRAIN_SECONDS
        while True:
            last = await self.look(conn, http, 0)
            if not last.waiting and not last.digests_waiting:
                return []
            if time.monotonic() > end:
                return [f"{last.waiting + last.digests_waiting:.0f} still wait at the end"]
            await asyncio.sleep(2)

    def answered(self, began: float, seconds: float) -> dict[str, float]:
        """p99 of the answers' times in milliseconds, of the first and of the last part."""
        part = seconds / PARTS
        starts = {"first": began, "last": began + seconds - part}
        return {
            name: p99([took for at, took in self.crowd.took if start <= at <= start + part])
            for name, start in starts.items()
        }

    def logged(self) -> Counter[str]:
        """Lines that are no information, by level and what they say."""
        said: Counter[str] = Counter()
        for log in self.logs.iterdir():
            for line in log.read_text("utf-8").splitlines():
                with suppress(ValueError):
                    read = json.loads(line)
                    if read["level"] != "info":
                        last = read.get("traceback", "").strip().rpartition("\n")[2]
                        words = re.sub(r"[0-9]+", "N", f"{read['message']} {last}".strip())
                        said[f"{read['level']}: {words}"] += 1
                    continue
                said[f"error: {line}"] += 1
        return said

    def wrong(self, looks: Sequence[Look]) -> list[str]:
        first, last = parts(looks)
        found = [
            f"{name} grew from {was:.1f} to {now:.1f}"
            for name in ("web_mb", "worker_mb", "postgres_connection_mb")
            for was, now in [(median(first, name), median(last, name))]
            if now > was * GROWS
        ]
        if median(last, "waiting") > 2 * median(first, "waiting") + 20:
            found.append("more waits at the end than at the beginning")
        if (longest := max(look.oldest for look in looks)) > LONGEST_WAIT:
            found.append(f"something waited for {longest:.0f} s")
        counted = self.crowd.done + self.crowd.answers + self.logged()
        bad = ("failed", "5xx", "error")
        found += [f"{n} times {what}" for what, n in counted.items() if what.startswith(bad)]
        names = {"serve": self.serve, "work": self.work}
        return found + [f"{name} ended" for name, p in names.items() if p.poll() is not None]


async def again(over: asyncio.Event, every: float, what: Callable[[], Awaitable[None]]) -> None:
    while not over.is_set():
        await what()
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), every)


def memory(pid: int, kind: str) -> float:
    """MB of a process and its children; shared pages are each one's share (proc(5), smaps)."""
    total = 0
    for each in place.family(pid):
        with suppress(OSError):
            for line in Path(f"/proc/{each}/smaps_rollup").read_text().splitlines():
                if line.startswith(f"{kind}:"):
                    total += int(line.split()[1])
    return round(total / 1024, 1)


def files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def told(look: Look) -> str:
    return " ".join(f"{name}={value:g}" for name, value in asdict(look).items())


def parts(looks: Sequence[Look]) -> tuple[Sequence[Look], Sequence[Look]]:
    many = max(1, len(looks) // PARTS)
    return looks[:many], looks[-many:]


def median(looks: Sequence[Look], name: str) -> float:
    return float(statistics.median(getattr(look, name) for look in looks))


def p99(values: list[float]) -> float:
    ordered = sorted(values)
    return round(ordered[len(ordered) * 99 // 100] * 1000, 1) if ordered else 0.0


def compared(looks: Sequence[Look]) -> Mapping[str, Mapping[str, float]]:
    """Of each figure its median in the first and the last part, their ratio, and the most ever."""
    first, last = parts(looks)
    table = {}
    for name in (field.name for field in fields(Look) if field.name != "at"):
        was, now = median(first, name), median(last, name)
        ratio = {"ratio": round(now / was, 3)} if was else {}
        most = max(getattr(look, name) for look in looks)
        table[name] = {"first": was, "last": now, **ratio, "most": most}
    return table


if __name__ == "__main__":
    asyncio.run(main())
