"""A mail server that takes everything and writes down who got what, when; with PIPELINING.

    python -m bench.sink LOG PORT [PORT …] [--late SECONDS]

A line a mail in LOG, written before the mail is answered: time, port, recipient, Message-ID, and
when the connection was opened that it came on.
`--late`: each answer comes so much later, as over a long way; answers don't wait for one another.
"""

import argparse
import asyncio
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TextIO

MESSAGE_ID = re.compile(rb"^Message-ID: <([^>]+)>", re.MULTILINE)
OFFER = b"250-sink.example.org\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"


@dataclass(frozen=True)
class Mail:
    """As it came: at which port, the envelope, the text with its dots doubled; `opened`: when the
    connection was."""

    port: int
    sender: str
    recipient: str
    raw: bytes
    opened: float


class Connection(asyncio.Protocol):
    """One client, each of whose mails `take` is given before it is answered."""

    def __init__(self, take: Callable[[Mail], None], port: int, late: float = 0) -> None:
        self.take, self.port, self.late = take, port, late
        self.buffer = bytearray()
        self.text = False
        self.sender = self.recipient = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.opened = time.time()
        self.say(b"220 sink.example.org ESMTP\r\n")

    def say(self, answer: bytes) -> None:
        if self.late:
            asyncio.get_running_loop().call_later(self.late, self.transport.write, answer)
        else:
            self.transport.write(answer)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while True:
            end = b"\r\n.\r\n" if self.text else b"\r\n"
            found = self.buffer.find(end)
            if found < 0:
                return
            piece = bytes(self.buffer[:found])
            del self.buffer[: found + len(end)]
            self.say(self.took(piece) if self.text else self.answer(piece))

    def took(self, raw: bytes) -> bytes:
        self.text = False
        self.take(Mail(self.port, self.sender, self.recipient, raw, self.opened))
        return b"250 2.0.0 taken\r\n"

    def answer(self, line: bytes) -> bytes:
        verb = line[:4].upper()
        if verb == b"EHLO":
            return OFFER
        if verb == b"MAIL":
            self.sender = within(line)
        if verb == b"RCPT":
            self.recipient = within(line)
        if verb == b"DATA":
            self.text = True
            return b"354 go on\r\n"
        if verb == b"QUIT":
            asyncio.get_running_loop().call_later(self.late + 0.01, self.transport.close)
            return b"221 2.0.0 bye\r\n"
        return b"250 2.0.0 fine\r\n"


def within(line: bytes) -> str:
    """The address in angle brackets."""
    return line.partition(b"<")[2].partition(b">")[0].decode()


def message_id(raw: bytes) -> str:
    found = MESSAGE_ID.search(raw)
    return found[1].decode() if found else "-"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.sink", description=__doc__)
    parser.add_argument("log")
    parser.add_argument("ports", type=int, nargs="+")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--late", type=float, default=0.0)
    given = parser.parse_args()
    with Path(given.log).open("a", encoding="utf-8") as log:
        asyncio.run(serve(log, given.host, given.ports, given.late))


async def serve(log: TextIO, host: str, ports: Sequence[int], late: float) -> None:
    loop = asyncio.get_running_loop()

    def write(mail: Mail) -> None:
        who = f"{mail.port} {mail.recipient} {message_id(mail.raw)}"
        log.write(f"{time.time():.4f} {who} {mail.opened:.4f}\n")
        log.flush()

    def client(port: int) -> Connection:
        return Connection(write, port, late)

    for port in ports:
        await loop.create_server(partial(client, port), host, port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    main()
