"""What falls due: digests by their schedule, and questions whether newer words are agreed to."""

from dataclasses import dataclass

from mailer import editions, renewals
from mailer.worker.loops import Part

RENEW_AT_ONCE = 100


@dataclass
class Digests(Part):
    """Made, begun; readers asked, or at the end of their time."""

    async def schedule(self) -> bool:
        async with self.pool.acquire() as conn, conn.transaction():
            made = await editions.make_due(conn, self.settings)
        async with self.pool.acquire() as conn, conn.transaction():
            began = await editions.begin_due(conn, self.settings)
        return made or began

    async def renew(self) -> bool:
        async with self.pool.acquire() as conn, conn.transaction():
            asked = await renewals.ask(conn, RENEW_AT_ONCE)
        async with self.pool.acquire() as conn, conn.transaction():
            ended = await renewals.end(conn, self.keys, RENEW_AT_ONCE)
        return bool(asked or ended == RENEW_AT_ONCE)
