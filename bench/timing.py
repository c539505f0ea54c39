"""Whether the time of an answer tells what is known of an address: a statistical test.

    python -m bench.timing [--rounds 1500]

Addresses that are new, pending, confirmed, suppressed (by the person) and blocked (by staff) are
asked about one after the other, in random order in each round, by one client over one connection
and from ever new networks, while a worker runs. Each kind is compared with the new ones by the rank
test of Mann and Whitney (with ties, normal approximation): `p`, and as effect size the probability
that an answer for the one takes longer than for the other (0.5: none; Vargha and Delaney's A).

Exit status 1 if an effect is beyond EFFECT, and not by chance (p below 0.05, divided by the number
of comparisons after Bonferroni). A control follows: new addresses against new ones with DELAY_MS
more, to show that such a difference would have been seen.
"""

import argparse
import asyncio
import math
import random
import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import aiohttp

from bench import place
from bench.place import Place
from mailer import address, subscriptions, suppressions
from mailer.subscriptions import Wish
from mailer.suppressions import Reason

KINDS = ("new", "pending", "confirmed", "suppressed", "blocked")
KNOWN = 200
"""Addresses of each kind: each is asked about several times."""

EFFECT = 0.03
DELAY_MS = 0.3


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.timing", description=__doc__)
    parser.add_argument("--rounds", type=int, default=1500)
    given = parser.parse_args()
    port = place.free_port()
    settings = {
        "MAILER_LISTEN": f"127.0.0.1:{port}",
        "MAILER_TRUSTED_PROXIES": "127.0.0.1/32",
        "MAILER_SMTP_URL": f"smtp://127.0.0.1:{place.free_port()}",
    }
    async with place.place(**settings) as here:
        await furnish(here)
        with ExitStack() as running:
            running.enter_context(place.process(place.mailer("work"), here.environ))
            web = running.enter_context(place.process(place.mailer("serve"), here.environ))
            place.reachable(port, web)
            url = f"http://127.0.0.1:{port}/subscribe"
            took = await measure(here, url, given.rounds)
    compared = {kind: compare(took[kind], took["new"]) for kind in KINDS[1:]}
    half = len(took["new"]) // 2
    later = [seconds + DELAY_MS / 1000 for seconds in took["new"][half:]]
    control = compare(later, took["new"][:half])
    place.report(
        {
            "bench": "timing",
            "machine": place.hardware(),
            "samples_a_kind": given.rounds,
            "median_ms": {k: round(statistics.median(v) * 1000, 3) for k, v in took.items()},
            "beside_new": compared,
            f"control_{DELAY_MS}_ms": control,
        }
    )
    bound = 0.05 / len(compared)
    if any(c["p"] < bound and abs(c["A"] - 0.5) > EFFECT for c in compared.values()):
        raise SystemExit(1)


async def furnish(here: Place) -> None:
    """People of each kind."""
    async with here.pool.acquire() as conn, conn.transaction():
        reasons: dict[str, Reason] = {"suppressed": "person", "blocked": "staff"}
        for kind, reason in reasons.items():
            for n in range(KNOWN):
                await suppressions.add(conn, here.vault, address.parse(email(kind, n)), reason)
        for kind in ("pending", "confirmed"):
            for n in range(KNOWN):
                wish = Wish(email(kind, n), ("weekly",), here.notice.id, "en")
                await subscriptions.request(conn, here.vault, wish)
        while await subscriptions.admit(conn, here.vault, 72, 100):
            pass
        await conn.execute("delete from outbox")
        await conn.execute(
            """update subscription set state = 'confirmed', confirmed_at = now(), mailed_at = null
               where id in (select id from subscription order by id desc limit $1)""",
            KNOWN,
        )


def email(kind: str, n: int) -> str:
    """All of one length."""
    return f"{kind[:4]}{n:06}@example.org"


async def measure(here: Place, url: str, rounds: int) -> dict[str, list[float]]:
    took: dict[str, list[float]] = {kind: [] for kind in KINDS}
    number = 0
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as http:
        for turn in range(-50, rounds):
            for kind in random.sample(KINDS, len(KINDS)):
                number += 1
                asked = email(kind, turn + 1000 if kind == "new" else turn % KNOWN)
                seconds = await ask(http, here, url, asked, number)
                if turn >= 0:  # the first warm up
                    took[kind].append(seconds)
    return took


async def ask(http: aiohttp.ClientSession, here: Place, url: str, asked: str, number: int) -> float:
    form = {
        "email": asked,
        "newsletter": "weekly",
        "consent": "yes",
        "notice": here.notice.id,
        "lang": "en",
    }
    headers = {"X-Forwarded-For": network(number), "Accept": "application/json"}
    began = time.perf_counter()
    async with http.post(url, data=form, headers=headers) as answer:
        await answer.read()
    seconds = time.perf_counter() - began
    assert answer.status == 202, answer.status
    return seconds


def network(number: int) -> str:
    """Ever new ones."""
    return f"{11 + number // 62500}.{number // 250 % 250}.{number % 250}.1"


# ranks


def compare(one: Sequence[float], other: Sequence[float]) -> dict[str, Any]:
    """Mann-Whitney's U of two samples, two-sided; A: of U, how often `one` is the larger."""
    both = sorted([(v, 0) for v in one] + [(v, 1) for v in other])
    ranks, ties, at = 0.0, 0.0, 0
    while at < len(both):
        end = at
        while end < len(both) and both[end][0] == both[at][0]:
            end += 1
        rank = (at + 1 + end) / 2
        ranks += rank * sum(1 for _, whose in both[at:end] if whose == 0)
        ties += (end - at) ** 3 - (end - at)
        at = end
    n, m = len(one), len(other)
    u = ranks - n * (n + 1) / 2
    total = n + m
    spread = math.sqrt(n * m / 12 * (total + 1 - ties / (total * (total - 1))))
    z = (u - n * m / 2) / spread
    return {"p": round(math.erfc(abs(z) / math.sqrt(2)), 4), "A": round(u / (n * m), 4)}


if __name__ == "__main__":
    asyncio.run(main())
