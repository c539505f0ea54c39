"""Imports: people brought over from another list, a file at a time.

    reading   the lines of a file are checked and staged, sealed, in transactions of bounded size;
              nothing comes of it, and if it breaks off, nothing stays
    going     workers take the people in, some hundreds in each transaction, and those who must be
              asked at the pace of the outbox
    done      every line had its turn, once
    stopped   by staff: who was not taken in yet is forgotten

Who is brought over is asked to confirm, under the same caps as everybody who asks; or, where the
list documents an earlier consent with its evidence, is confirmed at once, and the record says so.
Suppressed addresses are passed over; so is whoever is subscribed, is being asked, or has left.
"""

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias
from uuid import UUID, uuid4

from cryptography.exceptions import InvalidTag

from mailer import (
    address,
    consent,
    db,
    newsletters,
    notices,
    outbox,
    subscriptions,
    suppressions,
    vault,
)
from mailer.address import Address
from mailer.consent import Actor
from mailer.db import Connection
from mailer.errors import Conflict, Unknown
from mailer.imports.checking import Agreed, Passed, Person, Terms, check, sift
from mailer.imports.reading import COLUMNS, Layout, Line, Manner, Reading, Wrong
from mailer.newsletters import Newsletter
from mailer.notices import Notice
from mailer.subscriptions import Guest
from mailer.vault import Vault

__all__ = [
    "COLUMNS",
    "Agreed",
    "Import",
    "Layout",
    "Line",
    "Manner",
    "Outlook",
    "Passed",
    "Person",
    "Reading",
    "Terms",
    "Wrong",
    "all_",
    "begin",
    "cancel",
    "check",
    "close",
    "drop",
    "find",
    "forget",
    "forget_abandoned",
    "outlook",
    "sift",
    "stage",
    "start",
    "stop",
    "take",
    "terms",
    "went_before",
]

SQL = db.statements("imports")
log = logging.getLogger(__name__)

PLACE = "import_line.payload"
PAYLOAD_BYTES = 512
"""Lines take the same space, unless they hold evidence that is long."""

LETTERS_WAITING = 1000
"""So many letters of imports wait to go at most. They go behind all others; but who is asked is to
get the letter soon, for its link holds only so long, and letters that wait are given up."""

ABANDONED = timedelta(hours=24)

State: TypeAlias = Literal["reading", "going", "done", "stopped"]


@dataclass(frozen=True)
class Import:
    """One file brought over, in numbers: see the table. `whole`: it was read to its end."""

    id: int
    newsletter: str
    state: State
    whole: bool
    staged: int
    waiting: int
    wrong: int
    passed: int
    repeated: int
    suppressed: int
    asked: int
    confirmed: int
    known: int
    gone: int
    capped: int
    created_by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True)
class Outlook:
    """What would come of what is staged: `fresh` people would be asked, `vouched` confirmed by
    their evidence."""

    fresh: int
    vouched: int
    known: int
    gone: int


# reading


async def terms(
    conn: Connection, newsletter: Newsletter, language: str | None = None, *, documented: bool
) -> Terms:
    """What people are brought over to: the words in force, in each language that has some."""
    found = {
        each: await notices.current(conn, newsletter.id, each) for each in newsletter.languages
    }
    ready = {each: notice.id for each, notice in found.items() if notice is not None}
    if not ready:
        raise Conflict(
            "The newsletter {slug} can't be subscribed to yet: it has no notice.",
            slug=newsletter.slug,
        )
    return Terms(newsletter, ready, language, documented)


async def begin(conn: Connection, on: Terms, *, by: Actor) -> int:
    """A new import, of which nothing is staged yet: its id."""
    id_: int = await conn.fetchval(SQL.begin, on.newsletter.id, dict(on.notices), by)
    return id_


async def stage(conn: Connection, keys: Vault, import_: int, people: Sequence[Person]) -> None:
    """Keep people, sealed, until it is decided what becomes of them."""
    wanted = await suppressions.among(conn, keys, [person.address for person in people])
    kept = [person for person in people if person.address.normal not in wanted]
    await conn.copy_records_to_table(
        "import_line",
        records=[row(keys, import_, person) for person in kept],
        columns=("id", "import", "number", "dek", "lookup", "payload", "agreed"),
    )
    await conn.execute(SQL.touch, import_, len(kept), len(people) - len(kept))


def row(keys: Vault, import_: int, person: Person) -> tuple[object, ...]:
    subject = keys.new_subject(uuid4())
    sealed = vault.seal(subject, PLACE, payload(person))
    lookup = keys.lookup(person.address.normal)
    wrapped, agreed = keys.wrap(subject), person.agreed is not None
    return subject.id, import_, person.number, wrapped, lookup, sealed, agreed


def payload(person: Person) -> bytes:
    said = person.agreed and {**vars(person.agreed), "at": consent.timestamp(person.agreed.at)}
    text = json.dumps([person.address.given, person.language, person.cadence, said]).encode()
    return text.ljust(PAYLOAD_BYTES)


