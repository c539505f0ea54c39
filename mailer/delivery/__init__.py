"""Delivery: mails of one kind, from the outbox over the wire, and what became of them.

    bag        mails in memory, from the claim until they are settled
    filling    claim batches, commit → compose → attest, commit → staged
    flowing    room in the row to the wire → the last look (still wanted? still ours?) → handed
               over; what came back meanwhile is settled in the same turn
    settling   what else the servers said, with all that follows; batches end

The three go on at once, so that the wire does not wait for the database.

What holds at any instant, whatever is killed, cut off or started again:

- No text of a mail is written while those of connections × smtp.DEPTH others were and are not
  settled (`smtp.Road.recorded`): that many, at most, go twice after a kill, with the same
  Message-ID.
- What is staged is cheap to lose: its batch is free again when the worker ends or falls silent.
- Only what the database said a moment ago is wanted, and the worker's, is handed over. Whoever
  left, was erased or suppressed; a digest paused or cancelled; a worker that the others took for
  dead: they are found out there.
- Memory forgets only what was committed. An error ends the step, and the next goes on from there.
- A closed road (no connection, no login, 421) costs no mail an attempt.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

from mailer import outbox
from mailer.config import Settings
from mailer.db import Connection, Pool
from mailer.delivery.bag import Bag
from mailer.delivery.casting import Casting
from mailer.delivery.composing import Composer
from mailer.delivery.filling import Filling
from mailer.delivery.flowing import Flow
from mailer.delivery.settling import UNHEARD, Settling
from mailer.dkim.signing import Signing
from mailer.smtp import DEPTH, Road
from mailer.vault import Vault

log = logging.getLogger(__name__)

MOST_REST = 30.0
"""Seconds, after the road closed: the rest is doubled up to there."""

AGAIN_SECONDS = 1.0


@dataclass
class Delivery:
    """What one kind of delivery works with; `letters`: to one person, else mails of digests."""

    settings: Settings
    pool: Pool
    keys: Vault
    road: Road
    worker: UUID
    stop: asyncio.Event
    wake: asyncio.Event
    connections: int
    letters: bool
    signing: Signing
    bag: Bag = field(init=False)
    filling: Filling = field(init=False)
    flow: Flow = field(init=False)
    settling: Settling = field(init=False)

    def __post_init__(self) -> None:
        room = self.connections * DEPTH
        recorded = self.road.recorded
        self.bag = Bag(self.worker, self.letters, room, self.stop, self.wake, recorded)
        composer = Composer(self.settings, self.keys, self.signing.signers)
        casting = Casting(composer, self.signing if self.signing.signers else None)
        self.filling = Filling(self.bag, self.keys, composer)
        self.flow = Flow(self.bag, self.road, casting, self.settings.rate, self.connections)
        self.settling = Settling(self.bag, self.keys)

    async def step(self) -> bool:
        """Bring on their way the mails that are due, until none is. False: wait to be woken."""
        self.bag.closed = None
        try:
            async with asyncio.TaskGroup() as parts:
                watching = parts.create_task(self.watch())
                flowing = parts.create_task(self.connected(self.flow.flow))
                filling = parts.create_task(self.connected(self.filling.fill))
                parts.create_task(self.connected(partial(self.settling.settle, filling)))
                await asyncio.wait([filling])
                watching.cancel()
                flowing.cancel()
                await asyncio.wait([flowing])
                self.bag.unstage()
                self.bag.moved()
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None
        finally:
            self.bag.unstage()
        if self.bag.closed is not None:
            log.warning("no mail goes out at present: %s", self.bag.closed)
            await self.pause()
        return False

    async def finish(self) -> None:
        """The worker ends: what is on the wire comes back, and is said until it is heard."""
        await self.road.drain()
        while self.bag.answered or self.bag.ended:
            try:
                async with self.pool.acquire() as conn:
                    await self.settling.settle_some(conn)
            except UNHEARD:
                log.warning("the database does not answer; saying it again soon")
                await asyncio.sleep(AGAIN_SECONDS)

    async def connected(self, part: Callable[[Connection], Coroutine[Any, Any, None]]) -> None:
        """One connection as long as the part goes on: to take one each time costs as much again."""
        async with self.pool.acquire() as conn:
            await outbox.by_key(conn)
            await part(conn)

    async def watch(self) -> None:
        await self.stop.wait()
        self.bag.moved()

    async def pause(self) -> None:
        """Others have the batches by now, and perhaps a road that is open."""
        seconds = self.bag.rest * random.uniform(0.8, 1.2)  # noqa: S311 - no secret
        self.bag.rest = min(self.bag.rest * 2, MOST_REST)
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stop.wait(), seconds)
