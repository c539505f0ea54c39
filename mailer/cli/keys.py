"""`mailer keys …`."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from uuid import UUID

import click
import pyrage  # type: ignore[import-untyped]  # it comes without types

from mailer import keys, vault
from mailer.cli import door
from mailer.cli.door import House
from mailer.db import Connection
from mailer.errors import Conflict, Refusal
from mailer.keys import Count, Holder
from mailer.vault import Vault

PATIENCE_SECONDS = 60
LOOK_SECONDS = 0.5

Step = Callable[[Connection, Vault, UUID | None], Awaitable[list[UUID]]]


@click.group("keys")
def command() -> None:
    """The secret key, and how to replace it while everything runs."""


@command.command()
def new() -> None:
    """Make a key and print it; nothing else is done with it."""
    door.say(vault.new_master())


@command.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A file not there yet.")
def age(out: Path) -> None:
    """Make a pair of keys for backups and exports: the secret one to a file, the public one shown.

    Whoever has the file can read what is encrypted to the key that is shown; keep it elsewhere.
    """
    identity = pyrage.x25519.Identity.generate()
    try:
        with open(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"# public key: {identity.to_public()}\n{identity}\n")
    except OSError as error:
        raise Refusal("{path} can't be written: {why}.", path=out, why=error.strerror) from None
    door.say(str(identity.to_public()))


@command.command("list")
@door.as_json
@door.run
async def list_(as_json: bool) -> None:
    """The keys in use by name: what each wraps, and which running processes hold it."""
    async with door.house() as house:
        counted = {each.name: each.count for each in await keys.counts(house.conn)}
        running = await keys.holders(house.conn)
        door.show(
            [
                {
                    "key": name.hex(),
                    "setting": standing(house.vault, name),
                    "wraps": counted.get(name, 0),
                    "held by": len([each for each in running if name in each.holds]),
                    "of": len(running),
                }
                for name in dict.fromkeys([*house.vault.holds, *counted])
            ],
            as_json=as_json,
        )


def standing(held: Vault, name: bytes) -> str:
    if name not in held.holds:
        return "missing"
    return "newest" if name == held.newest else "earlier"


@command.command()
@door.as_json
@door.run
async def rotate(as_json: bool) -> None:
    """Wrap everything with the first key in MAILER_SECRET_KEY, while web and workers run.

    Before: every process restarted with the new key first and the old one after a space. After:
    take the old one away, restart again, and destroy it.
    """
    async with door.house() as house:
        before = await keys.counts(house.conn)
        if {each.name for each in before} == {house.vault.newest}:
            say(house, as_json, 0)
            return
        refuse_if(await keys.ignorant(house.conn, house.vault), "does not hold the new key yet")
        async with house.conn.transaction():
            await keys.turn(house.conn, house.vault)
        done = await rewrap(house)
        await everybody_turned(house)
        done += await rewrap(house)
        await finish(house, before, done)
        say(house, as_json, done)


async def rewrap(house: House) -> int:
    """Round after round until nothing is left; how many keys were wrapped anew."""
    done = 0
    while [each for each in await keys.counts(house.conn) if each.name != house.vault.newest]:
        some = await once_round(house, keys.rewrap_subjects)
        some += await once_round(house, keys.rewrap_requests)
        some += await once_round(house, keys.rewrap_import_lines)
        if not some:  # those left are being worked on just now
            await asyncio.sleep(LOOK_SECONDS)
        done += some
    return done


async def once_round(house: House, step: Step) -> int:
    done, after = 0, None
    while True:
        async with house.conn.transaction():
            found = await step(house.conn, house.vault, after)
        if not found:
            return done
        done, after = done + len(found), found[-1]
        if door.interactive():
            click.echo(f"\r{done} keys", nl=False, err=True)


async def everybody_turned(house: House) -> None:
    """Wait until every running process wraps with the new key, and has ended what it began before:
    then the old key's last words are in the database."""
    for _ in range(int(PATIENCE_SECONDS / LOOK_SECONDS)):
        late = await keys.behind(house.conn, house.vault)
        if not late:
            break
        await asyncio.sleep(LOOK_SECONDS)
    refuse_if(late, "still wraps with the old key")
    turned = await keys.moment(house.conn)
    while not await keys.is_past(house.conn, turned):
        await asyncio.sleep(LOOK_SECONDS)


async def finish(house: House, before: Sequence[Count], done: int) -> None:
    async with house.conn.transaction():
        await keys.record(house.conn, house.vault, before, done, actor=door.actor())


def refuse_if(late: Sequence[Holder], what: str) -> None:
    if late:
        raise Conflict(
            "{n} of the running processes ({kinds}) {what}: restart them with the new key first "
            "and the old one after a space in MAILER_SECRET_KEY, then rotate again.",
            n=len(late),
            kinds=", ".join(f"{each.kind} {each.id}" for each in late),
            what=what,
        )


def say(house: House, as_json: bool, done: int) -> None:
    newest = house.vault.newest.hex()
    if as_json:
        door.show_one({"key": newest, "rewrapped": done}, as_json=True)
        return
    door.say(
        f"Everything is wrapped with key {newest}; {done} keys were wrapped anew. Take the old key "
        "out of MAILER_SECRET_KEY, restart every process, and destroy it together with the backups "
        "it opens."
        if done
        else f"Everything is wrapped with key {newest} already, the first in MAILER_SECRET_KEY. "
        "To replace it, put a new one (mailer keys new) before it, in every process."
    )
