"""Workers on three hosts share one digest, and one of them is cut off in the middle.

    sudo .venv/bin/python -m bench.hosts [--readers 9000] [--rate 150] [--connections 5]

Each host is a network namespace of its own, with a cable to a bridge on which PostgreSQL and the
mail servers are (one for each host, to tell whose mails they are). The hosts know nothing of one
another. One cable is pulled in the middle of the digest and put back half a minute later. Nobody
was missed; what was on that host's wire, and no more, may have come twice; and the host is at work
again. Exits with 1 if it is not so. It needs root and iproute2, and leaves nothing behind.
"""

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import place, readers, send
from bench.failover import approve, ended
from bench.servers import Server
from mailer import db
from mailer.smtp import DEPTH

HOSTS = 3
BRIDGE = "mlr-bench"
NETWORK = "10.213.87"
CUT_SECONDS = 30


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@contextmanager
def network() -> Iterator[Sequence[str]]:
    """The hosts' names; the bridge is host number 1."""
    names = [f"{BRIDGE}-{n}" for n in range(HOSTS)]
    try:
        ip("link", "add", BRIDGE, "type", "bridge")
        ip("addr", "add", f"{address(0)}/24", "dev", BRIDGE)
        ip("link", "set", BRIDGE, "up")
        for n, name in enumerate(names):
            ip("netns", "add", name)
            ip("link", "add", cable(n), "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", cable(n), "master", BRIDGE, "up")
            ip("-n", name, "addr", "add", f"{address(n + 1)}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, stderr=subprocess.DEVNULL)
        subprocess.run(["ip", "link", "del", BRIDGE], check=False, stderr=subprocess.DEVNULL)


def cable(n: int) -> str:
    return f"mlrb{n}"


def address(n: int) -> str:
    """Of host number `n`; 0: the bridge."""
    return f"{NETWORK}.{n + 1}"


def inside(name: str) -> Sequence[str]:
    """What goes before a command that runs on that host."""
    return ["nsenter", f"--net=/run/netns/{name}"]


async def main() -> None:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        sys.exit("bench.hosts needs root and iproute2 (on Debian: apt-get install iproute2).")
    given = arguments()
    with (
        tempfile.TemporaryDirectory(prefix="mailer-bench-") as folder,
        network() as names,
        ExitStack() as stack,
    ):
        server = Server(Path(folder) / "postgres", stack, address(0))
        server.create()
        server.start()
        os.environ["MAILER_DATABASE_URL"] = server.url
        result = await run(given, server, names, stack, Path(folder))
    place.report(result)
    if not result["good"]:
        sys.exit(1)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.hosts", description=__doc__)
    parser.add_argument("--readers", type=int, default=9_000)
    parser.add_argument("--rate", type=float, default=150)
    parser.add_argument("--connections", type=int, default=5, help="of each host")
    return parser.parse_args()


async def run(
    given: argparse.Namespace,
    server: Server,
    names: Sequence[str],
    stack: ExitStack,
    folder: Path,
) -> dict[str, object]:
    log = folder / "log"
    log.touch()
    ports = [place.free_port() for _ in names]
    sink = [sys.executable, "-m", "bench.sink", str(log), *map(str, ports)]
    stack.enter_context(place.process([*sink, "--host", address(0)]))
    settings = {
        "MAILER_SMTP_CONNECTIONS": str(given.connections),
        "MAILER_RATE": str(given.rate),
    }
    async with place.place(**settings) as here:
        await readers.seed(here, given.readers)
        digest, _ = await send.draft(here)
        for name, port in zip(names, ports, strict=True):
            told = {**here.environ, "MAILER_SMTP_URL": f"smtp://{address(0)}:{port}"}
            command = [*inside(name), *place.mailer("work")]
            stack.enter_context(place.process(command, told))
        await approve(here, digest, len(names))
        await until(log, given.readers // 4)
        place.progress("one host is cut off")
        cut = time.time()
        ip("link", "set", cable(0), "down")
        await asyncio.sleep(CUT_SECONDS)
        place.progress("and back")
        ip("link", "set", cable(0), "up")
        back = time.time()
        state = await ended(server, digest)
        async with db.connection(server.url) as conn:
            machine = await place.machine(conn)
        return {"bench": "hosts", "machine": machine, **judged(given, log, ports, cut, back, state)}


async def until(log: Path, many: int) -> None:
    while (seen := log.read_text().count("\n")) < many:
        place.progress(f"{seen} mails arrived")
        await asyncio.sleep(1)


def judged(
    given: argparse.Namespace,
    log: Path,
    ports: Sequence[int],
    cut: float,
    back: float,
    state: str,
) -> dict[str, object]:
    lines = [line.split() for line in log.read_text().splitlines()]
    by_reader: dict[str, list[str]] = defaultdict(list)
    for _, _, reader, message, _ in lines:
        by_reader[reader].append(message)
    twice = {reader: ids for reader, ids in by_reader.items() if len(ids) > 1}
    by_host = Counter(port for _, port, *_ in lines)
    after = sum(1 for at, port, *_ in lines if float(at) > back and int(port) == ports[0])
    between = sum(
        1 for at, port, *_ in lines if cut + 1 < float(at) < back and int(port) == ports[0]
    )
    missed = given.readers - len(by_reader)
    bound = given.connections * DEPTH
    others = sum(len(set(ids)) > 1 for ids in twice.values())
    good = state == "sent" and not missed and not others and len(twice) <= bound and after > 0
    return {
        "good": good,
        "readers": given.readers,
        "digest": state,
        "mails_by_host": [by_host[str(port)] for port in ports],
        "seconds_cut_off": round(back - cut, 1),
        "mails_of_that_host_meanwhile": between,
        "mails_of_that_host_afterwards": after,
        "missed": missed,
        "twice": len(twice),
        "allowed": bound,
        "twice_with_another_message_id": others,
    }


if __name__ == "__main__":
    asyncio.run(main())
