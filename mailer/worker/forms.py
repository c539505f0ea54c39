"""What comes in of people: forms, floods of them, and lists brought over from elsewhere."""

import logging
from collections.abc import Collection
from dataclasses import dataclass, field

from mailer import disposable, floods, imports, outbox, subscriptions
from mailer.reach import Reach
from mailer.subscriptions import Domains
from mailer.worker.loops import Part

log = logging.getLogger(__name__)

ADMIT_AT_ONCE = 100
BRING_AT_ONCE = 500


@dataclass
class Forms(Part):
    """`domains`: which of them mail can reach."""

    domains: Reach = field(default_factory=Reach)

    async def admit(self) -> bool:
        async with self.pool.acquire() as conn:
            await subscriptions.promote(conn)
            waiting = await subscriptions.waiting(conn, self.keys, ADMIT_AT_ONCE)
        known = await self.known(waiting.values())
        async with self.pool.acquire() as conn, conn.transaction():
            await subscriptions.admit(
                conn,
                self.keys,
                self.settings.confirm_hours,
                ADMIT_AT_ONCE,
                among=waiting,
                known=known,
            )
        return len(waiting) == ADMIT_AT_ONCE

    async def admit_slow(self) -> bool:
        async with self.pool.acquire() as conn:
            waiting = await subscriptions.waiting_longest(conn, self.keys, ADMIT_AT_ONCE)
        known = await self.known(waiting.values())
        async with self.pool.acquire() as conn, conn.transaction():
            return bool(waiting) and await subscriptions.admit_slow(
                conn, self.keys, self.settings.confirm_hours, waiting, known
            )

    async def known(self, domains: Collection[str]) -> Domains:
        """In `mailer dev`, whose mails go nowhere, none is out of reach."""
        return Domains(
            frozenset() if self.settings.dev else await self.domains.dead(domains),
            disposable.among(domains, self.settings.throwaway_domains),
        )

    async def look_for_floods(self) -> bool:
        async with self.pool.acquire() as conn, conn.transaction():
            began, ended = await floods.watch(conn)
        for flood in began:
            log.warning("a flood of forms: %s", flood)
        for flood in ended:
            log.warning("the flood of forms for %s is over", flood.newsletter or "all newsletters")
        return False

    async def bring_over(self) -> bool:
        async with self.pool.acquire() as conn:
            await outbox.by_key(conn)
            async with conn.transaction():
                taken = await imports.take(
                    conn, self.keys, self.settings.confirm_hours, BRING_AT_ONCE
                )
        return taken == BRING_AT_ONCE
