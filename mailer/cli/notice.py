"""`mailer notice …`."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

import click

from mailer import newsletters, notices, renewals, subjects
from mailer.cli import door
from mailer.errors import Misconfigured
from mailer.notices import Notice, Piece, Words


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
    """Every version, oldest first, and how many are subscribed under it."""
    async with door.house() as house:
        listed = await notices.standings(house.conn)
    door.show(map(asdict, listed), as_json=as_json)


@command.command()
@click.argument("notice")
@door.as_json
@door.run
async def show(notice: str, as_json: bool) -> None:
    """One version, whole, and how many are subscribed under it.

    Their entries: mailer consent export --notice ID.
    """
    async with door.house() as house:
        found = await notices.find(house.conn, notice)
        standing = (await notices.standings(house.conn, found.id))[0]
    counted = {state: getattr(standing, state) for state in ("pending", "confirmed", "left")}
    door.show_one({**as_row(found), "current": standing.current, **counted}, as_json=as_json)


@command.command()
@click.argument("old")
@click.argument("new")
@door.as_json
@door.run
async def diff(old: str, new: str, as_json: bool) -> None:
    """What changed from version OLD to version NEW, word by word."""
    async with door.house() as house:
        versions = [await notices.find(house.conn, id_) for id_ in (old, new)]
    changes = notices.difference(*versions)
    if as_json:
        door.show(map(asdict, changes), as_json=True)
        return
    for change in changes:
        door.say(f"{change.part}:")
        marked = "".join(map(marked_up, change.pieces))
        door.say("".join(f"  {line}\n" for line in marked.split("\n")))
    if not changes:
        door.say("They say the same.")


def marked_up(piece: Piece) -> str:
    """[-gone-] and {+new+}, in colour on a terminal."""
    if piece.kind == "kept":
        return piece.text
    if piece.kind == "gone":
        return click.style(f"[-{piece.text}-]", fg="red")
    return click.style(f"{{+{piece.text}+}}", fg="green")


@command.command()
@click.argument("newsletter")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="The day they have to answer by.")
@click.option("--stop", is_flag=True, help="Stop asking; nobody leaves for not having answered.")
@door.run
async def renew(newsletter: str, until: datetime | None, stop: bool) -> None:
    """Ask readers who agreed to older words to agree to the current ones.

    Each gets one mail with a button, from the worker. No answer changes nothing until the end of
    the day named, in the newsletter's time zone; then who was reached and said nothing leaves.
    """
    if stop == (until is not None):
        raise click.UsageError("Name the day with --until, or end it with --stop.")
    async with door.house() as house, house.conn.transaction():
        found = await newsletters.find(house.conn, newsletter)
        if until is None:
            await renewals.stop(house.conn, found)
            door.say("Stopped: nobody is asked any more.")
            return
        answer_by = renewals.end_of_day(until.date(), found.zone)
        begun, readers = await renewals.begin(house.conn, found, answer_by, by=door.actor())
    door.say(
        f"Renewal {begun.id}: {readers} readers will be asked. mailer notice renewals shows it."
    )


@command.command("renewals")
@door.as_json
@door.run
async def renewals_(as_json: bool) -> None:
    """Every renewal, the latest first: how many were asked, and what they said."""
    async with door.house() as house:
        listed = await renewals.summaries(house.conn)
    door.show(map(asdict, listed), as_json=as_json)


def as_row(notice: Notice) -> dict[str, object]:
    return {**asdict(notice), "sha256": notice.sha256.hex()}
