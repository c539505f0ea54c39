"""Consent events sealed a second by `mailer work`, and verified; beside two plainer ways.

    python -m bench.seal [--events 100000] [--seconds 10]

Real events (each sealed for its subject, chained, committed to) are put in with COPY; then a worker
is started and watched: how fast its signed checkpoint grows, and how much memory it takes on the
way. Beside it, in the same run: the COPY of the very same rows, which only keeps them; and a chain
of hashes with one transaction a row, which is what a log without a tree would do. Then events are
recorded one by one at an ordinary pace, and it is measured how long each takes until a signed
checkpoint covers it; and at last `mailer consent verify` goes over everything.
"""

import argparse
import asyncio
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from bench import place
from bench.place import Place
from mailer import consent, subjects, vault
from mailer.db import Connection
from mailer.vault import Subject, Vault

EACH = 5
CHUNK = 10_000
CHAINED = 2_000
A_SECOND = 50
LOOK_SECONDS = 0.05
MARKS = (10_000, 100_000, 300_000, 1_000_000, 3_000_000)
EVENT = ("id", "subject", "seq", "prev", "commitment", "at", "type", "newsletter", "body")
SUBJECT = ("id", "dek", "seq", "head", "latest")

Row = tuple[object, ...]


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.seal", description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=10)
    given = parser.parse_args()
    settings = {"MAILER_SMTP_URL": f"smtp://127.0.0.1:{place.free_port()}"}
    async with place.place(**settings) as here:
        place.report(await measure(here, given.events, given.seconds))


async def measure(here: Place, many: int, seconds: float) -> Mapping[str, object]:
    async with here.pool.acquire() as conn:
        machine = await place.machine(conn)
        chained = await chain(conn)
        copied = await fill(conn, here.vault, many)
        with place.process(place.mailer("work"), here.environ) as worker:
            rate, memory = await watch(conn, worker.pid, many)
            behind = await ordinary(here, conn, seconds)
    return {
        "bench": "seal",
        "machine": machine,
        "events": many,
        "sealed_a_second": round(rate),
        "worker_mb": memory,
        "copied_a_second": round(copied),
        "chained_a_second": round(chained),
        "ratio_to_copy": round(rate / copied, 3),
        "ratio_to_chain": round(rate / chained, 1),
        "seconds_behind": behind,
        "verified": await verify(here),
    }


# what it is compared with


async def chain(conn: Connection) -> float:
    """Rows a second of a chain of hashes: each row over the one before, in its own transaction."""
    await conn.execute("create table chained (id bigint primary key, body bytea, hash bytea)")
    await conn.execute("create table tip (hash bytea)")
    await conn.execute("insert into tip values ('')")
    body, began = os.urandom(700), time.monotonic()
    for number in range(CHAINED):
        async with conn.transaction():
            tip = await conn.fetchval("select hash from tip for update")
            hash_ = hashlib.sha256(tip + body).digest()
            await conn.execute("insert into chained values ($1, $2, $3)", number, body, hash_)
            await conn.execute("update tip set hash = $1", hash_)
    return CHAINED / (time.monotonic() - began)


