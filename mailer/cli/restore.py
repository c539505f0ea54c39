"""`mailer restore`."""

import os
import secrets
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO

import click
import pyrage  # type: ignore[import-untyped]  # it comes without types

from mailer import backups, config, db, digests, log, migrate, subjects, verifications
from mailer.backups import Contents
from mailer.cli import door, replaying, verifying
from mailer.cli.door import House
from mailer.cli.replaying import Replayed
from mailer.errors import Invalid, Refusal
from mailer.log.keep import Keep
from mailer.verifications import Seen

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command("restore")
@click.argument("backup", type=FILE)
@click.option("--identity", type=FILE, required=True, help="The file of the secret key (age).")
@click.option("--check", is_flag=True, help="Into a database of its own, which is dropped then.")
@click.option("--journals", type=FOLDER, multiple=True,
              help="A copy of another machine's MAILER_DATA_DIR; may be given again.")  # fmt: skip
@door.as_json
@door.run
async def command(
    backup: Path, identity: Path, check: bool, journals: tuple[Path, ...], as_json: bool
) -> None:
    """Make the empty database of MAILER_DATABASE_URL what BACKUP says, all of it or nothing.

    Then the journals of MAILER_DATA_DIR are replayed (who was erased, who left, who wants no mail
    ever), a digest that was being sent is paused, for some have had it since, and the consent
    record is verified. Stop every web process and worker before.
    """
    settings = config.load()
    key = door.secret_key(settings)
    async with door.database(settings) as url, place(url, scratch=check) as into:
        contents = await fill(into, backup, identity)
        async with db.connection(into) as conn:
            await migrate.run(conn)
            house = House(settings, conn, await subjects.open_vault(conn, key))
            replayed = await replaying.everything(house, journals)
            async with conn.transaction():
                paused = await digests.pause_all(conn)
            wrong, older = await verified(house), None if check else await outgrown(house)
    say(contents, replayed, paused, wrong, as_json=as_json)
    if older:
        raise Refusal(older)


async def fill(url: str, backup: Path, identity: Path) -> Contents:
    async with db.connection(url) as conn:
        with decrypted(backup, identity) as source, door.counting_bytes() as told:
            return await backups.restore(conn, source, told)


@asynccontextmanager
async def place(url: str, *, scratch: bool) -> AsyncIterator[str]:
    """The database itself, or one beside it that is gone afterwards."""
    if not scratch:
        yield url
        return
    async with backups.scratch(url, f"mailer_check_{secrets.token_hex(4)}") as made:
        yield made


@contextmanager
def decrypted(backup: Path, identity: Path) -> Iterator[IO[bytes]]:
    """What is in the file, from a thread that decrypts it piece by piece."""
    key, failed = secret(identity), list[Exception]()
    taken, given = os.pipe()

    def decrypt() -> None:
        with backup.open("rb") as source, os.fdopen(given, "wb") as clear:
            try:
                pyrage.decrypt_io(source, clear, [key])
            except Exception as error:  # it is said where the reading is
                failed.append(error)

    thread = threading.Thread(target=decrypt)
    thread.start()
    try:
        with os.fdopen(taken, "rb") as clear:
            yield clear
    except Invalid:
        thread.join()
        if failed:
            raise Invalid("This key does not open the backup, or it is no backup.") from None
        raise
    finally:
        thread.join()


def secret(identity: Path) -> "pyrage.x25519.Identity":
    """Of a file as age-keygen and `mailer keys age` write it. Raises Invalid."""
    for line in identity.read_text("utf-8", "replace").splitlines():
        if line.startswith("AGE-SECRET-KEY-"):
            try:
                return pyrage.x25519.Identity.from_str(line.strip())
            except pyrage.IdentityError:
                break
    raise Invalid("{path} has no secret key of age in it.", path=identity)


async def verified(house: House) -> list[str]:
    """What does not hold in the restored record, as it was when the backup was made."""
    seen = Seen()
    async with house.conn.transaction(isolation="repeatable_read"):
        with verifying.progress(seen):
            return [
                verifications.line(finding)
                async for finding in verifications.found(house.conn, house.vault, [], seen)
            ]


async def outgrown(house: House) -> str | None:
    """Whether the log that this machine has seen went further than the backup; a sentence."""
    key = await log.key(house.conn, house.vault)
    kept, state = Keep(house.settings.data_dir).read(key), await log.read(house.conn)
    if kept is None or kept.size <= state.size:
        return None
    return (
        f"The log in the backup has {state.size} entries, and this machine has seen {kept.size}: "
        "nothing more will be sealed. Restore a newer backup, or see docs/backups.md."
    )


def say(
    contents: Contents, replayed: Replayed, paused: list[str], wrong: list[str], *, as_json: bool
) -> None:
    if as_json:
        told = {
            **vars(contents),
            "replayed": vars(replayed),
            "paused": paused,
            "findings": wrong,
        }
        door.show_one(told, as_json=True)
    else:
        door.say(f"{contents.total} rows as of {contents.made_at}, made by {contents.version}.")
        door.say(str(replayed))
        for each in paused:
            door.say(
                f"Digest {each} was being sent and is paused: who has had it since the backup was "
                f"made would get it again. See `mailer digest status {each}`; resume or cancel it."
            )
        for each in wrong:
            door.say(each)
    if wrong:
        raise Refusal(
            "It is restored, but the record does not hold in {n} places: see above.",
            n=len(wrong),
        )
    if not as_json:
        door.say("The consent record holds.")
