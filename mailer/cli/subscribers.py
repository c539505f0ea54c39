"""`mailer subscribers …`."""

import csv
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields
from itertools import islice
from pathlib import Path

import click

from mailer import exports, newsletters, notices, people, subscriptions
from mailer.cli import door, outfile
from mailer.cli.door import House
from mailer.cli.outfile import Outfile
from mailer.errors import Invalid, Refusal
from mailer.newsletters import Newsletter
from mailer.subscriptions import Listed, Wish

BATCH = 500


@click.group("subscribers")
def command() -> None:
    """Who subscribed."""


@command.command()
@click.argument("email", required=False)
@door.why
@door.as_json
@door.run
async def show(email: str | None, reason: str, as_json: bool) -> None:
    """Numbers by newsletter, language and state; or one person (that you looked is recorded)."""
    async with door.house() as house, house.conn.transaction():
        if email is None:
            door.show(map(asdict, await subscriptions.counts(house.conn)), as_json=as_json)
            return
        own = await people.view(
            house.conn, house.vault, email,
            what="subscriptions", reason=reason, actor=door.actor(),
        )  # fmt: skip
    door.show(map(people.describe, own.subscriptions), as_json=as_json)


@command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--newsletter", "slug", required=True)
@click.option("--language", help="For lines without one; else the newsletter's fallback.")
@door.run
async def import_(file: Path, slug: str, language: str | None) -> None:
    """Ask the people in FILE to confirm: CSV with a column `email` and perhaps `language`.

    Nobody is subscribed by this: each is sent one confirmation mail, under the usual caps. A line
    that is wrong stops nothing; it is named, and the exit status is 1.
    """
    accepted, wrong = 0, 0
    evidence = {"channel": "import", "file_sha256": sha256(file)}
    async with door.house() as house:
        newsletter = await newsletters.find(house.conn, slug)
        lines = enumerate(rows(file), start=2)
        while batch := list(islice(lines, BATCH)):
            async with house.conn.transaction():
                refused = [
                    f"line {number}: {sentence}"
                    for number, row in batch
                    if (sentence := await invite(house, newsletter, language, row, evidence))
                ]
            accepted, wrong = accepted + len(batch) - len(refused), wrong + len(refused)
            for sentence in refused:
                door.complain(sentence)
    door.say(f"{accepted} people will be asked to confirm.")
    if wrong:
        raise Refusal("{count} lines were left out.", count=wrong)


def rows(file: Path) -> Iterator[dict[str, str]]:
    """Lines by their column names. Raises Invalid if there is no column `email`."""
    with file.open(encoding="utf-8-sig", newline="") as text:
        reader = csv.DictReader(text)
        names = {name.strip().lower(): name for name in reader.fieldnames or ()}
        if "email" not in names:
            raise Invalid("The first line of {file} must name a column email.", file=file.name)
        for row in reader:
            yield {name: (row[as_given] or "").strip() for name, as_given in names.items()}


def sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


async def invite(
    house: House,
    newsletter: Newsletter,
    language: str | None,
    row: dict[str, str],
    evidence: dict[str, str],
) -> str | None:
    """Ask one person; what is wrong with the line, if anything."""
    spoken = newsletter.offered(row.get("language") or language or newsletter.fallback)
    notice = await notices.current(house.conn, newsletter.id, spoken)
    if notice is None:
        return f"{newsletter.slug} has no notice in {spoken}: publish one with mailer notice add."
    wish = Wish(
        row["email"], (newsletter.slug,), notice.id, spoken, evidence=evidence, by=door.actor()
    )
    try:
        await subscriptions.request(house.conn, house.vault, wish)
    except Refusal as error:
        return str(error)
    return None


@command.command()
@click.option("--newsletter", "slug")
@click.option("--reason", required=True, help="Why the addresses are needed; recorded.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="A file, not the screen."
)
@click.option("--encrypt-to", metavar="age1…", help="Whose age key may read it.")
@door.run
async def export(slug: str | None, reason: str, out: Path | None, encrypt_to: str | None) -> None:
    """Write everyone's address and subscriptions as CSV; that it was exported is recorded."""
    if not reason.strip():
        raise Invalid("Say with --reason why the addresses are needed.", field="reason")
    async with door.house() as house:
        if slug is not None:
            await newsletters.find(house.conn, slug)
        with Outfile(out, encrypt_to) as file:
            async with house.conn.transaction(isolation="repeatable_read", readonly=True):
                with file.writing() as write:
                    rows = await write_subscriptions(house, write, slug)
            said = {
                "format": "csv",
                "filter": {"newsletter": slug},
                "addresses": True,
                "encrypted": encrypt_to is not None,
            }
            await outfile.record(house, file, "subscribers", rows, reason, said)
            file.publish()
    door.complain(f"Exported {rows} subscriptions.")


async def write_subscriptions(
    house: House, write: Callable[[str], object], slug: str | None
) -> int:
    """The header, then a line each; how many."""
    rows = 0
    write(exports.csv_line(field.name for field in fields(Listed)))
    with door.counting("subscriptions") as count:
        async for listed in subscriptions.listing(house.conn, house.vault, slug):
            write(exports.csv_line(exports.as_text(value) for value in asdict(listed).values()))
            rows += 1
            count(rows)
    return rows
