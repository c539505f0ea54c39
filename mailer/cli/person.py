"""`mailer person …`."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import click

from mailer import erasures, people, rectification
from mailer.cli import door, replaying
from mailer.cli.door import House
from mailer.errors import Conflict
from mailer.subscriptions import Own


@asynccontextmanager
async def known(email: str) -> AsyncIterator[tuple[House, Own]]:
    """A transaction about the person with that address. Raises Unknown."""
    async with door.house() as house, house.conn.transaction():
        yield house, await people.find(house.conn, house.vault, email)


@click.group("person")
def command() -> None:
    """Answer one person's request about their data."""


@command.command()
@click.argument("email")
@click.option("--out", type=click.File("w", encoding="utf-8"), default="-", help="A file.")
@door.run
async def export(email: str, out: IO[str]) -> None:
    """Everything held about EMAIL, as JSON; that it was exported is recorded."""
    async with known(email) as (house, own):
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
    async with known(email) as (house, own):
        await people.erase(
            house.conn, house.vault, own, never_again=never_again, actor=door.actor()
        )
    await erasures.note(house.settings.data_dir, [own.subscriber.id])
    door.say("Erased.")


@command.command()
@click.argument("email")
@click.argument("new_email")
@click.option("--language", help="Of the letter; the person's own, if not given.")
@door.run
async def correct(email: str, new_email: str, language: str | None) -> None:
    """Ask at NEW_EMAIL whether it is the new address of EMAIL; with their yes it is."""
    async with known(email) as (house, own):
        await rectification.ask(
            house.conn,
            house.vault,
            own,
            new_email,
            language=language or own.subscriber.language,
            hours=house.settings.confirm_hours,
            actor=door.actor(),
        )
    door.say(
        "A letter goes to the new address, unless it is suppressed; the address counts once the "
        "person confirms it there."
    )


@command.command()
@click.argument("email")
@door.run
async def restrict(email: str) -> None:
    """Only keep what is held about EMAIL: nothing is sent, nothing deleted (GDPR, Article 18)."""
    async with known(email) as (house, own):
        if not await people.restrict(house.conn, house.vault, own, "staff", actor=door.actor()):
            raise Conflict("This person's data is restricted already.")
    door.say("Restricted: nothing is sent to this person, and nothing of theirs is deleted.")


@command.command()
@click.argument("email")
@door.run
async def unrestrict(email: str) -> None:
    """Lift the restriction; tell the person before you do (GDPR, Article 18(3))."""
    async with known(email) as (house, own):
        if not await people.unrestrict(house.conn, house.vault, own, "staff", actor=door.actor()):
            raise Conflict("This person's data is not restricted.")
    door.say("Everything is as before.")


@command.command()
@click.option(
    "--journals",
    "folders",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A copy of another machine's MAILER_DATA_DIR; may be given again.",
)
@door.as_json
@door.run
async def replay(folders: tuple[Path, ...], as_json: bool) -> None:
    """After a restore: forget, end and suppress again what the journals say.

    A worker does the first two by itself.
    """
    async with door.house() as house:
        told = await replaying.everything(house, folders)
    if as_json:
        door.show_one(vars(told), as_json=True)
    else:
        door.say(str(told))
