"""`mailer subscribers import`, `imports` and `stop`: people brought over from another list."""

import csv
import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

from mailer import imports, newsletters
from mailer.cli import door
from mailer.cli.door import House
from mailer.errors import Refusal
from mailer.imports import Line, Manner, Person, Reading, Terms, Wrong

AT_ONCE = 5000
SHOWN = 20
"""So many lines that are wrong are said on the screen; all of them are in the report."""

STDIN = Path("-")


def columns(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """WHAT=COLUMN, for each."""
    pairs = [text.partition("=") for text in given]
    if not all(what and sign for what, sign, _ in pairs):
        raise click.BadParameter("give it as WHAT=COLUMN, such as email='E-Mail'")
    return {what: name for what, _, name in pairs}


@dataclass
class Told:
    """What is wrong with a file, said as it is read: on the screen, and in a report if there is
    one. Neither repeats an address."""

    report: Any = None
    wrong: int = 0
    passed: int = 0

    def say(self, number: int, sentence: str) -> None:
        self.wrong += 1
        if self.report is not None:
            self.report.writerow((number, sentence))
        if self.wrong <= SHOWN:
            door.complain(f"line {number}: {sentence}")


@click.command("import")
@click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
)
@click.option("--newsletter", "slug", required=True)
@click.option("--language", help="For lines without one; else the newsletter's fallback.")
@click.option("--map", "columns", multiple=True, callback=columns, metavar="WHAT=COLUMN",
              help="Which column of the file holds what, such as email='E-Mail'; "
              f"WHAT is one of {', '.join(imports.COLUMNS)}.")  # fmt: skip
@click.option("--encoding", help="Of the file, if it is not UTF-8 or UTF-16.")
@click.option("--delimiter", type=click.Choice([",", ";", "tab", "|"]))
@click.option("--documented", is_flag=True,
              help="Confirm at once whose line has evidence of an earlier consent: agreed_at, "
              "agreed_how, agreed_words (or their URL or hash), agreed_source.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what would come of it, and change nothing.")
@click.option("--again", is_flag=True, help="Also if the same file was imported before.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path),
              help="Where to write, as CSV, every line that is wrong and why.")  # fmt: skip
@door.as_json
@door.run
async def import_(
    file: Path,
    slug: str,
    language: str | None,
    columns: Mapping[str, str],
    encoding: str | None,
    delimiter: str | None,
    documented: bool,
    dry_run: bool,
    again: bool,
    report: Path | None,
    as_json: bool,
) -> None:
    """Bring over the people in FILE (CSV; - is standard input), whose first line names its columns.

    Each is asked to confirm with one mail, under the usual caps, unless the line documents an
    earlier consent. Whoever is subscribed, was asked or has left already stays as they are. A line
    that is wrong stops nothing; it is named, and the exit status is 1.
    """
    manner = Manner(columns, encoding, "\t" if delimiter == "tab" else delimiter)
    async with door.house() as house:
        newsletter = await newsletters.find(house.conn, slug)
        terms = await imports.terms(house.conn, newsletter, language, documented=documented)
        with opened(file) as raw, reporting(report) as told:
            reading = Reading(raw, manner)
            explain(reading)
            async with house.conn.transaction():
                id_ = await imports.begin(house.conn, terms, by=door.actor())
            async with whole(house, id_):
                await staged(house, reading, terms, id_, told, size(file))
                async with house.conn.transaction():
                    await imports.close(
                        house.conn, id_, reading.sha256, wrong=told.wrong, passed=told.passed
                    )
                    outlook = await imports.outlook(house.conn, id_)
                    if not dry_run:
                        await imports.start(house.conn, id_, again=again)
        found = await imports.find(house.conn, id_)
        if dry_run:
            async with house.conn.transaction():
                await imports.drop(house.conn, id_)
    tell(found, outlook, as_json=as_json, dry_run=dry_run)
    if told.wrong:
        raise Refusal("{count} lines were left out.", count=told.wrong)


