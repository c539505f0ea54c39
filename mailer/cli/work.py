"""`mailer work`."""

import asyncio

import click

from mailer import config, db, migrate, subjects
from mailer.cli import door, process
from mailer.worker import DATABASE_CONNECTIONS, Worker


@click.command("work")
@door.run
async def command() -> None:
    """Run a worker: sends mail and polls feeds. Any number, on any number of machines."""
    settings = config.load()
    process.begin(settings)
    key = process.own_key(settings)
    stop = asyncio.Event()
    process.stop_on_signals(stop)
    async with (
        door.database(settings) as url,
        db.pool(url, size=DATABASE_CONNECTIONS, name="work") as pool,
    ):
        async with pool.acquire() as conn:
            await migrate.check(conn)
            vault = await subjects.open_vault(conn, key)
        await Worker(settings, pool, vault, stop).run()
