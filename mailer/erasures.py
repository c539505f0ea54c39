"""The erasure journal: who was erased, so that a backup from before forgets them again.

A file in MAILER_DATA_DIR, outside of the database and its backups: one random id a line, only ever
appended to, on disk before anybody is told that it is done. Whoever erases writes there, and every
worker adds what others have erased: so each machine with a worker has the whole list, and any one
of them is enough after a restore. Replaying is erasing, once more, whom the database still has.
"""

import asyncio
import fcntl
import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from mailer import db, subscribers
from mailer.consent import Actor
from mailer.db import Connection
from mailer.errors import Unavailable
from mailer.vault import Vault

SQL = db.statements("erasures")

FILE = "erased"
BATCH = 500
COMPARED_AT_ONCE = 50_000
OVERLAP = timedelta(hours=1)
"""Longer than any transaction: what was erased in one carries the time of its beginning."""


# the file


def file(folder: Path) -> Path:
    return folder / FILE


async def note(folder: Path, erased: Sequence[UUID]) -> None:
    """Write ids down; on disk when this returns. Raises Unavailable."""
    if erased:
        await asyncio.to_thread(append, file(folder), erased)


def append(path: Path, erased: Iterable[UUID]) -> None:
    """Several processes may do so at once; a line that a crash left unfinished harms none."""
    lines = "".join(f"{each}\n" for each in erased)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            write(descriptor, ("\n" if is_torn(descriptor) else "") + lines)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if new:
            sync_folder(path.parent)
    except OSError as error:
        raise Unavailable(
            "The erasure journal {path} can't be written ({why}): who was erased stays erased, but "
            "a backup from before does not know of it. Mend that, and a worker writes it down.",
            path=path,
            why=error.strerror,
        ) from None


def is_torn(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"


def write(descriptor: int, text: str) -> None:
    left = text.encode()
    while left:
        left = left[os.write(descriptor, left) :]


def sync_folder(folder: Path) -> None:
    """A file that is new is safe once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: Path) -> Iterator[UUID]:
    """Every id; none if there is no journal. Lines that a crash left unfinished are passed over."""
    if not path.exists():
        return
    with path.open(encoding="ascii", errors="replace") as lines:
        for line in lines:
            try:
                yield UUID(line.strip())
            except ValueError:
                continue


def batches(path: Path) -> Iterator[list[UUID]]:
    """As `read`, some at a time."""
    batch = []
    for each in read(path):
        batch.append(each)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


# the file and the database


async def keep_up(conn: Connection, folder: Path, since: datetime | None) -> datetime:
    """Write down what others have erased since then (None: ever); returns what `since` is next.

    Raises Unavailable if the journal can't be written.
    """
    now: datetime = await conn.fetchval(SQL.now)
    after = None
    while True:
        rows = await conn.fetch(SQL.erased, since, after, COMPARED_AT_ONCE)
        erased = [row["id"] for row in rows]
        if not erased:
            return now - OVERLAP
        missing = await asyncio.to_thread(unknown, file(folder), erased)
        await note(folder, missing)
        after = erased[-1]


def unknown(path: Path, erased: Sequence[UUID]) -> list[UUID]:
    """Those that the journal lacks, in their order."""
    lacking = dict.fromkeys(erased)
    for each in read(path):
        lacking.pop(each, None)
    return list(lacking)


async def replay(
    conn: Connection, keys: Vault, erased: Sequence[UUID], *, actor: Actor
) -> list[UUID]:
    """Erase those that are in the database all the same; who they were."""
    returned = [row["id"] for row in await conn.fetch(SQL.returned, erased)]
    return [
        each for each in returned if await subscribers.erase(conn, keys, each, "journal", actor)
    ]