async def close(
    conn: Connection, import_: int, sha256: bytes, *, wrong: int = 0, passed: int = 0
) -> None:
    """The file is at its end: who is in it more than once counts by the first line."""
    await conn.execute(SQL.drop_repeated, import_)
    await conn.execute(SQL.close, import_, sha256, wrong, passed)


async def outlook(conn: Connection, import_: int) -> Outlook:
    found = await db.first(conn, Outlook, SQL.outlook, import_)
    assert found is not None, "it counts"
    return found


async def start(conn: Connection, import_: int, *, again: bool = False) -> None:
    """From here on it goes by itself. Raises Conflict if the same file went before, since whoever
    did not answer then is not to be asked a second time; `again`: nevertheless."""
    before = await went_before(conn, import_)
    if before is not None and not again:
        raise Conflict(
            "This very file was imported on {date} already, and who did not answer is not asked "
            "twice.",
            date=f"{before:%Y-%m-%d}",
        )
    if not await conn.fetchval(SQL.start, import_):
        raise gone_by(await find(conn, import_))
    await outbox.wake(conn, "import")


async def went_before(conn: Connection, import_: int) -> datetime | None:
    """When the same file was brought to the same newsletter, if it was."""
    at: datetime | None = await conn.fetchval(SQL.went_before, import_)
    return at


async def stop(conn: Connection, import_: int) -> int:
    """Take in nobody more: how many are forgotten. Raises Unknown or Conflict."""
    if not await conn.fetchval(SQL.stop, import_):
        raise gone_by(await find(conn, import_))
    forgotten: int = await conn.fetchval(SQL.drop_all, import_)
    return forgotten


async def drop(conn: Connection, import_: int) -> bool:
    """It was only looked at, or broke off: nothing of it stays. False: it went on already."""
    return bool(await conn.fetchval(SQL.drop, import_))


async def cancel(conn: Connection, import_: int) -> None:
    """Whoever brought it thinks better of it. Raises Unknown or Conflict."""
    if not await drop(conn, import_):
        raise gone_by(await find(conn, import_))


def gone_by(found: Import) -> Conflict:
    return Conflict("Import {id} is {state} already.", id=found.id, state=found.state)


async def find(conn: Connection, import_: int) -> Import:
    """Raises Unknown."""
    found = await db.first(conn, Import, SQL.all, import_)
    if found is None:
        raise Unknown("There is no import {id}.", field="import", id=import_)
    return found


async def all_(conn: Connection) -> list[Import]:
    """Newest first."""
    return await db.fetch(conn, Import, SQL.all, None)


async def forget(conn: Connection, keys: Vault, reached: Address) -> None:
    """Whoever is erased is not brought over either, by what waits."""
    await conn.execute(SQL.forget, keys.lookup(reached.normal))


async def forget_abandoned(conn: Connection) -> None:
    """What broke off while it was read, or was never started, leaves nothing behind."""
    await conn.execute(SQL.forget_abandoned, ABANDONED)


# going


@dataclass(frozen=True)
class Going:
    """The import that is being taken in."""

    id: int
    newsletter: int
    notices: dict[str, str]
    sha256: bytes
    created_by: str
    started_at: datetime


@dataclass(frozen=True)
class Staged:
    """A person who waits; `dek` wrapped, `payload` sealed."""

    id: UUID
    number: int
    dek: bytes
    payload: bytes


async def take(conn: Connection, keys: Vault, confirm_hours: int, limit: int) -> int:
    """Take in up to `limit` people of an import, unless many letters wait; how many it was."""
    if await conn.fetchval(SQL.crowded, LETTERS_WAITING - limit):
        return 0
    going = await db.first(conn, Going, SQL.going)
    if going is None:
        return 0
    rows = await db.fetch(conn, Staged, SQL.take, going.id, limit)
    words = {language: await notices.find(conn, id_) for language, id_ in going.notices.items()}
    opened = [guest for row in rows if (guest := guest_of(keys, going, words, row)) is not None]
    came = Counter(
        await subscriptions.bring(
            conn,
            keys,
            await newsletters.get(conn, going.newsletter),
            opened,
            by=going.created_by,
            confirm_hours=confirm_hours,
        )
    )
    await conn.execute(
        SQL.count, going.id, came["asked"], came["confirmed"], came["suppressed"], came["known"],
        came["gone"], came["capped"], len(rows) - len(opened), len(rows),
    )  # fmt: skip
    if len(rows) < limit:
        await conn.execute(SQL.finish, going.id)
    return len(rows)


def guest_of(
    keys: Vault, going: Going, words: Mapping[str, Notice], staged: Staged
) -> Guest | None:
    """None: it was changed in the database."""
    subject = keys.unwrap(staged.id, staged.dek)
    try:
        given, language, cadence, agreed = json.loads(vault.unseal(subject, PLACE, staged.payload))
    except InvalidTag:
        log.error("line %d of import %d was changed in the database and is dropped",
                  staged.number, going.id)  # fmt: skip
        return None
    evidence = {
        "channel": "import",
        "file_sha256": going.sha256.hex(),
        "line": staged.number,
        "received": consent.timestamp(going.started_at),
        **({"agreed": agreed} if agreed else {}),
    }
    reached = address.known(given)
    return Guest(subject, reached, language, cadence, words[language], evidence, agreed is not None)
