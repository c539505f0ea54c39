"""Signing in processes of its own: a signature takes longer than all else that a mail costs.

Threads are no help: each comes back from OpenSSL to wait for the one that sends. A process gets the
keys by its standard input, once, never by its command line or environment, and ends with whoever
started it, however that ends: its input is at its end then.

A question is a number of hashes (two bytes), and for each the number of a key (one byte) and 32
bytes; the answer is a line, the signatures in base64 with spaces between them.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TypeAlias

from mailer import config, dkim
from mailer.dkim import Signer

PROCESSES = min(os.cpu_count() or 1, 4)
"""Four make more signatures than one loop sends mails."""

COUNT_BYTES = 2
HASH_BYTES = 32
MOST_ANSWER = 1 << 20

Asked: TypeAlias = tuple[int, bytes]
"""The number of a key, and a hash to sign with it."""


class Hand:
    """One process, started anew if it ends. Questions are answered in the order they come."""

    def __init__(self, signers: Sequence[Signer]) -> None:
        self.signers = signers
        self.running: asyncio.subprocess.Process | None = None
        self.starting = asyncio.Lock()
        self.waiting: deque[asyncio.Future[Sequence[str]]] = deque()
        self.reading: asyncio.Task[None] | None = None

    async def sign(self, asked: Sequence[Asked]) -> Sequence[str]:
        """Raises OSError or EOFError if the process ended meanwhile."""
        process = await self.started()
        assert process.stdin is not None
        answer: asyncio.Future[Sequence[str]] = asyncio.get_running_loop().create_future()
        self.waiting.append(answer)
        process.stdin.write(
            len(asked).to_bytes(COUNT_BYTES, "big")
            + b"".join(bytes((key,)) + hashed for key, hashed in asked)
        )
        return await answer

    async def started(self) -> asyncio.subprocess.Process:
        async with self.starting:
            if self.running is None:
                self.running = await self.start()
                self.reading = asyncio.create_task(self.read(self.running))
            return self.running

    async def start(self) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "mailer.dkim.signing"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=MOST_ANSWER,
            env=config.inherited(),
        )
        assert process.stdin is not None
        keys = [dkim.written(signer.key) for signer in self.signers]
        process.stdin.write(json.dumps(keys).encode() + b"\n")
        return process

    async def read(self, process: asyncio.subprocess.Process) -> None:
        """Answers, until the process ends; who still waits hears of it."""
        assert process.stdout is not None
        try:
            while (line := await process.stdout.readline()).endswith(b"\n"):
                answer = self.waiting.popleft()
                if not answer.done():
                    answer.set_result(line.decode().split())
        finally:
            self.running = None
            while self.waiting:
                answer = self.waiting.popleft()
                if not answer.done():
                    answer.set_exception(EOFError("the process that signs has ended"))

    async def stop(self) -> None:
        process, reading = self.running, self.reading
        if process is None or reading is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
        await reading


class Signing:
    """Several of them."""

    def __init__(self, signers: Sequence[Signer], processes: int = PROCESSES) -> None:
        self.signers = signers
        self.hands = [Hand(signers) for _ in range(processes)]

    async def sign(self, asked: Sequence[Asked]) -> Sequence[str]:
        """By whoever has least to do; by another process, once, if that one ends meanwhile."""
        with contextlib.suppress(OSError, EOFError):
            return await self.idlest().sign(asked)
        return await self.idlest().sign(asked)

    def idlest(self) -> Hand:
        return min(self.hands, key=lambda hand: len(hand.waiting))

    async def stop(self) -> None:
        for hand in self.hands:
            await hand.stop()


@asynccontextmanager
async def signing(signers: Sequence[Signer]) -> AsyncIterator[Signing]:
    """They run from the beginning, that the first mail need not wait; none if nobody signs."""
    made = Signing(signers)
    try:
        if signers:
            await asyncio.gather(*(hand.started() for hand in made.hands))
        yield made
    finally:
        await made.stop()


# in the process


def main() -> None:
    """Until the input ends; a signal to all of a group is for the worker, who still needs us."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    given, said = sys.stdin.buffer, sys.stdout.buffer
    signers = [Signer("", "", dkim.read(key)) for key in json.loads(given.readline())]
    while count := int.from_bytes(given.read(COUNT_BYTES), "big"):
        asked = given.read(count * (1 + HASH_BYTES))
        if len(asked) < count * (1 + HASH_BYTES):
            return
        signed = [
            signers[asked[at]].sign_hash(asked[at + 1 : at + 1 + HASH_BYTES])
            for at in range(0, len(asked), 1 + HASH_BYTES)
        ]
        said.write(" ".join(signed).encode() + b"\n")
        said.flush()


if __name__ == "__main__":
    main()
