"""`mailer consent …`."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from mailer import consent, people
from mailer.cli import door, outfile, processing, proving, verifying
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
@click.option("--newsletter", help="Only events about this newsletter.")
@click.option("--type", "type_", type=click.Choice(consent.TYPES), metavar="TYPE",
              help="Only events of this type, such as consent.confirmed.")  # fmt: skip
@click.option("--notice", help="Only events under this version of the wording.")
@click.option("--since", type=door.MOMENT, help="UTC unless it says otherwise.")
@click.option("--until", type=door.MOMENT, help="Not included.")
@outfile.options
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
        rows = await outfile.extract(
            house, "consent", format_, wanted, with_addresses=with_addresses, reason=reason,
            out=out, encrypt_to=encrypt_to,
        )  # fmt: skip
    door.complain(f"Exported {rows} events.")


def asked(
    newsletter: str | None,
    type_: str | None,
    notice: str | None,
    since: datetime | None,
    until: datetime | None,
) -> Filter:
    return Filter(newsletter, type_, notice, door.as_utc(since), door.as_utc(until))


command.add_command(verifying.verify)
command.add_command(proving.proof)
command.add_command(proving.key)
