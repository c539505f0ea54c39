"""`mailer serve`."""

import asyncio

import click

from mailer import config, db, migrate, subjects
from mailer.cli import door, process
from mailer.web import app


@click.command("serve")
@door.run
async def command() -> None:
    """Run the web process. Any number, behind a proxy that ends TLS."""
    settings = config.load()
    process.begin(settings)
    key = process.own_key(settings)
    stop = asyncio.Event()
    process.stop_on_signals(stop)
    async with door.database(settings) as url, db.pool(url, name="serve") as pool:
        async with pool.acquire() as conn:
            await migrate.check(conn)
            vault = await subjects.open_vault(conn, key)
        await app.serve(settings, pool, vault, stop)
