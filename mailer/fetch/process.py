"""The parser in a process of its own, so that a feed that hangs it or eats memory hurts nothing.

A question is a line of JSON and the feed's bytes; the answer is a line of JSON: never a pickle,
which would run what a parser gone wrong had put into it. The process holds no setting, no secret.
"""

import asyncio
import contextlib
import json
import resource
import signal
import sys
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from mailer import config
from mailer.articles import Draft, Enclosed, Image
from mailer.feeds import Document
from mailer.fetch.items import Source, Unreadable
from mailer.fetch.parser import read

MEMORY = 1 << 30
MOST_ANSWER = 64 << 20
DOCUMENTS = 100
"""After so many the process is replaced: whatever it leaked goes with it."""


async def alone(module: str) -> asyncio.subprocess.Process:
    """A module of ours as a process that knows nothing but what it is asked."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        module,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=MOST_ANSWER,
        env=config.inherited(),
    )


class Parser:
    """One warm process, started at need, killed when it takes too long."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.running: asyncio.subprocess.Process | None = None
        self.documents = 0
        self.turn = asyncio.Lock()

    async def parse(self, body: bytes, source: Source) -> Document:
        """Raises Unreadable."""
        async with self.turn:
            try:
                async with asyncio.timeout(self.seconds):
                    answer = await self.ask(body, source)
            except TimeoutError:
                await self.stop()
                raise Unreadable("Reading the feed took too long: it must be simpler.") from None
            except (OSError, ValueError, EOFError):
                await self.stop()
                raise Unreadable("The feed is too much to read: it must be smaller.") from None
            except BaseException:
                await self.stop()  # its answer would be taken for that to the next question
                raise
        if "problem" in answer:
            raise Unreadable(answer["problem"])
        return document(answer)

    async def ask(self, body: bytes, source: Source) -> dict[str, Any]:
        if self.documents >= DOCUMENTS:
            await self.stop()
        process = self.running or await self.start()
        assert process.stdin is not None
        assert process.stdout is not None
        question = {"length": len(body), "seconds": self.seconds, **asdict(source)}
        process.stdin.write(json.dumps(question).encode() + b"\n" + body)
        await process.stdin.drain()
        line = await process.stdout.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        self.documents += 1
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def start(self) -> asyncio.subprocess.Process:
        self.documents = 0
        self.running = await alone("mailer.fetch.process")
        return self.running

    async def stop(self) -> None:
        if self.running is None:
            return
        process, self.running = self.running, None
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        # What is left in the pipe goes with it: else waiting for its end would never end.
        process._transport.close()  # type: ignore[attr-defined]  # no public way to close them
        await process.wait()


def document(answer: dict[str, Any]) -> Document:
    """An answer as what it was before it crossed the pipe."""
    given = answer["document"]
    ttl = given["ttl"]
    return Document(
        title=given["title"],
        language=given["language"],
        drafts=tuple(draft(item) for item in given["drafts"]),
        ttl=None if ttl is None else timedelta(seconds=ttl),
        skip_hours=tuple(given["skip_hours"]),
        skip_days=tuple(given["skip_days"]),
    )


def draft(item: dict[str, Any]) -> Draft:
    when = item["published_at"]
    return replace(
        Draft(**item),
        published_at=None if when is None else datetime.fromisoformat(when),
        attachments=tuple(Enclosed(**file) for file in item["attachments"]),
        categories=tuple(item["categories"]),
        related=(),  # no format has them
        image=item["image"] and Image(**item["image"]),
    )


# in the process


def plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    raise TypeError


def limit(seconds: float) -> None:
    """The kernel's word, should the one who asked be dead: so much memory, and this long."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    for what, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime + seconds) + 2),
    ):
        with contextlib.suppress(ValueError, OSError):  # macOS knows no RLIMIT_AS
            resource.setrlimit(what, (most, resource.getrlimit(what)[1]))


def answer(body: bytes, source: Source) -> bytes:
    try:
        said: dict[str, object] = {"document": asdict(read(body, source))}
    except Unreadable as problem:
        said = {"problem": str(problem)}
    except MemoryError:
        said = {"problem": "The feed takes too much memory to read: it must be smaller."}
    except Exception:  # whatever a parser of twenty formats may raise is the feed's fault
        said = {"problem": "The feed is too broken to be read."}
    return json.dumps(said, default=plain).encode() + b"\n"


def main() -> None:
    """Answer until the other end is gone."""
    for ignored in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)  # the other end decides, by closing the pipe
    while line := sys.stdin.buffer.readline():
        question = json.loads(line)
        limit(question.pop("seconds"))
        body = sys.stdin.buffer.read(question.pop("length"))
        sys.stdout.buffer.write(answer(body, Source(**question)))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
