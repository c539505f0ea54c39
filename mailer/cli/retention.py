"""`mailer retention`."""

from collections import Counter

import click

from mailer import retention
from mailer.cli import door


@click.command("retention")
@click.option("--dry-run", is_flag=True, help="Only say what would go, and when.")
@door.as_json
@door.run
async def command(dry_run: bool, as_json: bool) -> None:
    """Delete what has had its time. A worker does so by itself, twice an hour."""
    async with door.house() as house:
        for_ = retention.terms(house.settings)
        if dry_run:
            async with house.conn.transaction(isolation="repeatable_read", readonly=True):
                found = await retention.outlook(house.conn, for_)
            rows = ({"what": what, **vars(due)} for what, due in found.items())
            door.show(rows, as_json=as_json)
            return
        gone: Counter[str] = Counter()
        while True:
            async with house.conn.transaction():
                some = await retention.sweep(house.conn, house.vault, for_)
            if not some:
                break
            gone.update(some)
    if as_json:
        door.show_one(dict(gone), as_json=True)
    else:
        counted = ", ".join(f"{count} {what}" for what, count in gone.items())
        door.say(f"Deleted: {counted or 'nothing has had its time'}.")
