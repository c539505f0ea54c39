"""The worker: loops around one step each. Any number of workers share the work.

    forms         admit            requests → subscriptions and confirmation mails, of domains that
                                   mail can reach
                  admit_slow       likewise those that nothing speaks for, a few at a time
                  look_for_floods  sees them begin and end
                  bring_over       imported people → subscriptions and confirmation mails, as fast
                                   as those go
    lists         read             files of people that staff uploaded
    feeds         poll, picture    feeds that are due; pictures of articles
    digests       schedule         makes digests that are due, begins those whose time has come
                  renew            asks readers to agree to newer words; who did not answer leaves
    returns       listen,          takes what comes back, by LMTP or from a mailbox
                  read_mailbox
                  watch            looks for storms and complaints
    record        seal             consent events → the log and its checkpoint; one worker at a time
                  write_down,      who was erased or left, for the day when a backup is restored
                  forget_again
    jobs          work             what staff set going on a page: verifying, extracts
    housekeeping  beat             says that it lives, frees what silent workers hold
                  tell_staff       of what they should look at
                  look_at_domain   asks DNS whether others believe its mails
                  tidy, sweep      deletes what has had its time

Besides, two deliveries: letters to one person, on connections of their own so that digests never
hold them up, and digests. PostgreSQL's NOTIFY wakes what waits for it at once (`waking`); without
it each looks every few seconds. On `stop` each loop finishes its step: what is on the wire is
settled.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import asyncpg

from mailer import dkim, fetch, keys, outbox, smtp
from mailer.config import Settings
from mailer.db import Pool
from mailer.delivery import Delivery
from mailer.dkim.signing import Signing, signing
from mailer.fetch import Policy
from mailer.vault import Vault
from mailer.worker.digests import Digests
from mailer.worker.feeds import AT_ONCE, Feeds
from mailer.worker.forms import Forms
from mailer.worker.housekeeping import Housekeeping
from mailer.worker.jobs import Jobs
from mailer.worker.lists import Lists
from mailer.worker.loops import Loops, Step
from mailer.worker.record import Record
from mailer.worker.returns import Returns
from mailer.worker.waking import bells

__all__ = ["DATABASE_CONNECTIONS", "Worker"]

LETTER_CONNECTIONS = 2
DATABASE_CONNECTIONS = 18
"""Three for each delivery while it goes on, one that listens, and one for each other step."""

LOOK_SECONDS = 5.0
BEAT_SECONDS = 3.0

Timed = tuple[Step, float]
"""A step, and how many seconds it rests when there was nothing more to do."""


@dataclass
class Worker:
    """One worker."""

    settings: Settings
    pool: Pool
    keys: Vault
    stop: asyncio.Event
    id: UUID = field(default_factory=uuid4)

    def __post_init__(self) -> None:
        self.loops = Loops(self.stop)
        given = (self.settings, self.pool, self.keys, self.id, self.loops)
        self.forms = Forms(*given)
        self.lists = Lists(*given)
        self.feeds = Feeds(*given)
        self.digests = Digests(*given)
        self.returns = Returns(*given)
        self.record = Record(*given)
        self.jobs = Jobs(*given)
        self.house = Housekeeping(*given)

    async def run(self) -> None:
        """Work until `stop` is set."""
        await self.record.forget_again()
        await self.house.beat()
        policy = Policy(self.settings.feed_networks)
        async with (
            self.road(LETTER_CONNECTIONS) as to_people,
            self.road(self.settings.smtp_connections) as to_readers,
            signing(dkim.signers(self.settings)) as signers,
            fetch.session(self.settings.base_url, policy) as self.feeds.session,
            bells(self.pool) as bell,
            self.alive(),
            asyncio.TaskGroup() as tasks,
        ):
            for step, pause, name in self.woken():
                tasks.create_task(self.loops.repeat(step, bell[name], pause))
            for step, pause in self.by_the_clock():
                tasks.create_task(self.loops.repeat(step, asyncio.Event(), pause))
            tasks.create_task(self.deliver(to_people, signers, bell["letters"], letters=True))
            tasks.create_task(self.deliver(to_readers, signers, bell["digests"], letters=False))
            tasks.create_task(self.returns.listen())
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            async with self.pool.acquire() as conn:
                await outbox.bury(conn, self.id)
                await keys.bury(conn, self.id)

    # the loops

    def woken(self) -> Iterator[tuple[Step, float, str]]:
        """Those that a bell wakes; or a while, if it was not heard."""
        yield self.forms.admit, LOOK_SECONDS, "request"
        yield self.forms.bring_over, 1.0, "imports"
        yield self.digests.renew, 15.0, "renewals"
        yield self.jobs.work, LOOK_SECONDS, "jobs"

    def by_the_clock(self) -> Iterator[Timed]:
        yield self.forms.admit_slow, 2.0
        yield self.forms.look_for_floods, 3.0
        yield self.lists.read, 1.0
        for _ in range(AT_ONCE):
            yield self.feeds.poll, 15.0
        yield self.feeds.picture, 15.0
        yield self.digests.schedule, 10.0
        yield self.returns.watch, 30.0
        if self.settings.bounce_imap is not None:
            yield self.returns.read_mailbox, 60.0
        yield self.record.seal, 0.3  # the log is at most a second behind
        yield self.record.write_down, 5.0
        yield self.record.forget_again, 1800.0
        yield self.house.tell_staff, 60.0
        yield self.house.look_at_domain, 60.0
        yield self.house.tidy, 1800.0
        yield self.house.sweep, 1800.0

    async def deliver(
        self, road: smtp.Road, signers: Signing, bell: asyncio.Event, *, letters: bool
    ) -> None:
        delivery = Delivery(
            self.settings,
            self.pool,
            self.keys,
            road,
            self.id,
            self.stop,
            bell,
            LETTER_CONNECTIONS if letters else self.settings.smtp_connections,
            letters,
            signers,
        )
        await self.loops.repeat(delivery.step, bell, LOOK_SECONDS)
        await delivery.finish()

    def road(self, connections: int) -> smtp.Road:
        return smtp.Road(
            self.settings.smtp,
            connections,
            name=self.settings.domain,
            unrecorded=connections * smtp.DEPTH,
        )

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
            await self.loops.tried(self.house.beat)
            await asyncio.sleep(BEAT_SECONDS)
