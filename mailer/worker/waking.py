"""Waking: PostgreSQL's NOTIFY says that there is something to do."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import asyncpg

from mailer.db import Connection, Pool
from mailer.outbox import CHANNEL

log = logging.getLogger(__name__)

WOKEN = {
    "request": ("request",),
    "outbox": ("letters", "digests"),
    "renewal": ("renewals",),
    "import": ("imports",),
    "job": ("jobs",),
}
"""Which loops a NOTIFY wakes, by its payload."""

Bells = dict[str, asyncio.Event]
"""By the name of the loop, one for each that can be woken."""


@asynccontextmanager
async def bells(pool: Pool) -> AsyncIterator[Bells]:
    """They ring at a NOTIFY; listening starts anew when its connection is lost."""
    each = {name: asyncio.Event() for names in WOKEN.values() for name in names}
    listener = asyncio.create_task(listen(pool, each))
    try:
        yield each
    finally:
        listener.cancel()
        with suppress(asyncio.CancelledError):
            await listener


async def listen(pool: Pool, each: Bells) -> None:
    def heard(*notification: object) -> None:
        for name in WOKEN.get(str(notification[-1]), ()):
            each[name].set()

    while True:
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            async with pool.acquire() as conn, listening(conn, heard) as lost:
                for bell in each.values():
                    bell.set()  # something may have come before we listened
                await lost.wait()
        log.warning("the database does not answer; listening again soon")
        await asyncio.sleep(1)


@asynccontextmanager
async def listening(conn: Connection, heard: Callable[..., None]) -> AsyncIterator[asyncio.Event]:
    """Hear what is notified; the event is set when the connection is lost."""
    lost = asyncio.Event()

    def end(_: object) -> None:
        lost.set()

    conn.add_termination_listener(end)
    await conn.add_listener(CHANNEL, heard)
    try:
        yield lost
    finally:
        if not conn.is_closed():
            conn.remove_termination_listener(end)
            await conn.remove_listener(CHANNEL, heard)
