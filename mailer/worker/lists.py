"""Lists that staff upload: read where the event loop is not held up, some lines at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from itertools import islice

from mailer.errors import Invalid
from mailer.imports import Person, Reading, Terms, Wrong, files, sift
from mailer.imports.files import Claimed, Some
from mailer.imports.reading import Read
from mailer.worker.loops import Part

AT_ONCE = 1000


class Pieces:
    """A file as a thread reads it; its pieces come from the event loop."""

    def __init__(self, piece: Callable[[int], Awaitable[bytes]]) -> None:
        self.piece = piece
        self.loop = asyncio.get_running_loop()
        self.number, self.rest = 0, b""

    def read(self, size: int, /) -> bytes:
        if not self.rest:
            coming = asyncio.run_coroutine_threadsafe(self.next(), self.loop)
            self.rest, self.number = coming.result(), self.number + 1
        taken = self.rest[:size]
        self.rest = self.rest[size:]
        return taken

    async def next(self) -> bytes:
        return await self.piece(self.number)


class Lists(Part):
    """One file at a time."""

    async def read(self) -> bool:
        async with self.pool.acquire() as conn, conn.transaction():
            claimed = await files.claim(conn, self.id)
        if claimed is None:
            return False
        try:
            await self.loops.unless_stopped(self.stage(claimed))
        except Invalid as error:
            async with self.pool.acquire() as conn, conn.transaction():
                await files.break_off(conn, self.id, claimed.id, error)
        return True

    async def stage(self, claimed: Claimed) -> None:
        """From where somebody came to, to its end. Raises Invalid if it can't be read."""
        async with self.pool.acquire() as conn:
            terms = await files.terms(conn, claimed)
            house = await files.house(conn, self.keys)

        async def piece(number: int) -> bytes:
            async with self.pool.acquire() as own:
                return await files.piece(own, house, claimed.id, number)

        reading = await asyncio.to_thread(Reading, Pieces(piece), claimed.how)
        lines = (line for line in reading if line.number > claimed.lines)
        ended = False
        while not ended:
            some = await asyncio.to_thread(sifted, reading, lines, terms)
            ended = some.ended
            async with self.pool.acquire() as conn, conn.transaction():
                if not await files.stage(conn, self.keys, self.id, claimed.id, some):
                    return
                if ended:
                    await files.finish(conn, claimed.id, reading.sha256)


def sifted(reading: Reading, lines: Iterator[Read], terms: Terms) -> Some:
    """The next of them. Raises Invalid where the file can't be read on."""
    people: list[Person] = []
    wrong: list[Wrong] = []
    passed, read, number = 0, 0, 0
    for line in islice(lines, AT_ONCE):
        read, number = read + 1, line.number
        found = sift(line, terms)
        if isinstance(found, Person):
            people.append(found)
        elif isinstance(found, Wrong):
            wrong.append(found)
        else:
            passed += 1
    return Some(people, wrong, passed, number, reading.source.position, read < AT_ONCE)
