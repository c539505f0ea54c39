"""Mails a second of a 30 KB digest: outbox, worker, Postfix's smtp-sink; beside smtp-source.

    python -m bench.send [--readers 5000] [--workers 1] [--connections 4]

smtp-source -d sends as many mails of the same size over as many sessions to the same sink, before
and after us: `ratio` is ours to the mean of both. It reads no outbox and keeps no record.
"""

import argparse
import asyncio
import os
import subprocess
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from uuid import uuid4

from bench import place, readers
from bench.place import Place
from mailer import articles, digests, editions, mime, outbox
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
LOOK_SECONDS = 0.02


async def main() -> None:
    given = arguments()
    port = place.free_port()
    as_nobody = ["-u", "nobody"] if os.geteuid() == 0 else []
    sink = [place.tool("smtp-sink"), *as_nobody, f"127.0.0.1:{port}", "1000"]
    settings = {
        "MAILER_SMTP_URL": f"smtp://127.0.0.1:{port}",
        "MAILER_SMTP_CONNECTIONS": str(given.connections),
    }
    with place.process(sink) as running:
        place.reachable(port, running)
        async with place.place(**settings) as here:
            place.report(await compare(here, given, port))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.send", description=__doc__)
    parser.add_argument("--readers", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--connections", type=int, default=4, help="of each worker")
    return parser.parse_args()


async def compare(here: Place, given: argparse.Namespace, port: int) -> dict[str, object]:
    await readers.seed(here, given.readers)
    digest, size = await draft(here)
    sessions = given.workers * given.connections
    before = source(given.readers, size, sessions, port)
    ours = await send(here, digest, given.readers, given.workers)
    after = source(given.readers, size, sessions, port)
    async with here.pool.acquire() as conn:
        machine = await place.machine(conn)
    return {
        "bench": "send",
        "machine": machine,
        "mails": given.readers,
        "bytes_a_mail": size,
        "workers": given.workers,
        "connections_a_worker": given.connections,
        "ours_a_second": round(ours),
        "smtp_source_a_second": [round(before), round(after)],
        "ratio": round(ours / ((before + after) / 2), 3),
    }


# setting up


async def draft(here: Place) -> tuple[Digest, int]:
    """A digest, and the bytes of one mail of it."""
    async with here.pool.acquire() as conn, conn.transaction():
        for n in range(ARTICLES):
            url = f"https://example.org/rulings/{n}"
            article = Draft(f"ruling-{n}", f"Ruling {n}: the order is void", "en", url, SUMMARY)
            await articles.add(conn, here.newsletter.id, article)
        digest = await digests.create(conn, here.newsletter, "weekly", by="bench")
        _, composed = await editions.compose(conn, here.settings, digest)
    mould = mime.mould(composed[0][1], here.settings.domain)
    filling = dict.fromkeys(SLOTS, "x" * LENGTH)
    mail = mould.cast("reader1234@example.org", uuid4(), filling, datetime.now(UTC))
    return digest, len(mail)


# measuring


async def send(here: Place, digest: Digest, mails: int, workers: int) -> float:
    """Mails a second, from the approval until the last one is settled."""
    with ExitStack() as running:
        for _ in range(workers):
            running.enter_context(place.process(place.mailer("work"), here.environ))
        async with here.pool.acquire() as conn:
            while await outbox.workers(conn) < workers:
                await asyncio.sleep(LOOK_SECONDS)
            await asyncio.sleep(1)
            began = time.monotonic()
            async with conn.transaction():
                _, composed = await editions.compose(conn, here.settings, digest)
                frozen = [edition for edition, _ in composed]
                await digests.approve(conn, digest, frozen, by="bench")
            await until_sent(conn, digest, mails)
            return mails / (time.monotonic() - began)


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
