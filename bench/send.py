"""Mails a second of a 30 KB digest: outbox, worker, Postfix's smtp-sink; beside smtp-source.

    python -m bench.send [--readers 20000] [--workers 1] [--connections 10] [--late 20] [--sign]

smtp-source -d sends as many mails of the same size over as many sessions to the same sink, before
and after us: `ratio` is ours to the mean of both. It reads no outbox and keeps no record. Beside
it, what a mail costs: CPU of the workers and of all of PostgreSQL's processes, approval included.

`--late`: every reply comes so many milliseconds late (through bench.late), for us and for
smtp-source. `--sign`: with DKIM, RSA-2048; then another digest without. `of_signing` is then our
rate to what this machine's cores can sign if they do nothing else. No program reaches that, for the
mails must be sent by the same cores: `of_possible` is our rate to what they could do if each mail
cost them what it does unsigned, and a signature; `of_smtp_source_and_signing` to what they could if
it cost them what it costs smtp-source, and a signature.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from bench import place, readers
from bench.place import Place
from mailer import articles, digests, dkim, editions, mime, outbox
from mailer.articles import Draft
from mailer.db import Connection
from mailer.digests import Digest
from mailer.tokens import LENGTH, SLOTS

ARTICLES = 12
SUMMARY = (
    "<p>The court found that the order was made without the hearing that the law asks for, and "
    "sent the case back. Both sides have a month to appeal. The ruling and the order are attached, "
    "in the original and in translation, with what our lawyers say about both.</p>"
)
LOOK_SECONDS = 0.1
SIGNATURES = 2_000


@dataclass(frozen=True)
class Cost:
    """What sending a digest took. Times in seconds a mail."""

    a_second: float
    approving: float
    worker: float
    postgres_approving: float
    postgres_sending: float
    memory: float

    def shown(self) -> Mapping[str, object]:
        return {
            "ours_a_second": round(self.a_second),
            "approving_seconds": round(self.approving, 2),
            "worker_cpu_us_a_mail": round(self.worker * 1e6),
            "postgres_cpu_us_a_mail": round(
                (self.postgres_approving + self.postgres_sending) * 1e6, 1
            ),
            "of_which_approving": round(self.postgres_approving * 1e6, 1),
            "worker_memory_mb": round(self.memory),
        }


async def main() -> None:
    given = arguments()
    port = place.free_port()
    as_nobody = ["-u", "nobody"] if os.geteuid() == 0 else []
    sink = [place.tool("smtp-sink"), *as_nobody, f"127.0.0.1:{port}", "1000"]
    with ExitStack() as running:
        place.reachable(port, running.enter_context(place.process(sink)))
        if given.late:
            port = late(running, port, given.late)
        settings = {
            "MAILER_SMTP_URL": f"smtp://127.0.0.1:{port}",
            "MAILER_SMTP_CONNECTIONS": str(given.connections),
        }
        if given.sign:
            settings |= {
                "MAILER_DKIM_KEY": dkim.written(dkim.make("rsa")),
                "MAILER_DKIM_SELECTOR": "bench",
                "MAILER_DKIM_DOMAIN": "news.example.org",
            }
        async with place.place(**settings) as here:
            place.report(await compare(here, given, port))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.send", description=__doc__)
    parser.add_argument("--readers", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--connections", type=int, default=10, help="of each worker")
    parser.add_argument("--late", type=int, default=0, help="milliseconds")
    parser.add_argument("--sign", action="store_true")
    return parser.parse_args()


def late(running: ExitStack, port: int, milliseconds: int) -> int:
    """The port of a relay that makes the sink far away."""
    relay = place.free_port()
    command = [sys.executable, "-m", "bench.late", str(relay), str(port), str(milliseconds)]
    place.reachable(relay, running.enter_context(place.process(command)))
    return relay


async def compare(here: Place, given: argparse.Namespace, port: int) -> dict[str, object]:
    await readers.seed(here, given.readers)
    sessions = given.workers * given.connections
    digest, size = await draft(here)
    before = source(given.readers, size, sessions, port)
    cost = await send(here, here.environ, digest, given.readers, given.workers)
    after = source(given.readers, size, sessions, port)
    beside = (before + after) / 2
    async with here.pool.acquire() as conn:
        machine = await place.machine(conn)
    signed = await signed_beside(here, given, cost.a_second, beside) if given.sign else {}
    return {
        "bench": "send",
        "machine": machine,
        "mails": given.readers,
        "bytes_a_mail": size,
        "workers": given.workers,
        "connections_a_worker": given.connections,
        "reply_ms_late": given.late,
        "signed": given.sign,
        **cost.shown(),
        "smtp_source_a_second": [round(before), round(after)],
        "ratio": round(cost.a_second / beside, 3),
        **signed,
    }


async def signed_beside(
    here: Place, given: argparse.Namespace, ours: float, source: float
) -> Mapping[str, float]:
    """Our signed rate beside what the cores could do at most."""
    plain = {k: v for k, v in here.environ.items() if not k.startswith("MAILER_DKIM")}
    digest, _ = await draft(here, "of the week after")
    unsigned = (await send(here, plain, digest, given.readers, given.workers)).a_second
    alone = signatures()
    possible, peers = (1 / (1 / rate + 1 / alone) for rate in (unsigned, source))
    return {
        "unsigned_a_second": round(unsigned),
        "signatures_alone_a_second": round(alone),
        "of_signing": round(ours / alone, 3),
        "possible_a_second": round(possible),
        "of_possible": round(ours / possible, 3),
        "smtp_source_and_signing_a_second": round(peers),
        "of_smtp_source_and_signing": round(ours / peers, 3),
    }


def signatures() -> float:
    """RSA-2048 signatures a second of all cores together."""
    place.progress("signatures")
    key, many = dkim.make("rsa"), len(os.sched_getaffinity(0))
    signer = dkim.Signer("example.org", "bench", key)

    def work() -> None:
        for _ in range(SIGNATURES):
            signer.sign(b"what a header has")

    with ThreadPoolExecutor(many) as threads:
        began = time.monotonic()
        for done in [threads.submit(work) for _ in range(many)]:
            done.result()
        return many * SIGNATURES / (time.monotonic() - began)


# setting up


async def draft(here: Place, which: str = "of the week") -> tuple[Digest, int]:
    """A digest of a dozen new articles, and the bytes of one mail of it."""
    async with here.pool.acquire() as conn, conn.transaction():
        for n in range(ARTICLES):
            url = f"https://example.org/rulings/{n}"
            title = f"Ruling {n} {which}: the order is void"
            article = Draft(f"{n} {which}", title, "en", url, SUMMARY)
            await articles.add(conn, here.newsletter.id, article)
        digest = await digests.create(conn, here.newsletter, "weekly", by="bench")
        _, composed = await editions.compose(conn, here.settings, digest)
    mould = mime.mould(composed[0].letter, here.settings.domain)
    filling = dict.fromkeys(SLOTS, "x" * LENGTH)
    mail = mould.cast("reader1234@example.org", uuid4(), filling, datetime.now(UTC))
    return digest, len(mail)


# measuring


async def send(
    here: Place, environ: Mapping[str, str], digest: Digest, mails: int, workers: int
) -> Cost:
    """From the approval until the last mail is settled; workers with the processes they start."""
    with ExitStack() as running:
        working = [
            running.enter_context(place.process(place.mailer("work"), environ))
            for _ in range(workers)
        ]
        async with here.pool.acquire() as conn:
            while await outbox.workers(conn) < workers:
                await asyncio.sleep(LOOK_SECONDS)
            await asyncio.sleep(1)
            server = await place.postgres(conn)
            idle = sum(place.children_seconds(each.pid) for each in working)
            at_first, began = place.children_seconds(server), time.monotonic()
            async with conn.transaction():
                await editions.approve(
                    conn, here.settings, digest, by="bench", despite_warnings=True
                )
                await editions.begin(conn, here.settings, digest)
            approved, approving = place.children_seconds(server), time.monotonic() - began
            began = time.monotonic()
            await until_sent(conn, digest, mails)
            took = time.monotonic() - began
            return Cost(
                mails / took,
                approving,
                (sum(place.children_seconds(each.pid) for each in working) - idle) / mails,
                (approved - at_first) / mails,
                (place.children_seconds(server) - approved) / mails,
                max(place.memory(each.pid) for each in working),
            )


async def until_sent(conn: Connection, digest: Digest, mails: int) -> None:
    shown = 0.0
    while (counted := await outbox.progress(conn, digest.id))["waiting"]:
        if time.monotonic() > shown + 1:
            shown = time.monotonic()
            place.progress(f"sent: {counted['sent']} of {mails}")
        await asyncio.sleep(LOOK_SECONDS)
    assert counted["sent"] == mails, counted


def source(mails: int, size: int, sessions: int, port: int) -> float:
    """Mails a second of Postfix's own generator, which keeps its connections (-d)."""
    place.progress("smtp-source")
    options = f"-d -s {sessions} -m {mails} -l {size} -f b@example.org -t reader@example.org"
    began = time.monotonic()
    subprocess.run([place.tool("smtp-source"), *options.split(), f"127.0.0.1:{port}"], check=True)
    return mails / (time.monotonic() - began)


if __name__ == "__main__":
    asyncio.run(main())
