"""Making a draft, reading it and changing it."""

from collections.abc import Sequence

import click

from mailer import digests, newsletters
from mailer.cli import door
from mailer.cli.digest.named import named
from mailer.cli.digest.standing import as_row
from mailer.cli.door import House
from mailer.digests import Digest, Item
from mailer.errors import Invalid
from mailer.newsletters import Newsletter


@click.command()
@click.argument("newsletter")
@click.option("--cadence", help="The newsletter's first, if not given.")
@click.option("--introduction", "introduced", multiple=True, metavar="LANG=TEXT")
@door.as_json
@door.run
async def create(
    newsletter: str, cadence: str | None, introduced: tuple[str, ...], as_json: bool
) -> None:
    """Make a draft of what was published since the last one."""
    async with door.house() as house, house.conn.transaction():
        digest = await draft(house, newsletter, cadence, introduced)
        status = await digests.status(house.conn, digest)
    if as_json:
        door.show_one(as_row(status, ()), as_json=True)
    else:
        door.say(f"Digest {digest.number} of {newsletter}: {status.articles} articles.")


async def draft(
    house: House, slug: str, cadence: str | None, introduced: tuple[str, ...] = ()
) -> Digest:
    newsletter = await newsletters.find(house.conn, slug)
    digest = await digests.create(
        house.conn, newsletter, cadence or newsletter.cadences[0], by=door.actor()
    )
    if introduced:
        await digests.introduce(house.conn, digest, introduction(newsletter, introduced))
    return await digests.get(house.conn, digest.id)


def introduction(newsletter: Newsletter, introduced: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in introduced]
    if not all(language in newsletter.languages and said for language, _, said in pairs):
        raise Invalid(
            "Give the introduction as LANG=TEXT in {known}.",
            known=", ".join(newsletter.languages),
        )
    return {language: said for language, _, said in pairs}


@click.command()
@named
@door.as_json
@door.run
async def show(newsletter: str, number: int, as_json: bool) -> None:
    """The articles of a digest, in their order, and the version of the draft."""
    async with door.house() as house:
        digest = await digests.find(house.conn, newsletter, number)
        items = await digests.contents(house.conn, digest)
    rows = [as_line(item) for item in items]
    if as_json:
        door.show_one({"version": digest.version, "articles": rows}, as_json=True)
    else:
        door.show(rows, as_json=False)
        door.say(f"Version {digest.version}, {digest.state}.")


def as_line(item: Item) -> dict[str, object]:
    article = item.article
    return {
        "id": article.id,
        "language": article.language,
        "title": article.title,
        "pinned": item.pinned,
        "work": article.work,
        "files": len(item.attachments),
    }


@click.command()
@named
@click.option("--pick", type=int, multiple=True, metavar="ID", help="Put an article in.")
@click.option("--skip", type=int, multiple=True, metavar="ID", help="Leave it out, for good.")
@click.option(
    "--later", type=int, multiple=True, metavar="ID", help="Leave it for the next digest."
)
@click.option("--pin", type=int, multiple=True, metavar="ID", help="Keep it at the top.")
@click.option("--unpin", type=int, multiple=True, metavar="ID")
@click.option("--order", metavar="ID,ID,…", help="These first, in this order.")
@click.option(
    "--introduction",
    "introduced",
    multiple=True,
    metavar="LANG=TEXT",
    help="Instead of what was said so far.",
)
@click.option("--version", type=int, help="The one you have seen: refused if it is another by now.")
@door.run
async def edit(
    newsletter: str,
    number: int,
    pick: tuple[int, ...],
    skip: tuple[int, ...],
    later: tuple[int, ...],
    pin: tuple[int, ...],
    unpin: tuple[int, ...],
    order: str | None,
    introduced: tuple[str, ...],
    version: int | None,
) -> None:
    """Change a draft. An article's id (`digest show`) means its translations, too."""
    async with door.house() as house, house.conn.transaction():
        conn = house.conn
        digest = await digests.find(conn, newsletter, number)
        await digests.edit(conn, digest, version)
        for id_ in pick:
            await digests.pick(conn, digest, id_)
        for id_ in skip:
            await digests.skip(conn, digest, id_)
        for id_ in later:
            await digests.put_back(conn, digest, id_)
        for id_ in pin:
            await digests.pin(conn, digest, id_)
        for id_ in unpin:
            await digests.pin(conn, digest, id_, pinned=False)
        if order:
            await digests.reorder(conn, digest, numbers(order))
        if introduced:
            weekly = await newsletters.get(conn, digest.newsletter)
            await digests.introduce(conn, digest, introduction(weekly, introduced))
        digest = await digests.get(conn, digest.id)
    door.say(f"Version {digest.version}.")


def numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise Invalid(
            "Give the order as ids with commas, such as 12,9,14.", field="order"
        ) from None
