"""The worker: loops around one step each. Any number of workers share the work.

    admit        requests → subscriptions and confirmation mails, of domains that mail can reach
    admit slow   likewise those that nothing speaks for, a mail at a time
    floods       sees them begin and end
    bring over   imported people → subscriptions and confirmation mails, as fast as those go
    letters      mails to one person; on connections of their own, so digests never hold them up
    digests      mails of the digests being sent
    feeds        polls those that are due
    pictures     brings those of articles here
    schedule     makes digests that are due, and begins those whose time has come
    returns      takes what comes back, by LMTP or from a mailbox; looks for storms and complaints
    tell_staff   writes to them of what they should look at
    renewals     asks readers to agree to newer words; who did not answer in time leaves
    seal         consent events → the log and its checkpoint; one worker at a time
    journal      writes down who was erased or left, for the day when a backup is restored
    sweep        deletes what has had its time
    keep house   says that it lives, frees what silent workers hold, ends digests that are done

PostgreSQL's NOTIFY wakes admit, bring over, letters, digests and renewals at once; without it they
look every few seconds. On `stop` each loop finishes its step: what is on the wire is settled.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID, uuid4

import asyncpg

from mailer import (
    bounces,
    census,
    digests,
    editions,
    erasures,
    feeds,
    fetch,
    floods,
    imap,
    imports,
    keys,
    outbox,
    pictures,
    providers,
    renewals,
    retention,
    smtp,
    subscriptions,
    troubles,
    withdrawals,
)
from mailer import log as consent_log
from mailer.bounces import Channel, reading
from mailer.config import Settings
from mailer.consent import SYSTEM
from mailer.db import Connection, Pool
from mailer.delivery import Delivery
from mailer.errors import Unavailable
from mailer.feeds import Failed, Feed, Fetched, Gone, Stored
from mailer.fetch import Policy
from mailer.listener import Listener
from mailer.log import Broken
from mailer.log.keep import Keep
from mailer.outbox import CHANNEL
from mailer.reach import Reach
from mailer.vault import Vault

log = logging.getLogger(__name__)

ADMIT_AT_ONCE = 100
LETTER_CONNECTIONS = 2
DATABASE_CONNECTIONS = 16
"""Three for each delivery while it goes on, one that listens, and one for each other step."""

FEEDS_AT_ONCE = 8
LOOK_SECONDS = 5.0
BRING_SECONDS = 2.0
FEED_SECONDS = 15.0
PICTURE_SECONDS = 15.0
SCHEDULE_SECONDS = 10.0
RENEW_SECONDS = 15.0
RENEW_AT_ONCE = 100
JOURNAL_SECONDS = 5.0
SWEEP_SECONDS = 1800.0
BEAT_SECONDS = 3.0
FLOOD_SECONDS = 3.0
WATCH_SECONDS = 30.0
TROUBLE_SECONDS = 60.0
IMAP_SECONDS = 60.0
LISTEN_AGAIN_SECONDS = 15.0
TIDY_SECONDS = 1800.0
SEAL_AT_ONCE = 2000
SEAL_SECONDS = 0.3
"""Between looks at what waits to be sealed: the log is at most a second behind."""

WOKEN = {
    "request": ("request",),
    "outbox": ("letters", "digests"),
    "renewal": ("renewals",),
    "import": ("imports",),
}
"""Which loops a NOTIFY wakes, by its payload."""

Got = TypeVar("Got")
Step = Callable[[], Awaitable[bool]]


@dataclass
class Worker:
    """One worker."""

    settings: Settings
    pool: Pool
    keys: Vault
    stop: asyncio.Event
    id: UUID = field(default_factory=uuid4)
    objecting: str | None = None
    journaled: datetime | None = None
    domains: Reach = field(default_factory=Reach)
    left_journaled: datetime | None = None
    feeds: fetch.Session = field(init=False)

    async def run(self) -> None:
        """Work until `stop` is set."""
        await self.forget_again()
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
            loops.create_task(self.repeat(self.admit_slow, asyncio.Event(), LOOK_SECONDS))
            loops.create_task(self.repeat(self.look_for_floods, asyncio.Event(), FLOOD_SECONDS))
            loops.create_task(self.repeat(self.bring_over, wake["imports"], BRING_SECONDS))
            loops.create_task(self.deliver(to_people))
            loops.create_task(self.deliver(to_readers))
            for _ in range(FEEDS_AT_ONCE):
                loops.create_task(self.repeat(self.poll, asyncio.Event(), FEED_SECONDS))
            loops.create_task(self.repeat(self.picture, asyncio.Event(), PICTURE_SECONDS))
            loops.create_task(self.repeat(self.schedule, asyncio.Event(), SCHEDULE_SECONDS))
            loops.create_task(self.repeat(self.watch, asyncio.Event(), WATCH_SECONDS))
            loops.create_task(self.repeat(self.tell_staff, asyncio.Event(), TROUBLE_SECONDS))
            loops.create_task(self.repeat(self.tidy, asyncio.Event(), TIDY_SECONDS))
            loops.create_task(self.take_returns())
            if self.settings.bounce_imap is not None:
                loops.create_task(self.repeat(self.read_mailbox, asyncio.Event(), IMAP_SECONDS))
            loops.create_task(self.repeat(self.renew, wake["renewals"], RENEW_SECONDS))
            loops.create_task(self.repeat(self.journal, asyncio.Event(), JOURNAL_SECONDS))
            loops.create_task(self.repeat(self.forget_again, asyncio.Event(), SWEEP_SECONDS))
            loops.create_task(self.repeat(self.sweep, asyncio.Event(), SWEEP_SECONDS))
            loops.create_task(self.repeat(self.seal, asyncio.Event(), SEAL_SECONDS))
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            async with self.pool.acquire() as conn:
                await outbox.bury(conn, self.id)
                await keys.bury(conn, self.id)

    def road(self, connections: int) -> smtp.Road:
        return smtp.Road(
            self.settings.smtp,
            connections,
            name=self.settings.domain,
            unrecorded=connections * smtp.DEPTH,
        )

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
        names = ("request", "imports", "letters", "digests", "renewals")
        wake = {name: asyncio.Event() for name in names}
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
        async with self.pool.acquire() as conn:
            waiting = await subscriptions.waiting(conn, self.keys, ADMIT_AT_ONCE)
        dead = await self.dead(waiting.values())
        async with self.pool.acquire() as conn, conn.transaction():
            await subscriptions.admit(
                conn,
                self.keys,
                self.settings.confirm_hours,
                ADMIT_AT_ONCE,
                among=waiting,
                dead=dead,
            )
        return len(waiting) == ADMIT_AT_ONCE

    async def admit_slow(self) -> bool:
        async with self.pool.acquire() as conn:
            waiting = await subscriptions.waiting_longest(conn, self.keys, ADMIT_AT_ONCE)
        dead = await self.dead(waiting.values())
        async with self.pool.acquire() as conn, conn.transaction():
            return bool(waiting) and await subscriptions.admit_slow(
                conn, self.keys, self.settings.confirm_hours, waiting, dead
            )

    async def dead(self, domains: Collection[str]) -> frozenset[str]:
        """Those that mail can't reach; in `mailer dev`, whose mails go nowhere, none."""
        return frozenset() if self.settings.dev else await self.domains.dead(domains)

    async def look_for_floods(self) -> bool:
        async with self.pool.acquire() as conn, conn.transaction():
            began, ended = await floods.watch(conn)
        for flood in began:
            log.warning("a flood of forms: %s", flood)
        for flood in ended:
            log.warning("the flood of forms for %s is over", flood.newsletter or "all newsletters")
        return False

    async def bring_over(self) -> bool:
        async with self.pool.acquire() as conn, conn.transaction():
            taken = await imports.take(conn, self.keys, self.settings.confirm_hours, ADMIT_AT_ONCE)
        return taken == ADMIT_AT_ONCE

    async def poll(self) -> bool:
        """One feed at a time in each loop, so that a slow server holds up nobody else's."""
        async with self.pool.acquire() as conn, conn.transaction():
            due = await feeds.due(conn, 1)
        for feed in due:
            fetched = await self.unless_stopped(fetch.fetch(self.feeds, feed))
            if fetched is None:
                return False  # its lease ends, and then it is due again
            async with self.pool.acquire() as conn, conn.transaction():
                stored = await feeds.store(conn, feed, fetched)
            tell(feed, fetched, stored)
        return bool(due)

    async def picture(self) -> bool:
        async with self.pool.acquire() as conn, conn.transaction():
            url = await pictures.claim(conn)
        if url is None:
            return False
        fetched = await self.unless_stopped(fetch.fetch_picture(self.feeds, url))
        async with self.pool.acquire() as conn, conn.transaction():
            if isinstance(fetched, pictures.Picture):
                await pictures.keep(conn, url, fetched)
            elif fetched is not None:
                await pictures.fail(conn, url, fetched)
        return fetched is not None

    async def schedule(self) -> bool:
        async with self.pool.acquire() as conn, conn.transaction():
            made = await editions.make_due(conn, self.settings)
        async with self.pool.acquire() as conn, conn.transaction():
            began = await editions.begin_due(conn, self.settings)
        return made or began

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

    async def unless_stopped(self, fetching: Coroutine[Any, Any, Got]) -> Got | None:
        """A worker that is to stop does not wait for somebody else's server."""
        stopped, fetched = asyncio.create_task(self.stop.wait()), asyncio.create_task(fetching)
        try:
            await asyncio.wait((stopped, fetched), return_when=asyncio.FIRST_COMPLETED)
            return fetched.result() if fetched.done() else None
        finally:
            stopped.cancel()
            fetched.cancel()
            await asyncio.gather(stopped, fetched, return_exceptions=True)

    async def watch(self) -> bool:
        async with self.pool.acquire() as conn, conn.transaction():
            for alarm in await bounces.watch(conn, self.keys):
                log.warning("%s", alarm)
        return False

    async def tell_staff(self) -> bool:
        async with self.pool.acquire() as conn, conn.transaction():
            await troubles.tell(conn)
        return False

    async def tidy(self) -> bool:
        """Count readers; forgive whose mails arrive again; forget imports that broke off."""
        async with self.pool.acquire() as conn, conn.transaction():
            await census.take(conn)
            await imports.forget_abandoned(conn)
            await bounces.forgive(conn)
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
            return (await self.take(raw, "imap")).ours

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
            await keys.beat(conn, self.keys, self.id, "worker")
            await digests.finish_done(conn)
            await providers.forget_wide(conn, self.settings.smtp_connections * smtp.DEPTH)
        return False

    async def forget_again(self) -> bool:
        """Whom the journal names and a restored backup has brought back."""
        for batch in erasures.batches(erasures.file(self.settings.data_dir)):
            async with self.pool.acquire() as conn, conn.transaction():
                gone = await erasures.replay(conn, self.keys, batch, actor=SYSTEM)
            if gone:
                log.warning("%d people were erased again: a backup had them back", len(gone))
        for told in withdrawals.batches(self.settings.data_dir / withdrawals.LEFT):
            async with self.pool.acquire() as conn, conn.transaction():
                ended = await withdrawals.replay(conn, self.keys, told, actor=SYSTEM)
            if ended:
                log.warning("%d subscriptions were ended again: a backup had them back", ended)
        return False

    async def journal(self) -> bool:
        async with self.pool.acquire() as conn:
            folder = self.settings.data_dir
            self.journaled = await erasures.keep_up(conn, folder, self.journaled)
            self.left_journaled = await withdrawals.keep_up(conn, folder, self.left_journaled)
        return False

    async def sweep(self) -> bool:
        """One batch of what has had its time."""
        async with self.pool.acquire() as conn, conn.transaction():
            gone = await retention.sweep(conn, self.keys, retention.terms(self.settings))
        if gone:
            log.info("deleted what has had its time: %s", gone)
        return bool(gone)


def tell(feed: Feed, fetched: Fetched, stored: Stored) -> None:
    """What somebody should look at goes to the log, too."""
    if isinstance(fetched, Failed | Gone):
        log.warning("feed %d could not be read; `mailer feed list` says why", feed.id)
    if stored.held:
        log.warning(
            "feed %d brought %d articles at once; they wait for `mailer feed release` or `dismiss`",
            feed.id,
            stored.held,
        )


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
