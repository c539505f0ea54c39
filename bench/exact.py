"""Each reader once: a digest that is sent while everything that can break is broken.

    python -m bench.exact [--readers 20000] [--kills 50] [--postgres 2] [--smtp 1] [--pauses 5]
                          [--leaves 100] [--workers 2] [--connections 5] [--gap 1.6]

In random order, a random while apart: a worker is killed with -9 and another started; PostgreSQL
is killed and started again; the mail server is gone for some seconds; the digest is paused and
resumed; readers leave. At the end nobody was missed; whoever got it twice got the same Message-ID
and had their mail on the wire at a kill; nobody who left got a mail that was not on the wire by
then. Exits with 1 if it is not so. `--grace`: how many seconds a mail may have been on the wire.
"""

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from bench import place, readers, send
from bench.place import Place
from mailer import address, digests, editions, outbox, subscribers, subscriptions
from mailer.db import Connection
from mailer.digests import Digest
from mailer.smtp import DEPTH

AWAY_SECONDS = 4.0
"""How long the mail server is gone, and a digest paused."""


@dataclass(frozen=True)
class Mail:
    """A line of the sink's log."""

    at: float
    port: int
    recipient: str
    message: str
    opened: float


@dataclass
class Run:
    """What was done and when; `kills` by the port of the worker's own mail server."""

    here: Place
    digest: Digest
    log: Path
    ports: Sequence[int]
    rate: float
    connections: int
    stack: ExitStack
    total: int
    workers: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    sink: subprocess.Popen[bytes] | None = None
    kills: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    left: dict[str, float] = field(default_factory=dict)
    paused: list[tuple[float, float]] = field(default_factory=list)

    def start(self, port: int) -> None:
        told = {
            **self.here.environ,
            "MAILER_SMTP_URL": f"smtp://127.0.0.1:{port}",
            "MAILER_SMTP_CONNECTIONS": str(self.connections),
            "MAILER_RATE": str(self.rate),
        }
        running = place.process(place.mailer("work"), told)
        self.workers[port] = self.stack.enter_context(running)

    def serve(self) -> None:
        command = [sys.executable, "-m", "bench.sink", str(self.log), *map(str, self.ports)]
        self.sink = self.stack.enter_context(place.process(command))
        place.reachable(self.ports[0], self.sink)

    # what can happen

    async def kill(self, conn: Connection) -> None:
        port = random.choice(self.ports)
        self.workers[port].send_signal(signal.SIGKILL)
        self.kills[port].append(time.time())
        self.workers[port].wait()
        self.start(port)

    async def postgres(self, conn: Connection) -> None:
        """Its first process is killed; whoever uses the embedded server starts it again."""
        os.kill(await place.postgres(conn), signal.SIGKILL)
        await asyncio.sleep(AWAY_SECONDS)

    async def smtp(self, conn: Connection) -> None:
        assert self.sink is not None
        self.sink.kill()
        for port in self.ports:
            self.kills[port].append(time.time())
        self.sink.wait()
        await asyncio.sleep(AWAY_SECONDS)
        self.serve()

    async def pause(self, conn: Connection) -> None:
        now = await digests.get(conn, self.digest.id)
        if now.state != "sending":
            return
        await digests.pause(conn, now)
        began = time.time()
        await asyncio.sleep(AWAY_SECONDS)
        self.paused.append((began, time.time()))
        await digests.resume(conn, await digests.get(conn, self.digest.id))

    async def leave(self, conn: Connection) -> None:
        number = random.randrange(self.total)
        email = f"reader{number}@example.org"
        keys = self.here.vault
        found = await subscribers.by_address(conn, keys, address.parse(email))
        assert found is not None
        (held,) = await subscriptions.of_subscriber(conn, found.id)
        token = str(held.token(found.subject(keys), "leave"))
        async with conn.transaction():
            await subscriptions.leave(conn, keys, token, "one-click")
        self.left.setdefault(email, time.time())

    # what came of it

    def mails(self) -> list[Mail]:
        whole = self.log.read_text().rpartition("\n")[0]  # the last line may be being written
        lines = [line.split() for line in whole.splitlines()]
        return [Mail(float(at), int(port), to, m, float(o)) for at, port, to, m, o in lines]


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.exact", description=__doc__)
    parser.add_argument("--readers", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--postgres", type=int, default=2)
    parser.add_argument("--smtp", type=int, default=1)
    parser.add_argument("--pauses", type=int, default=5)
    parser.add_argument("--leaves", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--connections", type=int, default=5, help="of each worker")
    parser.add_argument("--gap", type=float, default=1.6, help="seconds between two events, about")
    parser.add_argument("--grace", type=float, default=0.5)
    return parser.parse_args(given)


async def run(given: argparse.Namespace) -> dict[str, object]:
    """Do it all; what came of it."""
    events = ["kill"] * given.kills + ["postgres"] * given.postgres + ["smtp"] * given.smtp
    events += ["pause"] * given.pauses
    random.shuffle(events)
    lasting = given.gap * len(events) + AWAY_SECONDS * (given.postgres + given.smtp + given.pauses)
    async with place.place() as here:
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            await readers.seed(here, given.readers)
            digest, _ = await send.draft(here)
            ports = [place.free_port() for _ in range(given.workers)]
            this = Run(
                here,
                digest,
                Path(folder) / "log",
                ports,
                given.readers / lasting,
                given.connections,
                stack,
                given.readers,
            )
            this.log.touch()
            this.serve()
            for port in ports:
                this.start(port)
            await begin(this)
            await happen(this, events, given)
            state = await end(this)
            return judged(this, given, state)


async def begin(this: Run) -> None:
    async with this.here.pool.acquire() as conn:
        while await outbox.workers(conn) < len(this.ports):
            await asyncio.sleep(0.05)
        async with conn.transaction():
            await editions.approve(
                conn, this.here.settings, this.digest, by="bench", despite_warnings=True
            )
            await editions.begin(conn, this.here.settings, this.digest)


async def happen(this: Run, events: Sequence[str], given: argparse.Namespace) -> None:
    leaves = given.leaves
    for number, event in enumerate(events):
        place.progress(f"{number + 1} of {len(events)}: {event}; {len(this.mails())} mails arrived")
        end = time.monotonic() + random.uniform(0, 2 * given.gap)
        while leaves and time.monotonic() < end:
            leaves -= 1
            await again(this, "leave")
            await asyncio.sleep(random.uniform(0, 2 * given.gap * len(events) / given.leaves))
        await asyncio.sleep(max(0, end - time.monotonic()))
        await again(this, event)


async def again(this: Run, event: str) -> None:
    """Until the database hears it: perhaps it was just killed."""
    while True:
        try:
            async with this.here.pool.acquire() as conn:
                await getattr(this, event)(conn)
                return
        except Exception as error:
            place.progress(f"again: {event} ({type(error).__name__})")
            await asyncio.sleep(0.5)


async def end(this: Run, seconds: float = 240) -> str:
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        async with this.here.pool.acquire() as conn:
            state = (await digests.get(conn, this.digest.id)).state
            if state not in ("sending", "paused"):
                return state
            counted = await outbox.progress(conn, this.digest.id)
            # A mail whose fate a dying server left open is tried again minutes later: not here.
            await conn.execute("update batch set due_at = now() where due_at > now()")
        place.progress(f"waiting: {counted['waiting']}")
        await asyncio.sleep(2)
    return "not done"


def judged(this: Run, given: argparse.Namespace, state: str) -> dict[str, object]:
    mails = this.mails()
    times = Counter(mail.recipient for mail in mails)
    everybody = {f"reader{n}@example.org" for n in range(given.readers)}
    missed = everybody - set(times) - set(this.left)
    after = [m.at - this.left[m.recipient] for m in mails if m.recipient in this.left]
    late = [seconds for seconds in after if seconds > given.grace]
    while_paused = [
        mail
        for mail in mails
        for began, ended in this.paused
        if began + given.grace < mail.at < ended
    ]
    per_kill, other_ids, unexplained = duplicates(this, mails)
    bound = given.connections * DEPTH
    good = (
        state == "sent"
        and not (missed or late or while_paused or other_ids or unexplained)
        and max(per_kill.values(), default=0) <= bound
    )
    return {
        "bench": "exact",
        "good": good,
        "readers": given.readers,
        "kills_of_workers": given.kills,
        "kills_of_postgres": given.postgres,
        "mail_server_gone": given.smtp,
        "pauses": len(this.paused),
        "left_meanwhile": len(this.left),
        "digest": state,
        "missed": len(missed),
        "twice": sum(per_kill.values()),
        "most_twice_a_kill": max(per_kill.values(), default=0),
        "allowed_a_kill": bound,
        "twice_with_another_message_id": other_ids,
        "twice_for_no_reason": unexplained,
        "mails_after_leaving": len(late),
        "mails_while_paused": len(while_paused),
    }


def duplicates(this: Run, mails: Sequence[Mail]) -> tuple[Counter[tuple[int, float]], int, int]:
    """How many readers got it again after each kill; with another id; without a kill.

    What a worker wrote before it was killed may be read, and written down, a little later: so it
    counts that the connection was open at the kill.
    """
    by_reader: dict[str, list[Mail]] = defaultdict(list)
    for mail in sorted(mails, key=lambda mail: mail.at):
        by_reader[mail.recipient].append(mail)
    per_kill: Counter[tuple[int, float]] = Counter()
    other_ids = unexplained = 0
    for got in by_reader.values():
        for first, second in pairwise(got):
            other_ids += first.message != second.message
            kills = this.kills[first.port]
            between = [at for at in kills if first.opened <= at <= second.at]
            if between:
                per_kill[first.port, between[0]] += 1
            else:
                unexplained += 1
                place.progress(f"twice for no reason: {first}, {second}; killed at {kills}")
    return per_kill, other_ids, unexplained


async def main() -> None:
    result = await run(arguments())
    place.report(result)
    if not result["good"]:
        sys.exit(1)


if __name__ == "__main__":
    asyncio.run(main())
