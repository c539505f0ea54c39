"""What comes in of articles: feeds and pictures, fetched from other people's servers."""

import logging
from dataclasses import dataclass, field

from mailer import feeds, fetch, pictures
from mailer.feeds import Failed, Feed, Fetched, Gone, Stored
from mailer.worker.loops import Part

log = logging.getLogger(__name__)

AT_ONCE = 8


@dataclass
class Feeds(Part):
    """What is fetched, in one session."""

    session: fetch.Session = field(init=False)

    async def poll(self) -> bool:
        """One feed at a time in each loop, so that a slow server holds up nobody else's."""
        async with self.pool.acquire() as conn, conn.transaction():
            due = await feeds.due(conn, 1)
        for feed in due:
            fetched = await self.loops.unless_stopped(fetch.fetch(self.session, feed))
            if fetched is None:
                return False  # its lease ends, and then it is due again
            async with self.pool.acquire() as conn, conn.transaction():
                stored = await feeds.store(conn, feed, fetched)
            tell(feed, fetched, stored)
        return bool(due)

    async def picture(self) -> bool:
        async with self.pool.acquire() as conn, conn.transaction():
            url = await pictures.claim(conn)
        if url is None:
            return False
        fetched = await self.loops.unless_stopped(fetch.fetch_picture(self.session, url))
        async with self.pool.acquire() as conn, conn.transaction():
            if isinstance(fetched, pictures.Picture):
                await pictures.keep(conn, url, fetched)
            elif fetched is not None:
                await pictures.fail(conn, url, fetched)
        return fetched is not None


def tell(feed: Feed, fetched: Fetched, stored: Stored) -> None:
    """What somebody should look at goes to the log, too."""
    if isinstance(fetched, Failed | Gone):
        log.warning("feed %d could not be read; `mailer feed list` says why", feed.id)
    if stored.held:
        log.warning(
            "feed %d brought %d articles at once; they wait for `mailer feed release` or `dismiss`",
            feed.id,
            stored.held,
        )
