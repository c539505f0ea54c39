"""Where forms come in: those of the same moment are one statement and one commit.

Each is answered when its own row is durable. While one commit is under way, the forms that come
wait for the next: the more there are, the less each costs, and nobody waits for two.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeAlias

from aiohttp import web

from mailer import floods
from mailer.db import Connection, Pool
from mailer.newsletters import Newsletter
from mailer.subscriptions import requests
from mailer.subscriptions.requests import Kept, Left
from mailer.web import page

log = logging.getLogger(__name__)

INTAKE: web.AppKey["Intake"] = web.AppKey("intake")
TOGETHER = 100
COUNT_SECONDS = 1.0

Waiting: TypeAlias = tuple[Left, "asyncio.Future[Kept]"]


@dataclass
class Intake:
    """Of one web process."""

    pool: Pool
    waiting: list[Waiting] = field(default_factory=list)
    some: asyncio.Event = field(default_factory=asyncio.Event)
    counted: Counter[int] = field(default_factory=Counter)

    async def leave(self, left: Left, asked_for: Sequence[Newsletter]) -> Kept:
        """Keep a form; returns when it is durable, or counted as one too many."""
        self.counted.update(newsletter.id for newsletter in asked_for)
        answer: asyncio.Future[Kept] = asyncio.get_running_loop().create_future()
        self.waiting.append((left, answer))
        self.some.set()
        return await answer

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Forms are taken while the block runs."""
        tasks = [asyncio.create_task(each) for each in (self.take_on(), self.count_on())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with suppress(*page.LOST):
                await self.count()

    async def take_on(self) -> None:
        """A connection is kept, for the pool asks the database something at each return."""
        while True:
            await self.some.wait()
            try:
                async with self.pool.acquire() as conn:
                    while not conn.is_closed():
                        await self.some.wait()
                        await self.take(conn)
            except page.LOST as error:
                self.fail(self.next(), error)

    async def take(self, conn: Connection) -> None:
        """Whoever asked gets what became of it, be it that it can't be known."""
        those = self.next()
        try:
            kept = await requests.leave(conn, [left for left, _ in those])
        except Exception as error:
            self.fail(those, error)
        else:
            for (_, answer), each in zip(those, kept, strict=True):
                if not answer.done():  # who asked is gone otherwise
                    answer.set_result(each)

    def next(self) -> list[Waiting]:
        those, self.waiting = self.waiting[:TOGETHER], self.waiting[TOGETHER:]
        if not self.waiting:
            self.some.clear()
        return those

    def fail(self, those: Sequence[Waiting], error: Exception) -> None:
        for _, answer in those:
            if not answer.done():
                answer.set_exception(error)

    # how many there are: beside the visitors' way, for it is one row for all of them

    async def count_on(self) -> None:
        while True:
            await asyncio.sleep(COUNT_SECONDS)
            try:
                await self.count()
            except page.LOST:
                log.warning("the database does not answer; forms are counted again soon")

    async def count(self) -> None:
        if not self.counted:
            return
        async with self.pool.acquire() as conn:
            counted, self.counted = self.counted, Counter()
            await floods.count(conn, counted)
