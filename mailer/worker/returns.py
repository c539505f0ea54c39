"""What comes back: by LMTP or from a mailbox; and storms of it."""

import asyncio
import logging
from dataclasses import dataclass

from mailer import bounces, imap
from mailer.bounces import Channel, reading
from mailer.errors import Unavailable
from mailer.listener import Listener
from mailer.worker.loops import Part

log = logging.getLogger(__name__)

LISTEN_AGAIN_SECONDS = 15.0


@dataclass
class Returns(Part):
    """Bounces, complaints, wishes to leave."""

    async def listen(self) -> None:
        """Listen until `stop`. One worker of a machine does; should it end, another takes over."""
        where, domain = self.settings.lmtp_listen, self.settings.bounce_domain
        if where is None or domain is None:
            return
        listener = Listener(domain, lambda raw, to: self.take(raw, "lmtp", to))
        warned = False
        while not self.loops.stop.is_set():
            try:
                await listener.start(where)
            except OSError as error:
                if not warned:
                    log.warning("MAILER_LMTP_LISTEN (%s:%d): %s; another worker may listen there",
                                where.host, where.port, error.strerror)  # fmt: skip
                    warned = True
                await self.loops.rest(asyncio.Event(), LISTEN_AGAIN_SECONDS)
            else:
                await self.loops.stop.wait()
        listener.stop()

    async def read_mailbox(self) -> bool:
        """Several workers may: what two of them find is stored once."""
        assert self.settings.bounce_imap is not None

        async def take(raw: bytes) -> bool:
            return (await self.take(raw, "imap")).ours

        try:
            await imap.poll(self.settings.bounce_imap, take)
        except Unavailable as error:
            log.warning("%s", error)
        return False

    async def take(self, raw: bytes, channel: Channel, *recipients: str) -> bounces.Taken:
        """Read what came back, store it and act on it; once this returns it is committed."""
        found = await asyncio.to_thread(reading.read, raw)
        async with self.pool.acquire() as conn, conn.transaction():
            report = bounces.mailed(channel, raw, found, recipients)
            return await bounces.take(conn, self.keys, report)

    async def watch(self) -> bool:
        async with self.pool.acquire() as conn, conn.transaction():
            for alarm in await bounces.watch(conn, self.keys):
                log.warning("%s", alarm)
        return False
