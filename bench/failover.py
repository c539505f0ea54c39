"""The database's primary dies in the middle of a digest: the standby takes over, work goes on.

    python -m bench.failover [--readers 5000] [--rate 300] [--workers 2] [--connections 5]

Two PostgreSQL servers, the second following the first (synchronously, so that what was committed is
in both); workers and the web process know both by one URL with two hosts. In the middle all
processes of the first are killed; some seconds later the second is promoted. In the end no reader
was missed, nobody got more than was on the wire at that moment twice, and every form that was
answered with 202 has left its row. Exits with 1 if it is not so.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import aiohttp

from bench import place, readers, send
from bench.place import Place
from bench.servers import Server
from mailer import db, digests, editions, outbox
from mailer.digests import Digest
from mailer.smtp import DEPTH

SLEEP_SECONDS = 3.0
"""Between the primary's death and the promotion: whoever watches over it needs time to notice."""


async def main() -> None:
    given = arguments()
    with tempfile.TemporaryDirectory(prefix="mailer-bench-") as folder, ExitStack() as stack:
        first, second = (Server(Path(folder) / name, stack) for name in ("first", "second"))
        first.create()
        first.start()
        second.follow(first)
        second.start()
        async with db.connection(first.url) as conn:
            await conn.execute("alter system set synchronous_standby_names = '*'")
            await conn.execute("select pg_reload_conf()")
        both = f"127.0.0.1:{first.port},127.0.0.1:{second.port}"
        os.environ["MAILER_DATABASE_URL"] = f"postgresql://mailer@{both}/postgres"
        result = await run(given, first, second, stack, Path(folder))
    place.report(result)
    if not result["good"]:
        sys.exit(1)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.failover", description=__doc__)
    parser.add_argument("--readers", type=int, default=5_000)
    parser.add_argument("--rate", type=float, default=300)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--connections", type=int, default=5, help="of each worker")
    return parser.parse_args()


async def run(
    given: argparse.Namespace, first: Server, second: Server, stack: ExitStack, folder: Path
) -> dict[str, object]:
    log, port, web = folder / "log", place.free_port(), place.free_port()
    log.touch()
    sink = [sys.executable, "-m", "bench.sink", str(log), str(port)]
    place.reachable(port, stack.enter_context(place.process(sink)))
    settings = {
        "MAILER_SMTP_URL": f"smtp://127.0.0.1:{port}",
        "MAILER_SMTP_CONNECTIONS": str(given.connections),
        "MAILER_RATE": str(given.rate),
        "MAILER_LISTEN": f"127.0.0.1:{web}",
    }
    async with place.place(**settings) as here:
        await readers.seed(here, given.readers)
        digest, _ = await send.draft(here)
        for _ in range(given.workers):
            stack.enter_context(place.process(place.mailer("work"), here.environ))
        serving = stack.enter_context(place.process(place.mailer("serve"), here.environ))
        await asyncio.to_thread(place.reachable, web, serving)
        await approve(here, digest, given.workers)
        posting = asyncio.create_task(post(here, web))
        await arrived(log, given.readers // 3)
        place.progress("the primary dies")
        died = time.time()
        first.die()
        await asyncio.sleep(SLEEP_SECONDS)
        place.progress("the standby is promoted")
        second.promote()
        state = await ended(second, digest)
        posting.cancel()
        statuses = await posting
        return await judged(given, second, log, died, state, statuses)


async def approve(here: Place, digest: Digest, workers: int) -> None:
    async with here.pool.acquire() as conn:
        while await outbox.workers(conn) < workers:
            await asyncio.sleep(0.1)
        async with conn.transaction():
            _, composed = await editions.compose(conn, here.settings, digest)
            frozen = [edition for edition, _ in composed]
            await digests.approve(conn, digest, frozen, by="bench")


async def post(here: Place, port: int) -> Counter[int]:
    """Forms, one after another, as long as we are let; how they were answered."""
    statuses: Counter[int] = Counter()
    headers = {"Accept": "application/json"}
    async with aiohttp.ClientSession(headers=headers) as http:
        while True:
            form = {
                "email": f"new{sum(statuses.values())}@example.org",
                "newsletter": here.newsletter.slug,
                "consent": "yes",
                "notice": here.notice.id,
                "lang": "en",
            }
            try:
                async with http.post(f"http://127.0.0.1:{port}/subscribe", data=form) as answer:
                    statuses[answer.status] += 1
                await asyncio.sleep(0.5)
            except asyncio.CancelledError:
                return statuses


async def arrived(log: Path, many: int) -> None:
    while (seen := log.read_text().count("\n")) < many:
        place.progress(f"{seen} mails arrived")
        await asyncio.sleep(1)


async def ended(second: Server, digest: Digest, seconds: float = 120) -> str:
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        async with db.connection(second.url) as conn:
            now = await digests.get(conn, digest.id)
            if now.state == "sent":
                return now.state
            place.progress(f"{(await outbox.progress(conn, digest.id))['waiting']} wait")
        await asyncio.sleep(1)
    return "not done"


async def judged(
    given: argparse.Namespace,
    second: Server,
    log: Path,
    died: float,
    state: str,
    statuses: Counter[int],
) -> dict[str, object]:
    lines = [line.split() for line in log.read_text().splitlines()]
    got = Counter(line[2] for line in lines if line[2].startswith("reader"))
    again = next((float(at) for at, *_ in lines if float(at) > died + SLEEP_SECONDS), None)
    missed = given.readers - len(got)
    twice = sum(got.values()) - len(got)
    bound = given.workers * given.connections * DEPTH
    async with db.connection(second.url) as conn:
        kept = await conn.fetchval("select count(*) from subscriber") - given.readers
        kept += await conn.fetchval("select count(*) from request")
        machine = await place.machine(conn)
    lost = max(0, statuses[202] - kept)
    return {
        "bench": "failover",
        "machine": machine,
        "good": state == "sent" and not missed and twice <= bound and not lost,
        "readers": given.readers,
        "digest": state,
        "missed": missed,
        "twice": twice,
        "allowed": bound,
        "seconds_from_death_to_the_next_mail": again and round(again - died, 1),
        "of_which_before_the_promotion": SLEEP_SECONDS,
        "forms_by_answer": dict(statuses),
        "accepted_forms_lost": lost,
    }


if __name__ == "__main__":
    asyncio.run(main())
