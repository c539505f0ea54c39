"""SMTP and LMTP: mails go out on kept connections, one recipient a transaction.

Mails wait in one row; whichever connection has room takes the next. What a server says of a mail is
a `Verdict`; what it says of us, or a server that can't be reached, closes the road (`RoadClosed`)
and is no mail's fault.
"""

import asyncio
import logging
import math
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Self

from mailer import address
from mailer.config import Smtp
from mailer.smtp.connecting import connect, literal
from mailer.smtp.session import DEPTH, HELD, Outcome, Parcel, Session, Times
from mailer.smtp.verdicts import RoadClosed, Stage, Verdict

__all__ = ["AHEAD", "DEPTH", "Outcome", "Road", "RoadClosed", "Stage", "Times", "Verdict"]

log = logging.getLogger(__name__)

AHEAD = 2
"""Mails that may wait in the row, for each connection."""

REST_SECONDS = 60.0
ALONG_SECONDS = 0.003
"""How long a mail may wait to go along with another's text."""

MAILBOX = re.compile(r"[^\s<>@\x00-\x1f\x7f]+@[!-;=?A-~]+")
NO_SERVER = "There is no mail server to send by: set MAILER_SMTP_URL."
FAULT = "No connection could be made to a mail server ({what})."
SHUT = "This road was closed before the mail went."


