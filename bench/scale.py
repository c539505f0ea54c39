"""A million confirmed readers: what approving and sending costs, and confirmations that overtake.

    python -m bench.scale [--readers 1000000] [--seconds 90] [--forms 200] [--connections 10]

Readers are real rows, really sealed, brought in by COPY. A digest to all of them is approved, and
sent for so many seconds by one worker, while visitors fill in forms: how long each waits from the
POST to the mail server's 250 for the confirmation. Then the digest is cancelled, and its mails are
forgotten as retention does it. The worker's memory is compared with what it was at 10,000 mails and
a few confirmations.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp

from bench import place, readers, send
from bench.place import Place
from mailer import digests, editions, outbox
from mailer.db import Connection
from mailer.digests import Digest

FEW = 10_000
FIRST_FORMS = 5
"""Go before the worker's memory is first looked at: it has then sent mails of both kinds."""

FORGET_AT_ONCE = 10_000
FORGET_BATCHES = 10


async def main() -> None:
    given = arguments()
    port, web = place.free_port(), place.free_port()
    settings = {
        "MAILER_SMTP_URL": f"smtp://127.0.0.1:{port}",
        "MAILER_SMTP_CONNECTIONS": str(given.connections),
        "MAILER_LISTEN": f"127.0.0.1:{web}",
        "MAILER_TRUSTED_PROXIES": "127.0.0.0/8",
    }
    with TemporaryDirectory(prefix="mailer-bench-") as folder, ExitStack() as stack:
        log = Path(folder) / "log"
        sink = [sys.executable, "-m", "bench.sink", str(log), str(port)]
        place.reachable(port, stack.enter_context(place.process(sink)))
        async with place.place(**settings) as here:
            place.report(await measure(given, here, log, web, stack))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--readers", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=int, default=90)
    parser.add_argument("--forms", type=int, default=200)
    parser.add_argument("--connections", type=int, default=10)
    return parser.parse_args()


async def measure(
    given: argparse.Namespace, here: Place, log: Path, web: int, stack: ExitStack
) -> Mapping[str, object]:
    began = time.monotonic()
    await readers.seed(here, given.readers)
    seeding = time.monotonic() - began
    digest, _ = await send.draft(here)
    worker = stack.enter_context(place.process(place.mailer("work"), here.environ))
    serving = stack.enter_context(place.process(place.mailer("serve"), here.environ))
    await asyncio.to_thread(place.reachable, web, serving)
    async with here.pool.acquire() as conn:
        while not await outbox.workers(conn):
            await asyncio.sleep(0.1)
        server = await place.postgres(conn)
        used, began = place.children_seconds(server), time.monotonic()
        await approve(conn, here, digest)
        approving = time.monotonic() - began
        place.progress(f"approved in {approving:.1f} s")
        approved = place.children_seconds(server)
        await forms(here, log, web, range(-FIRST_FORMS, 0), 1)
        few = await grown(conn, digest, FEW, worker.pid)
        began, at_first = time.monotonic(), place.cpu_seconds(worker.pid)
        sent_before = (await outbox.progress(conn, digest.id))["sent"]
        at_start = place.children_seconds(server)
        waits = await forms(here, log, web, range(given.forms), given.seconds)
        await asyncio.sleep(max(0, given.seconds - (time.monotonic() - began)))
        took = time.monotonic() - began
        sent = (await outbox.progress(conn, digest.id))["sent"] - sent_before
        sending = place.children_seconds(server) - at_start
        worker_cpu = place.cpu_seconds(worker.pid) - at_first
        return {
            "bench": "scale",
            "machine": await place.machine(conn),
            "readers": given.readers,
            "seeding_seconds": round(seeding, 1),
            "bytes_a_reader": round(await size(conn, *READERS) / given.readers),
            "bytes_a_consent_event": await of_an_event(conn),
            "approving_seconds": round(approving, 1),
            "postgres_cpu_us_a_mail_approving": round((approved - used) / given.readers * 1e6, 1),
            "bytes_a_mail": round(await size(conn, "outbox", "batch") / given.readers),
            "mails_sent": sent_before + sent,
            "mails_a_second": round(sent / took),
            "postgres_cpu_us_a_mail_sending": round(sending / sent * 1e6, 1),
            "worker_cpu_us_a_mail": round(worker_cpu / sent * 1e6, 1),
            "worker_memory_mb": {
                f"{FEW}": few,
                f"{sent_before + sent}": round(place.memory(worker.pid)),
            },
            "confirmation_seconds": waits,
            "table": await health(conn),
            **await wind_up(conn, digest),
        }


