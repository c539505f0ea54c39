"""`mailer digest send`: all of it at once, with a bar to watch."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from mailer import db, digests, editions, outbox
from mailer.cli import door
from mailer.cli.digest.drafting import draft
from mailer.cli.digest.going import approved, despite_warnings
from mailer.cli.door import House
from mailer.digests import Digest, Status
from mailer.errors import Misconfigured, Refusal
from mailer.worker import DATABASE_CONNECTIONS, Worker

WATCH_SECONDS = 0.5


@click.command()
@click.argument("newsletter")
@click.option("--cadence", help="The newsletter's first, if not given.")
@despite_warnings
@door.run
async def send(newsletter: str, cadence: str | None, despite_warnings: bool) -> None:
    """Create, approve and watch until it is done."""
    async with door.house() as house:
        async with house.conn.transaction():
            digest = await draft(house, newsletter, cadence)
            await approved(house, digest, despite_warnings)
            mails = await editions.begin(house.conn, house.settings, digest)
        door.complain(f"Digest {digest.number} of {newsletter} to {mails} readers.")
        async with somebody_works(house):
            done = await watch(house, digest, mails)
    counted = ", ".join(f"{count} {state}" for state, count in done.mails.items() if count)
    door.say(f"{done.digest.state.capitalize()}: {counted or 'no readers'}.")
    if done.mails["failed"]:
        raise Refusal("{count} mails were refused for good.", count=done.mails["failed"])


@asynccontextmanager
async def somebody_works(house: House) -> AsyncIterator[None]:
    """Where no worker runs, work here until the digest is done."""
    if await outbox.workers(house.conn):
        yield
        return
    if not house.settings.smtp:
        raise Misconfigured("No worker is running: start one, or set MAILER_SMTP_URL.")
    door.complain("No worker is running: sending from here.")
    stop = asyncio.Event()
    async with (
        door.database(house.settings) as url,
        db.pool(url, size=DATABASE_CONNECTIONS) as pool,
    ):
        working = asyncio.create_task(Worker(house.settings, pool, house.vault, stop).run())
        try:
            yield
        finally:
            stop.set()
            await working


async def watch(house: House, digest: Digest, mails: int) -> Status:
    """Show progress to whoever watches, until nothing of it waits."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True, quiet=not door.interactive())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=mails)
        while True:
            now = await digests.status(house.conn, digest)
            progress.update(task, completed=mails - now.mails["waiting"])
            if now.digest.state not in ("sending", "paused"):
                return now
            await asyncio.sleep(WATCH_SECONDS)
