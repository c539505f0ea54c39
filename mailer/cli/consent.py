"""`mailer consent …`."""

import hashlib
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import click

from mailer import consent, exports, people, subjects, subscribers
from mailer.cli import door, proving, verifying
from mailer.cli.door import House
from mailer.consent import Filter
from mailer.errors import Invalid, Refusal
from mailer.exports import Format

MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"])


@click.group("consent")
def command() -> None:
    """The append-only record of who agreed to what, when and in which words."""


@command.command()
@click.argument("email")
@door.as_json
@door.run
async def show(email: str, as_json: bool) -> None:
    """What one person agreed to; that you looked is recorded."""
    async with door.house() as house, house.conn.transaction():
        own = await people.find(house.conn, house.vault, email)
        subject = own.subscriber.subject(house.vault)
        await consent.record(house.conn, subject, "staff.viewed", actor=door.actor())
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
@click.option("--newsletter")
@click.option("--type", "type_")
@click.option("--since", type=MOMENT, help="UTC unless it says otherwise.")
@click.option("--until", type=MOMENT, help="Not included.")
@click.option("--with-addresses", is_flag=True, help="Needs --reason.")
@click.option("--reason", help="Why the addresses are needed; recorded.")
@door.run
async def export(
    format_: Format,
    out: Path | None,
    newsletter: str | None,
    type_: str | None,
    since: datetime | None,
    until: datetime | None,
    with_addresses: bool,
    reason: str | None,
) -> None:
    """Write the record to a file; that it was exported is recorded."""
    if with_addresses and not (reason or "").strip():
        raise Invalid("Say with --reason why the addresses are needed.", field="reason")
    wanted = Filter(newsletter, type_, as_utc(since), as_utc(until))
    async with door.house() as house, house.conn.transaction(isolation="repeatable_read"):
        with opened(out) as file:
            rows, digest = await write(house, file, format_, wanted, with_addresses=with_addresses)
        await consent.record(
            house.conn,
            await subjects.house(house.conn, house.vault),
            "staff.exported",
            actor=door.actor(),
            evidence={
                "format": format_,
                "filter": described(wanted),
                "rows": rows,
                "sha256": digest,
                "addresses": with_addresses,
                "reason": reason or "",
            },
        )
    door.complain(f"Exported {rows} events.")


def as_utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def described(wanted: Filter) -> dict[str, object]:
    return {
        name: consent.timestamp(value) if isinstance(value, datetime) else value
        for name, value in asdict(wanted).items()
    }


def opened(out: Path | None) -> IO[str]:
    """A file that only its owner reads, or the screen (a copy of it, so that it stays open)."""
    if out is None:
        return os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", newline="")
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise Refusal("{path} can't be written: {why}.", path=out, why=error.strerror) from None
    return os.fdopen(descriptor, "w", encoding="utf-8", newline="")


async def write(
    house: House, file: IO[str], format_: Format, wanted: Filter, *, with_addresses: bool
) -> tuple[int, str]:
    """How many events were written, and the SHA-256 of the file."""
    digest, rows = hashlib.sha256(), -1
    async for line in lines(house, format_, wanted, with_addresses=with_addresses):
        file.write(line)
        digest.update(line.encode())
        rows += 1
    return rows, digest.hexdigest()


async def lines(
    house: House, format_: Format, wanted: Filter, *, with_addresses: bool
) -> AsyncIterator[str]:
    """The header (empty for JSON Lines), then a line an event."""
    yield exports.header(format_, with_addresses=with_addresses)
    async for event, subject, sealed in consent.stream(house.conn, house.vault, wanted):
        email = None
        if with_addresses:
            email = subscribers.open_address(subject, sealed).given if sealed else ""
        yield exports.line(format_, event, email)


command.add_command(verifying.verify)
command.add_command(proving.proof)
command.add_command(proving.key)
