"""Sends forms over kept connections as fast as they are answered, and prints what came of it.

    python -m bench.load URL NOTICE CONNECTIONS SECONDS

Each form is of another person in another network, as a proxy in front would tell.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import count

import aiohttp


def forms(notice: str) -> Iterator[tuple[bytes, dict[str, str]]]:
    run = time.time_ns()
    for n in count():
        form = {
            "email": f"reader{n}.{run}@example.org",
            "newsletter": "weekly",
            "consent": "yes",
            "notice": notice,
            "lang": "en",
        }
        seen = f"{1 + n // 65536 % 200}.{n // 256 % 256}.{n % 256}.1"
        yield json.dumps(form).encode(), {"X-Forwarded-For": seen}


async def main(url: str, notice: str, connections: int, seconds: float) -> None:
    statuses: Counter[int] = Counter()
    times: list[float] = []
    given = forms(notice)
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    async with aiohttp.ClientSession(headers=headers) as http:

        async def reader(end: float) -> None:
            while time.perf_counter() < end:
                body, more = next(given)
                began = time.perf_counter()
                async with http.post(url, data=body, headers=more) as answer:
                    await answer.read()
                times.append(time.perf_counter() - began)
                statuses[answer.status] += 1

        began = time.perf_counter()
        await asyncio.gather(*(reader(began + seconds) for _ in range(connections)))
        took = time.perf_counter() - began
    times.sort()
    print(
        json.dumps(
            {
                "a_second": round(len(times) / took, 1),
                "p50_ms": round(times[len(times) // 2] * 1000, 1),
                "p99_ms": round(times[len(times) * 99 // 100] * 1000, 1),
                "statuses": statuses,
            }
        )
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
