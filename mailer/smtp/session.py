"""One connection to a mail server: the wire itself, with a mail's commands in one write.

MAIL, RCPT and DATA go together; the text goes with the next mail's three commands behind its dot
(RFC 2920): a mail costs one round trip, and never are more than `DEPTH` on the way. A server that
does not offer PIPELINING gets one command at a time.

Replies are taken in the order of the commands. Any that does not answer what was asked, or comes
when nothing was, ends the connection, for whatever came after it would be another mail's. A mail
is sent when its dot was answered 2xx; it is refused when the server said so and RSET then shows
that both of us are still in step. A mail whose text was not written was surely not delivered; when
it may be written, the owner says.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from mailer.config import Smtp
from mailer.smtp.replies import Nonsense, Replies
from mailer.smtp.verdicts import OF_US, Kind, RoadClosed, Stage, Verdict, closed, judged, masked

DEPTH = 2
"""Mails on the way on one connection: a text not yet answered, and the envelope behind it."""

READ_BYTES = 4096
MOST_MAILS = 100
MOST_SECONDS = 300.0
IDLE_SECONDS = 60.0
QUIT_SECONDS = 2.0
HELD_SECONDS = 0.4
"""How long a server waits for a text that may not be written yet, before the mail is taken back."""

SILENT = "the connection was lost or timed out"
TOO_BIG = "This mail is bigger than the mail server takes (SIZE)."
NO_UTF8 = "This mail server takes only addresses in ASCII (it does not offer SMTPUTF8)."
NO_8BIT = "This mail server takes only mails in ASCII (it does not offer 8BITMIME)."

Outcome: TypeAlias = Verdict | RoadClosed | None
"""What became of a mail; RoadClosed: it was surely not delivered, through no fault of its own;
None: its time had passed before its text was written, and nothing is wrong with the road."""


@dataclass(frozen=True)
class Times:
    """How long to wait for an answer, in seconds: RFC 5321, 4.5.3.2.

    `block`: for the server to take more of what is written.
    """

    greeting: float = 300
    mail: float = 300
    rcpt: float = 300
    data: float = 120
    end: float = 600
    block: float = 180


@dataclass(frozen=True)
class Offer:
    """What a server said to EHLO. `size`: the most bytes of a mail, 0 if it doesn't say."""

    pipelining: bool
    eight_bit: bool
    utf8: bool
    sizes: bool
    size: int


class Parcel:
    """A mail handed over, as DATA takes it. `again`: a connection ended under it once already.

    `id`: by which the caller puts on record what became of it; `until`: when it must begin;
    `ascii`: whether its text is.
    """

    __slots__ = (
        *("again", "ascii", "done", "id", "mail", "recipient", "refusal", "sender", "until"),
    )

    def __init__(
        self,
        mail: bytes,
        sender: str,
        recipient: str,
        done: Callable[[Outcome], None],
        id_: int = 0,
        until: float = math.inf,
        *,
        ascii_: bool,
    ) -> None:
        self.mail = mail
        self.sender = sender
        self.recipient = recipient
        self.done = done
        self.id = id_
        self.until = until
        self.ascii = ascii_
        self.again = False
        self.refusal: Verdict | None = None


class Owner(Protocol):
    """Where mails come from, and go when they were not tried: see `Road`."""

    def next(self, session: "Session") -> Parcel | None: ...
    def admit(self, session: "Session", parcel: Parcel) -> bool: ...
    def settle(self, parcel: Parcel, outcome: Outcome) -> None: ...
    def give_back(self, parcel: Parcel) -> None: ...
    def rest(self, server: Smtp) -> None: ...
    def gone(self, session: "Session", problem: RoadClosed) -> None: ...


# Which answer is waited for; HELD: none, but for leave to write the text.
IDLE, MAIL, RCPT, DATA, HELD, END, RSET, QUIT = range(8)

KINDS: dict[int, Kind] = {2: "sent", 4: "later", 5: "never"}
STAGES: dict[int, Stage] = {MAIL: "mail", RCPT: "rcpt"}


