"""Jobs: long work that staff set going on a page, one at a time in each worker."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from mailer import consent, extracts, jobs, verifications
from mailer.errors import Refusal
from mailer.extracts import Order
from mailer.jobs import Job
from mailer.log import verification
from mailer.log.keep import Keep
from mailer.outfiles import Outfile
from mailer.verifications import Seen
from mailer.worker.loops import Part

log = logging.getLogger(__name__)

TELL_SECONDS = 1.0
FINDINGS_KEPT = 100
LINES = 1000
"""Written at once, in a thread."""


class Jobs(Part):
    """What a job needs is long; on `stop` it is left where it is, and begun anew by another."""

    async def work(self) -> bool:
        async with self.pool.acquire() as conn, conn.transaction():
            await jobs.forget(conn)
            job = await jobs.claim(conn, self.id)
        if job is None:
            return False
        await self.loops.unless_stopped(self.carry_out(job))
        return True

    async def carry_out(self, job: Job) -> None:
        """Whatever is wrong is said where it was asked for."""
        try:
            await (self.verify(job) if job.kind == "verification" else self.extract(job))
        except Refusal as error:
            await self.finish(job, {"problem": str(error)})
        except Exception:
            log.exception("a job failed")
            await self.finish(job, {"problem": "It failed; the log of the worker says why."})

    async def finish(self, job: Job, result: dict[str, object]) -> None:
        async with self.pool.acquire() as conn, conn.transaction():
            await jobs.finish(conn, job.id, self.id, result)

    @asynccontextmanager
    async def telling(self, job: Job, total: int, done: Callable[[], int]) -> AsyncIterator[None]:
        """Every second, meanwhile: how far it has come."""

        async def tell() -> None:
            while True:
                async with self.pool.acquire() as conn, conn.transaction():
                    await jobs.move(conn, job.id, self.id, done(), total)
                await asyncio.sleep(TELL_SECONDS)

        telling = asyncio.create_task(tell())
        try:
            yield
        finally:
            telling.cancel()
            with suppress(asyncio.CancelledError):
                await telling

    # verification

    async def verify(self, job: Job) -> None:
        """In one snapshot; a checkpoint from outside is read before it is taken."""
        seen, findings = Seen(), []
        async with self.pool.acquire() as conn:
            kept = await verification.kept(conn, self.keys, Keep(self.settings.data_dir))
            async with conn.transaction(isolation="repeatable_read"):
                total = await consent.extent(conn)
                async with self.telling(job, total, lambda: seen.done):
                    async for finding in verifications.found(conn, self.keys, kept, seen):
                        findings.append(finding)
        result: dict[str, object] = {
            **seen.counts(findings),
            "found": [verifications.line(each) for each in findings[:FINDINGS_KEPT]],
        }
        await self.finish(job, result)

    # extracts

    async def extract(self, job: Job) -> None:
        """Write it all beside, keep it sealed, put it on record; only then can it be had."""
        order = extracts.ordered(job.asked(self.keys))
        with Outfile(None, order.recipient) as file:
            rows = await self.write(job, order, file)
            size = await self.keep(job, file)
            told = {"rows": rows, "sha256": file.sha256}
            async with self.pool.acquire() as conn, conn.transaction():
                result = {**told, "bytes": size, "file": order.file}
                if await jobs.finish(conn, job.id, self.id, result):
                    said = {**order.said(), **told}
                    await extracts.record(conn, self.keys, said, actor=job.asked_by)

    async def write(self, job: Job, order: Order, file: Outfile) -> int:
        """How many lines, without the header."""
        rows = -1
        async with (
            self.pool.acquire() as conn,
            conn.transaction(isolation="repeatable_read", readonly=True),
        ):
            await extracts.check(conn, order.wanted)
            total = await extracts.count(conn, order.wanted)
            lines = extracts.lines(
                conn, self.keys, order.format, order.wanted, with_addresses=order.with_addresses
            )
            async with self.telling(job, total, lambda: max(rows, 0)):
                with file.writing() as put:
                    async for batch in batched(lines):
                        await asyncio.to_thread(put, "".join(batch))
                        rows += len(batch)
        return rows

    async def keep(self, job: Job, file: Outfile) -> int:
        """The file in pieces, in the database; its size in bytes."""
        subject, number, size = job.subject(self.keys), 0, 0
        pieces = file.pieces()
        async with self.pool.acquire() as conn, conn.transaction():
            while piece := await asyncio.to_thread(next, pieces, b""):
                await jobs.put_piece(conn, subject, number, piece)
                number, size = number + 1, size + len(piece)
        return size


async def batched(lines: AsyncIterator[str]) -> AsyncIterator[list[str]]:
    batch: list[str] = []
    async for line in lines:
        batch.append(line)
        if len(batch) == LINES:
            yield batch
            batch = []
    if batch:
        yield batch
