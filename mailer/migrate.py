"""Migrations: the files sql/migrations/0001_….sql, each applied once, in order, only forward.

What was applied is kept with its digest: a file edited afterwards is refused, and so is a database
that a newer version of this program has migrated.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mailer import db, resources
from mailer.db import Connection
from mailer.errors import Conflict

SQL = db.statements("migrate")


@dataclass(frozen=True)
class Migration:
    """One file; `sha256` of its bytes, in hexadecimal."""

    number: int
    name: str
    sha256: str


def files(folder: Path | None = None) -> dict[Migration, str]:
    """Every migration of this version and its text, in order."""
    found = sorted((folder or resources("sql") / "migrations").glob("*.sql"))
    return {migration(path): path.read_text("utf-8") for path in found}


def migration(path: Path) -> Migration:
    number, _, _ = path.stem.partition("_")
    return Migration(int(number), path.stem, hashlib.sha256(path.read_bytes()).hexdigest())


async def applied(conn: Connection) -> list[Migration]:
    """What this database has, in order."""
    return await db.fetch(conn, Migration, SQL.applied)


async def apply_as_of(conn: Connection, wanted: Sequence[Migration]) -> None:
    """Make an empty database what those made of it when they were all there was.

    In the caller's transaction. Raises Conflict unless all of them are ours, unchanged.
    """
    texts = files()
    ours = {(each.number, each.sha256): each for each in texts}
    await conn.execute(SQL.keep_ledger)
    for old in wanted:
        each = ours.get((old.number, old.sha256))
        if each is None:
            raise Conflict(
                "Migration {name} is not this program's: restore with the version that made it, "
                "or a later one.",
                name=old.name,
            )
        await conn.execute(texts[each])
        await conn.execute(SQL.record, each.number, each.name, each.sha256)


async def run(conn: Connection, folder: Path | None = None) -> list[str]:
    """Apply what is missing, all of it or nothing, and say what it was.

    Opens its own transaction. Raises Conflict for an edited file or a newer database.
    """
    async with conn.transaction():
        await conn.execute(SQL.wait_for_our_turn)
        await conn.execute(SQL.keep_ledger)
        missing = await pending(conn, files(folder))
        for each, text in missing.items():
            await conn.execute(text)
            await conn.execute(SQL.record, each.number, each.name, each.sha256)
    return [each.name for each in missing]


async def check(conn: Connection, folder: Path | None = None) -> None:
    """Raises Conflict unless the schema is exactly this version's."""
    ours = files(folder)
    known = await conn.fetchval(SQL.has_ledger)
    if not known or await pending(conn, ours):
        raise Conflict("The database has an older schema than this program: run `mailer migrate`.")


async def pending(conn: Connection, ours: dict[Migration, str]) -> dict[Migration, str]:
    known = {m.number: m for m in await applied(conn)}
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
