"""`mailer subscribers …`."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

import click

from mailer import people, subscriptions
from mailer.cli import bringing, door, outfile
from mailer.exports import Format
from mailer.subscriptions import State, Wanted


@click.group("subscribers")
def command() -> None:
    """Who subscribed."""


for each in (bringing.import_, bringing.imports_, bringing.stop):
    command.add_command(each)


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


@command.command()
@click.option("--newsletter", help="Only of this newsletter.")
@click.option("--state", type=click.Choice(get_args(State)))
@click.option("--language", help="Only who gets it in this language.")
@click.option("--since", type=door.MOMENT, help="Only who first asked then or later; in UTC "
              "unless it says otherwise.")  # fmt: skip
@outfile.options
@door.run
async def export(
    format_: Format,
    out: Path | None,
    with_addresses: bool,
    reason: str,
    encrypt_to: str | None,
    since: datetime | None,
    **given: Any,
) -> None:
    """Write a line a subscription to a file; that it was exported is recorded."""
    outfile.need_reason(reason, with_addresses=with_addresses)
    wanted = Wanted(since=door.as_utc(since), **given)
    async with door.house() as house:
        rows = await outfile.extract(
            house, "subscribers", format_, wanted, with_addresses=with_addresses, reason=reason,
            out=out, encrypt_to=encrypt_to,
        )  # fmt: skip
    door.complain(f"Exported {rows} subscriptions.")
