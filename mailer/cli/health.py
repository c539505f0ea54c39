"""`mailer health`: how digests fared, provider by provider; what should be looked at."""

import click

from mailer import disposable, floods
from mailer.bounces import health
from mailer.cli import door


@click.command("health")
@click.argument("newsletter", required=False)
@click.argument("number", type=int, required=False)
@door.as_json
@door.run
async def command(newsletter: str | None, number: int | None, as_json: bool) -> None:
    """How many mails of each digest arrived, came back and why, by provider; alarms, and floods
    of forms.

    Providers are the large ones; all smaller ones together are "other".
    """
    async with door.house() as house:
        rows = await health.fared(house.conn, newsletter, number)
        alarms = await health.alarms(house.conn)
        flooded = await floods.on(house.conn)
        thrown_away = await disposable.lately(house.conn)
    if as_json:
        told = {
            "digests": [row.described() for row in rows],
            "alarms": [vars(each) for each in alarms],
            "floods": [vars(each) for each in flooded],
            "throw_away_addresses": thrown_away,
        }
        door.show_one(told, as_json=True)
        return
    door.show((row.described() for row in rows), as_json=False)
    for alarm in alarms:
        door.complain(f"ALARM: {alarm}")
    for flood in flooded:
        door.complain(f"FLOOD: {flood}.")
    if thrown_away:
        door.say(f"{thrown_away} requests within a day were for throw-away addresses.")
