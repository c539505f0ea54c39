"""Filling the bag: claim batches, commit → compose → attest, commit → staged.

To attest is to put on record that a confirmation is being mailed, before anybody can answer it.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag

from mailer import outbox, providers, subscriptions
from mailer.db import Connection
from mailer.delivery import verdicts
from mailer.delivery.bag import Bag, Outcome
from mailer.delivery.composing import Composer, Ready
from mailer.delivery.verdicts import UNFIT
from mailer.errors import Refusal
from mailer.outbox import Claimed, Mail
from mailer.render.shelf import BadTemplate
from mailer.vault import Vault

log = logging.getLogger(__name__)

LETTERS_AT_ONCE = 20
AHEAD = outbox.BATCH
"""Batches are claimed while fewer mails than that are staged."""

OPENED_AT_ONCE = 8
"""Before others have a turn: the wire must not wait for long."""

LOOK_SECONDS = 5.0

UNFITTING = (Refusal, BadTemplate, LookupError, ValueError, AssertionError, InvalidTag)
"""Broken templates and content; what was sealed and does not open."""


@dataclass(frozen=True)
class Filling:
    """What it works with."""

    bag: Bag
    keys: Vault
    composer: Composer

    async def fill(self, conn: Connection) -> None:
        """Keep some staged; ends when nothing is due or under way, or the worker is to stop."""
        bag = self.bag
        await outbox.free_strays(conn, bag.worker, list(bag.batches), letters=bag.letters)
        while not bag.ending:
            bag.wake.clear()
            if await self.fill_some(conn):
                await bag.until(lambda: len(bag.staged) < AHEAD or bag.ending)
            elif bag.idle:
                return
            else:
                await self.doze()

    async def doze(self) -> None:
        """Nothing is due: until something may be, or nothing is under way any more."""
        bag = self.bag
        changes = (bag.wake.wait(), bag.until(lambda: bag.idle or bag.ending))
        waiting = [asyncio.ensure_future(change) for change in changes]
        try:
            await asyncio.wait(waiting, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()

    async def fill_some(self, conn: Connection) -> bool:
        """Claim, compose and stage; whether anything was due."""
        claimed = await self.claim(conn)
        self.bag.hold(claimed)
        try:
            ready: list[Ready] = []
            for place, mail in enumerate(await self.mails(conn, claimed)):
                ready += await self.composed(conn, mail)
                if place % OPENED_AT_ONCE == 0:
                    await asyncio.sleep(0)
            await self.stage(conn, await self.attest(conn, ready))
        finally:
            for batch in claimed:
                self.bag.forget(batch)
            self.bag.moved()
        return bool(claimed)

    async def claim(self, conn: Connection) -> list[int]:
        bag = self.bag
        if bag.letters:
            return await outbox.claim_letters(conn, bag.worker, LETTERS_AT_ONCE)
        while bag.slower:
            await providers.halve(conn, bag.slower.pop(), bag.room)
        bag.limits = await providers.limits(conn, bag.worker)
        for name in set(bag.lanes) - set(bag.limits):
            bag.staged.extend(bag.lanes.pop(name))
        hungry = [n for n, share in bag.limits.items() if share and not bag.lanes[n]]
        return await outbox.claim_digests(conn, bag.worker, 1, hungry)

    async def mails(self, conn: Connection, claimed: Sequence[int]) -> Sequence[Mail]:
        """What waits in those batches; of letters, each has one."""
        if not claimed:
            return []
        found = await outbox.mails(conn, claimed)
        if self.bag.letters and len(found) < len(claimed):
            return [*found, *await outbox.mails_to_staff(conn, claimed)]
        return found

    async def composed(self, conn: Connection, mail: Mail) -> list[Ready]:
        """None, if it can't be composed at present; which must not hold up the others."""
        outcome: Outcome = "unwanted"
        if not mail.void:
            try:
                ready = await self.composer.ready(conn, mail)
                if ready is not None:
                    return [ready]
            except UNFITTING:
                log.exception("mail %s can't be composed", mail.id)
                outcome = UNFIT
        self.bag.batches[mail.batch] += 1
        self.bag.said(mail, None, outcome)
        return []

    async def attest(self, conn: Connection, ready: Sequence[Ready]) -> list[Ready]:
        """Put new confirmations on record; what is left to send: not to whoever is not waiting."""
        new = [
            (mail, each)
            for each in ready
            if isinstance(mail := each.mail, Claimed)
            and mail.kind == "confirm"
            and not mail.attested
        ]
        if not new:
            return list(ready)
        unwanted: dict[int, Ready] = {}
        async with conn.transaction():
            # In the order in which everybody locks subscriptions: nobody waits in a ring.
            for mail, each in sorted(new, key=lambda pair: pair[0].subscription):
                evidence = verdicts.mailed(each)
                held = mail.subscription
                if await subscriptions.mailed(conn, self.keys, held, "confirmation.sent", evidence):
                    await outbox.attest(conn, mail.id)
                else:
                    unwanted[mail.id] = each
        for each in unwanted.values():
            self.bag.batches[each.mail.batch] += 1
            self.bag.said(each.mail, each.provider, "unwanted")
        return [each for each in ready if each.mail.id not in unwanted]

    async def stage(self, conn: Connection, ready: Sequence[Ready]) -> None:
        """In the order they came; apart, those to a provider that has a limit."""
        bag = self.bag
        waiting: dict[tuple[str, int | None], list[tuple[int, str | None]]] = defaultdict(list)
        for each in ready:
            share = None if bag.letters else bag.limits.get(each.provider or "")
            if share is None:
                bag.keep(bag.staged, each)
            elif share and len(bag.lanes[each.provider or ""]) < AHEAD:
                bag.keep(bag.lanes[each.provider or ""], each)
            else:
                waiting[each.provider or "", each.mail.digest].append((each.mail.id, None))
        for (name, digest), moved in waiting.items():
            await outbox.move(conn, bag.worker, digest, moved, provider=name)
