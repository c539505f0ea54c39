"""The journals of those who left and of those who want no mail ever, for the day after a restore.

A backup brings back subscriptions that have ended since. `left` has a line for each withdrawal: a
random id, the newsletter, the time. It is replayed by every worker, and takes only a subscription
whose withdrawal the database has never seen: whoever came back by a fresh confirmation stays.
`never` has the keyed hashes of suppressions, which mean nothing without the key in the vault; a
hash with a minus before it was taken out again. It is replayed by command.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from mailer import db, journal, subscriptions
from mailer.consent import Actor
from mailer.db import Connection
from mailer.vault import Vault

SQL = db.statements("withdrawals")

LEFT = "left"
NEVER = "never"
EVER = datetime(2000, 1, 1, tzinfo=UTC)

HASH = re.compile(r"(-?)([0-9a-f]{64})")


@dataclass(frozen=True)
class Withdrawal:
    """Somebody left a newsletter. `id`: of the subscription, in this database alone."""

    subject: UUID
    newsletter: str
    at: datetime
    id: int = 0

    def __str__(self) -> str:
        return f"{self.subject} {self.newsletter} {self.at.astimezone(UTC).isoformat()}"


# the files


def read(path: Path) -> Iterator[Withdrawal]:
    """Every withdrawal; lines that a crash left unfinished are passed over."""
    for line in journal.read(path):
        subject, _, rest = line.partition(" ")
        newsletter, _, at = rest.partition(" ")
        try:
            told = Withdrawal(UUID(subject), newsletter, datetime.fromisoformat(at))
        except ValueError:
            continue
        if told.at.tzinfo is not None:
            yield told


def suppressed(path: Path) -> set[bytes]:
    """The hashes that were not taken out again."""
    found: set[bytes] = set()
    for line in journal.read(path):
        if told := HASH.fullmatch(line):
            (found.discard if told[1] else found.add)(bytes.fromhex(told[2]))
    return found


async def lifted(folder: Path, hash_: bytes) -> None:
    """A suppression was taken out, and must not come back. Raises Unavailable."""
    await journal.note(folder / NEVER, [f"-{hash_.hex()}"])


# the files and the database


async def keep_up(conn: Connection, folder: Path, since: datetime | None) -> datetime:
    """Write down what happened since then (None: ever); returns what `since` is next.

    Raises Unavailable if a journal can't be written.
    """
    now: datetime = await conn.fetchval(SQL.now)
    begin = since or EVER
    after, last = EVER, 0
    most = journal.COMPARED_AT_ONCE
    while rows := await db.fetch(conn, Withdrawal, SQL.left, begin, after, last, most):
        await journal.add(folder / LEFT, [str(row) for row in rows])
        after, last = rows[-1].at, rows[-1].id
    hashes = [row["hash"] for row in await conn.fetch(SQL.never, begin)]
    held = await asyncio.to_thread(suppressed, folder / NEVER)
    await journal.note(folder / NEVER, [each.hex() for each in hashes if each not in held])
    return now - journal.OVERLAP


async def replay(conn: Connection, keys: Vault, told: Sequence[Withdrawal], *, actor: Actor) -> int:
    """End what a restore has brought back; how many there were."""
    subjects, newsletters, times = (
        [each.subject for each in told],
        [each.newsletter for each in told],
        [each.at for each in told],
    )
    rows = await conn.fetch(SQL.returned, subjects, newsletters, times)
    for row in rows:
        found = await subscriptions.locked(conn, keys, row["id"])
        if found is not None:
            await subscriptions.withdraw(conn, found, "journal", actor)
    return len(rows)


async def suppress(conn: Connection, hashes: set[bytes]) -> None:
    """Write to none of them again."""
    await conn.execute(SQL.suppress, list(hashes))
