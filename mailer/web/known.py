"""What every form needs to know and what seldom changes, kept in memory for a moment.

Newsletters and floods for REFRESH_SECONDS; a published notice never changes. What is accepted may
have been so a moment ago; what is refused is refused by what the database holds now.
"""

import asyncio
import time
from dataclasses import dataclass, field

from aiohttp import web

from mailer import floods, newsletters, notices
from mailer.db import Pool
from mailer.errors import Invalid, Unknown
from mailer.newsletters import Newsletter
from mailer.notices import Notice
from mailer.subscriptions import Wish, requests

KNOWN: web.AppKey["Known"] = web.AppKey("known")
REFRESH_SECONDS = 2.0
NOTICES = 200


@dataclass
class Known:
    """Of one web process."""

    pool: Pool
    newsletters: dict[str, Newsletter] = field(default_factory=dict)
    notices: dict[str, Notice] = field(default_factory=dict)
    flooded: frozenset[int | None] = frozenset()
    read_at: float = float("-inf")
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def language(self, notice: str) -> str:
        """Of a notice. Raises Unknown."""
        return (await self.notice(notice)).language

    async def check(self, wish: Wish) -> list[Newsletter]:
        """The newsletters that a wish names. Raises Invalid or Unknown, naming the field."""
        await self.refresh()
        try:
            return await self.checked(wish)
        except (Invalid, Unknown):
            await self.refresh(now=True)
            return await self.checked(wish)

    async def checked(self, wish: Wish) -> list[Newsletter]:
        notice = await self.notice(requests.named(wish))
        found = [self.newsletter(slug) for slug in wish.newsletters]
        requests.check(wish, notice, found)
        return found

    def newsletter(self, slug: str) -> Newsletter:
        found = self.newsletters.get(slug)
        if found is None:
            raise newsletters.unknown(slug)
        return found

    async def notice(self, id_: str) -> Notice:
        if id_ not in self.notices:
            async with self.pool.acquire() as conn:
                self.notices[id_] = await notices.find(conn, id_)
            if len(self.notices) > NOTICES:
                del self.notices[next(iter(self.notices))]
        return self.notices[id_]

    async def refresh(self, *, now: bool = False) -> None:
        """One reads; meanwhile the others go on with what there was, if there was anything yet."""
        if not now and (self.is_fresh() or (self.newsletters and self.reading.locked())):
            return
        async with self.reading:
            if self.is_fresh() and not now:
                return
            async with self.pool.acquire() as conn:
                flooded = frozenset(flood.id for flood in await floods.on(conn))
                self.newsletters = {each.slug: each for each in await newsletters.all_(conn)}
            self.flooded, self.read_at = flooded, time.monotonic()

    def is_fresh(self) -> bool:
        return time.monotonic() - self.read_at < REFRESH_SECONDS

    def is_flooded(self, newsletter: int) -> bool:
        """Whether a flood is on, for a newsletter or all of them."""
        return newsletter in self.flooded or None in self.flooded
