"""Backups: the whole database as one stream, and a database made of such a stream.

    frame   kind (1 byte) | length (4 bytes, big-endian) | content
    H       JSON: the format, when it was made, by which version, the migrations of the schema
    T       JSON: a table and its columns; then
    D       its rows as COPY writes them (text format), in as many frames as it takes
    S       JSON: how far each sequence has come
    E       JSON: the rows of each table, and the SHA-256 of every byte before this frame

in one gzip stream (RFC 1952). All rows are of one moment (repeatable read), in an order in which
none names a row that comes later. A stream without its last frame, or whose hash is another, is
refused as a whole. Migrations make the schema of a restored database, older ones as they stood.
"""

import gzip
import hashlib
import json
import struct
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import IO, Any

from mailer import __version__, db, migrate
from mailer.db import Connection
from mailer.errors import Conflict, Invalid

SQL = db.statements("backups")

FORMAT = "mailer/backup/1"
WORKING = ["worker", "log_objection", "session", "job_piece"]
"""Who works or is signed in just now, and files that wait for them: of no use to anybody later, and
nobody is signed in again."""

MADE_BY_MIGRATIONS = "migration"
FRAME = struct.Struct(">cI")
FRAME_BYTES = 1 << 24
GZIP = 16 + zlib.MAX_WBITS

OLD = timedelta(days=8)
"""Of a backup: more than a week, and a day for whoever makes one a week."""

Write = Callable[[bytes], object]
Told = Callable[[int], object]
"""Called with the number of bytes of rows so far."""


@dataclass(frozen=True)
class Table:
    """A table; `emptied`: columns that name what no backup has."""

    name: str
    columns: Sequence[str]
    emptied: Sequence[str]


@dataclass(frozen=True)
class Need:
    """Rows of `name` refer to rows of `before`."""

    name: str
    before: str


@dataclass(frozen=True)
class Counter:
    """How far numbers have been given out."""

    name: str
    value: int


@dataclass
class Contents:
    """What is in a backup: rows by table, when it was made, by which version."""

    made_at: str
    version: str
    rows: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.rows.values())


# writing


class Frames:
    """Frames into a gzip stream."""

    def __init__(self, write: Write, told: Told) -> None:
        self.write, self.told = write, told
        self.packer = zlib.compressobj(1, wbits=GZIP)  # most of it is sealed and packs badly
        self.digest = hashlib.sha256()
        self.bytes = 0

    def put(self, kind: bytes, content: bytes) -> None:
        for start in range(0, max(len(content), 1), FRAME_BYTES):
            piece = content[start : start + FRAME_BYTES]
            frame = FRAME.pack(kind, len(piece)) + piece
            self.digest.update(frame)
            self.write(self.packer.compress(frame))
        self.bytes += len(content)
        self.told(self.bytes)

    def put_json(self, kind: bytes, content: Any) -> None:
        self.put(kind, json.dumps(content).encode())

    def end(self, rows: dict[str, int]) -> None:
        self.put_json(b"E", {"rows": rows, "sha256": self.digest.hexdigest()})
        self.write(self.packer.flush())


async def write(conn: Connection, out: Write, told: Told = lambda _: None) -> Contents:
    """Everything, as it is at this moment, to `out` in pieces. Opens its own transaction."""
    frames = Frames(out, told)
    async with conn.transaction(isolation="repeatable_read", readonly=True):
        made_at: datetime = await conn.fetchval(SQL.now)
        contents = Contents(made_at.isoformat(), __version__)
        applied = [vars(each) for each in await migrate.applied(conn)]
        frames.put_json(b"H", {"format": FORMAT, "made_at": contents.made_at,
                               "version": __version__, "migrations": applied})  # fmt: skip
        for table in await in_order(conn):
            contents.rows[table.name] = await write_table(conn, table, frames)
        sequences = await db.fetch(conn, Counter, SQL.sequences)
        frames.put_json(b"S", {each.name: each.value for each in sequences})
    frames.end(contents.rows)
    return contents


async def write_table(conn: Connection, table: Table, frames: Frames) -> int:
    kept = [column for column in table.columns if column not in table.emptied]
    frames.put_json(b"T", {"table": table.name, "columns": kept})

    async def take(rows: bytes) -> None:
        frames.put(b"D", rows)

    status = await conn.copy_from_table(table.name, columns=kept, output=take)
    return int(status.split()[-1])


