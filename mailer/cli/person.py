"""`mailer person …`."""

import json
from typing import IO

import click

from mailer import people
from mailer.cli import door


@click.group("person")
def command() -> None:
    """Answer one person's request about their data."""


@command.command()
@click.argument("email")
@click.option("--out", type=click.File("w", encoding="utf-8"), default="-", help="A file.")
@door.run
async def export(email: str, out: IO[str]) -> None:
    """Everything held about EMAIL, as JSON; that it was exported is recorded."""
    async with door.house() as house, house.conn.transaction():
        own = await people.find(house.conn, house.vault, email)
        held = await people.export(house.conn, house.vault, own, actor=door.actor())
    out.write(json.dumps(held, ensure_ascii=False, indent=2, default=door.plain) + "\n")


@command.command()
@click.argument("email")
@click.option("--never-again", is_flag=True, help="Keep a keyed hash, so as never to write again.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@door.run
async def erase(email: str, never_again: bool, yes: bool) -> None:
    """Erase EMAIL: the person's key and all that it opens, at once and for good."""
    if not yes:
        click.confirm("Erase everything held about this person, for good?", abort=True)
    async with door.house() as house, house.conn.transaction():
        own = await people.find(house.conn, house.vault, email)
        await people.erase(
            house.conn, house.vault, own, never_again=never_again, actor=door.actor()
        )
    door.say("Erased.")
