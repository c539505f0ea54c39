"""Delivery: mails of one kind, from the outbox over the wire, and what became of them.

    fill     claim batches, commit → compose → attest, commit → staged
    flow     room on the wire → the last look (still wanted? still ours?) → handed over; what
             came back meanwhile is settled in the same turn
    settle   what else the servers said, with all that follows; batches end

The three go on at once, so that the wire does not wait for the database. To attest is to put on
record that a confirmation is being mailed, before anybody can answer it.

What holds at any instant, whatever is killed, cut off or started again:

- A mail handed over is in `wire` until it is settled, and there are never more of them than
  connections × smtp.DEPTH: that many, at most, go twice after a kill, with the same Message-ID.
- What is staged is cheap to lose: its batch is free again when the worker ends or falls silent.
- Only what the database said a moment ago is wanted, and the worker's, is handed over. Whoever
  left, was erased or suppressed; a digest paused or cancelled; a worker that the others took for
  dead: they are found out there.
- Memory forgets only what was committed. An error ends the step, and the next goes on from there.
- A closed road (no connection, no login, 421) costs no mail an attempt.
"""

import asyncio
import logging
import random
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice, takewhile
from typing import Any, Literal, TypeAlias
from uuid import UUID

import asyncpg
from cryptography.exceptions import InvalidTag

from mailer import bounces, limits, outbox, providers, subscriptions
from mailer.bounces import Answer
from mailer.config import Settings
from mailer.db import Connection, Pool
from mailer.delivery import verdicts
from mailer.delivery.composing import Composer, Ready
from mailer.delivery.verdicts import UNFIT
from mailer.errors import Refusal
from mailer.outbox import Claimed, Mail, Settled
from mailer.render.shelf import BadTemplate
from mailer.smtp import DEPTH, Road, RoadClosed, Verdict
from mailer.vault import Vault

log = logging.getLogger(__name__)

LETTERS_AT_ONCE = 20
AHEAD = outbox.BATCH
"""Batches are claimed while fewer mails than that are staged."""

FRESH_SECONDS = 0.05
"""How long a last look holds: what found no room by then is looked at again."""

REST_SECONDS = (1.0, 30.0)
"""After the road closed: at first, and at most; doubled in between."""

PACE_SECONDS = 0.1
"""Where there is a rate, turns are taken for so long at a time."""

GATHER_SECONDS = 0.01
SETTLE_SECONDS = 0.03
"""What comes back waits so long for others; and longer for mails to look at in the same turn."""

SETTLED_AT_ONCE = 500
OPENED_AT_ONCE = 8
"""Before others have a turn: the wire must not wait for long."""

LOOK_SECONDS = 5.0
AGAIN_SECONDS = 1.0
UNHEARD = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.TransactionRollbackError,
    asyncpg.OperatorInterventionError,
)
"""The database is away, starting or stopping, or took back a transaction: it may hear us yet."""

UNFITTING = (Refusal, BadTemplate, LookupError, ValueError, AssertionError, InvalidTag)
"""Broken templates and content; what was sealed and does not open."""

NOT_NOW = 421

Outcome: TypeAlias = Verdict | Literal["unwanted"]


