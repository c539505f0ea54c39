"""`mailer suppress …`."""

import click

from mailer import address, people, suppressions, withdrawals
from mailer.cli import door
from mailer.errors import Unknown


@click.group("suppress")
def command() -> None:
    """Addresses never to write to; kept only as keyed hashes, so they can't be listed."""


@command.command()
@click.argument("email")
@door.run
async def add(email: str) -> None:
    """Never write to EMAIL again; whoever has it leaves every newsletter."""
    async with door.house() as house, house.conn.transaction():
        await people.suppress(house.conn, house.vault, email, actor=door.actor())
    door.say("Nothing will be sent to this address again.")


@command.command()
@click.argument("email")
@door.run
async def remove(email: str) -> None:
    """Let EMAIL subscribe again."""
    async with door.house() as house, house.conn.transaction():
        reached = address.parse(email)
        if not await suppressions.remove(house.conn, house.vault, reached):
            raise Unknown("This address is not suppressed.")
        await withdrawals.lifted(house.settings.data_dir, house.vault.suppression(reached.normal))
    door.say("This address may subscribe again.")


@command.command()
@click.argument("email")
@door.why
@door.as_json
@door.run
async def check(email: str, reason: str, as_json: bool) -> None:
    """Whether EMAIL is suppressed, and why; that you looked is recorded."""
    async with door.house() as house, house.conn.transaction():
        found = await people.check_suppression(
            house.conn, house.vault, email, reason=reason, actor=door.actor()
        )
    door.show_one({"suppressed": found is not None, "reason": found}, as_json=as_json)