class Session(asyncio.BufferedProtocol):
    """A connection past greeting, TLS and login, taken over with `begin`.

    It brings its own room for what is read: asyncio would take a quarter of a megabyte from the
    system for each few bytes of a reply, and give it back.
    """

    def __init__(self, server: Smtp, offer: Offer, times: Times) -> None:
        self.server = server
        self.name = repr(server)
        self.offer = offer
        self.times = times
        self.flight: deque[Parcel] = deque()
        self.step = IDLE
        self.replies = Replies()
        self.read = memoryview(bytearray(READ_BYTES))
        self.mails = 0
        self.over = False
        self.opened = time.monotonic()
        self.loop = asyncio.get_running_loop()
        self.timer: asyncio.TimerHandle | None = None
        self.deadline = 0.0

    def begin(self, transport: asyncio.Transport, owner: Owner) -> None:
        """Take the connection over; from here on it works by itself."""
        self.owner = owner
        self.transport = transport
        transport.set_protocol(self)
        self.wait(IDLE_SECONDS)

    # what may go

    @property
    def good(self) -> bool:
        """Whether it takes mails at all; one, however late."""
        fresh = not self.mails or time.monotonic() - self.opened < MOST_SECONDS
        return fresh and self.mails < MOST_MAILS and self.step != QUIT

    @property
    def room(self) -> bool:
        """Whether a mail may begin now."""
        if self.step == IDLE:
            return self.good
        behind = self.step in (END, RSET) and len(self.flight) < DEPTH
        return behind and self.offer.pipelining and self.good

    @property
    def nears_text(self) -> bool:
        """Whether it writes a text next, and can take the next mail's commands along with that."""
        behind = MAIL <= self.step <= HELD and len(self.flight) < DEPTH
        return behind and self.offer.pipelining and self.good

    @property
    def seats(self) -> int:
        """How many more mails it has a place for, were they handed over now."""
        if not self.good:
            return 0
        if not self.offer.pipelining:
            return int(self.step == IDLE)
        return min(DEPTH - len(self.flight), MOST_MAILS - self.mails)

    def unfit(self, parcel: Parcel) -> Verdict | None:
        """Why this server would never take the mail, if so."""
        offer = self.offer
        if offer.size and len(parcel.mail) > offer.size:
            return Verdict("never", "mail", 552, "5.3.4", TOO_BIG, self.name)
        if not offer.utf8 and not (parcel.sender.isascii() and parcel.recipient.isascii()):
            return Verdict("never", "mail", 553, "5.6.7", NO_UTF8, self.name)
        if not offer.eight_bit and not parcel.ascii:
            return Verdict("never", "mail", 554, "5.6.3", NO_8BIT, self.name)
        return None

    def take(self) -> None:
        """Begin the next mail, if there is one and room for it; or leave, if it is time."""
        if self.step == IDLE and not self.good:
            self.quit()
        elif self.room and (parcel := self.owner.next(self)) is not None:
            self.transport.write(self.envelope(parcel))

    def following(self) -> bytes:
        """The commands of the next mail, to be written behind others."""
        if not self.room or (parcel := self.owner.next(self)) is None:
            return b""
        return self.envelope(parcel)

    def envelope(self, parcel: Parcel) -> bytes:
        """The mail is on its way with these commands."""
        self.flight.append(parcel)
        self.mails += 1
        if self.step == IDLE:
            self.expect(MAIL, self.times.mail)
        mail = f"MAIL FROM:<{parcel.sender}>{self.parameters(parcel)}\r\n".encode()
        return mail + self.rcpt(parcel) + b"DATA\r\n" if self.offer.pipelining else mail

    def parameters(self, parcel: Parcel) -> str:
        size = f" SIZE={len(parcel.mail)}" if self.offer.sizes else ""
        body = "" if parcel.ascii else " BODY=8BITMIME"
        wide = not (parcel.sender.isascii() and parcel.recipient.isascii())
        return size + body + (" SMTPUTF8" if wide else "")

    def rcpt(self, parcel: Parcel) -> bytes:
        return f"RCPT TO:<{parcel.recipient}>\r\n".encode()

    # what was heard

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.read

    def buffer_updated(self, nbytes: int) -> None:
        self.replies.feed(bytes(self.read[:nbytes]))
        try:
            while not self.over and (reply := self.replies.take()) is not None:
                self.heard(*reply)
        except Nonsense as error:
            self.astray(0, str(error))

    def heard(self, code: int, said: str) -> None:
        if self.step == QUIT:
            self.end(closed(self.server, "it said goodbye"))
        elif not self.flight:
            self.end(closed(self.server, f"{code} {masked(said, '')}", code))
        elif code in OF_US:
            self.dismissed(code, said)
        elif self.step == RSET:
            self.heard_rset(code, said)
        elif self.flight[0].refusal is not None:
            self.heard_more(code, said)
        elif self.step == END:
            self.heard_end(code, said)
        elif code == 354 and self.step == DATA and not self.replies.more:
            self.write_text()
        elif code // 100 == 2 and self.step < DATA:
            self.accepted()
        elif code // 100 in (4, 5) and code != 503 and self.step != HELD:
            self.refused(code, said)
        else:
            self.astray(code, said)

    def accepted(self) -> None:
        """MAIL or RCPT."""
        step = self.step + 1
        self.expect(step, self.times.rcpt if step == RCPT else self.times.data)
        if not self.offer.pipelining:
            head = self.flight[0]
            self.transport.write(self.rcpt(head) if step == RCPT else b"DATA\r\n")

    def write_text(self) -> None:
        """As soon as it may; from here on the mail may be delivered, whatever happens to us."""
        if not self.owner.admit(self, self.flight[0]):
            self.expect(HELD, HELD_SECONDS)
            return
        self.expect(END, self.times.end)
        self.transport.write(b"".join((self.flight[0].mail, b".\r\n", self.following())))

    def heard_end(self, code: int, said: str) -> None:
        kind = code // 100
        if kind not in (2, 4, 5) or code == 503 or (kind == 2 and self.unwritten()):
            self.astray(code, said)
        else:
            self.settle(self.judged(code, said))
            self.advance()

    def unwritten(self) -> bool:
        """Whether the dot can't have reached the server yet."""
        behind = 1000 if len(self.flight) > 1 else 0
        return self.transport.get_write_buffer_size() > behind

    def refused(self, code: int, said: str) -> None:
        self.flight[0].refusal = self.judged(code, said)
        if self.offer.pipelining and self.step < DATA:
            self.expect(self.step + 1, self.times.rcpt)
        else:
            self.reset()

    def heard_more(self, code: int, said: str) -> None:
        """Answers to commands that were written before the refusal was known."""
        refusal = self.flight[0].refusal
        assert refusal is not None
        if self.step == DATA and code == 354 and refusal.stage == "rcpt":
            self.expect(END, self.times.end)
            self.transport.write(b".\r\n")  # RFC 2920, 3.1: a message to nobody
        elif self.step == END or (self.step == DATA and code // 100 in (4, 5)):
            self.reset()
        elif self.step == RCPT and code // 100 in (4, 5):
            self.expect(DATA, self.times.data)
        else:
            self.astray(code, said)

    def reset(self) -> None:
        """End the transaction, and see by the answer whether we are in step."""
        self.expect(RSET, self.times.mail)
        self.transport.write(b"RSET\r\n" + self.following())

    def heard_rset(self, code: int, said: str) -> None:
        refusal = self.flight[0].refusal
        assert refusal is not None
        if code // 100 == 2:
            self.settle(refusal)
            self.advance()
        else:
            self.astray(code, said)

    def advance(self) -> None:
        if self.flight:
            self.expect(MAIL, self.times.mail)
            return
        self.expect(IDLE, IDLE_SECONDS)
        self.take()

    def judged(self, code: int, said: str) -> Verdict:
        recipient = self.flight[0].recipient
        return judged(KINDS[code // 100], self.stage, code, said, recipient, self.name)

    @property
    def stage(self) -> Stage:
        return STAGES.get(self.step, "data")

    def settle(self, outcome: Outcome) -> None:
        self.owner.settle(self.flight.popleft(), outcome)

    # how it ends

    def astray(self, code: int, said: str) -> None:
        """No answer to what was asked: nothing on this connection can be believed any more."""
        if self.step == QUIT or not self.flight:
            self.end(closed(self.server, "its answers make no sense"))
            return
        refusal = self.flight[0].refusal
        stage = refusal.stage if refusal else self.stage
        recipient = self.flight[0].recipient
        self.settle(judged("later", stage, code, said, recipient, self.name))
        self.end(closed(self.server, "its answers make no sense"))

    def dismissed(self, code: int, said: str) -> None:
        """The server speaks of us: no mail's fault."""
        head = self.flight[0]
        self.unlucky(closed(self.server, f"{code} {masked(said, head.recipient)}", code))

    def lost(self) -> None:
        """No more answers. Later than at MAIL, the mail may be what breaks the server."""
        problem = closed(self.server, SILENT)
        if not self.flight:
            self.end(problem)
        elif self.step in (MAIL, HELD):
            self.unlucky(problem)
        else:
            if self.flight[0].refusal is None:
                self.settle(Verdict("later", self.stage, 0, None, SILENT, self.name))
            self.end(problem)

    def unlucky(self, problem: RoadClosed) -> None:
        """The first mail ends with the connection; one that was kept may have had its day."""
        head, kept = self.flight[0], self.mails > len(self.flight)
        if not kept:
            self.owner.rest(self.server)
        if head.refusal is None and (head.again or not kept):
            self.settle(problem)
        elif head.refusal is None:
            head.again = True
        self.end(problem)

    def end(self, problem: RoadClosed) -> None:
        """Close. What was refused was refused; what was not tried goes back."""
        self.over = True
        self.step = QUIT
        if self.timer is not None:
            self.timer.cancel()
        self.transport.abort()
        if self.flight and (refusal := self.flight[0].refusal) is not None:
            self.settle(refusal)
        while self.flight:
            self.owner.give_back(self.flight.pop())
        self.owner.gone(self, problem)

    def abandon(self, parcel: Parcel) -> None:
        """Nobody wants to know any more: if it is this mail that is waited for, the rest goes on
        elsewhere."""
        if self.flight and self.flight[0] is parcel:
            self.settle(Verdict("later", self.stage, 0, None, SILENT, self.name))
            self.end(closed(self.server, SILENT))

    def drop(self) -> None:
        """End at once, whatever is on the way."""
        if not self.over:
            self.lost()

    def quit(self) -> None:
        """Say goodbye, and wait a little for the answer."""
        if self.step == IDLE:
            self.expect(QUIT, QUIT_SECONDS)
            self.transport.write(b"QUIT\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        self.drop()

    def eof_received(self) -> None:
        self.drop()

    # how long it takes

    def expect(self, step: int, seconds: float) -> None:
        self.step = step
        self.wait(seconds)

    def wait(self, seconds: float) -> None:
        """One timer a connection: it looks when it goes off whether it was put off meanwhile."""
        self.deadline = self.loop.time() + seconds
        if self.timer is None or self.deadline < self.timer.when():
            if self.timer is not None:
                self.timer.cancel()
            self.timer = self.loop.call_at(self.deadline, self.tick)

    def tick(self) -> None:
        self.timer = None
        left = self.deadline - self.loop.time()
        if left > 0:
            self.wait(left)
        elif self.step == IDLE:
            self.quit()
        elif self.step == HELD:
            self.settle(None)
            self.end(closed(self.server, SILENT))
        else:
            self.drop()

    def pause_writing(self) -> None:
        self.wait(self.times.block)

    def resume_writing(self) -> None:
        if self.step == END:
            self.wait(self.times.end)