@dataclass
class Delivery:
    """What one kind of delivery works with; `letters`: to one person, else mails of digests."""

    settings: Settings
    pool: Pool
    keys: Vault
    road: Road
    worker: UUID
    stop: asyncio.Event
    wake: asyncio.Event
    connections: int
    letters: bool
    composer: Composer = field(init=False)

    batches: dict[int, int] = field(default_factory=dict)
    """Those held, and how many of their mails are in memory."""
    staged: deque[Ready] = field(default_factory=deque)
    lanes: defaultdict[str, deque[Ready]] = field(default_factory=lambda: defaultdict(deque))
    """Staged for providers that have a limit."""
    next: deque[Ready] = field(default_factory=deque)
    """Those there is room for on the wire."""
    wire: dict[int, Ready] = field(default_factory=dict)
    """Handed over and not settled."""
    settling: "deque[Said]" = field(default_factory=deque)
    """Those the servers answered for, until that is committed."""

    uncounted: list[Answer] = field(default_factory=list)
    """Of mails settled in a last look, to be counted when their batch ends, at the latest."""

    limits: dict[str, int] = field(default_factory=dict)
    """How many mails may be on their way to a provider at once."""
    saying: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while `settling` is being said to the database: one says it at a time."""

    slower: set[str] = field(default_factory=set)
    """Providers at whose mails a server closed the road with 421."""

    closed: RoadClosed | None = None
    rest: float = REST_SECONDS[0]
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    """Set whenever any of this changes."""

    def __post_init__(self) -> None:
        self.composer = Composer(self.settings, self.keys)

    async def step(self) -> bool:
        """Bring on their way the mails that are due, until none is. False: wait to be woken."""
        self.closed = None
        try:
            async with asyncio.TaskGroup() as parts:
                watching = parts.create_task(self.watch())
                flowing = parts.create_task(self.connected(self.flow))
                filling = parts.create_task(self.connected(self.fill))
                parts.create_task(self.connected(partial(self.settle, filling)))
                await asyncio.wait([filling])
                watching.cancel()
                flowing.cancel()
                await asyncio.wait([flowing])
                self.unstage()
                self.moved.set()
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None
        finally:
            self.unstage()
        if self.closed is not None:
            log.warning("no mail goes out at present: %s", self.closed)
            await self.pause()
        return False

    async def finish(self) -> None:
        """The worker ends: what is on the wire comes back, and is said until it is heard."""
        await self.road.drain()
        while self.settling or self.done():
            try:
                async with self.pool.acquire() as conn:
                    await self.settle_some(conn)
            except UNHEARD:
                log.warning("the database does not answer; saying it again soon")
                await asyncio.sleep(AGAIN_SECONDS)

    async def connected(self, part: Callable[[Connection], Coroutine[Any, Any, None]]) -> None:
        """One connection as long as the part goes on: to take one each time costs as much again."""
        async with self.pool.acquire() as conn:
            await outbox.by_key(conn)
            await part(conn)

    async def until(self, so: Callable[[], object]) -> None:
        while not so():
            self.moved.clear()
            await self.moved.wait()

    async def watch(self) -> None:
        await self.stop.wait()
        self.moved.set()

    async def pause(self) -> None:
        """Others have the batches by now, and perhaps a road that is open."""
        seconds = self.rest * random.uniform(0.8, 1.2)  # noqa: S311 - no secret
        self.rest = min(self.rest * 2, REST_SECONDS[1])
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stop.wait(), seconds)

    @property
    def ending(self) -> bool:
        return self.stop.is_set() or self.closed is not None

    @property
    def idle(self) -> bool:
        """Nothing is under way."""
        return not (self.staged or self.next or self.wire or self.settling or self.laned())

    def laned(self) -> int:
        return sum(map(len, self.lanes.values()))

    def forget(self, mail: Mail) -> None:
        """It is no longer in memory; its batch ends, or is given back, when none of it is."""
        self.batches[mail.batch] -= 1
        self.moved.set()

    def unstage(self) -> None:
        """Let go of everything that is not on the wire."""
        for queue in (self.next, self.staged, *self.lanes.values()):
            while queue:
                self.forget(queue.popleft().mail)

    # fill

    async def fill(self, conn: Connection) -> None:
        """Keep some staged; ends when nothing is due or under way, or the worker is to stop."""
        while not self.ending:
            self.wake.clear()
            if await self.fill_some(conn):
                await self.until(lambda: len(self.staged) < AHEAD or self.ending)
            elif self.idle:
                return
            else:
                await self.doze()

    async def doze(self) -> None:
        """Nothing is due: until something may be, or nothing is under way any more."""
        changes = (self.wake.wait(), self.until(lambda: self.idle or self.ending))
        waiting = [asyncio.ensure_future(change) for change in changes]
        try:
            await asyncio.wait(waiting, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()

    async def fill_some(self, conn: Connection) -> bool:
        """Claim, compose and stage; whether anything was due."""
        await outbox.free_strays(conn, self.worker, list(self.batches), letters=self.letters)
        claimed = await self.claim(conn)
        self.batches.update(dict.fromkeys(claimed, 1))  # one for as long as it is being filled
        try:
            ready: list[Ready] = []
            for place, mail in enumerate(await self.mails(conn, claimed)):
                ready += await self.composed(conn, mail)
                if place % OPENED_AT_ONCE == 0:
                    await asyncio.sleep(0)
            await self.stage(conn, await self.attest(conn, ready))
        finally:
            for batch in claimed:
                self.batches[batch] -= 1
            self.moved.set()
        return bool(claimed)

    async def claim(self, conn: Connection) -> list[int]:
        if self.letters:
            return await outbox.claim_letters(conn, self.worker, LETTERS_AT_ONCE)
        while self.slower:
            await providers.halve(conn, self.slower.pop(), self.connections * DEPTH)
        self.limits = await providers.limits(conn, self.worker)
        for name in set(self.lanes) - set(self.limits):
            self.staged.extend(self.lanes.pop(name))
        hungry = [n for n, share in self.limits.items() if share and not self.lanes[n]]
        return await outbox.claim_digests(conn, self.worker, 1, hungry)

    async def mails(self, conn: Connection, claimed: Sequence[int]) -> Sequence[Mail]:
        """What waits in those batches; of letters, each has one."""
        if not claimed:
            return []
        found = await outbox.mails(conn, claimed)
        if self.letters and len(found) < len(claimed):
            return [*found, *await outbox.mails_to_staff(conn, claimed)]
        return found

    async def composed(self, conn: Connection, mail: Mail) -> list[Ready]:
        """None, if it can't be composed at present; which must not hold up the others."""
        outcome: Outcome = "unwanted"
        if not mail.void:
            try:
                ready = await self.composer.ready(conn, mail)
                if ready is not None:
                    return [ready]
            except UNFITTING:
                log.exception("mail %s can't be composed", mail.id)
                outcome = UNFIT
        self.batches[mail.batch] += 1
        self.settling.append(Said(mail, None, outcome))
        return []

    async def attest(self, conn: Connection, ready: Sequence[Ready]) -> list[Ready]:
        """Put new confirmations on record; what is left to send: not to whoever is not waiting."""
        new = [
            (mail, each)
            for each in ready
            if isinstance(mail := each.mail, Claimed)
            and mail.kind == "confirm"
            and not mail.attested
        ]
        if not new:
            return list(ready)
        unwanted: dict[int, Ready] = {}
        async with conn.transaction():
            # In the order in which everybody locks subscriptions: nobody waits in a ring.
            for mail, each in sorted(new, key=lambda pair: pair[0].subscription):
                evidence = verdicts.mailed(each)
                held = mail.subscription
                if await subscriptions.mailed(conn, self.keys, held, "confirmation.sent", evidence):
                    await outbox.attest(conn, mail.id)
                else:
                    unwanted[mail.id] = each
        for each in unwanted.values():
            self.batches[each.mail.batch] += 1
            self.said(each, "unwanted")
        return [each for each in ready if each.mail.id not in unwanted]

    async def stage(self, conn: Connection, ready: Sequence[Ready]) -> None:
        """In the order they came; apart, those to a provider that has a limit."""
        waiting: dict[tuple[str, int | None], list[tuple[int, str | None]]] = defaultdict(list)
        for each in ready:
            share = None if self.letters else self.limits.get(each.provider or "")
            if share is None:
                self.keep(self.staged, each)
            elif share and len(self.lanes[each.provider or ""]) < AHEAD:
                self.keep(self.lanes[each.provider or ""], each)
            else:
                waiting[each.provider or "", each.mail.digest].append((each.mail.id, None))
        for (name, digest), moved in waiting.items():
            await outbox.move(conn, self.worker, digest, moved, provider=name)

    def keep(self, queue: deque[Ready], ready: Ready) -> None:
        self.batches[ready.mail.batch] += 1
        queue.append(ready)

    # flow

    async def flow(self, conn: Connection) -> None:
        """From what is staged to the wire, until the road closes."""
        try:
            while True:
                await self.until(lambda: self.choice() and self.free + len(self.settling) > 0)
                await self.gather(self.half, GATHER_SECONDS)
                many = min(self.free + len(self.quick()), self.choice())
                if many:
                    many = await self.road.room(many)
                    self.pick(await self.turns(conn, many))
                    await self.hand_over(conn)
                else:
                    await self.until(lambda: self.free > 0)
        except RoadClosed as error:
            self.closed = error
            self.moved.set()

    @property
    def free(self) -> int:
        """How many more may be handed over."""
        return self.connections * DEPTH - len(self.wire)

    def choice(self) -> int:
        """How many could go at once, if there were room."""
        return len(self.staged) + sum(self.open_to(name) for name in self.lanes)

    def open_to(self, name: str) -> int:
        on_way = sum(ready.provider == name for ready in self.wire.values())
        return min(len(self.lanes[name]), max(0, self.limits.get(name, 0) - on_way))

    async def turns(self, conn: Connection, many: int) -> int:
        """How many may go now, as the rate allows, once their turn has come."""
        if self.settings.rate is None:
            return many
        many = max(1, min(many, int(self.settings.rate * PACE_SECONDS)))
        await asyncio.sleep(await limits.reserve(conn, "mail", many, self.settings.rate))
        return many

    def pick(self, many: int) -> None:
        """First for providers with a limit, who take few; then in the order they came."""
        for name, lane in self.lanes.items():
            for _ in range(min(self.open_to(name), many - len(self.next))):
                self.next.append(lane.popleft())
                if not lane:
                    self.wake.set()  # there may be a batch that waits for this provider
        while self.staged and len(self.next) < many:
            ready = self.staged.popleft()
            limited = not self.letters and ready.provider in self.limits
            (self.lanes[ready.provider or ""] if limited else self.next).append(ready)

    async def hand_over(self, conn: Connection) -> None:
        """Those picked that are still wanted; who found no room in time is staged again."""
        if not self.next:
            return
        async with self.saying:
            said = self.quick()
            settled = [each.settled for each in said]
            asked = {ready.mail.id: ready.hash for ready in self.next}
            began, fresh = time.monotonic(), True
            wanted = await outbox.turn(conn, self.worker, settled, asked)
            self.settled(said)
            self.uncounted += answers(said)
        while self.next and fresh and self.free > 0:
            ready = self.next.popleft()
            found = wanted.get(ready.mail.id)
            if found:
                await self.hand(ready)
            elif found is None:
                self.forget(ready.mail)
            else:
                self.said(ready, "unwanted")
            fresh = time.monotonic() - began < FRESH_SECONDS
        while self.next:
            self.staged.appendleft(self.next.pop())

    async def hand(self, ready: Ready) -> None:
        self.wire[ready.mail.id] = ready
        try:
            mail, sender = self.composer.cast(ready)
            await self.road.hand(mail, sender, ready.recipient, partial(self.heard, ready))
        except (RoadClosed, asyncio.CancelledError):
            self.heard(ready, None)
            raise
        except Exception:  # a fault of ours must not keep it on the wire for ever
            log.exception("mail %s could not be sent", ready.mail.id)
            self.heard(ready, UNFIT)

    def heard(self, ready: Ready, outcome: Verdict | RoadClosed | None) -> None:
        """What became of a mail handed over. None: it was not tried."""
        if isinstance(outcome, Verdict):
            self.rest = REST_SECONDS[0]
            self.said(ready, outcome)
            return
        if isinstance(outcome, RoadClosed):
            self.closed = outcome
            if outcome.code == NOT_NOW and ready.provider is not None:
                self.slower.add(ready.provider)
        del self.wire[ready.mail.id]
        if self.ending:
            self.forget(ready.mail)
        else:
            self.staged.appendleft(ready)
        self.moved.set()

    def said(self, ready: Ready, outcome: Outcome) -> None:
        self.settling.append(Said(ready.mail, ready.provider, outcome))
        self.moved.set()

    # settle

    async def settle(self, filling: asyncio.Task[None], conn: Connection) -> None:
        """What came back and did not go along with a last look, until nothing more will."""
        while True:
            await self.until(lambda: self.settling or self.done() or self.over(filling))
            if not self.settling and not self.done():
                return
            await self.gather(self.left_behind, SETTLE_SECONDS)
            await self.settle_some(conn)

    async def gather(self, so: Callable[[], object], seconds: float) -> None:
        """Let some come together, but not for long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.until(so)

    def half(self) -> bool:
        """Whether half of what may be on the wire could be handed over now."""
        return self.free + len(self.settling) >= self.connections * DEPTH // 2

    def left_behind(self) -> bool:
        """Whether there is something to settle and nothing to look at."""
        return bool(self.done()) or not self.choice() or len(self.quick()) < len(self.settling)

    def quick(self) -> list["Said"]:
        """Those that came back first and need nothing but to be settled."""
        return list(takewhile(self.plain, self.settling))

    def plain(self, said: "Said") -> bool:
        of_use = said.too_fast or (said.provider in self.limits and not self.letters)
        struck = said.answer is not None and bounces.refused(said.answer) is not None
        return said.mail.kind != "confirm" and not (said.again or of_use or struck)

    def over(self, filling: asyncio.Task[None]) -> bool:
        return filling.done() and not self.batches

    def done(self) -> list[int]:
        """Batches of which no mail is in memory."""
        return [batch for batch, left in self.batches.items() if left <= 0]

    async def settle_some(self, conn: Connection) -> None:
        async with self.saying:
            said = list(islice(self.settling, SETTLED_AT_ONCE))
            left = Counter(self.batches)
            left.subtract(each.mail.batch for each in said)
            ended = [batch for batch, many in left.items() if many <= 0]
            if not said and not ended:
                return
            async with conn.transaction():
                await self.settle_all(conn, said)
                await outbox.end(conn, self.worker, ended)
                await bounces.settled(conn, self.keys, [*self.uncounted, *answers(said)])
            self.uncounted.clear()
            self.settled(said)
            for batch in ended:
                del self.batches[batch]

    def settled(self, said: Sequence["Said"]) -> None:
        """It was committed: memory may forget it."""
        for each in said:
            self.settling.popleft()
            self.wire.pop(each.mail.id, None)
            self.batches[each.mail.batch] -= 1
        self.moved.set()

    async def settle_all(self, conn: Connection, said: Sequence["Said"]) -> None:
        """In one transaction; the consent record first: whoever erases a person locks the
        subscription and then its mails, and so does this, in the order of subscriptions."""
        await bounces.hold(conn, answers(said))
        spoken = [
            (mail, verdict)
            for each in said
            if isinstance(mail := each.mail, Claimed)
            and mail.kind == "confirm"
            and isinstance(verdict := each.outcome, Verdict)
            and not each.again
        ]
        for mail, verdict in sorted(spoken, key=lambda pair: pair[0].subscription):
            await self.testify(conn, mail, verdict)
        settled = [each.settled for each in said if not each.again]
        if settled:
            await outbox.turn(conn, self.worker, settled, {})
        later: dict[tuple[int | None, int], list[tuple[int, str | None]]] = defaultdict(list)
        for each in said:
            if each.again:
                key = each.mail.digest, each.mail.attempts + 1
                later[key].append((each.mail.id, each.reply))
        for (digest, attempts), moved in later.items():
            wait = verdicts.delay(attempts)
            await outbox.move(conn, self.worker, digest, moved, delay=wait, attempts=1)
        await self.learn(conn, said)

    async def testify(self, conn: Connection, mail: Claimed, verdict: Verdict) -> None:
        """For the consent record; should it fail for one, that holds up no other."""
        kind, evidence = verdicts.answer(verdict), verdicts.said(verdict)
        try:
            async with conn.transaction():
                await subscriptions.mailed(conn, self.keys, mail.subscription, kind, evidence)
        except UNHEARD:
            raise
        except Exception:
            log.exception("what became of mail %s could not be put on record", mail.id)

    async def learn(self, conn: Connection, said: Sequence["Said"]) -> None:
        """What providers made of it."""
        slower = {each.provider for each in said if each.provider and each.too_fast}
        taken = Counter(each.provider for each in said if each.provider in self.limits)
        for name in slower:
            on_way = sum(ready.provider == name for ready in self.wire.values())
            await providers.halve(conn, name, on_way)
        for name, many in taken.items():
            if name is not None and name not in slower:
                await providers.widen(conn, name, many)
        if slower or taken:
            self.limits = await providers.limits(conn, self.worker)


@dataclass(frozen=True)
class Said:
    """What became of a mail, not settled yet."""

    mail: Mail
    provider: str | None
    outcome: Outcome

    @property
    def again(self) -> bool:
        return isinstance(self.outcome, Verdict) and verdicts.again(self.mail, self.outcome)

    @property
    def answer(self) -> Answer | None:
        """What the mail server said of a mail to a reader; None: it was not asked."""
        mail, verdict = self.mail, self.outcome
        if not isinstance(verdict, Verdict) or verdict is UNFIT or not isinstance(mail, Claimed):
            return None
        return Answer(
            mail.subscription,
            mail.message,
            mail.digest,
            self.provider,
            verdict.kind,
            verdict.stage,
            verdict.code,
            verdict.enhanced,
            verdict.reply,
            first=mail.attempts == 0,
            again=self.again,
        )

    @property
    def too_fast(self) -> bool:
        return isinstance(self.outcome, Verdict) and verdicts.too_fast(self.outcome)

    @property
    def reply(self) -> str | None:
        return self.outcome.reply if isinstance(self.outcome, Verdict) else None

    @property
    def settled(self) -> tuple[int, Settled, str | None]:
        state: Settled = "dropped"
        if isinstance(self.outcome, Verdict):
            state = "sent" if self.outcome.kind == "sent" else "failed"
        return self.mail.id, state, self.reply


def answers(said: Sequence[Said]) -> list[Answer]:
    return [answer for each in said if (answer := each.answer)]
