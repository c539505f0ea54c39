"""Consent events a second to a file, and the memory it takes; beside a bare COPY of the same rows.

    python -m bench.export [--events 10000 100000 1000000] [--format csv] [--encrypt] [--page]

`mailer consent export` opens every event and writes it; COPY writes the same rows sealed, as they
lie. `ratio` is the rows a second of both, in the same run; `peak_mb` is the command's whole process
(resident, at its most): that it does not grow with the events is what is shown.

With `--page` an officer orders the file on the page of a real web process, a worker writes it, and
it is downloaded: `seconds` from the order to the last byte, `download_seconds` of them for the
download, `web_mb` and `worker_mb` the most memory that each process ever had.
"""

import argparse
import asyncio
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import aiohttp
import pyotp
import pyrage  # type: ignore[import-untyped]  # it comes without types

from bench import place
from bench.place import Place
from mailer import consent, factors, staff, vault
from mailer.db import Connection
from mailer.vault import Subject

OFFICER = "officer@example.org"
PASSWORD = "a password for measuring"
EVENTS_A_PERSON = 4
PEOPLE_AT_ONCE = 2500
COPIED = """
    select e.id, e.subject, e.seq, e.type, e.at, e.newsletter, e.notice, e.body, e.commitment
    from consent_event e
    join subject s on s.id = e.subject
    order by e.at, e.id
"""
TYPES = (
    "subscription.requested",
    "confirmation.sent",
    "confirmation.accepted",
    "consent.confirmed",
)
EVIDENCE = {
    "origin": "https://www.example.org/stories/order-660",
    "boxes": {"consent": "ticked"},
    "form": "hosted/1",
    "cadence": "weekly",
    "received": "2026-01-31T09:00:00.000000Z",
}


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.export", description=__doc__)
    parser.add_argument("--events", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--format", choices=["csv", "jsonl"], default="csv")
    parser.add_argument("--encrypt", action="store_true", help="with age, to a key of the run")
    parser.add_argument("--page", action="store_true", help="ordered and downloaded on the page")
    given = parser.parse_args()
    key = str(pyrage.x25519.Identity.generate().to_public()) if given.encrypt else None
    sizes = []
    port = place.free_port()
    address = {"MAILER_LISTEN": f"127.0.0.1:{port}", "MAILER_BASE_URL": f"http://127.0.0.1:{port}"}
    async with place.place(**address) as here:
        async with here.pool.acquire() as conn:
            machine = await place.machine(conn)
        for events in sorted(given.events):
            await fill(here, events)
            sizes.append(await measure(here, given.format, key, on_page=given.page))
    place.report(
        {
            "bench": "export",
            "machine": machine,
            "format": given.format,
            "encrypted": given.encrypt,
            "page": given.page,
            "sizes": sizes,
            "peak_growth": {
                name: round(sizes[-1][name] / sizes[0][name], 2)
                for name in sizes[0]
                if name.endswith("_mb")
            },
        }
    )


# setting up: events as `consent.record` writes them, many people at a time


async def fill(here: Place, events: int) -> None:
    async with here.pool.acquire() as conn:
        origin: str = await conn.fetchval("select origin from house")
        have: int = await conn.fetchval("select count(*) from consent_event")
        while have < events:
            people = min(PEOPLE_AT_ONCE, -(-(events - have) // EVENTS_A_PERSON))
            async with conn.transaction():
                await add(conn, here, origin, people, have)
            have += people * EVENTS_A_PERSON
            place.progress(f"events: {have} of {events}")
        await conn.execute("analyze")


@dataclass(frozen=True)
class Made:
    """What goes into the tables for one person."""

    subject: tuple[object, ...]
    events: list[tuple[object, ...]]


async def add(conn: Connection, here: Place, origin: str, people: int, have: int) -> None:
    made = [person(here, origin, have + n) for n in range(people)]
    await conn.copy_records_to_table(
        "subject", records=[m.subject for m in made], columns=["id", "dek", "seq", "head"]
    )
    await conn.copy_records_to_table(
        "consent_event",
        records=[event for m in made for event in m.events],
        columns=[
            "id", "subject", "seq", "prev", "commitment", "at", "type", "newsletter", "notice",
            "body",
        ],
    )  # fmt: skip


def person(here: Place, origin: str, number: int) -> Made:
    subject = here.vault.new_subject(uuid4())
    events = list(chain(here, origin, subject, number))
    head = events[-1][4]
    return Made((subject.id, here.vault.wrap(subject), len(events), head), events)


def chain(here: Place, origin: str, subject: Subject, number: int) -> Iterator[tuple[object, ...]]:
    prev: bytes | None = None
    for seq, type_ in enumerate(TYPES, start=1):
        at = datetime(2026, 1, 31, tzinfo=UTC) + timedelta(seconds=number, milliseconds=seq)
        id_: UUID = consent.uuid7(at)
        content = {
            "v": consent.VERSION,
            "origin": origin,
            "id": str(id_),
            "subject": str(subject.id),
            "seq": seq,
            "prev": prev.hex() if prev else None,
            "type": type_,
            "at": consent.timestamp(at),
            "actor": consent.SUBJECT,
            "newsletter": here.newsletter.slug,
            "notice": {"id": here.notice.id, "sha256": here.notice.sha256.hex()},
            "language": "en",
            "purposes": list(here.notice.purposes),
            "evidence": EVIDENCE,
        }
        body = consent.canonical(content)
        commitment = consent.commit(subject, id_, body)
        sealed = vault.seal(subject, consent.PLACE, body)
        yield (
            id_, subject.id, seq, prev, commitment, at, type_, here.newsletter.slug,
            here.notice.id, sealed,
        )  # fmt: skip
        prev = commitment


# measuring


async def measure(here: Place, format_: str, key: str | None, *, on_page: bool) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="mailer-export-") as folder:
        async with here.pool.acquire() as conn:
            rows: int = await conn.fetchval("select count(*) from consent_event")
            before = await copy(conn, Path(folder) / "copy")
            place.progress(f"exporting {rows} events")
            out = Path(folder) / "export"
            if on_page:
                took, used = await through_page(here, out, format_, key)
            else:
                took, used = export(here, out, format_, key)
            after = await copy(conn, Path(folder) / "copy")
    mean = (before + after) / 2
    return {
        "events": rows,
        "seconds": round(took, 2),
        "a_second": round(rows / took),
        **used,
        "copy_seconds": round(mean, 2),
        "ratio": round(mean / took, 3),
    }


async def copy(conn: Connection, out: Path) -> float:
    began = time.monotonic()
    await conn.copy_from_query(COPIED, output=out, format="csv")
    return time.monotonic() - began


Used = dict[str, float]


def export(here: Place, out: Path, format_: str, key: str | None) -> tuple[float, Used]:
    """Seconds, and the most memory the process had, in MB."""
    command = place.mailer("consent", "export", "--format", format_, "--out", str(out))
    began = time.monotonic()
    started = subprocess.Popen(
        [*command, *(["--encrypt-to", key] if key else [])],
        cwd=place.ROOT,
        env={**place.bare_environ(), **here.environ},
        stderr=subprocess.PIPE,
    )
    _, status, used = os.wait4(started.pid, 0)
    said = started.stderr.read().decode() if started.stderr else ""
    assert os.waitstatus_to_exitcode(status) == 0, said
    return time.monotonic() - began, {"peak_mb": round(used.ru_maxrss / 1024, 1)}


# on the page


async def through_page(here: Place, out: Path, format_: str, key: str | None) -> tuple[float, Used]:
    """Seconds from the order to the last byte; what else `--page` says."""
    secret = await officer(here)
    base = here.settings.base_url
    with (
        place.process(place.mailer("serve"), here.environ) as web,
        place.process(place.mailer("work"), here.environ) as worker,
    ):
        place.reachable(here.settings.listen.port, web)
        kept = aiohttp.CookieJar(unsafe=True)  # of an address that is a number, too
        async with aiohttp.ClientSession(
            base, headers={"Origin": base}, cookie_jar=kept, raise_for_status=True
        ) as browser:
            await press(browser, "/staff/sign-in", {"email": OFFICER, "password": PASSWORD})
            await press(browser, "/staff/code", {"code": pyotp.TOTP(secret).now()})
            began = time.monotonic()
            order = {"format": format_, "encrypt-to": key or "", "reason": "measuring"}
            job = await press(browser, "/staff/consent", order)
            assert "/jobs/" in job, job
            while not (last := await text(browser, f"{job}/live")).count('"state": "done"'):
                assert '"state": "failed"' not in last  # the stream goes on for most of a minute
            ready = time.monotonic()
            async with browser.get(f"{job}/file") as answer:
                with out.open("wb") as file:
                    async for piece in answer.content.iter_any():
                        file.write(piece)
            done = time.monotonic()
        return done - began, {
            "download_seconds": round(done - ready, 2),
            "web_mb": round(place.memory(web.pid), 1),
            "worker_mb": round(place.memory(worker.pid), 1),
        }


async def officer(here: Place) -> str:
    """A privacy officer who can sign in; the secret of the app that shows codes."""
    secret = factors.new_secret()
    async with here.pool.acquire() as conn, conn.transaction():
        await conn.execute("delete from staff")
        password = await asyncio.to_thread(staff.hash_password, PASSWORD)
        id_ = await staff.add(conn, here.vault, OFFICER, "privacy", password)
        subject = (await staff.get(conn, id_)).subject(here.vault)
        sealed = vault.seal(subject, factors.PLACE, secret.encode())
        await conn.execute("update staff set totp = $2 where id = $1", id_, sealed)
    return secret


async def press(browser: aiohttp.ClientSession, path: str, form: Mapping[str, str]) -> str:
    """Where its answer leads."""
    async with browser.post(path, data=form, allow_redirects=False) as answer:
        assert answer.status == 303, await answer.text()
        return answer.headers["Location"]


async def text(browser: aiohttp.ClientSession, path: str) -> str:
    async with browser.get(path) as answer:
        return await answer.text()


if __name__ == "__main__":
    asyncio.run(main())
