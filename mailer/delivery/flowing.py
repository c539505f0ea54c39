"""From the bag to the wire: room there → the last look (still wanted? still ours?) → handed over.

What came back meanwhile is settled in the same turn.
"""

import asyncio
import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from mailer import limits, outbox
from mailer.db import Connection
from mailer.delivery.bag import FIRST_REST, Bag, taken
from mailer.delivery.composing import Composer, Ready
from mailer.delivery.verdicts import UNFIT
from mailer.smtp import Road, RoadClosed, Verdict

log = logging.getLogger(__name__)

FRESH_SECONDS = 0.05
"""How long a last look holds: what found no room by then is looked at again."""

PACE_SECONDS = 0.1
"""Where there is a rate, turns are taken for so long at a time."""

GATHER_SECONDS = 0.01
NOT_NOW = 421
SIGNING = min(os.cpu_count() or 1, 4)
"""Threads that sign at once: four make more signatures than one loop sends mails."""

Cast: TypeAlias = tuple[bytes, str] | None
"""A mail and its envelope's sender; None: it can't be made."""


@dataclass(frozen=True)
class Flow:
    """What it works with; `rate`: mails a second of all workers together."""

    bag: Bag
    road: Road
    composer: Composer
    rate: float | None

    async def flow(self, conn: Connection) -> None:
        """From what is staged to the wire, until the road closes."""
        bag = self.bag
        try:
            while True:
                await bag.until(lambda: bag.free + bag.answered > 0 and bag.choice())
                await bag.gather(self.half, GATHER_SECONDS)
                many = min(bag.free + len(bag.plain), bag.choice())
                if many:
                    many = await self.road.room(many)
                    bag.pick(await self.turns(conn, many))
                    await self.hand_over(conn)
                else:
                    await bag.until(lambda: bag.free > 0)
        except RoadClosed as error:
            bag.closed = error
            bag.moved()

    def half(self) -> bool:
        """Whether half of what may be on the wire could be handed over now."""
        return self.bag.free + self.bag.answered >= self.bag.room // 2

    async def turns(self, conn: Connection, many: int) -> int:
        """How many may go now, as the rate allows, once their turn has come."""
        if self.rate is None:
            return many
        many = max(1, min(many, int(self.rate * PACE_SECONDS)))
        await asyncio.sleep(await limits.reserve(conn, "mail", many, self.rate))
        return many

    async def hand_over(self, conn: Connection) -> None:
        """Those picked that are still wanted; who found no room in time is staged again."""
        bag = self.bag
        if not bag.next:
            return
        signing = self.sign_aside() if self.composer.signers else {}
        async with bag.saying:
            plain = list(bag.plain)
            began, fresh = time.monotonic(), True
            asked = {ready.mail.id: ready.hash for ready in bag.next}
            wanted = await outbox.turn(conn, bag.worker, [each.settled for each in plain], asked)
            bag.uncounted += taken(plain)
            bag.settled(plain)
        while bag.next and fresh and bag.free > 0:
            ready = bag.next.popleft()
            found = wanted.get(ready.mail.id)
            if found:
                await self.hand(ready, signing.get(ready.mail.id))
            elif found is None:
                bag.forget(ready.mail.batch)
            else:
                bag.said(ready.mail, ready.provider, "unwanted")
            fresh = time.monotonic() - began < FRESH_SECONDS
        while bag.next:
            bag.staged.appendleft(bag.next.pop())

    # casting

    def sign_aside(self) -> Mapping[int, "asyncio.Future[Mapping[int, Cast]]"]:
        """Begin to cast what is picked in threads: OpenSSL lets others work meanwhile. By ids."""
        loop, picked = asyncio.get_running_loop(), list(self.bag.next)
        share = -(-len(picked) // SIGNING)
        begun: dict[int, asyncio.Future[Mapping[int, Cast]]] = {}
        for at in range(0, len(picked), share):
            part = picked[at : at + share]
            future = loop.run_in_executor(None, self.cast_all, part)
            begun |= dict.fromkeys((ready.mail.id for ready in part), future)
        return begun

    def cast_all(self, ready: Sequence[Ready]) -> Mapping[int, Cast]:
        return {each.mail.id: self.cast(each) for each in ready}

    def cast(self, ready: Ready) -> Cast:
        try:
            return self.composer.cast(ready)
        except Exception:  # a fault of ours must not keep it on the wire for ever
            log.exception("mail %s could not be made", ready.mail.id)
            return None

    # the wire

    async def hand(
        self, ready: Ready, signing: "asyncio.Future[Mapping[int, Cast]] | None"
    ) -> None:
        self.bag.put_on_wire(ready)
        try:
            cast = (await signing)[ready.mail.id] if signing else self.cast(ready)
            if cast is None:
                self.heard(ready, UNFIT)
            else:
                await self.road.hand(*cast, ready.recipient, partial(self.heard, ready))
        except (RoadClosed, asyncio.CancelledError):
            self.heard(ready, None)
            raise
        except Exception:
            log.exception("mail %s could not be sent", ready.mail.id)
            self.heard(ready, UNFIT)

    def heard(self, ready: Ready, outcome: Verdict | RoadClosed | None) -> None:
        """What became of a mail handed over. None: it was not tried."""
        bag = self.bag
        if isinstance(outcome, Verdict):
            bag.rest = FIRST_REST
            bag.said(ready.mail, ready.provider, outcome)
            return
        if isinstance(outcome, RoadClosed):
            bag.closed = outcome
            if outcome.code == NOT_NOW and ready.provider is not None:
                bag.slower.add(ready.provider)
        bag.off_wire(ready.mail.id)
        if bag.ending:
            bag.forget(ready.mail.batch)
        else:
            bag.staged.appendleft(ready)
        bag.moved()
