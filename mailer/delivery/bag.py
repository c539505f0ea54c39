"""The bag: mails of the batches that a worker holds, in memory, from the claim until settled."""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias
from uuid import UUID

from mailer.bounces import Answer
from mailer.delivery import verdicts
from mailer.delivery.composing import Ready
from mailer.delivery.verdicts import UNFIT
from mailer.outbox import Claimed, Mail, Settled
from mailer.smtp import RoadClosed, Verdict

Outcome: TypeAlias = Verdict | Literal["unwanted"]

FIRST_REST = 1.0
"""Seconds of rest after the road closed."""


@dataclass
class Bag:
    """What the parts of a delivery share.

    `room`: how many mails may have gone without being settled; `letters`: to one person, else of
    digests. `recorded` is told of those that were settled, by their ids.
    """

    worker: UUID
    letters: bool
    room: int
    stop: asyncio.Event
    wake: asyncio.Event
    """Set when something may have become due."""
    recorded: Callable[[Sequence[int]], None]

    batches: dict[int, int] = field(default_factory=dict)
    """Those held, and how many of their mails are in memory."""
    ended: set[int] = field(default_factory=set)
    """Of these none is."""

    staged: deque[Ready] = field(default_factory=deque)
    lanes: defaultdict[str, deque[Ready]] = field(default_factory=lambda: defaultdict(deque))
    """Staged for providers that have a limit."""
    next: deque[Ready] = field(default_factory=deque)
    """Those there is room for on the wire."""
    wire: dict[int, Ready] = field(default_factory=dict)
    """Handed over and not settled."""
    ahead: int = 0
    """How many more than there is room for may be handed over, to wait in the road's row."""
    plain: "deque[Said]" = field(default_factory=deque)
    """What became of those that need nothing but to be settled; until that is committed."""
    eventful: "deque[Said]" = field(default_factory=deque)
    """And of those from which more follows."""
    uncounted: Counter[tuple[int, str | None]] = field(default_factory=Counter)
    """Mails settled as sent, by digest and provider; counted when a batch ends, at the latest."""
    saying: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while either is being said to the database: one says it at a time."""

    limits: dict[str, int] = field(default_factory=dict)
    """How many mails may be on their way to a provider at once."""
    on_way: Counter[str | None] = field(default_factory=Counter)
    """How many are."""
    slower: set[str] = field(default_factory=set)
    """Providers at whose mails a server closed the road with 421."""

    closed: RoadClosed | None = None
    """Why no mail can go at present."""
    rest: float = FIRST_REST
    waiting: dict[asyncio.Future[None], Callable[[], object]] = field(default_factory=dict)

    # waiting for one another

    async def until(self, so: Callable[[], object]) -> None:
        """Wait until something is so; it is looked at whenever something in the bag moves."""
        while not so():
            future = asyncio.get_running_loop().create_future()
            self.waiting[future] = so
            try:
                await future
            finally:
                del self.waiting[future]

    async def gather(self, so: Callable[[], object], seconds: float) -> None:
        """Let some come together, but not for long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.until(so)

    def moved(self) -> None:
        for future, so in self.waiting.items():
            if not future.done() and so():
                future.set_result(None)

    @property
    def ending(self) -> bool:
        return self.closed is not None or self.stop.is_set()

    @property
    def idle(self) -> bool:
        """Nothing is under way."""
        waiting = self.staged or self.next or any(self.lanes.values())
        return not (waiting or self.wire or self.answered)

    # batches

    def hold(self, batches: Iterable[int]) -> None:
        """They are being filled: they don't end before `forget` was called once for each."""
        for batch in batches:
            self.batches[batch] = 1

    def forget(self, batch: int) -> None:
        """One of its mails less; the batch ends, or is given back, when none is left."""
        self.batches[batch] -= 1
        if not self.batches[batch]:
            self.ended.add(batch)
            self.moved()

    def drop(self, batches: Iterable[int]) -> None:
        """They were ended or given back."""
        for batch in batches:
            del self.batches[batch]
            self.ended.discard(batch)
        self.moved()

    def unstage(self) -> None:
        """Let go of everything that is not on the wire."""
        for queue in (self.next, self.staged, *self.lanes.values()):
            while queue:
                self.forget(queue.popleft().mail.batch)

    # choosing

    @property
    def free(self) -> int:
        """How many more may be handed over: those answered hold up nobody on the way there."""
        return self.room + self.ahead + self.answered - len(self.wire)

    def choice(self) -> int:
        """How many could go at once, if there were room."""
        return len(self.staged) + sum(map(self.open_to, self.lanes))

    def open_to(self, name: str) -> int:
        return min(len(self.lanes[name]), max(0, self.limits.get(name, 0) - self.on_way[name]))

    def keep(self, queue: deque[Ready], ready: Ready) -> None:
        self.batches[ready.mail.batch] += 1
        queue.append(ready)

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
        self.moved()

    # the wire

    def put_on_wire(self, ready: Ready) -> None:
        self.wire[ready.mail.id] = ready
        self.on_way[ready.provider] += 1

    def off_wire(self, id_: int) -> None:
        ready = self.wire.pop(id_, None)
        if ready is not None:
            self.on_way[ready.provider] -= 1

    def said(self, mail: Mail, provider: str | None, outcome: Outcome) -> None:
        """To be settled; most need nothing else."""
        said = Said(mail, provider, outcome)
        sent = isinstance(outcome, Verdict) and outcome.kind == "sent" and mail.kind != "confirm"
        limited = not self.letters and provider in self.limits
        simple = outcome == "unwanted" or (sent and not limited)
        (self.plain if simple else self.eventful).append(said)
        self.moved()

    @property
    def answered(self) -> int:
        """How many are to be settled."""
        return len(self.plain) + len(self.eventful)

    def settled(self, plain: Sequence["Said"], eventful: Sequence["Said"] = ()) -> None:
        """It was committed: memory may forget it."""
        for queue, said in ((self.plain, plain), (self.eventful, eventful)):
            for each in said:
                queue.popleft()
                self.off_wire(each.mail.id)
                self.forget(each.mail.batch)
        self.recorded([each.mail.id for each in (*plain, *eventful)])
        self.moved()


class Said(NamedTuple):
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
        outcome = self.outcome
        if not isinstance(outcome, Verdict):
            return self.mail.id, "dropped", None
        return self.mail.id, "sent" if outcome.kind == "sent" else "failed", outcome.reply


def taken(plain: Iterable[Said]) -> Counter[tuple[int, str | None]]:
    """Those of digests that a server took, by digest and provider."""
    return Counter(
        (said.mail.digest, said.provider)
        for said in plain
        if said.mail.digest is not None and said.outcome != "unwanted"
    )
