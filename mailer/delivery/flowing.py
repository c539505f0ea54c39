"""From the bag to the wire: room there → the last look (still wanted? still ours?) → handed over.

What came back meanwhile is settled in the same turn. A few more are looked at than there is room
for: they wait in the road's row, so that no connection waits for the database. Where a row moves
slowly their look gets old; those come back untried, to be looked at again, and fewer are handed
over ahead.
"""

import asyncio
import logging
import time
from dataclasses import dataclass
from functools import partial
from itertools import islice

from mailer import limits, outbox
from mailer.db import Connection
from mailer.delivery.bag import FIRST_REST, Bag, taken
from mailer.delivery.casting import Casting
from mailer.delivery.composing import Ready
from mailer.delivery.verdicts import UNFIT
from mailer.smtp import AHEAD, Outcome, Road, RoadClosed

log = logging.getLogger(__name__)

FRESH_SECONDS = 0.05
"""How long a last look holds: what has not begun by then is looked at again."""

PACE_SECONDS = 0.1
"""Where there is a rate, turns are taken for so long at a time."""

GATHER_SECONDS = 0.01
NOT_NOW = 421


@dataclass(frozen=True)
class Flow:
    """What it works with; `rate`: mails a second of all workers together."""

    bag: Bag
    road: Road
    casting: Casting
    rate: float | None
    connections: int

    async def flow(self, conn: Connection) -> None:
        """From what is staged to the wire, until the road closes."""
        bag = self.bag
        try:
            while True:
                await bag.until(lambda: bag.free > 0 and bag.choice())
                await bag.gather(self.half, GATHER_SECONDS)
                many = await self.road.room(min(bag.free, bag.choice()))
                bag.pick(await self.turns(conn, many))
                await self.hand_over(conn)
        except RoadClosed as error:
            bag.closed = error
            bag.moved()
        finally:
            self.casting.begun.clear()

    def half(self) -> bool:
        """Whether half of what may be on the wire could be handed over now."""
        return self.bag.free >= self.bag.room // 2

    async def turns(self, conn: Connection, many: int) -> int:
        """How many may go now, as the rate allows, once their turn has come."""
        if self.rate is None:
            return many
        many = max(1, min(many, int(self.rate * PACE_SECONDS)))
        await asyncio.sleep(await limits.reserve(conn, "mail", many, self.rate))
        return many

    async def hand_over(self, conn: Connection) -> None:
        """Those picked that are still wanted."""
        bag = self.bag
        if not bag.next:
            return
        self.casting.begin((*bag.next, *islice(bag.staged, 2 * bag.room)))
        async with bag.saying:
            plain = list(bag.plain)
            until = time.monotonic() + FRESH_SECONDS
            asked = {ready.mail.id: ready.hash for ready in bag.next}
            settled = [each.settled for each in plain]
            wanted = await outbox.turn(conn, bag.worker, settled, asked, letters=bag.letters)
            bag.uncounted += taken(plain)
            bag.settled(plain)
        bag.ahead = min(bag.ahead + 1, self.connections * AHEAD)
        while bag.next:
            ready = bag.next.popleft()
            found = wanted.get(ready.mail.id)
            if found:
                await self.hand(ready, until)
                continue
            self.casting.begun.pop(ready.mail.id, None)
            if found is None:
                bag.forget(ready.mail.batch)
            else:
                bag.said(ready.mail, ready.provider, "unwanted")

    # the wire

    async def hand(self, ready: Ready, until: float) -> None:
        self.bag.put_on_wire(ready)
        try:
            cast = await self.casting.cast(ready)
            if cast is None:
                self.heard(ready, UNFIT)
            else:
                heard = partial(self.heard, ready)
                await self.road.hand(*cast, ready.recipient, heard, ready.mail.id, until)
        except (RoadClosed, asyncio.CancelledError):
            self.heard(ready, None)
            raise
        except Exception:
            log.exception("mail %s could not be sent", ready.mail.id)
            self.heard(ready, UNFIT)

    def heard(self, ready: Ready, outcome: Outcome) -> None:
        """What became of a mail handed over. None: it was not tried."""
        bag = self.bag
        if outcome is None:
            bag.ahead //= 2
        elif isinstance(outcome, RoadClosed):
            bag.closed = outcome
            if outcome.code == NOT_NOW and ready.provider is not None:
                bag.slower.add(ready.provider)
        else:
            bag.rest = FIRST_REST
            bag.said(ready.mail, ready.provider, outcome)
            return
        bag.off_wire(ready.mail.id)
        if bag.ending:
            bag.forget(ready.mail.batch)
        else:
            bag.staged.appendleft(ready)
        bag.moved()
