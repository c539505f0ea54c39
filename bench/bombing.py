"""A bombing run: thousands of forms for a hundred addresses from hundreds of networks.

    python -m bench.bombing [--forms 10000] [--addresses 100] [--networks 500] [--rate 250]

Meanwhile visitors subscribe, two a second: every other one by a browser that solves the puzzles it
is given, with the form or with the answer; the others have no script. Ends with how many mails the
victims got, how long visitors waited for their answer and for their mail, and what was refused.
Exit status 1 if a victim got more than the caps allow; if no flood was seen; or if the mail of any
visitor, whenever they came, took longer than docs/abuse.md promises (MOST_SECONDS). Everything goes
over loopback, and is over after two minutes.
"""

import argparse
import asyncio
import base64
import html
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
from altcha import v1

from bench import place
from bench.place import Place

AT_ONCE = 64
VISITOR_SECONDS = 0.5
MOST_SECONDS = {"browser": 15.0, "plain": 60.0}
"""From sending the form to the mail; those without script included who came last."""

LONGEST_SECONDS = 90.0
PUZZLE = re.compile(r'data-puzzle="([^"]+)"')
STAMP = re.compile(r'name="stamp" value="([^"]+)"')


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.bombing", description=__doc__)
    parser.add_argument("--forms", type=int, default=10_000)
    parser.add_argument("--addresses", type=int, default=100)
    parser.add_argument("--networks", type=int, default=500)
    parser.add_argument("--rate", type=float, default=250, help="forms a second")
    given = parser.parse_args()
    port, mail = place.free_port(), place.free_port()
    settings = {
        "MAILER_LISTEN": f"127.0.0.1:{port}",
        "MAILER_TRUSTED_PROXIES": "127.0.0.1/32",
        "MAILER_SMTP_URL": f"smtp://127.0.0.1:{mail}",
    }
    async with place.place(**settings) as here:
        with ExitStack() as running, tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "sink.log"
            sink = [sys.executable, "-m", "bench.sink", str(log), str(mail)]
            place.reachable(mail, running.enter_context(place.process(sink)))
            running.enter_context(place.process(place.mailer("work"), here.environ))
            web = running.enter_context(place.process(place.mailer("serve"), here.environ))
            place.reachable(port, web)
            run = Run(here, f"http://127.0.0.1:{port}", log)
            async with asyncio.timeout(LONGEST_SECONDS + 90):
                wrong = await run.through(given.forms, given.addresses, given.networks, given.rate)
    if wrong:
        raise SystemExit(1)


