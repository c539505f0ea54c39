"""What is kept outside the database: the latest checkpoint, in MAILER_DATA_DIR.

A database can be set back to an old backup, or by a thief; a file beside it does not go along.
"""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from mailer.errors import Unavailable
from mailer.log.notes import Checkpoint, Key, open_checkpoint

FOLDER = "log"
SUFFIX = ".checkpoint"


@dataclass(frozen=True)
class Keep:
    """The checkpoints kept on this machine; one file a log, so that each database has its own."""

    data_dir: Path

    def path(self, key: Key) -> Path:
        return self.data_dir / FOLDER / f"{key.name.rpartition('/')[2]}{SUFFIX}"

    def note(self, key: Key) -> str | None:
        """What is kept, as it is."""
        try:
            return self.path(key).read_text("utf-8", "replace")
        except FileNotFoundError:
            return None

    def read(self, key: Key) -> Checkpoint | None:
        """Raises Invalid for a file that is not a checkpoint of this log."""
        note = self.note(key)
        return None if note is None else open_checkpoint(note, key)

    def write(self, key: Key, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint unless a later one is kept; it is on the disk when this returns.

        Raises Unavailable if it can't be.
        """
        path = self.path(key)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with (path.parent / "lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                kept = self.read(key)
                if kept is None or kept.size < checkpoint.size:
                    replace(path, checkpoint.note.encode())
        except OSError as error:
            raise Unavailable(
                "The checkpoint of the consent log can't be kept in {path} ({reason}): nothing "
                "more is sealed until it can.",
                path=path,
                reason=error.strerror,
            ) from None


def replace(path: Path, content: bytes) -> None:
    """All of it or what was there, whenever the power goes."""
    new = path.with_suffix(".new")
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
