"""What commands take out of the house: written beside, recorded, then put in place."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from mailer import extracts
from mailer.cli import door
from mailer.cli.door import House
from mailer.consent import Filter
from mailer.errors import Invalid
from mailer.exports import Format
from mailer.extracts import What
from mailer.outfiles import Outfile
from mailer.subscriptions import Wanted

Command = TypeVar("Command", bound=Callable[..., Any])

OPTIONS = (
    click.option(
        "--format", "format_", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True
    ),
    click.option(
        "--out", type=click.Path(dir_okay=False, path_type=Path), help="A file, not the screen."
    ),
    click.option("--with-addresses", is_flag=True, help="Needs --reason."),
    click.option("--reason", default="", help="What it is for; recorded."),
    click.option("--encrypt-to", metavar="age1…", help="Whose age key may read it."),
)


def options(command: Command) -> Command:
    """What every export may be told, beside which lines of it."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def need_reason(reason: str, *, with_addresses: bool) -> None:
    """Raises Invalid."""
    if with_addresses and not reason.strip():
        raise Invalid("Say with --reason why the addresses are needed.", field="reason")


async def extract(
    house: House,
    what: What,
    format_: Format,
    wanted: Filter | Wanted,
    *,
    with_addresses: bool,
    reason: str,
    out: Path | None,
    encrypt_to: str | None,
) -> int:
    """Write it all to a file, put on record that it is taken out, then let it be seen; how many
    lines. Raises Invalid or Unknown."""
    await extracts.check(house.conn, wanted)
    with Outfile(out, encrypt_to) as file:
        async with house.conn.transaction(isolation="repeatable_read", readonly=True):
            with file.writing() as write, door.counting("lines") as count:
                rows = -1  # the header
                async for line in extracts.lines(
                    house.conn, house.vault, format_, wanted, with_addresses=with_addresses
                ):
                    write(line)
                    rows += 1
                    count(rows)
        said = extracts.said(format_, wanted, with_addresses=with_addresses)
        told = {**said, "encrypted": encrypt_to is not None}
        await record(house, file, what, rows, reason, told)
        file.publish()
    return rows


async def record(
    house: House, file: Outfile, what: str, rows: int, reason: str, said: Mapping[str, object]
) -> None:
    """Put on record that staff take a file out, before it is where they can."""
    evidence = {"what": what, "rows": rows, "sha256": file.sha256, "reason": reason, **said}
    async with house.conn.transaction():
        await extracts.record(house.conn, house.vault, evidence, actor=door.actor())
