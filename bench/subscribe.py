"""POST /subscribe requests a second of one web process; beside a bare handler with one insert.

    python -m bench.subscribe [--connections 16] [--seconds 10]

The bare handler (bench/bare.py) is measured before and after us: `ratio` is ours to the mean of
both. Load comes from one other process (bench/load.py) over kept connections. Every answered form
is counted again in the database.
"""

import argparse
import asyncio
import json
import sys
from typing import Any

from bench import place
from bench.place import Place


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.subscribe", description=__doc__)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=10)
    given = parser.parse_args()
    port = place.free_port()
    settings = {
        "MAILER_LISTEN": f"127.0.0.1:{port}",
        "MAILER_TRUSTED_PROXIES": "127.0.0.1/32",
        "MAILER_SMTP_URL": f"smtp://127.0.0.1:{place.free_port()}",
    }
    async with place.place(**settings) as here:
        place.report(await compare(here, port, given.connections, given.seconds))


async def compare(here: Place, port: int, connections: int, seconds: float) -> dict[str, object]:
    before = await bare(here, connections, seconds)
    with place.process(place.mailer("serve"), here.environ) as running:
        place.reachable(port, running)
        ours = await load(here, port, connections, seconds)
    after = await bare(here, connections, seconds)
    async with here.pool.acquire() as conn:
        kept = await conn.fetchval("select count(*) from request")
        machine = await place.machine(conn)
    # The first second warms up and is not counted in `ours`, but its forms are kept too.
    assert kept == ours["kept"], f"{ours['kept']} forms were accepted and {kept} kept"
    mean = (before["a_second"] + after["a_second"]) / 2
    return {
        "bench": "subscribe",
        "machine": machine,
        "connections": connections,
        "seconds": seconds,
        "ours": ours,
        "bare": [before, after],
        "ratio": round(ours["a_second"] / mean, 3),
    }


async def bare(here: Place, connections: int, seconds: float) -> dict[str, Any]:
    port = place.free_port()
    url = here.environ["MAILER_DATABASE_URL"]
    with place.process([sys.executable, "-m", "bench.bare", url, str(port)]) as running:
        place.reachable(port, running)
        return await load(here, port, connections, seconds)


async def load(here: Place, port: int, connections: int, seconds: float) -> dict[str, Any]:
    place.progress(f"{connections} connections for {seconds:g} seconds")
    warm = await measured(here, port, connections, 1)
    found = await measured(here, port, connections, seconds)
    accepted = [one["statuses"].get("202", 0) for one in (warm, found)]
    assert list(found["statuses"]) == ["202"], found["statuses"]
    return {**found, "kept": sum(accepted)}


async def measured(here: Place, port: int, connections: int, seconds: float) -> dict[str, Any]:
    url = f"http://127.0.0.1:{port}/subscribe"
    command = [sys.executable, "-m", "bench.load", url, here.notice.id, connections, seconds]
    generator = await asyncio.create_subprocess_exec(
        *map(str, command), cwd=place.ROOT, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await generator.communicate()
    answer: dict[str, Any] = json.loads(said)
    return answer


if __name__ == "__main__":
    asyncio.run(main())
