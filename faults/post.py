"""The mail server that everything ends in: it knows what arrived, and can misbehave."""

import asyncio
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy

from bench import place, sink

CONFIRM = re.compile(r"http\S+(/confirm/[\w-]{27})")
DIGEST = b"\r\nList-Unsubscribe-Post:"
"""A header that digests have and confirmation mails have not."""

NO_RECIPIENT = b"554 5.5.1 no valid recipients\r\n"


@dataclass(frozen=True)
class Mail:
    """One that arrived whole, whether or not the answer to it did. `at`: monotonic.

    `link`: the path that confirms, in a confirmation mail.
    """

    at: float
    sender: str
    recipient: str
    message: str
    digest: bool
    link: str | None


@dataclass
class Post:
    """`late`: seconds before each answer; `refusal`: what every recipient is answered with, if
    anything, and `refused` those who were."""

    host: str = "127.0.0.1"
    port: int = field(default_factory=place.free_port)
    late: float = 0.0
    refusal: bytes | None = None
    mails: list[Mail] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    lines: set["Line"] = field(default_factory=set)
    awaited: dict[str, "asyncio.Future[Mail]"] = field(default_factory=dict)
    server: asyncio.Server | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Post"]:
        await self.come()
        try:
            yield self
        finally:
            self.go()

    async def come(self) -> None:
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(lambda: Line(self), self.host, self.port)

    def go(self) -> None:
        """At once, in the middle of whatever is said."""
        if self.server is not None:
            self.server.close()
            self.server = None
        for line in list(self.lines):
            line.transport.abort()

    def take(self, mail: sink.Mail) -> None:
        digest = DIGEST in mail.raw.partition(b"\r\n\r\n")[0]
        link = None if digest else confirming(mail.raw)
        name = sink.message_id(mail.raw)
        kept = Mail(time.monotonic(), mail.sender, mail.recipient, name, digest, link)
        self.mails.append(kept)
        if link and (waiting := self.awaited.get(kept.recipient)) and not waiting.done():
            waiting.set_result(kept)

    async def confirmation(self, recipient: str) -> Mail:
        """The first one to that address."""
        for mail in self.mails:
            if mail.recipient == recipient and mail.link:
                return mail
        waiting = self.awaited.setdefault(recipient, asyncio.get_running_loop().create_future())
        return await waiting

    def digests(self) -> Sequence[Mail]:
        return [mail for mail in self.mails if mail.digest]


class Line(sink.Connection):
    """One client's."""

    def __init__(self, post: Post) -> None:
        super().__init__(post.take, post.port)
        self.post = post
        self.unsaid: deque[bytes] = deque()
        self.turned_away = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.post.lines.add(self)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.post.lines.discard(self)

    def say(self, answer: bytes) -> None:
        """Answers keep their order when the server grows faster."""
        self.unsaid.append(answer)
        asyncio.get_running_loop().call_later(self.post.late, self.say_next)

    def say_next(self) -> None:
        answer = self.unsaid.popleft()
        if self.transport.is_closing():
            return
        self.transport.write(answer)
        if answer.startswith(b"421"):
            self.transport.close()

    def answer(self, line: bytes) -> bytes:
        verb, refusal = line[:4].upper(), self.post.refusal
        if verb == b"MAIL":
            self.turned_away = False
        if verb == b"RCPT" and refusal:
            self.turned_away = True
            if refusal.startswith(b"5"):
                self.post.refused.add(sink.within(line))
            return refusal
        if verb == b"DATA" and self.turned_away:
            return NO_RECIPIENT
        return super().answer(line)


def confirming(mail: bytes) -> str | None:
    """The path of the link in a confirmation mail; None: it is another letter."""
    part = message_from_bytes(mail, policy=policy.default).get_body(("plain",))
    found = CONFIRM.search(str(part.get_content())) if part else None
    return found[1] if found else None
