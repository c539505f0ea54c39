"""Journals: what a backup of the database must not make undone, in files of MAILER_DATA_DIR.

One line of text each, only ever appended to, on disk before `note` returns. They lie outside of the
database and its backups. Every worker adds what others have done, so that each machine with a
worker has the whole, and any one of them is enough after a restore.
"""

import asyncio
import fcntl
import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import TypeVar

from mailer.errors import Unavailable

Told = TypeVar("Told")

OVERLAP = timedelta(hours=1)
"""Longer than any transaction: what was done in one carries the time of its beginning."""

BATCH = 500
COMPARED_AT_ONCE = 50_000


async def note(path: Path, lines: Sequence[str]) -> None:
    """Write lines down; on disk when this returns. Raises Unavailable."""
    if lines:
        await asyncio.to_thread(append, path, lines)


async def add(path: Path, lines: Sequence[str]) -> None:
    """`note` those that the journal lacks. Raises Unavailable."""
    await note(path, await asyncio.to_thread(unknown, path, lines))


def append(path: Path, lines: Iterable[str]) -> None:
    """Several processes may do so at once; a line that a crash left unfinished harms none."""
    text = "".join(f"{each}\n" for each in lines)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            write(descriptor, ("\n" if is_torn(descriptor) else "") + text)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if new:
            sync_folder(path.parent)
    except OSError as error:
        raise Unavailable(
            "The journal {path} can't be written ({why}): what was done is done, but a backup from "
            "before does not know of it. Mend that, and a worker writes it down.",
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


def read(path: Path) -> Iterator[str]:
    """Every line, torn ones too; none if there is no journal."""
    if not path.exists():
        return
    with path.open(encoding="ascii", errors="replace") as lines:
        for line in lines:
            yield line.strip()


def unknown(path: Path, lines: Iterable[str]) -> list[str]:
    """Those that the journal lacks, in their order."""
    lacking = dict.fromkeys(lines)
    for each in read(path):
        lacking.pop(each, None)
    return list(lacking)


def batches(told: Iterable[Told]) -> Iterator[list[Told]]:
    """The same, some at a time."""
    rest = iter(told)
    while batch := list(islice(rest, BATCH)):
        yield batch
