"""Jobs: long work that one of the staff sets going on a page and a worker does.

    verification    recomputes the whole record; its result is kept
    extract         writes a file of records, which waits for whoever asked for it

One of a kind at a time. A worker that dies leaves its job to another, which begins it anew. What a
job was asked for, and the file that it makes, are sealed under a key of its own; the key is
destroyed with the file, KEPT after it was made.
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias
from uuid import UUID, uuid4

from mailer import db, outbox, subjects, vault
from mailer.consent import Actor
from mailer.db import Connection
from mailer.errors import Conflict, Unknown
from mailer.vault import Subject, Vault

SQL = db.statements("jobs")

WANTED = "job.wanted"
PIECE = "job_piece.body"
KEPT = timedelta(hours=1)

Kind: TypeAlias = Literal["verification", "extract"]
State: TypeAlias = Literal["waiting", "going", "done", "failed"]


@dataclass(frozen=True)
class Job:
    """`begun`: a worker is at it; `done` of `total` (None: not counted yet). `result`, when it is
    finished: by kind; with a `problem`, a sentence in English, if it failed."""

    id: UUID
    kind: Kind
    dek: bytes
    wanted: bytes
    asked_by: Actor
    asked_at: datetime
    begun: bool
    done: int
    total: int | None
    result: str | None
    finished_at: datetime | None

    @property
    def state(self) -> State:
        if self.finished_at is None:
            return "going" if self.begun else "waiting"
        return "failed" if "problem" in self.came else "done"

    @property
    def came(self) -> Mapping[str, Any]:
        """What came of it."""
        found: Mapping[str, Any] = json.loads(self.result or "{}")
        return found

    def subject(self, keys: Vault) -> Subject:
        return keys.unwrap(self.id, self.dek)

    def asked(self, keys: Vault) -> Mapping[str, Any]:
        """What it was asked for."""
        found: Mapping[str, Any] = json.loads(vault.unseal(self.subject(keys), WANTED, self.wanted))
        return found


# whoever asks


async def ask(
    conn: Connection, keys: Vault, kind: Kind, wanted: Mapping[str, object], *, actor: Actor
) -> UUID:
    """Set it going. Raises Conflict if another of its kind is not finished."""
    subject = keys.new_subject(uuid4())
    await subjects.keep(conn, keys, subject)
    sealed = vault.seal(subject, WANTED, json.dumps(wanted).encode())
    if not await conn.fetchval(SQL.put, subject.id, kind, sealed, actor):
        raise Conflict("Another one is going on: wait until it is done.")
    await outbox.wake(conn, "job")
    return subject.id


async def get(conn: Connection, id_: UUID) -> Job:
    """Raises Unknown."""
    found = await db.first(conn, Job, SQL.get, id_)
    if found is None:
        raise Unknown("This is not here any more: files wait for an hour.")
    return found


async def latest(conn: Connection, kind: Kind, most: int) -> list[Job]:
    return await db.fetch(conn, Job, SQL.latest, kind, most)


async def remove(conn: Connection, id_: UUID) -> None:
    """The file, its key and what is known of it; if it is finished."""
    await conn.execute(SQL.remove, id_)


# whoever does it


async def claim(conn: Connection, worker: UUID) -> Job | None:
    """The next one; anew, if somebody began it."""
    id_ = await conn.fetchval(SQL.claim, worker)
    if id_ is None:
        return None
    await conn.execute(SQL.clear, id_)
    return await get(conn, id_)


async def move(
    conn: Connection, id_: UUID, worker: UUID, done: int, total: int | None = None
) -> None:
    """So far it has come."""
    await conn.execute(SQL.move, id_, worker, done, total)


async def finish(conn: Connection, id_: UUID, worker: UUID, result: Mapping[str, object]) -> bool:
    """False: it was another's meanwhile, and must not be finished by this one."""
    return bool(await conn.fetchval(SQL.finish, id_, worker, json.dumps(result)))


async def forget(conn: Connection) -> int:
    """Files that have waited long enough."""
    gone: int = await conn.fetchval(SQL.forget, KEPT)
    return gone


# files


async def put_piece(conn: Connection, subject: Subject, number: int, piece: bytes) -> None:
    """The next part of a job's file: compressed, as what is sealed can't be."""
    sealed = vault.seal(subject, PIECE, zlib.compress(piece, 1))
    await conn.execute(SQL.put_piece, subject.id, number, sealed)


async def piece(conn: Connection, subject: Subject, number: int) -> bytes | None:
    """None: there is no such part."""
    sealed = await conn.fetchval(SQL.piece, subject.id, number)
    return zlib.decompress(vault.unseal(subject, PIECE, sealed)) if sealed else None
