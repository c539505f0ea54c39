"""Feeds an hour on one worker, and its memory; beside a bare fetch of the same documents.

    python -m bench.feeds [--feeds 1000]

One process serves the feeds over loopback: real ones if there is a corpus (MAILER_CORPUS), else
made ones. `mailer work` polls all of them twice: to read them all, and to be told that nothing
changed. `ratio` is what it reads a second to what aiohttp alone fetches with as many at a time.
Memory is that of the worker and its parser together, after a tenth of the feeds and after all.
"""

import argparse
import asyncio
import os
import sys
import time
from pathlib import Path

import aiohttp
from aiohttp import web

from bench import place
from bench.place import Place
from mailer.worker.feeds import AT_ONCE

CORPUS = Path(os.environ.get("MAILER_CORPUS", place.ROOT.parent / "shared" / "corpus")) / "feeds"
HOSTS = 50
"""As many addresses of loopback, since a worker opens few connections to one server."""


def documents() -> list[bytes]:
    if CORPUS.is_dir():
        return [path.read_bytes() for path in sorted(CORPUS.iterdir())]
    item = "<item><title>Story {0}</title><link>https://example.org/{0}</link>{1}</item>"
    text = f"<description>{'A line of text. ' * 100}</description>"
    items = "".join(item.format(number, text) for number in range(50))
    return [f'<rss version="2.0"><channel><title>News</title>{items}</channel></rss>'.encode()]


def serve(port: int) -> None:
    served = documents()

    async def answer(request: web.Request) -> web.Response:
        number = int(request.match_info["number"])
        if "If-None-Match" in request.headers:
            return web.Response(status=304)
        headers = {"ETag": f'"{number}"'}
        return web.Response(body=served[number % len(served)], headers=headers)

    app = web.Application()
    app.add_routes([web.get(r"/{number:\d+}", answer)])
    web.run_app(app, host="0.0.0.0", port=port, print=None, access_log=None)


def url(port: int, number: int) -> str:
    return f"http://127.0.0.{1 + number % HOSTS}:{port}/{number}"


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.feeds", description=__doc__)
    parser.add_argument("--feeds", type=int, default=1000)
    given = parser.parse_args()
    port = place.free_port()
    settings = {
        "MAILER_FEED_NETWORKS": "127.0.0.0/8",
        "MAILER_SMTP_URL": f"smtp://127.0.0.1:{place.free_port()}",
    }
    with place.process([sys.executable, "-m", "bench.feeds", "--serve", str(port)]) as site:
        place.reachable(port, site)
        async with place.place(**settings) as here:
            place.report(await compare(here, port, given.feeds))


async def compare(here: Place, port: int, many: int) -> dict[str, object]:
    before = await bare(port, many)
    few = many // 10
    await add(here, port, range(few))
    with place.process(place.mailer("work"), here.environ) as worker:
        await polled(here, few)
        memory = [resident(worker.pid)]
        await add(here, port, range(few, many))
        began = time.monotonic()
        await polled(here, many)
        reading = (many - few) / (time.monotonic() - began)
        memory.append(resident(worker.pid))
        unchanged = many / await again(here, many)
    after = await bare(port, many)
    async with here.pool.acquire() as conn:
        failed = await conn.fetchval("select count(*) from feed where failures > 0")
        kept = await conn.fetchval("select count(*) from article")
        machine = await place.machine(conn)
    assert not failed, f"{failed} feeds could not be read"
    mean = (before + after) / 2
    return {
        "bench": "feeds",
        "machine": machine,
        "feeds": many,
        "at_once": AT_ONCE,
        "articles": kept,
        "read_a_second": round(reading, 1),
        "read_an_hour": round(reading * 3600),
        "unchanged_a_second": round(unchanged, 1),
        "bare_a_second": [round(before, 1), round(after, 1)],
        "ratio": round(reading / mean, 4),
        "ratio_unchanged": round(unchanged / mean, 4),
        "memory_mb": memory,
    }


async def bare(port: int, many: int) -> float:
    """Documents a second that aiohttp alone fetches."""
    place.progress(f"{many} documents by aiohttp alone")
    free = asyncio.Semaphore(AT_ONCE)

    async def fetch(number: int) -> None:
        async with free, http.get(url(port, number)) as answer:
            await answer.read()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as http:
        began = time.monotonic()
        await asyncio.gather(*(fetch(number) for number in range(many)))
        return many / (time.monotonic() - began)


async def add(here: Place, port: int, numbers: range) -> None:
    """All due at once."""
    rows = [(here.newsletter.id, url(port, number), f"site-{number}") for number in numbers]
    async with here.pool.acquire() as conn:
        await conn.copy_records_to_table(
            "feed", records=rows, columns=("newsletter", "url", "id_host")
        )


async def polled(here: Place, many: int) -> None:
    place.progress(f"{many} feeds by the worker")
    while await here.pool.fetchval("select count(*) from feed where polled_at is not null") < many:
        await asyncio.sleep(0.1)


async def again(here: Place, many: int) -> float:
    """Seconds to ask all of them again."""
    place.progress(f"{many} feeds by the worker again")
    now = await here.pool.fetchval("select now()")
    await here.pool.execute("update feed set due_at = now()")
    began = None
    while True:
        done = await here.pool.fetchval("select count(*) from feed where polled_at > $1", now)
        if done and began is None:  # it looks every few seconds whether something is due
            began, first = time.monotonic(), done
        if done >= many and began is not None:
            seconds: float = (time.monotonic() - began) * many / max(1, many - first)
            return seconds
        await asyncio.sleep(0.02)


def resident(pid: int) -> float:
    """MB held by a process and those it started; 0 where /proc does not tell."""
    pids = [pid]
    for each in pids:
        children = Path(f"/proc/{each}/task/{each}/children")
        pids += [int(child) for child in children.read_text().split()] if children.exists() else []
    return round(sum(map(megabytes, pids)), 1)


def megabytes(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


if __name__ == "__main__":
    if "--serve" in sys.argv:
        serve(int(sys.argv[-1]))
    else:
        asyncio.run(main())
