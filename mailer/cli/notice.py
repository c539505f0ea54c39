"""`mailer notice …`."""

from dataclasses import asdict
from typing import Any

import click

from mailer import newsletters, notices, subjects
from mailer.cli import door
from mailer.errors import Misconfigured
from mailer.notices import Notice, Words


@click.group("notice")
def command() -> None:
    """Versions of the words people consent to; published once, never changed."""


@command.command()
@click.option("--language", required=True)
@click.option("--newsletter", "slug", help="For this newsletter only; else for all.")
@click.option("--wording", required=True, help="The sentence beside the box, word for word.")
@click.option("--controller", help="Legal name, address, contact (else MAILER_CONTROLLER).")
@click.option("--purpose", "purposes", multiple=True, required=True, help="May be given again.")
@click.option("--recipients", required=True, help="Who else gets the data.")
@click.option("--retention", required=True, help="How long it is kept.")
@click.option("--withdrawal", required=True, help="How to withdraw.")
@door.as_json
@door.run
async def add(slug: str | None, controller: str | None, as_json: bool, **given: Any) -> None:
    """Publish a version. The same words again are the same notice."""
    async with door.house() as house, house.conn.transaction():
        newsletter = await newsletters.find(house.conn, slug) if slug else None
        controller = controller or house.settings.controller
        if not controller:
            raise Misconfigured("Say who the controller is: --controller or MAILER_CONTROLLER.")
        words = Words(
            newsletter=newsletter.id if newsletter else None, controller=controller, **given
        )
        keeper = await subjects.house(house.conn, house.vault)
        added = await notices.publish(house.conn, keeper, words, actor=door.actor())
    if as_json:
        door.show_one(as_row(added), as_json=True)
    else:
        door.say(f"Published {added.id} ({added.language}).")


@command.command("list")
@door.as_json
@door.run
async def list_(as_json: bool) -> None:
    """Every version, oldest first."""
    async with door.house() as house:
        listed = await notices.all_(house.conn)
    brief = ("id", "language", "newsletter", "valid_from", "wording")
    door.show(
        ({name: as_row(notice)[name] for name in brief} for notice in listed), as_json=as_json
    )


@command.command()
@click.argument("notice")
@door.as_json
@door.run
async def show(notice: str, as_json: bool) -> None:
    """One version, whole."""
    async with door.house() as house:
        found = await notices.find(house.conn, notice)
    door.show_one(as_row(found), as_json=as_json)


def as_row(notice: Notice) -> dict[str, object]:
    return {**asdict(notice), "sha256": notice.sha256.hex()}