@asynccontextmanager
async def whole(house: House, import_: int) -> AsyncIterator[None]:
    """All of it, or nothing: what broke off is taken back."""
    try:
        yield
    except BaseException:
        async with house.conn.transaction():
            await imports.drop(house.conn, import_)
        raise


@contextmanager
def opened(file: Path) -> Iterator[IO[bytes]]:
    if file == STDIN:
        yield sys.stdin.buffer
        return
    with file.open("rb") as raw:
        yield raw


def size(file: Path) -> int | None:
    return None if file == STDIN else file.stat().st_size


@contextmanager
def reporting(report: Path | None) -> Iterator[Told]:
    if report is None:
        yield Told()
        return
    try:
        private = os.open(report, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(private, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("line", "what"))
            yield Told(writer)
    except OSError as error:
        raise Refusal("{path} can't be written: {why}.", path=report, why=error.strerror) from None


def explain(reading: Reading) -> None:
    """How the file is read, before anything comes of it."""
    layout = reading.layout
    read = ", ".join(f"{what} from “{layout.names[n]}”" for what, n in layout.places.items())
    parted = {"\t": "tabs"}.get(layout.delimiter, layout.delimiter)
    door.complain(f"Read as {layout.encoding}, parted by {parted}: {read}.")


async def staged(
    house: House, reading: Reading, terms: Terms, import_: int, told: Told, total: int | None
) -> None:
    """Check each line and keep its person, in transactions of AT_ONCE."""
    some: list[Person] = []
    with watched(total) as progress:
        for line in reading:
            if person := checked(line, terms, told):
                some.append(person)
            if len(some) == AT_ONCE:
                await keep(house, import_, some)
                some.clear()
                progress(reading.source.position)
        await keep(house, import_, some)


async def keep(house: House, import_: int, some: list[Person]) -> None:
    async with house.conn.transaction():
        await imports.stage(house.conn, house.vault, import_, some)


def checked(line: Line | Wrong, terms: Terms, told: Told) -> Person | None:
    found = imports.sift(line, terms)
    if isinstance(found, Person):
        return found
    if isinstance(found, Wrong):
        told.say(found.number, str(found.error))
    else:
        told.passed += 1
    return None


@contextmanager
def watched(total: int | None) -> Iterator[Any]:
    """A bar for whoever watches."""
    console = Console(stderr=True, quiet=not door.interactive())
    columns = (BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda position: progress.update(task, completed=position)


def tell(found: imports.Import, outlook: imports.Outlook, *, as_json: bool, dry_run: bool) -> None:
    if as_json:
        door.show_one({**asdict(found), **asdict(outlook), "dry_run": dry_run}, as_json=True)
        return
    become = "would" if dry_run else "will"
    door.say(f"{outlook.fresh} people {become} be asked to confirm.")
    for count, what in (
        (outlook.vouched, f"{become} be confirmed by their evidence"),
        (outlook.known, "are subscribed or asked already and stay as they are"),
        (outlook.gone, "have left and stay so"),
        (found.suppressed, "are never to be written to"),
        (found.repeated, "lines repeat an address"),
        (found.passed, "lines are about another newsletter, or somebody not subscribed"),
    ):
        if count:
            door.say(f"{count} {what}.")
    if found.wrong > SHOWN:
        door.complain(f"… and {found.wrong - SHOWN} more lines (all of them with --report).")
    if not dry_run:
        door.complain(f"It goes by itself from here: mailer subscribers imports shows {found.id}.")


@click.command("imports")
@door.as_json
@door.run
async def imports_(as_json: bool) -> None:
    """What was imported, and how far it is."""
    async with door.house() as house:
        listed = await imports.all_(house.conn)
    door.show(map(asdict, listed), as_json=as_json)


@click.command()
@click.argument("number", type=int)
@door.run
async def stop(number: int) -> None:
    """Bring over nobody more of import NUMBER."""
    async with door.house() as house, house.conn.transaction():
        forgotten = await imports.stop(house.conn, number)
    door.say(f"Stopped: {forgotten} people are not brought over.")
