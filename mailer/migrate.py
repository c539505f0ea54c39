"""Migrations: the files sql/migrations/0001_….sql, each applied once, in order, only forward.

What was applied is kept with its digest: a file edited afterwards is refused, and so is a database
that a newer version of this program has migrated.

The first line of a file says what those of the version before may do meanwhile:

    -- expand   go on: it only adds what they need not know (a table, an index, a column that may be
                empty or has a default, a wider check), to one table in use; they stay ready, but
                can't be started again
    -- stop     nothing: it is refused as long as one of them is connected

One that says nothing is `stop`. What is no longer used goes in a later version's `stop`.
"""

import asyncio
import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import asyncpg

from mailer import db, resources
from mailer.db import Connection
from mailer.errors import Conflict, Unavailable

SQL = db.statements("migrate")

LOCK_SECONDS = 1.0
MOST_LOCK_SECONDS = 8.0
"""Whoever comes to a table behind a migration that waits for it waits too: so it gives up, and is
twice as patient each time, for on a busy machine no shorter time may ever be enough."""

TRIES = 20
PAUSE_SECONDS = 1.0

Kind: TypeAlias = Literal["expand", "stop"]

HEADS: Mapping[str, Kind] = {"-- expand": "expand", "-- stop": "stop"}


@dataclass(frozen=True)
class Migration:
    """One file; `sha256` of its bytes, in hexadecimal."""

    number: int
    name: str
    sha256: str
    kind: Kind = "stop"


@dataclass(frozen=True)
class Running:
    """A process of the service that is connected; `name` as PostgreSQL shows it."""

    name: str
    host: str

    def __str__(self) -> str:
        return f"{self.name or 'an unnamed client'} on {self.host}"


def files(folder: Path | None = None) -> dict[Migration, str]:
    """Every migration of this version and its text, in order."""
    found = sorted((folder or resources("sql") / "migrations").glob("*.sql"))
    return {migration(path): path.read_text("utf-8") for path in found}


def migration(path: Path) -> Migration:
    number, _, _ = path.stem.partition("_")
    content = path.read_bytes()
    kind = HEADS.get(content.partition(b"\n")[0].decode().rstrip(), "stop")
    return Migration(int(number), path.stem, hashlib.sha256(content).hexdigest(), kind)


async def applied(conn: Connection) -> list[Migration]:
    """What this database has, in order."""
    return await db.fetch(conn, Migration, SQL.applied)


async def apply_as_of(conn: Connection, wanted: Sequence[Migration]) -> None:
    """Make an empty database what those made of it when they were all there was.

    In the caller's transaction. Raises Conflict unless all of them are ours, unchanged.
    """
    texts = files()
    ours = {(each.number, each.sha256): each for each in texts}
    await keep_ledger(conn)
    for old in wanted:
        each = ours.get((old.number, old.sha256))
        if each is None:
            raise Conflict(
                "Migration {name} is not this program's: restore with the version that made it, "
                "or a later one.",
                name=old.name,
            )
        await apply(conn, each, texts[each])


async def apply(conn: Connection, each: Migration, text: str) -> None:
    await conn.execute(text)
    await conn.execute(SQL.record, each.number, each.name, each.sha256, each.kind)


async def keep_ledger(conn: Connection) -> None:
    """Where what was applied is kept; the first version's did not say which kind it was."""
    await conn.execute(SQL.keep_ledger)
    await conn.execute(SQL.keep_kinds)


async def run(conn: Connection, folder: Path | None = None) -> list[str]:
    """Apply what is missing and say what it was.

    Opens a transaction for each file: together they would hold so many tables that whoever works
    meanwhile could come to wait for them in a ring. Raises Conflict for an edited file, for a newer
    database, and for processes that must be stopped first, before anything is done; Unavailable
    when a table can't be had. What was applied by then stays, and the next run goes on from there.
    """
    ours, done = files(folder), list[str]()
    while (name := await applied_next(conn, ours)) is not None:
        done.append(name)
    return done


async def applied_next(conn: Connection, ours: dict[Migration, str]) -> str | None:
    """Nobody who works meanwhile waits long for a table: when one can't be had soon, all is undone
    and tried again."""
    for tried in range(TRIES):
        patience = min(LOCK_SECONDS * 2**tried, MOST_LOCK_SECONDS)
        try:
            async with conn.transaction():
                return await forward(conn, ours, patience)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            await asyncio.sleep(random.uniform(1, 2) * PAUSE_SECONDS)  # noqa: S311 - no secret
    raise Unavailable(
        "It was not migrated to the end: somebody holds a table that is to be changed, in a "
        "transaction that does not end. Perhaps a backup is being made: run `mailer migrate` again "
        "when it is done."
    )


async def forward(conn: Connection, ours: dict[Migration, str], patience: float) -> str | None:
    """One step; None: there is none left. `patience`: seconds for each table."""
    await conn.execute(SQL.wait_for_our_turn)
    await conn.execute(SQL.give_up_soon, str(int(patience * 1000)))
    await keep_ledger(conn)
    known = await applied(conn)
    missing = pending(known, ours)
    if known:
        await nobody_to_be_stopped(conn, missing)
    for each, text in missing.items():
        await apply(conn, each, text)
        return each.name
    return None


async def nobody_to_be_stopped(conn: Connection, missing: Mapping[Migration, str]) -> None:
    """Raises Conflict, naming who must be stopped before these migrations.

    Nobody comes afterwards: whoever starts waits in `check` until we are done.
    """
    stopping = [each.name for each in missing if each.kind == "stop"]
    running = await db.fetch(conn, Running, SQL.running) if stopping else []
    if running:
        raise Conflict(
            "{migrations} can't be applied while the service runs: stop {processes}; then run "
            "`mailer migrate` again, and start the new version.",
            migrations=" and ".join(stopping),
            processes=", ".join(map(str, running)),
        )


async def check(conn: Connection, folder: Path | None = None) -> None:
    """Before anything else is done: raises Conflict unless the schema is exactly this version's.

    While somebody migrates it waits for the end.
    """
    await conn.execute(SQL.wait_for_migrations)
    if not await conn.fetchval(SQL.has_ledger) or pending(await applied(conn), files(folder)):
        raise older()


async def still_fits(conn: Connection, folder: Path | None = None) -> None:
    """Whether who runs may go on: raises Conflict unless the schema is this version's, or what
    later versions have only added to."""
    known = await applied(conn)
    ours = files(folder)
    numbers = {m.number for m in ours}
    if pending([m for m in known if m.number in numbers or m.kind == "stop"], ours):
        raise older()


def older() -> Conflict:
    return Conflict("The database has an older schema than this program: run `mailer migrate`.")


def pending(applied: Sequence[Migration], ours: dict[Migration, str]) -> dict[Migration, str]:
    """Those of ours that were not applied. Raises Conflict for what was and is not ours."""
    known = {m.number: m for m in applied}
    numbers = {m.number: m for m in ours}
    for number, old in known.items():
        if number not in numbers:
            raise Conflict(
                "The database has a newer schema ({name}) than this program: "
                "install the newer version again.",
                name=old.name,
            )
        if numbers[number].sha256 != old.sha256:
            raise Conflict(
                "Migration {name} was edited after it was applied to this database: restore the "
                "file as it was, and put the change into a new one.",
                name=old.name,
            )
    return {m: text for m, text in ours.items() if m.number not in known}
