"""`mailer newsletter …`."""

from dataclasses import asdict

import click

from mailer import newsletters
from mailer.cli import door
from mailer.newsletters import CADENCES


@click.group("newsletter")
def command() -> None:
    """Named series, with languages and cadences."""


def titles(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """LANG=TITLE, for each language."""
    pairs = [text.partition("=") for text in given]
    if not all(language and title for language, _, title in pairs):
        raise click.BadParameter("give it as LANG=TITLE, such as en='Weekly news'")
    return {language: title for language, _, title in pairs}


@command.command()
@click.argument("slug")
@click.option(
    "--title",
    "titled",
    multiple=True,
    required=True,
    callback=titles,
    metavar="LANG=TITLE",
    help="Its title in a language; once for each language.",
)
@click.option("--fallback", help="For readers of other languages (the first, if not given).")
@click.option(
    "--cadence",
    "cadences",
    multiple=True,
    type=click.Choice(CADENCES),
    default=("weekly",),
    show_default=True,
    help="How often; may be given again.",
)
@click.option("--timezone", default="UTC", show_default=True)
@click.option("--archive/--no-archive", default=True, help="Show sent digests in public.")
@door.as_json
@door.run
async def add(
    slug: str,
    titled: dict[str, str],
    fallback: str | None,
    cadences: tuple[str, ...],
    timezone: str,
    archive: bool,
    as_json: bool,
) -> None:
    """Add a newsletter."""
    async with door.house() as house, house.conn.transaction():
        added = await newsletters.add(
            house.conn,
            slug,
            titled,
            fallback=fallback or next(iter(titled)),
            cadences=cadences,
            timezone=timezone,
            archived=archive,
        )
    if as_json:
        door.show_one(asdict(added), as_json=True)
    else:
        door.say(f"Added {slug}. Publish a notice in each language next: mailer notice add")


@command.command("list")
@door.as_json
@door.run
async def list_(as_json: bool) -> None:
    """Every newsletter."""
    async with door.house() as house:
        listed = await newsletters.all_(house.conn)
    door.show(map(asdict, listed), as_json=as_json)


@command.command()
@click.argument("slug")
@door.as_json
@door.run
async def show(slug: str, as_json: bool) -> None:
    """One newsletter."""
    async with door.house() as house:
        found = await newsletters.find(house.conn, slug)
    door.show_one(asdict(found), as_json=as_json)
