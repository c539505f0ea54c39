"""SMTP and LMTP: mails go out on kept connections, one recipient a transaction.

What a server says of a mail is a `Verdict`; what it says of us, or a server that can't be reached,
closes the road (`RoadClosed`) and is no mail's fault. After a cancel, a time-out or anything odd a
connection is closed: the library would pair later commands with earlier replies.
"""

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Self

from mailer import address
from mailer.config import Smtp
from mailer.smtp.connecting import connect, literal
from mailer.smtp.session import Lost, RoadClosed, Session, Stage, Times, Verdict, closed

__all__ = ["DEPTH", "Road", "RoadClosed", "Stage", "Times", "Verdict"]

REST_SECONDS = 60.0
DEPTH = 2
MAILBOX = re.compile(r"[^\s<>@\x00-\x1f\x7f]+@[^\s<>@\x00-\x1f\x7f]+")


class Road:
    """At most `connections` sessions, to the first of `servers` that works.

    `name`: who we are, for EHLO. `close` may be called at any time; the road opens again by need.
    """

    def __init__(
        self,
        servers: Sequence[Smtp],
        connections: int,
        *,
        name: str = "localhost",
        times: Times | None = None,
    ) -> None:
        self.servers = servers
        self.name = literal(name)
        self.times = times or Times()
        self.idle: list[Session] = []
        self.connections = connections
        self.handed: set[asyncio.Task[None]] = set()
        self.seats = asyncio.Semaphore(connections)
        self.resting: dict[Smtp, float] = {}
        self.farewells: set[asyncio.Task[None]] = set()

    async def send(self, mail: bytes, sender: str, recipient: str) -> Verdict:
        """Hand a mail over. Raises RoadClosed. Cancelled, it may or may not have gone."""
        sender, recipient = envelope(sender), envelope(recipient)
        if not mail.endswith(b"\r\n") or not mail.count(b"\n") == mail.count(b"\r\n") == (
            mail.count(b"\r")
        ):
            raise ValueError("a mail's lines end in CRLF")
        async with self.seats:
            kept = self.kept()
            if kept is not None:
                # It may have been closed since, or be told to go: that says nothing of the road.
                with suppress(RoadClosed, Lost):
                    return await self.through(kept, mail, sender, recipient, again=True)
            return await self.through(await self.open(), mail, sender, recipient, again=False)

    async def room(self, most: int) -> int:
        while len(self.handed) >= self.connections:
            await asyncio.wait(self.handed, return_when=asyncio.FIRST_COMPLETED)
        if not self.idle:
            await self.try_out()
        return min(most, self.connections - len(self.handed))

    async def hand(
        self, mail: bytes, sender: str, recipient: str, done: Callable[[Verdict | RoadClosed], None]
    ) -> None:
        async def go() -> None:
            try:
                outcome: Verdict | RoadClosed = await self.send(mail, sender, recipient)
            except RoadClosed as error:
                outcome = error
            done(outcome)

        task = asyncio.create_task(go())
        self.handed.add(task)
        task.add_done_callback(self.handed.discard)

    async def drain(self) -> None:
        while self.handed:
            await asyncio.wait(self.handed)

    async def through(
        self, session: Session, mail: bytes, sender: str, recipient: str, *, again: bool
    ) -> Verdict:
        """Send, and keep the session or close it. `again`: what came to nothing may be raised."""
        try:
            verdict = await session.send(mail, sender, recipient)
        except Lost as lost:
            session.client.close()
            return self.lost(lost, session.server, again=again)
        except RoadClosed:
            if not again:
                self.rest(session.server)
            self.part(session)
            raise
        except BaseException:
            session.client.close()
            raise
        if session.good:
            self.idle.append(session)
        else:
            self.part(session)
        return verdict

    def lost(self, lost: Lost, server: Smtp, *, again: bool) -> Verdict:
        """At MAIL nothing was said of the mail; later the mail may be what breaks the server."""
        reason = "the connection was lost or timed out"
        if lost.args[0] != "mail":
            return Verdict("later", lost.args[0], 0, None, reason, repr(server))
        if again:
            raise lost
        self.rest(server)
        raise closed(server, reason) from lost

    def kept(self) -> Session | None:
        while self.idle:
            session = self.idle.pop()
            if session.good:
                return session
            self.part(session)
        return None

    def part(self, session: Session) -> None:
        """Say goodbye without waiting for the answer."""
        task = asyncio.create_task(session.quit())
        self.farewells.add(task)
        task.add_done_callback(self.farewells.discard)

    async def open(self) -> Session:
        """A new session. Raises RoadClosed, about the last server tried."""
        if not self.servers:
            raise RoadClosed("There is no mail server to send by: set MAILER_SMTP_URL.")
        now = time.monotonic()
        for server in sorted(self.servers, key=lambda s: self.resting.get(s, 0) > now):
            try:
                opened = await connect(server, self.name, self.times)
            except RoadClosed as error:
                self.rest(server)
                problem = error
            else:
                self.resting.pop(server, None)
                return opened
        raise problem

    def rest(self, server: Smtp) -> None:
        """For a while the others go first."""
        self.resting[server] = time.monotonic() + REST_SECONDS

    async def try_out(self) -> None:
        """Go as far as the login. Raises RoadClosed."""
        self.idle.append(await self.open())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Say goodbye on all idle connections."""
        while self.idle:
            self.part(self.idle.pop())
        await asyncio.gather(*self.farewells)


def envelope(given: str) -> str:
    """An address between angle brackets; the empty one is for mails that want no bounces."""
    wired = address.wire(given)
    if wired and not MAILBOX.fullmatch(wired):
        raise ValueError("not an address for an envelope")
    return wired