READERS = ("subject", "subscriber", "subscription")


async def size(conn: Connection, *tables: str) -> int:
    sizes = [await conn.fetchval("select pg_total_relation_size($1::regclass)", t) for t in tables]
    return sum(sizes)


async def of_an_event(conn: Connection) -> int:
    """Each form leaves two or three."""
    events: int = await conn.fetchval("select count(*) from consent_event")
    return round(await size(conn, "consent_event") / max(1, events))


async def approve(conn: Connection, here: Place, digest: Digest) -> None:
    async with conn.transaction():
        await editions.approve(conn, here.settings, digest, by="bench", despite_warnings=True)
        await editions.begin(conn, here.settings, digest)


async def grown(conn: Connection, digest: Digest, mails: int, pid: int) -> int:
    """The worker's memory after so many mails."""
    while (await outbox.progress(conn, digest.id))["sent"] < mails:
        await asyncio.sleep(0.2)
    return round(place.memory(pid))


# overtaking


async def forms(
    here: Place, log: Path, web: int, numbers: range, seconds: float
) -> Mapping[str, float | int]:
    """Post them evenly over that time; when each one's confirmation was taken by the server."""
    posted: dict[str, float] = {}
    many = len(numbers)
    async with aiohttp.ClientSession(headers={"Accept": "application/json"}) as http:
        for n in numbers:
            email = f"new{n}@example.org"
            form = {
                "email": email,
                "newsletter": here.newsletter.slug,
                "consent": "yes",
                "notice": here.notice.id,
                "lang": "en",
            }
            posted[email] = time.time()
            seen = {"X-Forwarded-For": f"1.{1 + n // 250}.{n % 250}.1"}
            url = f"http://127.0.0.1:{web}/subscribe"
            async with http.post(url, data=form, headers=seen) as answer:
                assert answer.status == 202, await answer.text()
            await asyncio.sleep(seconds / many)
    await asyncio.sleep(2)
    taken: dict[str, float] = {}
    for line in log.read_text().splitlines():
        at, _, recipient, *_ = line.split()
        if recipient in posted:
            taken.setdefault(recipient, float(at) - posted[recipient])
    waits = sorted(taken.values())
    if not waits:
        return {"forms": many, "confirmed": 0}
    return {
        "forms": many,
        "mailed": len(waits),
        "p50": round(waits[len(waits) // 2], 3),
        "p99": round(waits[min(len(waits) - 1, len(waits) * 99 // 100)], 3),
        "most": round(waits[-1], 3),
    }


# afterwards


async def health(conn: Connection) -> Mapping[str, object]:
    """How the outbox stands in the middle of it."""
    row = await conn.fetchrow(
        "select n_live_tup, n_dead_tup, n_tup_upd, n_tup_hot_upd, autovacuum_count"
        " from pg_stat_user_tables where relname = 'outbox'"
    )
    assert row is not None
    return dict(row)


async def wind_up(conn: Connection, digest: Digest) -> Mapping[str, object]:
    """Cancel what is left of it, and forget some of its mails as retention does in its time."""
    began = time.monotonic()
    async with conn.transaction():
        held = await digests.get(conn, digest.id)
        if held.state != "sent":
            await digests.cancel(conn, held)
    cancelling = time.monotonic() - began
    began = time.monotonic()
    while await conn.fetchval("select exists (select from batch where digest = $1)", digest.id):
        async with conn.transaction():
            await outbox.drop_cancelled(conn)
    dropping = time.monotonic() - began
    await conn.execute("update digest set finished_at = now() - interval '31 days'")
    began, gone = time.monotonic(), 0
    for _ in range(FORGET_BATCHES):
        gone += await outbox.forget_settled(conn, 30, FORGET_AT_ONCE)
    return {
        "cancelling_seconds": round(cancelling, 2),
        "dropping_the_rest_seconds": round(dropping, 1),
        "forgotten_a_second": round(gone / (time.monotonic() - began)),
    }


if __name__ == "__main__":
    asyncio.run(main())
