"""`mailer consent …`."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from mailer import consent, exports, newsletters, notices, people, subscribers
from mailer.cli import door, outfile, processing, proving, verifying
from mailer.cli.door import House
from mailer.cli.outfile import Outfile
from mailer.consent import Filter
from mailer.exports import Format


@click.group("consent")
def command() -> None:
    """The append-only record of who agreed to what, when and in which words."""


command.add_command(processing.command)


@command.command()
@click.argument("email")
@door.why
@door.as_json
@door.run
async def show(email: str, reason: str, as_json: bool) -> None:
    """What one person agreed to; that you looked is recorded."""
    async with door.house() as house, house.conn.transaction():
        own = await people.view(
            house.conn, house.vault, email, what="record", reason=reason, actor=door.actor()
        )
    events = [event.content for event in own.record]
    if as_json:
        door.show(events, as_json=True)
        return
    for event in events:
        about = " ".join(filter(None, (event["newsletter"], (event["notice"] or {}).get("id"))))
        door.say(f"{event['seq']:>4}  {event['at']}  {event['type']:<24} {event['actor']}  {about}")


@command.command()
@click.option(
    "--format", "format_", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True
)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="A file, not the screen."
)
@click.option("--newsletter", help="Only events about this newsletter.")
@click.option("--type", "type_", type=click.Choice(consent.TYPES), metavar="TYPE",
              help="Only events of this type, such as consent.confirmed.")  # fmt: skip
@click.option("--notice", help="Only events under this version of the wording.")
@click.option("--since", type=door.MOMENT, help="UTC unless it says otherwise.")
@click.option("--until", type=door.MOMENT, help="Not included.")
@click.option("--with-addresses", is_flag=True, help="Needs --reason.")
@click.option("--reason", default="", help="What it is for; recorded.")
@click.option("--encrypt-to", metavar="age1…", help="Whose age key may read it.")
@door.run
async def export(
    format_: Format,
    out: Path | None,
    with_addresses: bool,
    reason: str,
    encrypt_to: str | None,
    **given: Any,
) -> None:
    """Write the record to a file; that it was exported is recorded."""
    outfile.need_reason(reason, with_addresses=with_addresses)
    wanted = asked(**given)
    async with door.house() as house:
        await check(house, wanted)
        with Outfile(out, encrypt_to) as file:
            async with house.conn.transaction(isolation="repeatable_read", readonly=True):
                with file.writing() as write:
                    rows = await write_events(
                        house, write, format_, wanted, with_addresses=with_addresses
                    )
            said = outfile.said(
                format_, wanted, encrypted=encrypt_to is not None, with_addresses=with_addresses
            )
            await outfile.record(house, file, "consent", rows, reason, said)
            file.publish()
    door.complain(f"Exported {rows} events.")


def asked(
    newsletter: str | None,
    type_: str | None,
    notice: str | None,
    since: datetime | None,
    until: datetime | None,
) -> Filter:
    return Filter(newsletter, type_, notice, door.as_utc(since), door.as_utc(until))


async def check(house: House, wanted: Filter) -> None:
    """Nothing is found under a name that was mistyped. Raises Unknown."""
    if wanted.newsletter is not None:
        await newsletters.find(house.conn, wanted.newsletter)
    if wanted.notice is not None:
        await notices.find(house.conn, wanted.notice)


async def write_events(
    house: House,
    write: Callable[[str], object],
    format_: Format,
    wanted: Filter,
    *,
    with_addresses: bool,
) -> int:
    """The header (JSON Lines has none), then a line an event; how many."""
    rows = 0
    write(exports.header(format_, exports.COLUMNS, with_addresses=with_addresses))
    with door.counting("events") as count:
        async for event, subject, sealed in consent.stream(house.conn, house.vault, wanted):
            email = None
            if with_addresses:
                email = subscribers.open_address(subject, sealed).given if sealed else ""
            write(exports.line(format_, exports.event(event), email))
            rows += 1
            count(rows)
    return rows


command.add_command(verifying.verify)
command.add_command(proving.proof)
command.add_command(proving.key)
