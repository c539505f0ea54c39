"""The worker: loops around one step each. Any number of workers share the work.

    admit        requests → subscriptions and confirmation mails
    letters      mails to one person; on connections of their own, so digests never hold them up
    digests      mails of the digests being sent
    feeds        polls those that are due
    returns      takes what comes back, by LMTP or from a mailbox; looks for storms and complaints
    keep house   says that it lives, frees what silent workers hold, ends digests that are done

PostgreSQL's NOTIFY wakes admit, letters and digests at once; without it they look every few
seconds. On `stop` each loop finishes its step: what is on the wire is settled.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import asyncpg

from mailer import (
    bounces,
    digests,
    feeds,
    fetch,
    imap,
    limits,
    outbox,
    providers,
    smtp,
    subscriptions,
)
from mailer.bounces import Channel, reading
from mailer.config import Settings
from mailer.db import Connection, Pool
from mailer.delivery import Delivery
from mailer.errors import Unavailable
from mailer.feeds import Feed
from mailer.fetch import Policy
from mailer.listener import Listener
from mailer.outbox import CHANNEL
from mailer.vault import Vault

log = logging.getLogger(__name__)

ADMIT_AT_ONCE = 50
LETTER_CONNECTIONS = 2
DATABASE_CONNECTIONS = 16
"""Three for each delivery while it goes on, one that listens, and one for each other step."""

FEEDS_AT_ONCE = 8
LOOK_SECONDS = 5.0
FEED_SECONDS = 15.0
BEAT_SECONDS = 3.0
WATCH_SECONDS = 30.0
IMAP_SECONDS = 60.0
LISTEN_AGAIN_SECONDS = 15.0
FORGET_EVERY = 1200
"""Beats between looking for counts that are out of date."""

Step = Callable[[], Awaitable[bool]]


@dataclass
class Worker:
    """One worker."""

    settings: Settings
    pool: Pool
    keys: Vault
    stop: asyncio.Event
    id: UUID = field(default_factory=uuid4)
    beats: int = 0
    feeds: fetch.Session = field(init=False)

    async def run(self) -> None:
        """Work until `stop` is set."""
        await self.beat()
        async with (
            self.road(LETTER_CONNECTIONS) as letters,
            self.road(self.settings.smtp_connections) as bulk,
            fetch.session(
                self.settings.base_url, Policy(self.settings.feed_networks)
            ) as self.feeds,
            self.woken() as wake,
            self.alive(),
            asyncio.TaskGroup() as loops,
        ):
            to_people = self.delivery(letters, wake["letters"], LETTER_CONNECTIONS, letters=True)
            to_readers = self.delivery(
                bulk, wake["digests"], self.settings.smtp_connections, letters=False
            )
            loops.create_task(self.repeat(self.admit, wake["request"], LOOK_SECONDS))
            loops.create_task(self.deliver(to_people))
            loops.create_task(self.deliver(to_readers))
            loops.create_task(self.repeat(self.poll, asyncio.Event(), FEED_SECONDS))
            loops.create_task(self.repeat(self.watch, asyncio.Event(), WATCH_SECONDS))
            loops.create_task(self.take_returns())
            if self.settings.bounce_imap is not None:
                loops.create_task(self.repeat(self.read_mailbox, asyncio.Event(), IMAP_SECONDS))
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            async with self.pool.acquire() as conn:
                await outbox.bury(conn, self.id)

    def road(self, connections: int) -> smtp.Road:
        return smtp.Road(self.settings.smtp, connections, name=self.settings.domain)

    def delivery(
        self, road: smtp.Road, wake: asyncio.Event, connections: int, *, letters: bool
    ) -> Delivery:
        return Delivery(
            self.settings,
            self.pool,
            self.keys,
            road,
            self.id,
            self.stop,
            wake,
            connections,
            letters,
        )

    async def deliver(self, delivery: Delivery) -> None:
        await self.repeat(delivery.step, delivery.wake, LOOK_SECONDS)
        await delivery.finish()

    @asynccontextmanager
    async def alive(self) -> AsyncIterator[None]:
        """Say so as long as the block runs: also while it waits for what is on the wire."""
        beating = asyncio.create_task(self.beats_on())
        try:
            yield
        finally:
            beating.cancel()
            with suppress(asyncio.CancelledError):
                await beating

    async def beats_on(self) -> None:
        while True:
            await self.tried(self.beat)
            await asyncio.sleep(BEAT_SECONDS)

    async def repeat(self, step: Step, wake: asyncio.Event, pause: float) -> None:
        """Step while there is something to do; then wait to be woken, or a while."""
        while not self.stop.is_set():
            wake.clear()
            if await self.tried(step) is False:
                await self.rest(wake, pause)

    async def tried(self, step: Step) -> bool | None:
        """A worker outlives a database that restarts, and a fault of ours: None, soon again."""
        try:
            return await step()
        except Exception:
            log.exception("a step failed and will be tried again")
            await self.rest(asyncio.Event(), random.uniform(0.5, 2))  # noqa: S311 - no secret
            return None

    async def rest(self, wake: asyncio.Event, seconds: float) -> None:
        waiting = [asyncio.ensure_future(event.wait()) for event in (wake, self.stop)]
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for each in waiting:
            each.cancel()

    @asynccontextmanager
    async def woken(self) -> AsyncIterator[dict[str, asyncio.Event]]:
        """Events that NOTIFY sets; listening starts anew when its connection is lost."""
        wake = {name: asyncio.Event() for name in ("request", "letters", "digests")}
        listening = asyncio.create_task(self.listen(wake))
        try:
            yield wake
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening

    async def listen(self, wake: dict[str, asyncio.Event]) -> None:
        def heard(*notification: object) -> None:
            for name in ("request",) if notification[-1] == "request" else ("letters", "digests"):
                wake[name].set()

        while True:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                async with self.pool.acquire() as conn, listening(conn, heard) as lost:
                    for event in wake.values():
                        event.set()  # something may have come before we listened
                    await lost.wait()
            log.warning("the database does not answer; listening again soon")
            await asyncio.sleep(1)

    # steps

    async def admit(self) -> bool:
        async with self.pool.acquire() as conn, conn.transaction():
            taken = await subscriptions.admit(
                conn, self.keys, self.settings.confirm_hours, ADMIT_AT_ONCE
            )
        return taken == ADMIT_AT_ONCE

    async def poll(self) -> bool:
        async with self.pool.acquire() as conn, conn.transaction():
            due = await feeds.due(conn, FEEDS_AT_ONCE)
        await asyncio.gather(*(self.poll_one(feed) for feed in due))
        return len(due) == FEEDS_AT_ONCE

    async def poll_one(self, feed: Feed) -> None:
        fetched = await fetch.fetch(self.feeds, feed)
        async with self.pool.acquire() as conn, conn.transaction():
            await feeds.store(conn, feed, fetched)

    async def watch(self) -> bool:
        async with self.pool.acquire() as conn, conn.transaction():
            for alarm in await bounces.watch(conn, self.keys):
                log.warning("%s", alarm)
        return False

    # what comes back

    async def take_returns(self) -> None:
        """Listen until `stop`. One worker of a machine does; should it end, another takes over."""
        where, domain = self.settings.lmtp_listen, self.settings.bounce_domain
        if where is None or domain is None:
            return
        listener = Listener(domain, lambda raw, to: self.take(raw, "lmtp", to))
        warned = False
        while not self.stop.is_set():
            try:
                await listener.start(where)
            except OSError as error:
                if not warned:
                    log.warning("MAILER_LMTP_LISTEN (%s:%d): %s; another worker may listen there",
                                where.host, where.port, error.strerror)  # fmt: skip
                    warned = True
                await self.rest(asyncio.Event(), LISTEN_AGAIN_SECONDS)
            else:
                await self.stop.wait()
        listener.stop()

    async def read_mailbox(self) -> bool:
        """Several workers may: what two of them find is stored once."""
        assert self.settings.bounce_imap is not None

        async def take(raw: bytes) -> bool:
            taken = await self.take(raw, "imap")
            return taken.again or taken.bounce is not None

        try:
            await imap.poll(self.settings.bounce_imap, take)
        except Unavailable as error:
            log.warning("%s", error)
        return False

    async def take(self, raw: bytes, channel: Channel, *recipients: str) -> bounces.Taken:
        """Read what came back, store it and act on it; once this returns it is committed."""
        found = await asyncio.to_thread(reading.read, raw)
        async with self.pool.acquire() as conn, conn.transaction():
            report = bounces.mailed(channel, raw, found, recipients)
            return await bounces.take(conn, self.keys, report)

    async def beat(self) -> bool:
        async with self.pool.acquire() as conn, conn.transaction():
            await outbox.beat(conn, self.id)
            await digests.finish_done(conn)
            await providers.forget_wide(conn, self.settings.smtp_connections * smtp.DEPTH)
            if self.beats % FORGET_EVERY == 0:
                await limits.forget_old(conn)
                await bounces.forgive(conn)
                await bounces.forget_old(conn)
        self.beats += 1
        return False


@asynccontextmanager
async def listening(conn: Connection, heard: Callable[..., None]) -> AsyncIterator[asyncio.Event]:
    """Hear what is notified; the event is set when the connection is lost."""
    lost = asyncio.Event()

    def end(_: object) -> None:
        lost.set()

    conn.add_termination_listener(end)
    await conn.add_listener(CHANNEL, heard)
    try:
        yield lost
    finally:
        if not conn.is_closed():
            conn.remove_termination_listener(end)
            await conn.remove_listener(CHANNEL, heard)
