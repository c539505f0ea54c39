"""From approval to the last mail. The text is frozen at approval, the readers when it begins.

Most readers have had what the ledger says of their cadence and language, and get the main edition.
Whoever changed either has bookmarks; with their next digest they get an edition of what they have
not had: also what the new cadence brought before they came to it and the old one had not, and
nothing that any of their editions has shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mailer import db, outbox
from mailer.db import Connection
from mailer.digests.editing import changed
from mailer.digests.rows import SQL, Digest, Edition, get
from mailer.errors import Conflict


@dataclass(frozen=True)
class Group:
    """Readers in one language who have had the same. `bookmarks`: each with cadence, language and
    issued, the latest digest there that is behind them; `entered`: the latest of all when they came
    to the cadence they are in."""

    language: str
    entered: int
    bookmarks: Sequence[Mapping[str, object]]
    subscriptions: Sequence[int]


async def lock(conn: Connection, newsletter: int) -> None:
    """Until this transaction ends, nobody else creates, approves or begins a digest of it, and no
    reader of it changes their cadence."""
    await conn.execute(SQL.lock_newsletter, newsletter)


async def approve(
    conn: Connection,
    digest: Digest,
    editions: Sequence[Edition],
    *,
    by: str,
    at: datetime | None = None,
    despite: Sequence[str] = (),
) -> None:
    """Freeze its text; it begins at that time, or when somebody begins it.

    Raises Conflict if it is not the draft (any more) that the editions were made of.
    """
    approved = await conn.fetchval(SQL.approve, digest.id, by, at, list(despite), digest.version)
    if not approved:
        raise changed(await get(conn, digest.id))
    await conn.execute(SQL.let_withdrawn_go, digest.id)
    for edition in editions:
        await freeze(conn, edition)
    await conn.execute(SQL.say_shown, digest.id)


async def freeze(conn: Connection, edition: Edition) -> int:
    id_: int = await conn.fetchval(
        SQL.freeze,
        edition.digest,
        edition.language,
        edition.subject,
        edition.html,
        edition.text,
        list(edition.articles),
        edition.main,
    )
    return id_


async def recall(conn: Connection, digest: Digest) -> None:
    """Before it begins, it may become a draft again."""
    if not await conn.fetchval(SQL.recall, digest.id):
        raise Conflict(
            "Digest {number} does not wait to begin, so it can't become a draft again.",
            number=digest.number,
        )
    await conn.execute(SQL.melt, digest.id)


async def to_begin(conn: Connection) -> Digest | None:
    """An approved one whose time has come; its newsletter is locked until this transaction ends."""
    return await db.first(conn, Digest, SQL.to_begin)


async def begin(conn: Connection, digest: Digest) -> None:
    """From here on it counts as sent: it has its place in the order of digests."""
    if not await conn.fetchval(SQL.begin, digest.id):
        raise Conflict(
            "Digest {number} is not approved, so it can't be sent.", number=digest.number
        )


async def catching_up(conn: Connection, digest: Digest) -> list[Group]:
    """Its readers who have bookmarks."""
    return await db.fetch(conn, Group, SQL.catching_up, digest.id)


async def remaining(conn: Connection, digest: Digest, group: Group) -> list[int]:
    """The articles that such readers get with this digest, in order."""
    rows = await conn.fetch(
        SQL.remaining, digest.id, group.language, list(group.bookmarks), group.entered
    )
    return [row["article"] for row in rows]


async def advance(conn: Connection, digest: Digest) -> None:
    """Move the bookmarks of its readers: it is behind them."""
    await conn.execute(SQL.advance, digest.id)


async def pause(conn: Connection, digest: Digest) -> None:
    if not await conn.fetchval(SQL.pause, digest.id):
        raise Conflict(
            "Digest {number} is not being sent, so it can't be paused.", number=digest.number
        )


async def pause_all(conn: Connection) -> list[str]:
    """Whatever is being sent; slug and number of each, as commands name it."""
    return [row["name"] for row in await conn.fetch(SQL.pause_all)]


async def resume(conn: Connection, digest: Digest) -> None:
    if not await conn.fetchval(SQL.resume, digest.id):
        raise Conflict("Digest {number} is not paused, so it can't go on.", number=digest.number)
    await outbox.wake(conn, "outbox")


async def cancel(conn: Connection, digest: Digest) -> None:
    """What is not sent yet never will be. One that did not begin gives its articles back."""
    begun = await conn.fetchval(SQL.cancel, digest.id)
    if begun is None:
        raise Conflict("Digest {number} is over, so it can't be cancelled.", number=digest.number)
    if begun:
        await outbox.drop_cancelled(conn)
    else:
        await conn.execute(SQL.give_back, digest.id)


async def finish_done(conn: Connection) -> int:
    """Digests of which no mail waits any more are sent; how many became so."""
    await outbox.drop_cancelled(conn)
    return len(await conn.fetch(SQL.finish_done))


async def complain(conn: Connection, digest: Digest, problem: str) -> None:
    """Keep why it did not go by itself, for whoever looks."""
    await conn.execute(SQL.complain, digest.id, problem)
