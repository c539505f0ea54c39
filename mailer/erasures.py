"""The erasure journal: who was erased, so that a backup from before forgets them again.

One random id a line. Whoever erases writes there before it is said to be done. To replay is to
erase, once more, whom the database still has.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID

from mailer import db, journal, subscribers
from mailer.consent import Actor
from mailer.db import Connection
from mailer.vault import Vault

SQL = db.statements("erasures")

FILE = "erased"


def file(folder: Path) -> Path:
    return folder / FILE


async def note(folder: Path, erased: Sequence[UUID]) -> None:
    """Write ids down; on disk when this returns. Raises Unavailable."""
    await journal.note(file(folder), [str(each) for each in erased])


def read(path: Path) -> Iterator[UUID]:
    """Every id; none if there is no journal. Lines that a crash left unfinished are passed over."""
    for line in journal.read(path):
        try:
            yield UUID(line)
        except ValueError:
            continue


async def keep_up(conn: Connection, folder: Path, since: datetime | None) -> datetime:
    """Write down what others have erased since then (None: ever); returns what `since` is next.

    Raises Unavailable if the journal can't be written.
    """
    now: datetime = await conn.fetchval(SQL.now)
    after = None
    while True:
        rows = await conn.fetch(SQL.erased, since, after, journal.COMPARED_AT_ONCE)
        erased = [row["id"] for row in rows]
        if not erased:
            return now - journal.OVERLAP
        await journal.add(file(folder), [str(each) for each in erased])
        after = erased[-1]


async def replay(
    conn: Connection, keys: Vault, erased: Sequence[UUID], *, actor: Actor
) -> list[UUID]:
    """Erase those that are in the database all the same; who they were."""
    returned = [row["id"] for row in await conn.fetch(SQL.returned, erased)]
    return [
        each for each in returned if await subscribers.erase(conn, keys, each, "journal", actor)
    ]
