"""Files that hold what people must not lose sight of: written beside, recorded, then put in place.

Nothing leaves before it is on record: what is written goes to a file of its own that only its owner
may read, and from there to its name, to the screen, or to a browser, when the caller has recorded
its hash.
"""

import hashlib
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO

import pyrage  # type: ignore[import-untyped]  # it comes without types

from mailer.errors import Invalid, Refusal

PIECE_BYTES = 1 << 16


class Outfile:
    """A file being written. `out`: where it goes, None: the screen, or `pieces`.

    A device or a pipe (/dev/stdout) is written into; only a file is replaced.

    With a `recipient` (age1…) it is encrypted for them as it is written. Raises Invalid, or
    Refusal for a place that can't be written to.
    """

    def __init__(self, out: Path | None, recipient: str | None = None) -> None:
        self.out = out
        self.beside = out is not None and (out.is_file() or not out.exists())
        self.recipients = [reader(recipient)] if recipient else []
        self.digest = hashlib.sha256()

    def __enter__(self) -> "Outfile":
        with self.sayable():
            if self.out is not None and self.beside:
                folder, name = self.out.parent, f".{self.out.name}."
                self.file: IO[bytes] = tempfile.NamedTemporaryFile(
                    dir=folder, prefix=name, delete=False
                )
            else:
                self.file = tempfile.TemporaryFile()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):  # what could not be written is not wanted any more
            self.file.close()
        if self.beside:
            Path(self.file.name).unlink(missing_ok=True)

    @contextmanager
    def writing(self) -> Iterator[Callable[[str], object]]:
        """Takes text; when it ends, all of it is in the file."""
        with self.writing_bytes() as write:
            yield lambda text: write(text.encode())

    @contextmanager
    def writing_bytes(self) -> Iterator[Callable[[bytes], object]]:
        """Takes bytes; when it ends, all of them are in the file."""
        if self.recipients:
            with self.encrypting() as pipe:
                yield pipe.write
        else:
            yield self.write
        with self.sayable():
            self.file.flush()
            os.fsync(self.file.fileno())

    def write(self, data: bytes) -> int:
        with self.sayable():
            self.digest.update(data)
            return self.file.write(data)

    def flush(self) -> None:
        """Whoever encrypts wants a file that has it."""

    @contextmanager
    def encrypting(self) -> Iterator[IO[bytes]]:
        """A pipe to a thread that encrypts what comes and writes it here, piece by piece."""
        taken, given = os.pipe()
        failed: list[Exception] = []

        def encrypt() -> None:
            with os.fdopen(taken, "rb") as clear:
                try:
                    pyrage.encrypt_io(clear, self, self.recipients)
                except Exception as error:  # it is raised where the writing is
                    failed.append(error)

        thread = threading.Thread(target=encrypt)
        thread.start()
        try:
            with os.fdopen(given, "wb", PIECE_BYTES) as pipe:
                yield pipe
        except BrokenPipeError:  # the thread has failed: said below
            pass
        finally:
            thread.join()
        if failed:
            raise failed[0]

    @property
    def sha256(self) -> str:
        """Of the file as it is."""
        return self.digest.hexdigest()

    def publish(self) -> None:
        """Put it where it was wanted, whole."""
        with self.sayable():
            if self.out is not None and self.beside:
                Path(self.file.name).replace(self.out)
                return
            self.file.seek(0)
            sys.stdout.flush()
            there = self.out or os.dup(sys.stdout.fileno())
            with open(there, "wb") as written:
                shutil.copyfileobj(self.file, written, PIECE_BYTES)

    def pieces(self) -> Iterator[bytes]:
        """What was written, from its beginning."""
        with self.sayable():
            self.file.seek(0)
            while piece := self.file.read(PIECE_BYTES):
                yield piece

    @contextmanager
    def sayable(self) -> Iterator[None]:
        """A full disk or a folder that is not there, in one sentence."""
        try:
            yield
        except BrokenPipeError:  # nobody reads the screen any more
            raise
        except OSError as error:
            raise Refusal(
                "{path} can't be written: {why}.",
                path=self.out or "the output",
                why=error.strerror or error,
            ) from None


def reader(recipient: str) -> pyrage.x25519.Recipient:
    """Raises Invalid."""
    try:
        return pyrage.x25519.Recipient.from_str(recipient)
    except pyrage.RecipientError:
        raise Invalid(
            "Give the public key of age: age1 and 58 letters and digits.",
            field="encrypt-to",
        ) from None
