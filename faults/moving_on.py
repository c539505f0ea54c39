"""No fault, but as delicate: a backup made under load and restored, and an upgrade under load."""

import asyncio
import shutil
import time
from dataclasses import replace
from pathlib import Path

from bench.place import Place
from faults import judging
from faults.house import House, Part
from mailer import db, embedded, migrate, resources
from mailer.db import Connection
from mailer.errors import Conflict

IDENTITY = "identity"
BACKUP = "house.age"
DRAIN_SECONDS = 90.0

READ_SECONDS = 3.0
HOT = ("request", "subject", "subscriber", "subscription", "consent_event", "outbox", "batch",
       "digest", "newsletter", "notice", "bounce", "worker", "pace", "hit")  # fmt: skip
STOP = "alter table batch drop column later;\n"


# a backup


async def back_up(house: House) -> None:
    house.promised = frozenset(house.crowd.thanked), frozenset(house.crowd.sure)
    status, recipient = await house.command("keys", "age", "--out", str(house.folder / IDENTITY))
    if not status:
        made = ("--out", str(house.folder / BACKUP), "--encrypt-to", recipient.strip())
        status, recipient = await house.command("backup", *made)
    house.wrong += [f"no backup: {recipient}"] if status else []


async def restore(house: House) -> None:
    """On another machine, which goes on from there, but for the digest that was being sent."""
    await house.stop()
    elsewhere = house.folder / "elsewhere"
    elsewhere.mkdir()
    backup, identity = (str(house.folder / name) for name in (BACKUP, IDENTITY))
    status, said = await house.command(
        "restore", backup, "--identity", identity, MAILER_DATA_DIR=str(elsewhere)
    )
    if status or "The consent record holds." not in said:
        house.wrong.append(f"not restored: {said}")
        return
    environ = {**house.web.environ, "MAILER_DATA_DIR": str(elsewhere)}
    worker = Part("worker-elsewhere", "work", environ, house.folder / "worker-elsewhere.log")
    arrived = len(house.post.digests())
    worker.start()
    try:
        async with embedded.server(elsewhere) as url, db.connection(url) as conn:
            here = replace(house.here, settings=replace(house.here.settings, data_dir=elsewhere))
            house.wrong += await missing(conn, here, house)
    finally:
        await worker.stop()
    if len(house.post.digests()) > arrived:
        house.wrong.append("the restored house sent the digest again")


async def missing(conn: Connection, here: Place, house: House) -> list[str]:
    """What had been promised before the backup was made, and isn't in it."""
    end = time.monotonic() + DRAIN_SECONDS
    waiting = [text for what, text in judging.WAITING.items() if what != "mails wait"]
    while time.monotonic() < end and any([await conn.fetchval(text) for text in waiting]):
        await asyncio.sleep(0.2)
    thanked, sure = house.promised
    found = await judging.kept(conn, here, thanked)
    gone = thanked - set(found)
    unsealed = [email for email in sure if found.get(email) != "sealed"]
    wrong = [f"{len(gone)} acknowledged forms are not in the backup"] if gone else []
    wrong += [f"{len(unsealed)} consents are not in the backup"] if unsealed else []
    return wrong + await judging.verified(conn, here)


# an upgrade


async def expand(house: House) -> None:
    """What a later version adds to every table in use, while somebody reads one for long."""
    folder = house.folder / "migrations"
    shutil.copytree(resources("sql") / "migrations", folder)
    for number, table in enumerate(HOT, 9001):
        added = f"alter table {table} add column later text default 'x';"
        write(folder, f"{number}_{table}", f"-- expand\n{added}\n")
    url = house.here.environ["MAILER_DATABASE_URL"]
    async with db.connection(url) as conn, db.connection(url) as reader:
        reading = asyncio.create_task(read_for_long(reader))
        await asyncio.sleep(0.1)
        await migrate.run(conn, folder)
        await reading
    if not await house.is_ready():
        house.wrong.append("the web process is not ready any more")


async def read_for_long(conn: Connection) -> None:
    async with conn.transaction():
        await conn.execute("select count(*) from subscription")
        await asyncio.sleep(READ_SECONDS)


async def contract(house: House) -> None:
    """Refused while the old version runs, and the old version is refused afterwards."""
    answers = set(house.crowd.answers) - {"202"}
    house.wrong += [f"forms were answered {answers}"] if answers else []
    folder = house.folder / "migrations"
    write(folder, "9999_last", f"-- stop\n{STOP}")
    async with db.connection(house.here.environ["MAILER_DATABASE_URL"]) as conn:
        try:
            await migrate.run(conn, folder)
        except Conflict as refusal:
            named = all(each in str(refusal) for each in ("mailer serve", "mailer work"))
            house.wrong += [] if named else [f"who runs is not named: {refusal}"]
        else:
            house.wrong.append("what needs all to stop was done while they ran")
        await house.stop()
        await migrate.run(conn, folder)
    for command in ("serve", "work", "migrate"):
        status, said = await house.command(command)
        if status != 1 or "newer schema" not in said:
            house.wrong.append(f"`mailer {command}` took a newer schema: {said}")


def write(folder: Path, name: str, text: str) -> None:
    (folder / f"{name}.sql").write_text(text)