async def fill(conn: Connection, keys: Vault, many: int) -> float:
    """Put real events in; how many a second the COPY of their rows took."""
    origin = await conn.fetchval("select origin from house")
    spent, at = 0.0, datetime.now(UTC) - timedelta(days=1)
    for done in range(0, many, CHUNK):
        people, events = [], []
        for _ in range(min(CHUNK, many - done) // EACH):
            at += timedelta(milliseconds=1)
            subject = keys.new_subject(uuid4())
            rows = list(chained(origin, subject, at))
            events += rows
            people.append((subject.id, keys.wrap(subject), EACH, rows[-1][4], rows[-1][5]))
        await conn.copy_records_to_table("subject", records=people, columns=SUBJECT)
        began = time.monotonic()
        await conn.copy_records_to_table("consent_event", records=events, columns=EVENT)
        spent += time.monotonic() - began
        if done % (10 * CHUNK) == 0:
            place.progress(f"{done} events made")
    await conn.execute("analyze")
    return many / spent


def chained(origin: str, subject: Subject, at: datetime) -> Iterator[Row]:
    """The rows of one person's events, as `consent.record` writes them."""
    prev: bytes | None = None
    for seq in range(1, EACH + 1):
        at += timedelta(microseconds=1)
        event = consent.uuid7(at)
        body = consent.canonical(content(origin, subject.id, event, seq, prev, at))
        commitment = consent.commit(subject, event, body)
        sealed = vault.seal(subject, consent.PLACE, body)
        yield event, subject.id, seq, prev, commitment, at, "consent.updated", "weekly", sealed
        prev = commitment


def content(
    origin: str, subject: UUID, event: UUID, seq: int, prev: bytes | None, at: datetime
) -> Mapping[str, object]:
    return {
        "v": consent.VERSION,
        "origin": origin,
        "id": str(event),
        "subject": str(subject),
        "seq": seq,
        "prev": prev.hex() if prev else None,
        "type": "consent.updated",
        "at": consent.timestamp(at),
        "actor": "subject",
        "newsletter": "weekly",
        "notice": None,
        "language": "en",
        "purposes": ["sending the digest"],
        "evidence": {"origin": "https://site.example.org", "cadence": "weekly"},
    }


# sealing


async def watch(conn: Connection, worker: int, many: int) -> tuple[float, Mapping[str, float]]:
    """Entries a second from the first checkpoint to the last; the worker's memory on the way."""
    memory: dict[str, float] = {}
    began = first = size = 0.0
    while size < many:
        size = await signed(conn)
        if size and not began:
            began, first = time.monotonic(), size
        for mark in MARKS:
            if size >= mark and str(mark) not in memory:
                memory[str(mark)] = megabytes(worker, "VmRSS")
        await asyncio.sleep(LOOK_SECONDS)
    return (size - first) / (time.monotonic() - began), {**memory, "peak": megabytes(worker)}


async def signed(conn: Connection) -> int:
    return await conn.fetchval("select size from log_checkpoint") or 0


def megabytes(process: int, figure: str = "VmHWM") -> float:
    """Memory of a process: now (VmRSS), or the most it ever had (VmHWM); 0 once it has ended."""
    path = Path(f"/proc/{process}/status")
    for line in path.read_text().splitlines() if path.exists() else ():
        if line.startswith(f"{figure}:"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


async def ordinary(here: Place, conn: Connection, seconds: float) -> Mapping[str, float]:
    """Seconds from an event's commit to the checkpoint that covers it, at A_SECOND events."""
    committed: list[float] = []
    lags: list[float] = []
    before = await conn.fetchval("select count(*) from consent_event")
    subject = here.vault.new_subject(uuid4())
    await subjects.keep(conn, here.vault, subject)

    async def write() -> None:
        async with here.pool.acquire() as own:
            for _ in range(int(seconds * A_SECOND)):
                async with own.transaction():
                    await consent.record(own, subject, "consent.updated", actor="system")
                committed.append(time.monotonic())
                await asyncio.sleep(1 / A_SECOND)

    writing = asyncio.create_task(write())
    while not writing.done() or len(lags) < len(committed):
        covered, now = await signed(conn) - before, time.monotonic()
        lags += [now - committed[n] for n in range(len(lags), min(covered, len(committed)))]
        await asyncio.sleep(LOOK_SECONDS)
    await writing
    lags.sort()
    return {"median": round(lags[len(lags) // 2], 3), "most": round(lags[-1], 3)}


# verifying


async def verify(here: Place) -> Mapping[str, Any]:
    """What `mailer consent verify` says, its seconds and its memory."""
    environ = {**place.bare_environ(), **here.environ}
    began, peak = time.monotonic(), 0.0
    running = await asyncio.create_subprocess_exec(
        *place.mailer("consent", "verify", "--json"),
        cwd=place.ROOT, env=environ, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    answer = asyncio.create_task(running.communicate())
    while not answer.done():
        peak = max(peak, megabytes(running.pid))
        await asyncio.sleep(LOOK_SECONDS)
    took, said = time.monotonic() - began, json.loads((await answer)[0])
    assert running.returncode == 0, said
    return {"events": said["events"], "entries": said["entries"], "seconds": round(took, 1),
            "a_second": round(said["events"] / took), "peak_mb": peak}  # fmt: skip


if __name__ == "__main__":
    asyncio.run(main())
