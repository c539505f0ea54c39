"""The wire alone: mails a second from one process to Postfix's smtp-sink, beside smtp-source.

    python -m bench.wire [--mails 20000] [--connections 10] [--late 20]

`smtp-source -d` sends as many mails of the same size over as many sessions to the same sink, before
and after us: `ratio` is ours to the mean of both. First with the sink itself, then through a relay
that brings every reply `--late` milliseconds late. At last signed (RSA-2048), by one process and by
one a core, beside what as many processes sign when they do nothing else; the sink has its share of
the same cores. Both programs are Postfix's: apt-get install --no-install-recommends postfix.
"""

import argparse
import asyncio
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from uuid import UUID

from bench import place
from mailer import config, dkim, mime
from mailer.dkim import Signed, Signer
from mailer.mime import Mould
from mailer.smtp import DEPTH, Outcome, Road, Verdict
from mailer.tokens import SLOTS, Purpose, Token

CORES = len(os.sched_getaffinity(0))
LATE_SHARE = 10
"""With late replies there are fewer mails by this factor: each takes so much longer."""


async def main() -> None:
    given = arguments()
    port = place.free_port()
    as_nobody = ["-u", "nobody"] if os.geteuid() == 0 else []
    sink = [place.tool("smtp-sink"), *as_nobody, f"127.0.0.1:{port}", "1000"]
    with place.process(sink) as running:
        place.reachable(port, running)
        place.report(await compare(given, port))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.wire", description=__doc__)
    parser.add_argument("--mails", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=10)
    parser.add_argument("--late", type=int, default=20, help="milliseconds")
    return parser.parse_args()


async def compare(given: argparse.Namespace, port: int) -> dict[str, object]:
    mould = mime.mould(Digest(), "news.example.org")
    size = len(cast(mould, 0))
    many, few = given.mails, given.mails // LATE_SHARE
    await send(mould, few, given.connections, port)
    at_once = await beside(mould, many, given.connections, port)
    late_port = place.free_port()
    relay = [sys.executable, "-m", "bench.late", str(late_port), str(port), str(given.late)]
    with place.process(relay) as running:
        place.reachable(late_port, running)
        late = await beside(mould, few, given.connections, late_port)
    signed = [signing(many, given.connections, port, processes) for processes in (1, CORES)]
    return {
        "bench": "wire",
        "machine": place.hardware(),
        "mails": many,
        "bytes_a_mail": size,
        "connections": given.connections,
        "depth": DEPTH,
        "at_once": at_once,
        f"every_reply_{given.late}_ms_late": {"mails": few, **late},
        "signed": signed,
    }


class Digest:
    """As long as a digest of a dozen articles, with the slots that one has."""

    subject = "Rights Weekly: twelve rulings"
    sender = "weekly@news.example.org"
    sender_name = "Rights Weekly"
    headers = (
        ("List-Id", "<weekly.news.example.org>"),
        ("List-Unsubscribe", f"<https://news.example.org/u/{SLOTS['leave']}>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ("List-Help", f"<https://news.example.org/me/{SLOTS['manage']}>"),
        ("Auto-Submitted", "auto-generated"),
    )
    links = f"https://news.example.org/u/{SLOTS['leave']} /me/{SLOTS['manage']}\n"
    text = "The court found that the order was made without a hearing.\n" * 130 + links
    html: str | None = "<p>The court found that the order was made without it.</p>\n" * 330 + links


def cast(mould: Mould | Signed, n: int) -> bytes:
    token = str(Token(n, bytes(16)))
    filling: dict[Purpose, str] = {"leave": token, "manage": token}
    return mould.cast(f"reader{n}@example.org", UUID(int=n), filling, datetime.now(UTC))


# measuring


async def beside(mould: Mould, mails: int, connections: int, port: int) -> Mapping[str, object]:
    size = len(cast(mould, 0))
    before = await asyncio.to_thread(source, mails, size, connections, port)
    ours, cpu = await send(mould, mails, connections, port)
    after = await asyncio.to_thread(source, mails, size, connections, port)
    return {
        "ours_a_second": round(ours),
        "our_cpu_us_a_mail": round(cpu * 1e6),
        "smtp_source_a_second": [round(before), round(after)],
        "ratio": round(ours / ((before + after) / 2), 3),
    }


async def send(
    mould: Mould | Signed, mails: int, connections: int, port: int
) -> tuple[float, float]:
    """Mails a second, and seconds of CPU a mail; each composed for its reader."""
    counted: dict[str, int] = {}

    def done(outcome: Outcome) -> None:
        kind = outcome.kind if isinstance(outcome, Verdict) else "closed"
        counted[kind] = counted.get(kind, 0) + 1

    place.progress("ours")
    sender = "b+TOKEN@bounces.example.org"
    async with Road([config.smtp(f"smtp://127.0.0.1:{port}")], connections) as road:
        began, used = time.monotonic(), cpu_seconds()
        for n in range(mails):
            await road.hand(cast(mould, n), sender, f"reader{n}@example.org", done)
        await road.drain()
        took, used = time.monotonic() - began, cpu_seconds() - used
    assert counted == {"sent": mails}, counted
    return mails / took, used / mails


def signing(mails: int, connections: int, port: int, processes: int) -> Mapping[str, object]:
    """Signed mails a second from so many processes, and what they sign alone."""
    share, key = mails // processes, dkim.written(dkim.make("rsa"))
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        place.progress("signing alone")
        alone = sum(pool.map(sign_alone, [key] * processes, [share] * processes))
        place.progress("signed")
        each = [[value] * processes for value in (key, share, connections // processes, port)]
        results = list(pool.map(send_signed, *each))
    rate = sum(rate for rate, _ in results)
    return {
        "processes": processes,
        "signed_a_second": round(rate),
        "our_cpu_us_a_mail": round(sum(cpu for _, cpu in results) / processes * 1e6),
        "signatures_alone_a_second": round(alone),
        "ratio": round(rate / alone, 3),
    }


def signer(key: str) -> Signer:
    return Signer("news.example.org", "bench", dkim.read(key))


def sign_alone(key: str, many: int) -> float:
    sign, began = signer(key).sign, time.monotonic()
    for n in range(many):
        sign(b"%09d" % n * 80)
    return many / (time.monotonic() - began)


def send_signed(key: str, mails: int, connections: int, port: int) -> tuple[float, float]:
    mould = mime.mould(Digest(), "news.example.org")
    return asyncio.run(send(dkim.signed(mould, [signer(key)]), mails, connections, port))


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def source(mails: int, size: int, sessions: int, port: int) -> float:
    """Mails a second of Postfix's own generator, which keeps its connections (-d)."""
    place.progress("smtp-source")
    options = f"-d -s {sessions} -m {mails} -l {size} -f b@example.org -t reader@example.org"
    began = time.monotonic()
    subprocess.run([place.tool("smtp-source"), *options.split(), f"127.0.0.1:{port}"], check=True)
    return mails / (time.monotonic() - began)


if __name__ == "__main__":
    asyncio.run(main())
