"""The worker: loops around one step each. Any number of workers share the work.

    admit        requests → subscriptions and confirmation mails
    letters      mails to one person; on connections of their own, so digests never hold them up
    digests      mails of the digests being sent
    feeds        polls those that are due
    renewals     asks readers to agree to newer words; who did not answer in time leaves
    seal         consent events → the log and its checkpoint; one worker at a time
    keep house   says that it lives, frees what silent workers hold, ends digests that are done

PostgreSQL's NOTIFY wakes admit, letters, digests and renewals at once; without it they look every
few seconds. On `stop` each loop finishes its step: what is on the wire is settled.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import asyncpg

from mailer import digests, feeds, fetch, limits, outbox, renewals, smtp, subscriptions
from mailer import log as consent_log
from mailer.config import Settings
from mailer.db import Connection, Pool
from mailer.delivery import Claim, Delivery
from mailer.errors import Unavailable
from mailer.feeds import Feed
from mailer.fetch import Policy
from mailer.log import Broken
from mailer.log.keep import Keep
from mailer.outbox import CHANNEL
from mailer.vault import Vault

log = logging.getLogger(__name__)

ADMIT_AT_ONCE = 50
LETTER_CONNECTIONS = 2
FEEDS_AT_ONCE = 8
LOOK_SECONDS = 5.0
FEED_SECONDS = 15.0
RENEW_SECONDS = 15.0
RENEW_AT_ONCE = 100
BEAT_SECONDS = 3.0
SEAL_AT_ONCE = 2000
SEAL_SECONDS = 0.3
"""Between looks at what waits to be sealed: the log is at most a second behind."""

FORGET_EVERY = 1200
"""Beats between looking for counts that are out of date."""

WOKEN = {
    "request": ("request",),
    "outbox": ("letters", "digests"),
    "renewal": ("renewals",),
}
"""Which loops a NOTIFY wakes, by its payload."""

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
    objecting: str | None = None
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
            asyncio.TaskGroup() as loops,
        ):
            to_people = self.delivery(letters, outbox.claim_letters, LETTER_CONNECTIONS)
            to_readers = self.delivery(bulk, outbox.claim_digests, self.settings.smtp_connections)
            loops.create_task(self.repeat(self.admit, wake["request"], LOOK_SECONDS))
            loops.create_task(self.repeat(to_people.step, wake["letters"], LOOK_SECONDS))
            loops.create_task(self.repeat(to_readers.step, wake["digests"], LOOK_SECONDS))
            loops.create_task(self.repeat(self.poll, asyncio.Event(), FEED_SECONDS))
            loops.create_task(self.repeat(self.renew, wake["renewals"], RENEW_SECONDS))
            loops.create_task(self.repeat(self.beat, asyncio.Event(), BEAT_SECONDS))
            loops.create_task(self.repeat(self.seal, asyncio.Event(), SEAL_SECONDS))
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            async with self.pool.acquire() as conn:
                await outbox.bury(conn, self.id)

    def road(self, connections: int) -> smtp.Road:
        return smtp.Road(self.settings.smtp, connections, name=self.settings.domain)

    def delivery(self, road: smtp.Road, claim: Claim, connections: int) -> Delivery:
        return Delivery(
            self.settings, self.pool, self.keys, road, self.id, claim, self.stop, connections
        )

    async def repeat(self, step: Step, wake: asyncio.Event, pause: float) -> None:
        """Step while there is something to do; then wait to be woken, or a while."""
        while not self.stop.is_set():
            wake.clear()
            try:
                busy = await step()
            except Exception:  # a worker outlives a database that restarts, and a fault of ours
                log.exception("a step failed and will be tried again")
                busy = False
                await self.rest(asyncio.Event(), random.uniform(0.5, 2))  # noqa: S311 - no secret
            if not busy:
                await self.rest(wake, pause)

    async def rest(self, wake: asyncio.Event, seconds: float) -> None:
        waiting = [asyncio.ensure_future(event.wait()) for event in (wake, self.stop)]
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for each in waiting:
            each.cancel()

    @asynccontextmanager
    async def woken(self) -> AsyncIterator[dict[str, asyncio.Event]]:
        """Events that NOTIFY sets; listening starts anew when its connection is lost."""
        wake = {name: asyncio.Event() for name in ("request", "letters", "digests", "renewals")}
        listening = asyncio.create_task(self.listen(wake))
        try:
            yield wake
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening

    async def listen(self, wake: dict[str, asyncio.Event]) -> None:
        def heard(*notification: object) -> None:
            for name in WOKEN.get(str(notification[-1]), ()):
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

    async def renew(self) -> bool:
        async with self.pool.acquire() as conn, conn.transaction():
            asked = await renewals.ask(conn, RENEW_AT_ONCE)
        async with self.pool.acquire() as conn, conn.transaction():
            ended = await renewals.end(conn, self.keys, RENEW_AT_ONCE)
        return bool(asked or ended == RENEW_AT_ONCE)

    async def seal(self) -> bool:
        """Seal, commit, then sign; or say why not, which stops all sealers but nothing else."""
        keep = Keep(self.settings.data_dir)
        try:
            async with self.pool.acquire() as conn:
                async with conn.transaction():
                    sealed = await consent_log.seal(conn, self.keys, keep, SEAL_AT_ONCE, self.id)
                async with conn.transaction():
                    await consent_log.sign(conn, self.keys, keep, self.id)
        except (Broken, Unavailable) as error:
            await self.object(str(error))
            return False
        await self.object(None)
        return sealed == SEAL_AT_ONCE

    async def object(self, sentence: str | None) -> None:
        if sentence != self.objecting:
            log.error("%s", sentence or "The consent log is in order again.")
        if sentence or self.objecting:
            async with self.pool.acquire() as conn, conn.transaction():
                await consent_log.object_(conn, self.id, sentence)
        self.objecting = sentence

    async def beat(self) -> bool:
        async with self.pool.acquire() as conn, conn.transaction():
            await outbox.beat(conn, self.id)
            await digests.finish_done(conn)
            if self.beats % FORGET_EVERY == 0:
                await limits.forget_old(conn)
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
