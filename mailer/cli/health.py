"""`mailer health`: how digests fared, provider by provider."""

import click

from mailer.bounces import health
from mailer.cli import door


@click.command("health")
@click.argument("newsletter", required=False)
@click.argument("number", type=int, required=False)
@door.as_json
@door.run
async def command(newsletter: str | None, number: int | None, as_json: bool) -> None:
    """How many mails of each digest arrived, came back and why, by provider; and alarms.

    Providers are the large ones; all smaller ones together are "other".
    """
    async with door.house() as house:
        rows = await health.fared(house.conn, newsletter, number)
        alarms = await health.alarms(house.conn)
    if as_json:
        told = {
            "digests": [row.described() for row in rows],
            "alarms": [vars(each) for each in alarms],
        }
        door.show_one(told, as_json=True)
        return
    door.show((row.described() for row in rows), as_json=False)
    for alarm in alarms:
        door.complain(f"ALARM: {alarm}")
