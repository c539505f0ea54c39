"""Loops: a step again and again, until the worker is to stop."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from mailer.config import Settings
from mailer.db import Pool
from mailer.vault import Vault

log = logging.getLogger(__name__)

Got = TypeVar("Got")
Step = Callable[[], Awaitable[bool]]
"""False: there is nothing more to do at present."""


@dataclass(frozen=True)
class Loops:
    """They end once `stop` is set and their step is done."""

    stop: asyncio.Event

    async def repeat(self, step: Step, wake: asyncio.Event, pause: float) -> None:
        """Step while there is something to do; then wait to be woken, or a while."""
        while not self.stop.is_set():
            wake.clear()
            if await self.tried(step) is False:
                await self.rest(wake, pause)

    async def tried(self, step: Step) -> bool | None:
        """A worker outlives a database that restarts, and a fault of ours: None, soon again."""
        try:
            return await step()
        except Exception:
            log.exception("a step failed and will be tried again")
            await self.rest(asyncio.Event(), random.uniform(0.5, 2))  # noqa: S311 - no secret
            return None

    async def rest(self, wake: asyncio.Event, seconds: float) -> None:
        waiting = [asyncio.ensure_future(event.wait()) for event in (wake, self.stop)]
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for each in waiting:
            each.cancel()

    async def unless_stopped(self, fetching: Coroutine[Any, Any, Got]) -> Got | None:
        """A worker that is to stop does not wait for somebody else's server."""
        stopped, fetched = asyncio.create_task(self.stop.wait()), asyncio.create_task(fetching)
        try:
            await asyncio.wait((stopped, fetched), return_when=asyncio.FIRST_COMPLETED)
            return fetched.result() if fetched.done() else None
        finally:
            stopped.cancel()
            fetched.cancel()
            await asyncio.gather(stopped, fetched, return_exceptions=True)


@dataclass
class Part:
    """A part of one worker (`id`): steps about one thing."""

    settings: Settings
    pool: Pool
    keys: Vault
    id: UUID
    loops: Loops
