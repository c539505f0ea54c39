"""A shelf of mail servers that misbehave, each in one way, at a place of your choice.

`Server` keeps to RFC 5321 but for its `Fault`, which befalls the first connection only. It knows
the truth: `accepted` are the recipients whose mail it took, `confirmed` those it told so in full.

A server that leaves one answer out and gives the next is not on the shelf: no client could tell.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

from mailer import config
from mailer.config import Smtp

End = Literal["close", "hang"]

EXTENSIONS = ("PIPELINING", "SIZE 1000000", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")
ENDLESS = 1_000_000
"""Bytes: by then the client must have gone."""


class Ended(Exception):
    """The connection goes no further."""


@dataclass
class Fault:
    """What goes wrong after EHLO. `twist` gets a verb, the reply's number and what to say to it.

    `read`, `write`: bytes after which the server ends (`how`); `after`: mails after which it does.
    """

    twist: Callable[[str, int, bytes], bytes] = lambda verb, number, reply: reply
    read: int | None = None
    write: int | None = None
    after: int | None = None
    how: End = "close"
    late: float = 0


@dataclass
class Server:
    """`lenient`: it says 354 to DATA although it refused the recipient."""

    fault: Fault = field(default_factory=Fault)
    refused: dict[str, str] = field(default_factory=dict)
    extensions: tuple[str, ...] = EXTENSIONS
    lenient: bool = False
    accepted: list[str] = field(default_factory=list)
    confirmed: list[str] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    unread: bytes = b""
    connections: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task
        self.tasks.add(task)
        fault = self.fault if self.connections == 1 else Fault()
        try:
            await self.through(fault, reader, writer)
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            writer.transport.abort()

    async def through(
        self, fault: Fault, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """To close is to say no more: what was said before still arrives."""
        talk = Talk(self, fault, reader, writer)
        with suppress(ConnectionError, Ended):
            await talk.run()
        self.unread = talk.buffer
        if fault.how == "close":
            with suppress(OSError, RuntimeError):
                writer.write_eof()
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                self.unread += data

    @asynccontextmanager
    async def running(self, scheme: str = "smtp", query: str = "") -> AsyncIterator[Smtp]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            yield config.smtp(f"{scheme}://127.0.0.1:{port}{query}")
        finally:
            server.close()
            for task in self.tasks:
                task.cancel()
            await asyncio.gather(*self.tasks, return_exceptions=True)


class Talk:
    """One connection."""

    def __init__(
        self,
        server: Server,
        fault: Fault,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.server = server
        self.fault = fault
        self.reader = reader
        self.writer = writer
        self.begun = False
        self.buffer = b""
        self.read = self.written = self.replies = self.mails = 0

    async def run(self) -> None:
        self.writer.write(b"220 shelf ESMTP\r\n")
        await self.line()
        offered = "\r\n".join(f"250-{each}" for each in ("shelf", *self.server.extensions))
        self.writer.write(f"{offered}\r\n250 HELP\r\n".encode())
        self.begun = True
        self.mail, self.recipient = False, ""
        while True:
            line = await self.line()
            self.server.commands.append(line)
            await self.command(line.split(":")[0].split()[0].upper(), line)

    async def command(self, verb: str, line: str) -> None:
        if verb == "MAIL":
            began = await self.say(verb, "503 5.5.1 nested" if self.mail else "250 2.1.0 Ok")
            self.mail, self.recipient = self.mail or began, ""
        elif verb == "RCPT":
            await self.rcpt(line.partition("<")[2].partition(">")[0])
        elif verb == "DATA":
            await self.data()
        else:
            self.mail, self.recipient = False, ""
            await self.say(verb, "221 bye" if verb == "QUIT" else "250 2.0.0 Ok")

    async def rcpt(self, recipient: str) -> None:
        if not self.mail:
            await self.say("RCPT", "503 5.5.1 MAIL first")
        elif recipient in self.server.refused:
            await self.say("RCPT", self.server.refused[recipient])
        elif await self.say("RCPT", "250 2.1.5 Ok"):
            self.recipient = recipient

    async def data(self) -> None:
        if not self.recipient and not (self.mail and self.server.lenient):
            await self.say("DATA", "503 5.5.1 RCPT first")
        elif await self.say("DATA", "354 go on"):
            await self.text()

    async def text(self) -> None:
        text = b""
        while text != b".\r\n" and not text.endswith(b"\r\n.\r\n"):
            text += await self.until(b"\n")
        recipient, self.mail, self.recipient = self.recipient, False, ""
        if not recipient:
            await self.say("END", "554 5.5.1 no valid recipients")
            return
        self.server.accepted.append(recipient)
        if await self.say("END", "250 2.0.0 Ok: queued"):
            self.server.confirmed.append(recipient)
            self.server.texts.append(text[:-3])
            self.mails += 1
        else:
            self.server.accepted.remove(recipient)
        if self.mails == self.fault.after:
            raise Ended

    async def say(self, verb: str, usual: str) -> bool:
        """Whether it was said as usual, but perhaps more after it."""
        await asyncio.sleep(self.fault.late)
        reply = f"{usual}\r\n".encode()
        said = self.fault.twist(verb, self.replies, reply)
        self.replies += 1
        left = len(said) if self.fault.write is None else self.fault.write - self.written
        self.writer.write(said[:left])
        self.written += len(said)
        await self.writer.drain()
        if left < len(said):
            raise Ended
        return said.startswith(reply) and usual[0] in "23"

    async def line(self) -> str:
        return (await self.until(b"\n")).decode().rstrip("\r\n")

    async def until(self, end: bytes) -> bytes:
        while end not in self.buffer:
            most = 65536
            if self.begun and self.fault.read is not None:
                most = self.fault.read - self.read
                if not most:
                    raise Ended
            data = await self.reader.read(most)
            if not data:
                raise Ended
            if self.begun:
                self.read += len(data)
            self.buffer += data
        found, _, self.buffer = self.buffer.partition(end)
        return found + end