async def in_order(conn: Connection) -> list[Table]:
    """Each table behind those that it refers to."""
    tables = await db.fetch(conn, Table, SQL.tables, [*WORKING, MADE_BY_MIGRATIONS])
    needs = await db.fetch(conn, Need, SQL.needs)
    names = {table.name for table in tables}
    waiting = {t.name: {n.before for n in needs if n.name == t.name} & names for t in tables}
    by_name, ordered = {t.name: t for t in tables}, list[Table]()
    while waiting:
        free = [name for name, before in waiting.items() if not before & waiting.keys()]
        assert free, "tables refer to one another in a circle"
        for name in free:
            ordered.append(by_name[name])
            del waiting[name]
    return ordered


async def note(conn: Connection) -> None:
    """Keep when it was made, for whoever asks how old the latest is."""
    await conn.execute(SQL.note)


async def overdue(conn: Connection) -> datetime | None:
    """When the latest was made, if it is old; None also where nobody has made any."""
    made: datetime | None = await conn.fetchval(SQL.overdue, OLD)
    return made


# reading


def frames(source: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Every frame but the last, which is checked. Raises Invalid for what isn't a whole backup."""
    digest = hashlib.sha256()
    try:
        with gzip.GzipFile(fileobj=source, mode="rb") as packed:
            while True:
                head = exactly(packed, FRAME.size)
                kind, length = FRAME.unpack(head)
                content = exactly(packed, length)
                if kind == b"E":
                    if parsed(content).get("sha256") != digest.hexdigest() or packed.read(1):
                        raise broken()
                    return
                digest.update(head + content)
                yield kind, content
    except (EOFError, OSError, zlib.error):
        raise broken() from None


def exactly(stream: gzip.GzipFile, length: int) -> bytes:
    if length > FRAME_BYTES:
        raise broken()
    content = stream.read(length)
    if len(content) < length:
        raise broken()
    return content


def parsed(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        raise broken() from None
    if not isinstance(found, dict):
        raise broken()
    return found


def broken() -> Invalid:
    return Invalid("This is not a whole backup: it ends too early, or was changed.")


async def restore(conn: Connection, source: IO[bytes], told: Told = lambda _: None) -> Contents:
    """Make the empty database what the stream says, all or nothing, with today's schema.

    Opens its own transaction. Raises Invalid for a stream that is none, Conflict for a database
    that isn't empty and for a backup of a newer version.
    """
    async with conn.transaction():
        if not await conn.fetchval(SQL.is_empty):
            raise Conflict("The database is not empty: make a new one and restore into that.")
        return await read(conn, frames(source), told)


async def read(conn: Connection, stream: Iterator[tuple[bytes, bytes]], told: Told) -> Contents:
    kind, content = next(stream, (b"", b""))
    if kind != b"H" or parsed(content).get("format") != FORMAT:
        raise broken()
    head = parsed(content)
    await migrate.apply_as_of(conn, [migrate.Migration(**each) for each in head["migrations"]])
    await conn.execute(SQL.unseed)
    contents = Contents(head["made_at"], head["version"])
    known = {table.name for table in await in_order(conn)}
    rows, done = Rows(stream), 0
    while (table := rows.table()) is not None:
        if table["table"] not in known:
            raise broken()

        async def data() -> AsyncIterator[bytes]:
            nonlocal done
            for piece in rows:
                done += len(piece)
                told(done)
                yield piece

        status = await conn.copy_to_table(table["table"], columns=table["columns"], source=data())
        contents.rows[table["table"]] = int(status.split()[-1])
    for name, value in rows.sequences.items():
        await conn.execute(SQL.go_on_after, name, value)
    return contents


class Rows:
    """Frames behind the head: one table after the other, then the sequences."""

    def __init__(self, stream: Iterator[tuple[bytes, bytes]]) -> None:
        self.stream = stream
        self.next: tuple[bytes, bytes] | None = next(stream, None)
        self.sequences: dict[str, int] = {}

    def table(self) -> dict[str, Any] | None:
        """The next one; None when there are no more, and the sequences are known."""
        if self.next is None:
            return None
        kind, content = self.next
        self.next = next(self.stream, None)
        if kind == b"T":
            return parsed(content)
        if kind != b"S" or self.next is not None:
            raise broken()
        self.sequences = parsed(content)
        return None

    def __iter__(self) -> Iterator[bytes]:
        """What there is of its rows."""
        while self.next is not None and self.next[0] == b"D":
            yield self.next[1]
            self.next = next(self.stream, None)


@asynccontextmanager
async def scratch(url: str, name: str) -> AsyncIterator[str]:
    """The URL of an empty database of that name on the same server, gone when the block ends."""
    async with db.connection(url) as conn:
        await conn.execute(await conn.fetchval(SQL.to_create, name))
        try:
            yield db.beside(url, name)
        finally:
            await conn.execute(await conn.fetchval(SQL.to_drop, name))
