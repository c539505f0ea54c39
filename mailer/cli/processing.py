"""`mailer consent processing`."""

import click

from mailer import processing
from mailer.cli import door


@click.command("processing")
@door.as_json
@door.run
async def command(as_json: bool) -> None:
    """The record of processing activities (GDPR, Article 30), from the running configuration."""
    async with door.house() as house:
        made = await processing.record(house.conn, house.settings)
    if as_json:
        door.show_one(processing.plain(made), as_json=True)
    else:
        door.say(processing.document(made))
