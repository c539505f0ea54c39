"""`mailer consent proof` and `mailer consent key`."""

import asyncio
import hashlib
import os
from pathlib import Path

import click

from mailer import consent, evidence, log, people
from mailer.cli import door
from mailer.cli.door import House
from mailer.errors import Refusal
from mailer.log.keep import Keep
from mailer.subscriptions import Own

AT_ONCE = 2000
TRIES = 50
TRY_SECONDS = 0.1


@click.command("proof")
@click.argument("email")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True,
              help="The .zip to write.")  # fmt: skip
@click.option("--reason", default="", help="What it is for; recorded.")
@door.run
async def proof(email: str, out: Path, reason: str) -> None:
    """Write an evidence pack about one person; that you did is recorded.

    It holds every event, the words agreed to, and proofs that anybody can verify (verify.py).
    """
    async with door.house() as house:
        await seal(house, email)
        async with house.conn.transaction(isolation="repeatable_read"):
            own = await people.find(house.conn, house.vault, email)
            pack = await evidence.pack(house.conn, house.vault, own, house.settings)
            await record(house, own, pack, reason)
    write(out, pack)
    door.complain(f"{len(own.record)} events. Verify it with: mailer consent verify {out}")


async def seal(house: House, email: str) -> None:
    """Bring everything about the person into the log, as a worker does, or wait for one to."""
    keep = Keep(house.settings.data_dir)
    for _ in range(TRIES):
        async with house.conn.transaction():
            await log.seal(house.conn, house.vault, keep, AT_ONCE, None)
        async with house.conn.transaction():
            await log.sign(house.conn, house.vault, keep, None)
        own = await people.find(house.conn, house.vault, email)
        signed = await log.checkpoint(house.conn, house.vault)
        if signed is not None and evidence.covers(signed, own.record):
            return
        await asyncio.sleep(TRY_SECONDS)


async def record(house: House, own: Own, pack: bytes, reason: str) -> None:
    await consent.record(
        house.conn,
        own.subscriber.subject(house.vault),
        "staff.exported",
        actor=door.actor(),
        evidence={
            "what": "evidence pack",
            "rows": len(own.record),
            "sha256": hashlib.sha256(pack).hexdigest(),
            "reason": reason,
        },
    )


def write(out: Path, data: bytes) -> None:
    """For its owner's eyes only."""
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except OSError as error:
        raise Refusal("{path} can't be written: {why}.", path=out, why=error.strerror) from None


@click.command("key")
@door.run
async def key() -> None:
    """Print the verifier key of the log, by which anybody can check its signatures."""
    async with door.house() as house:
        door.say(str(await log.key(house.conn, house.vault)))
