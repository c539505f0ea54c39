"""Housekeeping: what keeps a house going that nobody looks at for months."""

import logging
from dataclasses import dataclass

from mailer import (
    bounces,
    census,
    digests,
    domain,
    imports,
    keys,
    outbox,
    providers,
    retention,
    smtp,
    troubles,
)
from mailer.worker.loops import Part

log = logging.getLogger(__name__)


@dataclass
class Housekeeping(Part):
    """One worker's share of it."""

    async def beat(self) -> bool:
        """Say that this worker lives; free what silent ones hold; end digests that are done."""
        async with self.pool.acquire() as conn, conn.transaction():
            await outbox.beat(conn, self.id)
            await keys.beat(conn, self.keys, self.id, "worker")
            await digests.finish_done(conn)
            await providers.forget_wide(conn, self.settings.smtp_connections * smtp.DEPTH)
        return False

    async def tell_staff(self) -> bool:
        async with self.pool.acquire() as conn, conn.transaction():
            await troubles.tell(conn)
        return False

    async def look_at_domain(self) -> bool:
        """What DNS says of it, unless all mail stays on this machine."""
        if self.settings.dev:
            return False
        async with self.pool.acquire() as conn, conn.transaction():
            due = await domain.due(conn)
        found = (
            await self.loops.unless_stopped(domain.wrong(self.settings, domain.Names()))
            if due
            else None
        )
        if found is not None:
            async with self.pool.acquire() as conn, conn.transaction():
                await domain.keep(conn, found)
        return False

    async def tidy(self) -> bool:
        """Count readers; forgive whose mails arrive again; forget imports that broke off."""
        async with self.pool.acquire() as conn, conn.transaction():
            await census.take(conn)
            await imports.forget_abandoned(conn)
            await bounces.forgive(conn)
        return False

    async def sweep(self) -> bool:
        """One batch of what has had its time."""
        async with self.pool.acquire() as conn, conn.transaction():
            gone = await retention.sweep(conn, self.keys, retention.terms(self.settings))
        if gone:
            log.info("deleted what has had its time: %s", gone)
        return bool(gone)
