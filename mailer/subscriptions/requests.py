"""Requests: what a form left, one sealed row each, until a worker takes it (`admitting`).

    request  what somebody asked for, checked and kept
    leave    what came to the door, as one statement: counted by network, kept or too many
    solve    a puzzle that was posed when a form came is solved by now

None of this knows whose address it is.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from mailer import (
    address,
    db,
    limits,
    lookalikes,
    newsletters,
    notices,
    outbox,
    puzzles,
    vault,
)
from mailer.db import Connection
from mailer.errors import Invalid
from mailer.newsletters import Newsletter
from mailer.notices import Notice
from mailer.vault import Vault

SQL = db.statements("subscriptions")

PLACE = "request.payload"
PAYLOAD_BYTES = 1_800
"""Every request takes the same space, so that its size says nothing of what was asked; with its
key it stays in its page, where a larger row would be moved out of it (TOAST)."""

WINDOW_SECONDS = 600
SEVERAL = 10
MOST = 20
MOST_PROVEN = 100
"""Forms of one network in a sliding window: after SEVERAL the next bear a puzzle; more than MOST
(proven: MOST_PROVEN) are too many."""


@dataclass(frozen=True)
class Wish:
    """What a form asks for. `evidence`: how it was asked, for the consent record."""

    email: str = field(repr=False)
    newsletters: Sequence[str]
    notice: str
    language: str
    cadence: str | None = None
    evidence: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Sealed:
    """A wish as it is kept; `dek` wrapped, `payload` sealed."""

    id: UUID
    dek: bytes
    payload: bytes


@dataclass(frozen=True)
class Left:
    """A sealed wish at the door. `network`: its keyed hash. `puzzle`: of a solved one; `posed`: of
    one that is yet to be solved. `doubtful`: nothing speaks for it. `ordinary`: it came by a form
    of ours, filled in as people do."""

    request: Sealed
    network: bytes
    puzzle: bytes | None
    doubtful: bool
    ordinary: bool = False
    posed: bytes | None = None


@dataclass(frozen=True)
class Kept:
    """What became of it, and how many forms of its network there were: in the present window, of
    which so many seconds are over, and in the one before."""

    kept: bool
    present: int
    elapsed: float
    before: int


@dataclass(frozen=True)
class Request:
    """A row; `proven`: by a puzzle. `ordinary`: nothing is unusual about it or its network."""

    id: UUID
    dek: bytes
    payload: bytes
    created_at: datetime
    proven: bool = False
    ordinary: bool = False


async def request(conn: Connection, keys: Vault, wish: Wish) -> None:
    """Check a wish and leave it for a worker: one sealed row, whoever the address is.

    Raises Invalid or Unknown, naming the field.
    """
    lookalikes.check(address.parse(wish.email))
    notice = await notices.find(conn, named(wish))
    check(wish, notice, [await newsletters.find(conn, slug) for slug in wish.newsletters])
    sealed = seal(keys, wish)
    await conn.execute(SQL.request, sealed.id, sealed.dek, sealed.payload)
    await outbox.wake(conn, "request")


def named(wish: Wish) -> str:
    """The notice that it names."""
    if not wish.notice:
        raise Invalid("The form must carry the id of the notice it shows.", field="notice")
    return wish.notice


def check(wish: Wish, notice: Notice, asked_for: Sequence[Newsletter]) -> None:
    """Whether the notice and the newsletters that it names go together. Raises Invalid."""
    if not asked_for:
        raise Invalid("Choose at least one newsletter.", field="newsletter")
    for newsletter in asked_for:
        if not notice.covers(newsletter.id):
            raise Invalid("The notice is about another newsletter.", field="notice")
        if notice.language not in (wish.language, newsletter.offered(wish.language)):
            raise Invalid("The notice is in another language than the form.", field="notice")
        if wish.cadence is not None and wish.cadence not in newsletter.cadences:
            raise Invalid("This newsletter does not come that often.", field="cadence")


def seal(keys: Vault, wish: Wish) -> Sealed:
    subject = keys.new_subject(uuid4())
    return Sealed(subject.id, keys.wrap(subject), vault.seal(subject, PLACE, payload(wish)))


def payload(wish: Wish) -> bytes:
    text = json.dumps(vars(wish), ensure_ascii=False).encode()
    if len(text) > PAYLOAD_BYTES:
        raise Invalid("The form sent more than it may.", field="newsletter")
    return text.ljust(PAYLOAD_BYTES)


async def leave(conn: Connection, forms: Sequence[Left]) -> list[Kept]:
    """Count them all and keep those that are not too many, in one statement; in their order."""
    return await db.fetch(
        conn,
        Kept,
        SQL.leave_requests,
        [form.request.id for form in forms],
        [form.request.dek for form in forms],
        [form.request.payload for form in forms],
        [form.network for form in forms],
        [form.puzzle for form in forms],
        [form.doubtful for form in forms],
        [form.ordinary for form in forms],
        [form.posed for form in forms],
        WINDOW_SECONDS,
        SEVERAL,
        MOST,
        MOST_PROVEN,
        puzzles.LIFE,
        outbox.CHANNEL,
    )


async def solve(conn: Connection, puzzle: bytes) -> None:
    """Note the solution of a puzzle that was posed when a form came; which, a worker looks up."""
    await conn.execute(SQL.solve, puzzle, puzzles.LIFE)
    await outbox.wake(conn, "request")


async def weight(conn: Connection, network: bytes) -> float:
    """How many forms a network has sent in the sliding window."""
    return (await limits.sliding(conn, [network], WINDOW_SECONDS))[network]