class Run:
    """One run, and what came of it; `asked` and `mailed`: when, by address."""

    def __init__(self, here: Place, url: str, log: Path) -> None:
        self.here, self.url, self.log = here, url, log
        self.statuses: Counter[int] = Counter()
        self.answers: list[float] = []
        self.asked: dict[str, float] = {}
        self.proved_later = 0
        self.over = False

    async def through(self, forms: int, addresses: int, networks: int, rate: float) -> bool:
        victims = [f"victim{n}@example.org" for n in range(addresses)]
        random.shuffle(rest := [(v, n) for n, v in enumerate(victims * (forms // addresses))])
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
            visiting = asyncio.create_task(self.visit(http))
            await asyncio.sleep(5 * VISITOR_SECONDS)  # what it is like on a quiet day
            began = time.monotonic()
            bombers = (self.bomb(http, rest, networks, rate / AT_ONCE) for _ in range(AT_ONCE))
            await asyncio.gather(*bombers)
            took = time.monotonic() - began
            self.over = True
            await visiting
            await self.all_mailed()
        return await self.report(took)

    async def bomb(
        self, http: aiohttp.ClientSession, rest: list[tuple[str, int]], networks: int, rate: float
    ) -> None:
        began = time.monotonic()
        for turn in count():
            await asyncio.sleep(max(0.0, began + turn / rate - time.monotonic()))
            if not rest or time.monotonic() > began + LONGEST_SECONDS:
                return
            victim, n = rest.pop()
            seen = f"10.{n % networks // 250}.{n % networks % 250}.{n % 200}"
            status, _, _ = await self.send(http, victim, seen)
            self.statuses[status] += 1

    async def visit(self, http: aiohttp.ClientSession) -> None:
        """Every other visitor has no script."""
        n = 0
        async with asyncio.TaskGroup() as visitors:
            while not self.over:
                kind = ("browser", "plain")[n % 2]
                seen = f"192.{n // 250}.{n % 250}.1"
                visitors.create_task(self.visitor(http, f"{kind}{n}@example.net", seen))
                n += 1
                await asyncio.sleep(VISITOR_SECONDS)

    async def visitor(self, http: aiohttp.ClientSession, email: str, seen: str) -> None:
        headers = {"X-Forwarded-For": seen}
        async with http.get(f"{self.url}/form?newsletter=weekly", headers=headers) as answer:
            form = await answer.text()
        stamp = STAMP.search(form)
        assert stamp is not None
        more = {"form": "hosted/1", "stamp": stamp[1]}
        puzzle = PUZZLE.search(form)
        if puzzle is not None and email.startswith("browser"):
            more["puzzle"] = await asyncio.to_thread(solved, html.unescape(puzzle[1]))
        await asyncio.sleep(3)  # they type
        began = time.time()
        status, took, said = await self.send(http, email, seen, **more)
        assert status == 202, (email, status)
        self.answers.append(took)
        self.asked[email] = began
        if email.startswith("browser") and "puzzle" in said:
            proof = {"puzzle": await asyncio.to_thread(solved, json.dumps(said["puzzle"]))}
            async with http.post(f"{self.url}/subscribe/solution", data=proof) as answer:
                assert answer.ok, answer.status
            self.proved_later += 1

    async def all_mailed(self) -> None:
        """Wait until every visitor has their mail, or should have."""
        end = time.monotonic() + max(MOST_SECONDS.values())
        while self.asked.keys() - self.mailed().keys() and time.monotonic() < end:
            await asyncio.sleep(1)

    async def send(
        self, http: aiohttp.ClientSession, email: str, seen: str, **more: str
    ) -> tuple[int, float, dict[str, Any]]:
        form = {
            "email": email,
            "newsletter": "weekly",
            "consent": "yes",
            "notice": self.here.notice.id,
            "lang": "en",
            **more,
        }
        headers = {"X-Forwarded-For": seen, "Accept": "application/json"}
        began = time.perf_counter()
        async with http.post(f"{self.url}/subscribe", data=form, headers=headers) as answer:
            said = await answer.read()
        return answer.status, time.perf_counter() - began, json.loads(said)

    # what came of it

    def mailed(self) -> dict[str, list[float]]:
        """When mails came, by address."""
        found: dict[str, list[float]] = {}
        for line in self.log.read_text().splitlines():
            at, _, recipient, *_ = line.split()
            found.setdefault(recipient, []).append(float(at))
        return found

    async def report(self, took: float) -> bool:
        mailed = self.mailed()
        victims = {who: len(ats) for who, ats in mailed.items() if who.startswith("victim")}
        waits = {
            kind: sorted(
                mailed[who][0] - at
                for who, at in self.asked.items()
                if who.startswith(kind) and who in mailed
            )
            for kind in ("browser", "plain")
        }
        counted = {kind: sum(w.startswith(kind) for w in self.asked) for kind in waits}
        async with self.here.pool.acquire() as conn:
            queued = await conn.fetchval("select count(*) from request")
            flooded = await conn.fetchval("select count(*) from flood")
            told = await conn.fetch("select forms, asked, answered from flood")
        answers = sorted(self.answers)
        most = max(victims.values(), default=0)
        served = all(
            len(waits[kind]) == counted[kind] and waits[kind][-1] <= most
            for kind, most in MOST_SECONDS.items()
        )
        place.report(
            {
                "bench": "bombing",
                "machine": place.hardware(),
                "forms": {"sent": sum(self.statuses.values()), "seconds": round(took, 1),
                          "a_second": round(sum(self.statuses.values()) / took),
                          "by_status": self.statuses},
                "victims": {"mailed": len(victims), "mails": sum(victims.values()),
                            "most_to_one": most},
                "visitors": {
                    "answer_ms": spread([a * 1000 for a in answers]),
                    "proved_after_the_answer": self.proved_later,
                    **{kind: {"asked": counted[kind], "mailed": len(waits[kind]),
                              "mail_s": spread(waits[kind])} for kind in waits},
                },
                "flood": [dict(row) for row in told],
                "still_waiting": queued,
            }
        )  # fmt: skip
        return most > 1 or not served or not flooded


def spread(values: list[float]) -> dict[str, float]:
    if not values:
        return {}
    at = {"p50": len(values) // 2, "p99": len(values) * 99 // 100, "most": len(values) - 1}
    return {name: round(values[n], 2) for name, n in at.items()}


def solved(posed: str) -> str:
    """As a browser finds it."""
    puzzle: dict[str, Any] = json.loads(posed)
    found = v1.solve_challenge(puzzle["challenge"], puzzle["salt"], max_number=puzzle["maxNumber"])
    assert found is not None
    return base64.b64encode(json.dumps({**puzzle, "number": found.number}).encode()).decode()


if __name__ == "__main__":
    asyncio.run(main())
