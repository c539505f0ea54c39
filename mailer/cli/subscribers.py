"""`mailer subscribers …`."""

import csv
import sys
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import click

from mailer import consent, exports, newsletters, notices, people, subjects, subscriptions
from mailer.cli import door
from mailer.cli.door import House
from mailer.errors import Invalid, Refusal
from mailer.newsletters import Newsletter
from mailer.subscriptions import Wish

BATCH = 500


@click.group("subscribers")
def command() -> None:
    """Who subscribed."""


@command.command()
@click.argument("email", required=False)
@door.as_json
@door.run
async def show(email: str | None, as_json: bool) -> None:
    """Numbers by newsletter, language and state; or one person (that you looked is recorded)."""
    async with door.house() as house, house.conn.transaction():
        if email is None:
            door.show(map(asdict, await subscriptions.counts(house.conn)), as_json=as_json)
            return
        own = await people.find(house.conn, house.vault, email)
        subject = own.subscriber.subject(house.vault)
        await consent.record(house.conn, subject, "staff.viewed", actor=door.actor())
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
    async with door.house() as house:
        newsletter = await newsletters.find(house.conn, slug)
        lines = enumerate(rows(file), start=2)
        while batch := list(islice(lines, BATCH)):
            async with house.conn.transaction():
                refused = [
                    f"line {number}: {sentence}"
                    for number, row in batch
                    if (sentence := await invite(house, newsletter, language, row)) is not None
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


async def invite(
    house: House, newsletter: Newsletter, language: str | None, row: dict[str, str]
) -> str | None:
    """Ask one person; what is wrong with the line, if anything."""
    spoken = newsletter.offered(row.get("language") or language or newsletter.fallback)
    notice = await notices.current(house.conn, newsletter.id, spoken)
    if notice is None:
        return f"{newsletter.slug} has no notice in {spoken}: publish one with mailer notice add."
    evidence = {"channel": "import", "by": door.actor()}
    wish = Wish(row["email"], (newsletter.slug,), notice.id, spoken, evidence=evidence)
    try:
        await subscriptions.request(house.conn, house.vault, wish)
    except Refusal as error:
        return str(error)
    return None


@command.command()
@click.option("--newsletter", "slug")
@click.option("--reason", required=True, help="Why the addresses are needed; recorded.")
@door.run
async def export(slug: str | None, reason: str) -> None:
    """Write everyone's address and subscriptions as CSV; that it was exported is recorded."""
    if not reason.strip():
        raise Invalid("Say with --reason why the addresses are needed.", field="reason")
    written = 0
    async with door.house() as house, house.conn.transaction(isolation="repeatable_read"):
        columns = ("email", "newsletter", "state", "language", "cadence", "confirmed_at", "left_at")
        sys.stdout.write(exports.csv_line(columns))
        async for listed in subscriptions.listing(house.conn, house.vault, slug):
            cells = (exports.as_text(value) for value in asdict(listed).values())
            sys.stdout.write(exports.csv_line(cells))
            written += 1
        await consent.record(
            house.conn,
            await subjects.house(house.conn, house.vault),
            "staff.exported",
            actor=door.actor(),
            evidence={
                "what": "subscribers",
                "newsletter": slug,
                "rows": written,
                "addresses": True,
                "reason": reason,
            },
        )
    door.complain(f"Exported {written} subscriptions.")
