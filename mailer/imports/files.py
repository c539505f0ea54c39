"""Files that staff upload to a page, and a worker reads: sealed, in pieces, until that is done.

put        a piece of it                       (web)
tell       how it is to be read                (web)
claim      the next to be read, or to go on with (worker)
stage      some of its lines                   (worker)
finish     it was read to its end
break_off  it can't be read, and why; whoever uploaded it may say how instead
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from mailer import db, imports, newsletters, subjects, vault
from mailer.db import Connection
from mailer.errors import Conflict, Invalid, Refusal
from mailer.imports import Manner, Person, Terms, Wrong
from mailer.vault import Subject, Vault

SQL = db.statements("imports")

PIECE_BYTES = 1 << 18
MOST_BYTES = 256 << 20
FAULTS_KEPT = 10_000
"""Lines that are wrong are all counted; so many are named."""


@dataclass(frozen=True)
class File:
    """An upload; `lines` and `read_bytes`: how far it was read. `problem`: why it can't be."""

    id: int
    bytes: int
    manner: Mapping[str, Any] | None
    language: str | None
    documented: bool
    lines: int
    read_bytes: int
    problem: Mapping[str, Any] | None

    @property
    def why(self) -> Refusal | None:
        if self.problem is None:
            return None
        named = self.problem["named"]
        return Refusal(self.problem["sentence"], field=self.problem["field"], **named)


@dataclass(frozen=True)
class Claimed:
    """One that this worker reads, from after the first `lines` of it."""

    id: int
    manner: Mapping[str, Any]
    language: str | None
    documented: bool
    lines: int
    newsletter: int
    notices: Mapping[str, str]

    @property
    def how(self) -> Manner:
        return Manner(**self.manner)


@dataclass(frozen=True)
class Fault:
    """A line that was left out."""

    line: int
    sentence: str
    named: Mapping[str, Any]

    @property
    def why(self) -> Refusal:
        return Refusal(self.sentence, **self.named)


@dataclass(frozen=True)
class Some:
    """Lines of a file, checked. `number`: of the last that was read; `position`: bytes read."""

    people: Sequence[Person]
    wrong: Sequence[Wrong]
    passed: int
    number: int
    position: int
    ended: bool


# on the page


async def keep(conn: Connection, import_: int) -> None:
    """There is a file, of which nothing has come yet."""
    await conn.execute(SQL.keep_file, import_)


async def put(conn: Connection, house: Subject, import_: int, number: int, piece: bytes) -> None:
    """`number`: from 0 on."""
    sealed = vault.seal(house, place(import_, number), piece)
    await conn.execute(SQL.put_piece, import_, number, sealed, len(piece))


async def piece(conn: Connection, house: Subject, import_: int, number: int) -> bytes:
    """Empty behind the last."""
    sealed = await conn.fetchval(SQL.piece, import_, number)
    return vault.unseal(house, place(import_, number), sealed) if sealed else b""


def place(import_: int, number: int) -> str:
    return f"import_piece.body/{import_}/{number}"


async def find(conn: Connection, import_: int) -> File | None:
    """None: it was brought by a command."""
    return await db.first(conn, File, SQL.file, import_)


async def tell(
    conn: Connection, import_: int, manner: Manner, language: str | None, *, documented: bool
) -> None:
    """From here on it can be read. Raises Conflict if it is already."""
    said = {**asdict(manner), "columns": dict(manner.columns)}
    if not await conn.fetchval(SQL.tell, import_, said, language, documented):
        raise Conflict("The file is being read already.")


async def faults(conn: Connection, import_: int, most: int = FAULTS_KEPT) -> list[Fault]:
    """The first of those that were left out."""
    return await db.fetch(conn, Fault, SQL.faults, import_, most)


# in the worker


async def claim(conn: Connection, worker: UUID) -> Claimed | None:
    return await db.first(conn, Claimed, SQL.claim_file, worker)


async def terms(conn: Connection, claimed: Claimed) -> Terms:
    """Those of when it was uploaded."""
    newsletter = await newsletters.get(conn, claimed.newsletter)
    return Terms(newsletter, claimed.notices, claimed.language, claimed.documented)


async def stage(conn: Connection, keys: Vault, worker: UUID, import_: int, some: Some) -> bool:
    """Keep what stands in some lines; False: the file is not this worker's any more."""
    await conn.execute(SQL.hold, import_)
    if not await conn.fetchval(SQL.move_file, import_, worker, some.number, some.position):
        return False
    await imports.stage(conn, keys, import_, some.people)
    room = max(0, FAULTS_KEPT - (await imports.find(conn, import_)).wrong)
    wrong = [
        {"line": wrong.number, "sentence": wrong.error.sentence, "named": wrong.error.values}
        for wrong in some.wrong[:room]
    ]
    await conn.execute(SQL.put_faults, import_, wrong)
    await conn.execute(SQL.leave_out, import_, len(some.wrong), some.passed)
    return True


async def finish(conn: Connection, import_: int, sha256: bytes) -> None:
    """It was read to its end, and is needed no more."""
    await conn.execute(SQL.drop_pieces, import_)
    await imports.close(conn, import_, sha256)


async def break_off(conn: Connection, worker: UUID, import_: int, why: Invalid) -> None:
    """It can't be read so: nothing of it stays but the file itself."""
    await conn.execute(SQL.hold, import_)
    problem = {"sentence": why.sentence, "field": why.field, "named": why.values}
    if await conn.fetchval(SQL.break_off, import_, worker, problem):
        await conn.execute(SQL.begin_anew, import_)


async def house(conn: Connection, keys: Vault) -> Subject:
    """Whose key seals them."""
    return await subjects.house(conn, keys)
