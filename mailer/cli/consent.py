"""`mailer consent …`."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from mailer import consent, exports, newsletters, notices, people, subscribers
from mailer.cli import door, outfile, proving, verifying
from mailer.cli.door import House
from mailer.cli.outfile import Outfile
from mailer.consent import Filter
from mailer.errors import Invalid
from mailer.exports import Format

MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"])


@click.group("consent")
def command() -> None:
    """The append-only record of who agreed to what, when and in which words."""


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
@click.option("--since", type=MOMENT, help="UTC unless it says otherwise.")
@click.option("--until", type=MOMENT, help="Not included.")
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
    if with_addresses and not reason.strip():
        raise Invalid("Say with --reason why the addresses are needed.", field="reason")
    wanted = asked(**given)
    async with door.house() as house:
        await check(house, wanted)
        with Outfile(out, encrypt_to) as file:
            async with house.conn.transaction(isolation="repeatable_read", readonly=True):
                with file.writing() as write:
                    rows = await write_events(
                        house, write, format_, wanted, with_addresses=with_addresses
                    )
            said = {
                "format": format_,
                "filter": described(wanted),
                "addresses": with_addresses,
                "encrypted": encrypt_to is not None,
            }
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
    return Filter(newsletter, type_, notice, as_utc(since), as_utc(until))


def as_utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


async def check(house: House, wanted: Filter) -> None:
    """Nothing is found under a name that was mistyped. Raises Unknown."""
    if wanted.newsletter is not None:
        await newsletters.find(house.conn, wanted.newsletter)
    if wanted.notice is not None:
        await notices.find(house.conn, wanted.notice)


def described(wanted: Filter) -> dict[str, object]:
    return {
        name: consent.timestamp(value) if isinstance(value, datetime) else value
        for name, value in asdict(wanted).items()
    }


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
    write(exports.header(format_, with_addresses=with_addresses))
    with door.counting("events") as count:
        async for event, subject, sealed in consent.stream(house.conn, house.vault, wanted):
            email = None
            if with_addresses:
                email = subscribers.open_address(subject, sealed).given if sealed else ""
            write(exports.line(format_, event, email))
            rows += 1
            count(rows)
    return rows


command.add_command(verifying.verify)
command.add_command(proving.proof)
command.add_command(proving.key)
