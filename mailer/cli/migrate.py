"""`mailer migrate`."""

import click

from mailer import config, db, migrate
from mailer.cli import door


@click.command("migrate")
@door.run
async def command() -> None:
    """Bring the database to this version's schema; safe to run twice, or from two machines."""
    async with door.database(config.load()) as url, db.connection(url) as conn:
        applied = await migrate.run(conn)
    door.say(f"Applied {', '.join(applied)}." if applied else "The schema is up to date.")
