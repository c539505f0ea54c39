"""An edition as readers would get it: in files, or as a test mail."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import click

from mailer import digests, editions, render
from mailer.cli import door
from mailer.cli.digest.named import named
from mailer.editions import Composed
from mailer.errors import Refusal
from mailer.newsletters import Newsletter

Written: TypeAlias = tuple[str, str]


@click.command()
@named
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path(),
              help="A folder for the files; else here.")  # fmt: skip
@door.run
async def preview(newsletter: str, number: int, out: Path) -> None:
    """Write each edition to a file, as HTML and as text, and a page that shows them all at full and
    at phone width; say what is wrong with them."""
    async with door.house() as house:
        digest = await digests.find(house.conn, newsletter, number)
        weekly, composed = await editions.compose(house.conn, house.settings, digest)
        found = await editions.findings(house.conn, house.settings, digest, weekly, composed)
    for finding in found:
        door.complain(f"{finding.level}: {finding}")
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in files(f"{newsletter}-{number}", weekly, composed):
            (out / name).write_text(content, "utf-8")
            door.say(str(out / name))
    except OSError as error:
        raise Refusal("{path} can't be written: {why}.", path=out, why=error.strerror) from None


def files(stem: str, newsletter: Newsletter, composed: Sequence[Composed]) -> Iterator[Written]:
    """By name: each edition as HTML and as text, and all of them beside one another."""
    for each in composed:
        edition = each.edition
        for suffix, content in (("html", edition.html), ("txt", edition.text)):
            yield f"{stem}-{edition.language}.{suffix}", editions.without_slots(content)
    shown = [each.edition for each in composed]
    yield (
        f"{stem}.html",
        render.page("preview.html", "en", stem=stem, newsletter=newsletter, editions=shown),
    )


@click.command()
@named
@click.option("--to", required=True, help="The address of one of the staff.")
@click.option("--language", help="The newsletter's fallback, if not given.")
@door.run
async def test(newsletter: str, number: int, to: str, language: str | None) -> None:
    """Send one edition to one of the staff; its personal links lead nowhere."""
    async with door.house() as house, house.conn.transaction():
        digest = await digests.find(house.conn, newsletter, number)
        await editions.try_out(house.conn, house.settings, house.vault, digest, to, language)
    door.say("It waits in the outbox; a worker sends it.")