class Road:
    """At most `connections` sessions, shared among `servers` by weight.

    `name`: who we are, for EHLO. `close` may be called at any time; the road opens again by need.
    A server that fails rests for a while; the others take its share.

    `unrecorded`: how many mails may have reached a server without the caller having put on record
    (`recorded`) what became of them. No text is written beyond that. None: nobody keeps a record.
    """

    def __init__(
        self,
        servers: Sequence[Smtp],
        connections: int,
        *,
        name: str = "localhost",
        times: Times | None = None,
        unrecorded: int | None = None,
    ) -> None:
        self.servers = servers
        self.connections = connections
        self.name = literal(name)
        self.times = times or Times()
        self.waiting: deque[Parcel] = deque()
        self.most_unrecorded = math.inf if unrecorded is None else unrecorded
        self.unrecorded: set[int] = set()
        self.held: deque[Session] = deque()
        self.sessions: set[Session] = set()
        self.opening: dict[asyncio.Task[None], Smtp | None] = {}
        self.resting: dict[Smtp, float] = {}
        self.owed = 0
        self.failed: RoadClosed | None = None
        self.closing = False
        self.moved: set[asyncio.Future[None]] = set()
        self.pumping = False
        self.hurrying: asyncio.TimerHandle | None = None

    # handing over

    async def hand(
        self,
        mail: bytes,
        sender: str,
        recipient: str,
        done: Callable[[Outcome], None],
        id_: int = 0,
        until: float = math.inf,
    ) -> None:
        """Put a mail on its way, as soon as there is room; `done` hears once what became of it.

        `id_`: by which `recorded` will name it; `until`: if it still waits in the row at that time
        of the monotonic clock, its outcome is None.

        The mail is one that `mime` made: its lines end in CRLF, none begins with a dot, and it is
        ASCII but for the recipient's address; nobody looks again. The addresses are in wire form
        (`address.wire`), the sender may be empty. `done` is called from the event loop and must
        not fail.
        """
        ascii_ = recipient.isascii()
        sender, recipient = envelope(sender), envelope(recipient)
        await self.put(Parcel(mail, sender, recipient, done, id_, until, ascii_=ascii_))

    async def room(self, most: int) -> int:
        """Wait until mails have a place, on open connections or in the row to them; how many have,
        up to `most`.

        Whoever asks first hands over what need not wait for long: it can be asked about at the
        last moment. Raises RoadClosed if no connection is to be had.
        """
        failed = self.failed
        while (free := self.places()) <= 0:
            if self.failed is not failed and self.failed is not None:
                raise self.failed
            self.retire()
            self.widen(most)
            await self.move()
        self.widen(most - free)
        return min(most, free)

    def places(self) -> int:
        return sum(s.seats + AHEAD for s in self.sessions if s.good) - len(self.waiting)

    async def send(self, mail: bytes, sender: str, recipient: str) -> Verdict:
        """Hand any mail over and wait. Raises RoadClosed. Cancelled, it may have gone or not."""
        if not mail.endswith(b"\r\n") or not mail.count(b"\n") == mail.count(b"\r\n") == (
            mail.count(b"\r")
        ):
            raise ValueError("a mail's lines end in CRLF")
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def done(outcome: Outcome) -> None:
            if not answer.done():
                answer.set_result(outcome)

        sender, recipient = (envelope(address.wire(given)) for given in (sender, recipient))
        parcel = Parcel(stuffed(mail), sender, recipient, done, ascii_=mail.isascii())
        await self.put(parcel)
        try:
            outcome = await answer
        except asyncio.CancelledError:
            self.withdraw(parcel)
            raise
        if isinstance(outcome, RoadClosed):
            raise outcome
        assert outcome is not None, "it may begin at any time"
        return outcome

    async def put(self, parcel: Parcel) -> None:
        while len(self.waiting) >= self.connections * AHEAD:
            await self.move()
        self.owed += 1
        self.waiting.append(parcel)
        if not self.pumping:
            self.pumping = True
            asyncio.get_running_loop().call_soon(self.pump)

    def withdraw(self, parcel: Parcel) -> None:
        """Nobody waits for it any more."""
        if parcel in self.waiting:
            self.waiting.remove(parcel)
            self.settle(parcel, RoadClosed(SHUT))
        for session in list(self.sessions):
            session.abandon(parcel)

    async def drain(self) -> None:
        """Wait until each mail handed over has its outcome."""
        while self.owed:
            await self.move()

    async def move(self) -> None:
        """Wait until half of what may wait has gone, nothing is owed, or a connection ended."""
        future = asyncio.get_running_loop().create_future()
        self.moved.add(future)
        try:
            await future
        finally:
            self.moved.discard(future)

    def told(self) -> None:
        if self.moved and (not self.owed or len(self.waiting) <= self.connections):
            self.wake()

    def wake(self) -> None:
        for future in self.moved:
            if not future.done():
                future.set_result(None)

    # for sessions

    def next(self, session: Session) -> Parcel | None:
        """The next mail that this session's server may take."""
        while self.waiting:
            parcel = self.waiting.popleft()
            self.told()
            unfit = session.unfit(parcel)
            late = parcel.until < time.monotonic()
            if unfit is None and not late:
                return parcel
            self.settle(parcel, None if late else unfit)
        return None

    def admit(self, session: Session, parcel: Parcel) -> bool:
        """Whether the mail's text may be written; else the session is told when it may."""
        if len(self.unrecorded) >= self.most_unrecorded:
            self.held.append(session)
            return False
        if self.most_unrecorded < math.inf:
            self.unrecorded.add(parcel.id)
        return True

    def recorded(self, ids: Iterable[int]) -> None:
        """It is on record what became of these: they never go again, so others may."""
        self.unrecorded.difference_update(ids)
        held, self.held = self.held, deque()
        for session in held:
            if session.step == HELD:
                session.write_text()

    def settle(self, parcel: Parcel, outcome: Outcome) -> None:
        self.owed -= 1
        try:
            parcel.done(outcome)
        except Exception:  # a fault of the caller's must not break the session
            log.exception("what became of a mail could not be told")
        self.told()

    def give_back(self, parcel: Parcel) -> None:
        """It was surely not delivered, and goes first on another connection."""
        self.waiting.appendleft(parcel)

    def gone(self, session: Session, problem: RoadClosed) -> None:
        self.sessions.discard(session)
        if not self.sessions and not self.opening and not self.rested():
            self.fail(problem)
        self.pump()
        self.wake()

    def rest(self, server: Smtp) -> None:
        """For a while the others go first."""
        self.resting[server] = time.monotonic() + REST_SECONDS

    # connections

    def pump(self) -> None:
        """Give what waits to whoever has room; open more connections for the rest.

        What can go along with a text that is about to be written waits a moment for that: it is
        one write less, and one the less for the server to read.
        """
        self.pumping = False
        self.share_out(along=sum(session.nears_text for session in self.sessions))
        if self.waiting and self.hurrying is None:
            loop = asyncio.get_running_loop()
            self.hurrying = loop.call_later(ALONG_SECONDS, self.hurry)

    def hurry(self) -> None:
        self.hurrying = None
        self.share_out(along=0)

    def share_out(self, along: int) -> None:
        """All that waits but `along`, first to those who have nothing to do."""
        for session in [session for session in self.sessions if not session.flight]:
            if len(self.waiting) > along:
                session.take()
                along += session.nears_text
        for session in list(self.sessions):
            if len(self.waiting) > along:
                session.take()
        self.widen(len(self.waiting) - along)

    def retire(self) -> None:
        """Connections that have had their time make room for others."""
        for session in list(self.sessions):
            if not session.good:
                session.quit()

    def widen(self, mails: int) -> None:
        """Open connections for so many mails more, as far as allowed."""
        free = self.connections - len(self.sessions) - len(self.opening)
        wanted = min(free, mails - len(self.opening))
        if wanted > 0 and not self.closing and (self.rested() or not self.sessions):
            for _ in range(wanted):
                self.grow()

    def grow(self) -> None:
        task = asyncio.create_task(self.open())
        self.opening[task] = None
        task.add_done_callback(self.grown)

    def grown(self, task: asyncio.Task[None]) -> None:
        """One more session; or none, and if there is none at all, what waits hears of it."""
        del self.opening[task]
        error = None if task.cancelled() else task.exception()
        if error is not None and not self.sessions and not self.opening:
            log.warning("no mail goes out at present: %s", error)
            what = type(error).__name__
            known = error if isinstance(error, RoadClosed) else RoadClosed(FAULT, what=what)
            self.failed = known
            self.fail(known)
        self.pump()
        self.wake()

    async def open(self) -> None:
        """A new session, on the first server that works. Raises RoadClosed, about the last."""
        task = asyncio.current_task()
        assert task is not None
        problem = RoadClosed(NO_SERVER)
        for server in self.order():
            self.opening[task] = server
            try:
                transport, session = await connect(server, self.name, self.times)
            except RoadClosed as error:
                self.rest(server)
                problem = error
            else:
                self.resting.pop(server, None)
                self.sessions.add(session)
                session.begin(transport, self)
                if self.closing:  # a cancel in the last moment can be lost on the way here
                    session.quit()
                return
        raise problem

    def order(self) -> list[Smtp]:
        """Servers by how far they are from their share; those that rest come last."""
        held = [*(s.server for s in self.sessions), *self.opening.values()]
        awake = self.rested()

        def rank(server: Smtp) -> tuple[bool, bool, float]:
            share = (held.count(server) + 1) / (server.weight or 1)
            return server not in awake, not server.weight, share

        return sorted(self.servers, key=rank)

    def rested(self) -> list[Smtp]:
        now = time.monotonic()
        return [server for server in self.servers if self.resting.get(server, 0) <= now]

    def fail(self, problem: RoadClosed) -> None:
        """What waits was not tried."""
        while self.waiting:
            self.settle(self.waiting.popleft(), problem)

    async def try_out(self) -> None:
        """Go as far as the login. Raises RoadClosed."""
        self.grow()
        (task,) = self.opening
        await asyncio.wait([task])
        task.result()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Say goodbye on all connections; what is on its way is given up."""
        self.closing = True
        for task in list(self.opening):
            task.cancel()
        for session in list(self.sessions):
            if session.flight:
                session.drop()
            session.quit()
        self.fail(RoadClosed(SHUT))
        while self.sessions or self.opening:
            await self.move()
        self.closing = False


def envelope(wired: str) -> str:
    """An address between angle brackets; the empty one is for mails that want no bounces."""
    if wired and not MAILBOX.fullmatch(wired):
        raise ValueError("not an address for an envelope")
    return wired


def stuffed(mail: bytes) -> bytes:
    """Lines that begin with a dot get another (RFC 5321, 4.5.2)."""
    return (b"." if mail.startswith(b".") else b"") + mail.replace(b"\r\n.", b"\r\n..")
