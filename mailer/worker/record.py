"""The record: sealed into the log, and kept from what a restored backup would undo."""

import logging
from dataclasses import dataclass
from datetime import datetime

from mailer import erasures, journal, withdrawals
from mailer import log as consent_log
from mailer.consent import SYSTEM
from mailer.errors import Unavailable
from mailer.log import Broken
from mailer.log.keep import Keep
from mailer.worker.loops import Part

log = logging.getLogger(__name__)

SEAL_AT_ONCE = 2000


@dataclass
class Record(Part):
    """`objecting`: what was last said against the log; the others: up to when it is written down
    who was erased, and who left."""

    objecting: str | None = None
    journaled: datetime | None = None
    left_journaled: datetime | None = None

    async def seal(self) -> bool:
        """Seal, commit, then sign; or say why not, which stops all sealers but nothing else."""
        keep = Keep(self.settings.data_dir)
        try:
            async with self.pool.acquire() as conn:
                async with conn.transaction():
                    sealed = await consent_log.seal(conn, self.keys, keep, SEAL_AT_ONCE, self.id)
                async with conn.transaction():
                    await consent_log.sign(conn, self.keys, keep, self.id)
        except (Broken, Unavailable) as error:
            await self.object(str(error))
            return False
        await self.object(None)
        return sealed == SEAL_AT_ONCE

    async def object(self, sentence: str | None) -> None:
        if sentence != self.objecting:
            log.error("%s", sentence or "The consent log is in order again.")
        if sentence or self.objecting:
            async with self.pool.acquire() as conn, conn.transaction():
                await consent_log.object_(conn, self.id, sentence)
        self.objecting = sentence

    async def write_down(self) -> bool:
        """Who was erased or left, for the day when a backup is restored."""
        async with self.pool.acquire() as conn:
            folder = self.settings.data_dir
            self.journaled = await erasures.keep_up(conn, folder, self.journaled)
            self.left_journaled = await withdrawals.keep_up(conn, folder, self.left_journaled)
        return False

    async def forget_again(self) -> bool:
        """Whom the journal names and a restored backup has brought back."""
        for batch in journal.batches(erasures.read(erasures.file(self.settings.data_dir))):
            async with self.pool.acquire() as conn, conn.transaction():
                gone = await erasures.replay(conn, self.keys, batch, actor=SYSTEM)
            if gone:
                log.warning("%d people were erased again: a backup had them back", len(gone))
        for told in journal.batches(withdrawals.read(self.settings.data_dir / withdrawals.LEFT)):
            async with self.pool.acquire() as conn, conn.transaction():
                ended = await withdrawals.replay(conn, self.keys, told, actor=SYSTEM)
            if ended:
                log.warning("%d subscriptions were ended again: a backup had them back", ended)
        return False
