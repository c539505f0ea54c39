"""Settling: what the servers said, with all that follows from it; batches end."""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import asyncpg

from mailer import bounces, outbox, providers, subscriptions
from mailer.bounces import Answer
from mailer.db import Connection
from mailer.delivery import verdicts
from mailer.delivery.bag import Bag, Said, taken
from mailer.outbox import Claimed
from mailer.smtp import Verdict
from mailer.vault import Vault

log = logging.getLogger(__name__)

SETTLE_SECONDS = 0.03
"""What comes back waits so long for others; and longer for mails to look at in the same turn."""

SETTLED_AT_ONCE = 500

UNHEARD = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.TransactionRollbackError,
    asyncpg.OperatorInterventionError,
)
"""The database is away, starting or stopping, or took back a transaction: it may hear us yet."""


@dataclass(frozen=True)
class Settling:
    """What it works with."""

    bag: Bag
    keys: Vault

    async def settle(self, filling: asyncio.Task[None], conn: Connection) -> None:
        """What came back and did not go along with a last look, until nothing more will."""
        bag = self.bag

        def over() -> bool:
            return filling.done() and not bag.batches

        while True:
            await bag.until(lambda: bag.answered or bag.ended or over())
            if not bag.answered and not bag.ended:
                return
            oldest = bag.plain[0] if bag.plain else None
            await bag.gather(self.left_behind, SETTLE_SECONDS)
            if self.left_behind() or (bag.plain and bag.plain[0] is oldest):
                await self.settle_some(conn)

    def left_behind(self) -> bool:
        """Whether there is something to settle that no last look will take along."""
        return bool(self.bag.ended or self.bag.eventful) or not self.bag.choice()

    async def settle_some(self, conn: Connection) -> None:
        bag = self.bag
        async with bag.saying:
            plain = list(bag.plain)
            eventful = list(islice(bag.eventful, SETTLED_AT_ONCE))
            left = Counter(bag.batches)
            left.subtract(each.mail.batch for each in (*plain, *eventful))
            ended = [batch for batch, many in left.items() if many <= 0]
            if not (plain or eventful or ended):
                return
            async with conn.transaction():
                await self.settle_all(conn, plain, eventful)
                await outbox.end(conn, bag.worker, ended)
                sent = bag.uncounted + taken(plain)
                await bounces.settled(conn, self.keys, sent, answers(eventful))
            bag.uncounted.clear()
            bag.settled(plain, eventful)
            bag.drop(ended)

    async def settle_all(
        self, conn: Connection, plain: Sequence[Said], eventful: Sequence[Said]
    ) -> None:
        """In one transaction; the consent record first: whoever erases a person locks the
        subscription and then its mails, and so does this, in the order of subscriptions."""
        await bounces.hold(conn, answers(eventful))
        spoken = [
            (mail, verdict)
            for each in eventful
            if isinstance(mail := each.mail, Claimed)
            and mail.kind == "confirm"
            and isinstance(verdict := each.outcome, Verdict)
            and not each.again
        ]
        for mail, verdict in sorted(spoken, key=lambda pair: pair[0].subscription):
            await self.testify(conn, mail, verdict)
        settled = [each.settled for each in (*plain, *eventful) if not each.again]
        if settled:
            await outbox.turn(conn, self.bag.worker, settled, {}, letters=self.bag.letters)
        later: dict[tuple[int | None, int], list[tuple[int, str | None]]] = defaultdict(list)
        for each in eventful:
            if each.again:
                key = each.mail.digest, each.mail.attempts + 1
                later[key].append((each.mail.id, each.reply))
        for (digest, attempts), moved in later.items():
            wait = verdicts.delay(attempts)
            await outbox.move(conn, self.bag.worker, digest, moved, delay=wait, attempts=1)
        await self.learn(conn, eventful)

    async def testify(self, conn: Connection, mail: Claimed, verdict: Verdict) -> None:
        """For the consent record; should it fail for one, that holds up no other."""
        kind, evidence = verdicts.answer(verdict), verdicts.said(verdict)
        try:
            async with conn.transaction():
                await subscriptions.mailed(conn, self.keys, mail.subscription, kind, evidence)
        except UNHEARD:
            raise
        except Exception:
            log.exception("what became of mail %s could not be put on record", mail.id)

    async def learn(self, conn: Connection, said: Sequence[Said]) -> None:
        """What providers made of it."""
        bag = self.bag
        slower = {each.provider for each in said if each.provider and each.too_fast}
        widened = Counter(each.provider for each in said if each.provider in bag.limits)
        for name in slower:
            await providers.halve(conn, name, bag.on_way[name])
        for name, many in widened.items():
            if name is not None and name not in slower:
                await providers.widen(conn, name, many)
        if slower or widened:
            bag.limits = await providers.limits(conn, bag.worker)


def answers(said: Sequence[Said]) -> list[Answer]:
    return [each.answer for each in said if each.answer is not None]
