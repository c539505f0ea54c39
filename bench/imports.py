"""People imported a second, and the memory it takes; beside a bare COPY of as many rows.

    python -m bench.imports [--rows 1000000] [--taken 20000]

`mailer subscribers import` reads, checks and seals a CSV file of that many people, with the
evidence of their consent, and stages them; COPY writes rows of the same size, sealed already, into
a table like that one. `ratio`: the rows a second of both, in the same run. `peak_mb`: the command's
whole process (resident, at its most), for a tenth of the rows and for all of them. `taken`: how
many of them a second become confirmed subscriptions, in one worker's steps, each with its three
events; `taken_ratio`: beside the same COPY; `taken_cpu_us`: microseconds of CPU for each.
"""

import argparse
import asyncio
import csv
import os
import secrets
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from bench import place
from bench.place import Place
from mailer import imports, outbox
from mailer.worker.forms import BRING_AT_ONCE

HOURS = 72
PAYLOAD = secrets.token_bytes(600)
"""About as long as a sealed line with evidence."""


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.imports", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--taken", type=int, default=20_000)
    given = parser.parse_args()
    async with place.place() as here:
        with tempfile.TemporaryDirectory(prefix="mailer-imports-") as folder:
            few = measure(here, Path(folder) / "few.csv", max(given.rows // 10, 1), 0)
            all_ = measure(here, Path(folder) / "all.csv", given.rows, given.rows)
        copied = await copy(here, given.rows)
        async with here.pool.acquire() as conn:
            machine = await place.machine(conn)
        taken = await take(here, given.taken)
    a_second = given.rows / all_["seconds"]
    place.report(
        {
            "bench": "imports",
            "machine": machine,
            "rows": given.rows,
            "file_mb": all_["file_mb"],
            "seconds": all_["seconds"],
            "a_second": round(a_second),
            "copy_a_second": round(given.rows / copied),
            "ratio": round(a_second / (given.rows / copied), 3),
            "peak_mb": [few["peak_mb"], all_["peak_mb"]],
            "taken_a_second": round(taken.a_second),
            "taken_ratio": round(taken.a_second / (given.rows / copied), 4),
            "taken_cpu_us": {
                "program": round(taken.program_us),
                "postgresql": round(taken.postgres_us),
            },
        }
    )


def measure(here: Place, file: Path, rows: int, first: int) -> dict[str, float]:
    place.progress(f"importing {rows} people")
    write(file, rows, first)
    command = place.mailer("subscribers", "import", str(file), "--newsletter", "weekly",
                           "--documented")  # fmt: skip
    began = time.monotonic()
    started = subprocess.Popen(
        command,
        cwd=place.ROOT,
        env={**place.bare_environ(), **here.environ},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    _, status, used = os.wait4(started.pid, 0)
    said = started.stderr.read().decode() if started.stderr else ""
    assert os.waitstatus_to_exitcode(status) == 0, said
    return {
        "seconds": round(time.monotonic() - began, 2),
        "peak_mb": round(used.ru_maxrss / 1024, 1),
        "file_mb": round(file.stat().st_size / 1e6, 1),
    }


def write(file: Path, rows: int, first: int) -> None:
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(
            ("email", "language", "agreed_at", "agreed_how", "agreed_words", "agreed_source")
        )
        writer.writerows(
            (f"reader{n}@example.org", "en", "2024-05-31", "form on the site",
             "https://www.example.org/newsletter/2024", "database of 2024")
            for n in range(first, first + rows)
        )  # fmt: skip


async def copy(here: Place, rows: int) -> float:
    """Seconds for a bare COPY, in transactions as large."""
    place.progress(f"copying {rows} rows")
    async with here.pool.acquire() as conn:
        await conn.execute("create table bare (like import_line including all)")
        began = time.monotonic()
        for start in range(0, rows, 5_000):
            await conn.copy_records_to_table("bare", records=bare(start, min(5_000, rows - start)))
        took = time.monotonic() - began
        await conn.execute("drop table bare")
    return took


def bare(first: int, rows: int) -> Iterator[tuple[object, ...]]:
    for number in range(first, first + rows):
        yield uuid4(), 1, number, PAYLOAD[:64], os.urandom(32), PAYLOAD, True


@dataclass(frozen=True)
class Taken:
    """People a second that became subscriptions, and microseconds of CPU each of them took."""

    a_second: float
    program_us: float
    postgres_us: float


async def take(here: Place, people: int) -> Taken:
    place.progress(f"taking in {people} of them")
    async with here.pool.acquire() as conn:
        server = await place.postgres(conn)
        await outbox.by_key(conn)
        cpu, theirs, began = time.process_time(), place.children_seconds(server), time.monotonic()
        done, some = 0, 1
        while some and done < people:
            async with conn.transaction():
                some = await imports.take(conn, here.vault, HOURS, BRING_AT_ONCE)
            done += some
        took = time.monotonic() - began
        used, theirs = time.process_time() - cpu, place.children_seconds(server) - theirs
    return Taken(done / took, used / done * 1e6, theirs / done * 1e6)


if __name__ == "__main__":
    asyncio.run(main())
