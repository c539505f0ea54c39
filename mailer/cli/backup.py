"""`mailer backup`."""

from pathlib import Path

import click

from mailer import backups
from mailer.cli import door, outfile
from mailer.outfiles import Outfile


@click.command("backup")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
@click.option(
    "--encrypt-to", required=True, help="A public key (age1…): mailer keys age makes one."
)
@click.option("--reason", default="backup", show_default=True, help="Recorded.")
@door.as_json
@door.run
async def command(out: Path, encrypt_to: str, reason: str, as_json: bool) -> None:
    """Write the whole database, as it is at one moment, to an encrypted file.

    The service goes on meanwhile. Addresses in it are sealed besides, by MAILER_SECRET_KEY, which
    is not in it: keep a copy of that key too, elsewhere.
    """
    async with door.house() as house:
        with Outfile(out, encrypt_to) as file:
            with file.writing_bytes() as write, door.counting_bytes() as told:
                contents = await backups.write(house.conn, write, told)
            said = {"made_at": contents.made_at}
            await outfile.record(house, file, "backup", contents.total, reason, said)
            file.publish()
        async with house.conn.transaction():
            await backups.note(house.conn)
    told_of = {**vars(contents), "bytes": out.stat().st_size, "sha256": file.sha256}
    if as_json:
        door.show_one(told_of, as_json=True)
    else:
        door.say(f"{contents.total} rows of {len(contents.rows)} tables, {told_of['bytes']} bytes.")
