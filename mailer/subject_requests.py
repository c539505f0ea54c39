"""What people ask about their data, and by when they must have an answer (GDPR, Articles 12 to 22).

The answer is due one month after the request arrived. It may take two months more if the person
is told so, and why, within the first (Article 12(3)). Months are counted as Regulation 1182/71 has
it: to the same day of a later month, or its last day. That a weekend prolongs them is not used.

What was noted of a request is sealed under the key of who asks, and goes with them when they are
erased; who is on no list has a key for the request alone. That there was a request, of what kind,
when it was answered and by whom, stays until MAILER_PROOF_DAYS after that.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import Literal, TypeAlias, get_args
from uuid import UUID, uuid4

from mailer import db, subjects, vault
from mailer.consent import SUBJECT, Actor
from mailer.db import Connection
from mailer.errors import Conflict, Invalid, Unknown
from mailer.vault import Subject, Vault

SQL = db.statements("subject_requests")
PLACE = "subject_request.details"

Ask: TypeAlias = Literal[
    "access", "portability", "correction", "erasure", "restriction", "objection", "withdrawal"
]
"""Articles 15, 20, 16, 17, 18, 21 and 7(3)."""

Road: TypeAlias = Literal["letter", "mail", "spoken", "page"]
Outcome: TypeAlias = Literal["done", "nothing", "refused", "taken-back"]
"""`nothing`: nothing is held about them; `taken-back`: by the person."""

State: TypeAlias = Literal["open", "overdue", "closed"]

ASKS: tuple[Ask, ...] = get_args(Ask)
ROADS: tuple[Road, ...] = get_args(Road)
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
STATES: tuple[State, ...] = get_args(State)

OLDEST = date(2018, 5, 25)
"""Since when the law is there."""

SOON_DAYS = 7


@dataclass(frozen=True)
class Details:
    """What was noted, in the staff's words. `sender`: where the answer goes, if to nobody known."""

    note: str = ""
    sender: str = ""
    why_longer: str = ""
    answer: str = ""


@dataclass(frozen=True)
class Asked:
    """What arrived."""

    asks: Sequence[Ask]
    road: Road
    received_on: date
    details: Details


@dataclass(frozen=True)
class Request:
    """A request in the register. `known`: who asks is on the list; `erased`: they were; `details`
    sealed, under the key in `dek`; `days_left` until it is due, in UTC, negative afterwards."""

    id: int
    subject: UUID
    dek: bytes | None
    known: bool
    erased: bool
    asks: Sequence[Ask]
    road: Road
    received_on: date
    due_on: date
    details: bytes | None
    recorded_by: Actor
    recorded_at: datetime
    extended_at: datetime | None
    outcome: Outcome | None
    closed_by: Actor | None
    closed_at: datetime | None
    days_left: int

    @property
    def state(self) -> State:
        if self.closed_at is not None:
            return "closed"
        return "overdue" if self.days_left < 0 else "open"

    @property
    def extendable(self) -> bool:
        return self.state == "open" and self.extended_at is None

    def noted(self, keys: Vault) -> Details:
        """Empty once the person is erased."""
        if self.details is None or self.dek is None:
            return Details()
        subject = keys.unwrap(self.subject, self.dek)
        return Details(**json.loads(vault.unseal(subject, PLACE, self.details)))

    def sealed(self, keys: Vault, details: Details) -> bytes | None:
        """None if nobody may keep anything of the person any more."""
        return sealed(keys.unwrap(self.subject, self.dek), details) if self.dek else None


def sealed(subject: Subject, details: Details) -> bytes:
    return vault.seal(subject, PLACE, json.dumps(asdict(details)).encode())


@dataclass(frozen=True)
class Filter:
    """Which requests; None: all."""

    state: State = "open"
    ask: str | None = None
    road: str | None = None


@dataclass(frozen=True)
class Pressing:
    """How many open requests are past their day, and how many will be within SOON_DAYS."""

    overdue: int
    soon: int

    def __bool__(self) -> bool:
        return bool(self.overdue or self.soon)


async def record(
    conn: Connection, keys: Vault, subject: Subject | None, asked: Asked, *, actor: Actor
) -> int:
    """Put a request into the register; its number. `subject`: who asks, if they are known.

    Raises Invalid.
    """
    if not asked.asks:
        raise Invalid("Tick what the person asks for.", field="asks")
    if not OLDEST <= asked.received_on <= await conn.fetchval(SQL.latest_day):
        raise Invalid("Give the day on which it arrived: today or earlier.", field="received")
    if subject is None:
        subject = keys.new_subject(uuid4())
        await subjects.keep(conn, keys, subject)
    number: int = await conn.fetchval(
        SQL.keep, subject.id, list(asked.asks), asked.road, asked.received_on,
        sealed(subject, asked.details), actor,
    )  # fmt: skip
    return number


async def record_done(conn: Connection, subject: UUID, ask: Ask) -> None:
    """Somebody has just done it themselves, on their own page."""
    await conn.execute(SQL.keep_done, subject, ask, SUBJECT)


async def find(conn: Connection, number: int) -> Request:
    """Raises Unknown."""
    found = await db.first(conn, Request, SQL.get, number)
    if found is None:
        raise Unknown("There is no request with this number.")
    return found


async def of(conn: Connection, subject: UUID) -> list[Request]:
    """All of one person, oldest first."""
    return await db.fetch(conn, Request, SQL.of_subject, subject)


async def listed(
    conn: Connection, wanted: Filter, *, after: int | None, most: int
) -> list[Request]:
    """Open ones by the day they are due, closed ones latest first; `after`: the last one shown."""
    if wanted.state == "closed":
        return await db.fetch(conn, Request, SQL.closed, wanted.ask, wanted.road, after, most)
    overdue = wanted.state == "overdue"
    return await db.fetch(conn, Request, SQL.open, wanted.ask, wanted.road, after, most, overdue)


async def pressing(conn: Connection) -> Pressing:
    found = await db.first(conn, Pressing, SQL.pressing, SOON_DAYS)
    assert found is not None, "it counts"
    return found


async def extend(conn: Connection, keys: Vault, number: int, why: str) -> Request:
    """Two months more; the person has to be told so, and why, within the first month.

    As it is afterwards. Raises Unknown or Conflict.
    """
    request = await locked(conn, number)
    if request.extended_at is not None:
        raise Conflict("It was extended before, and that is possible only once.")
    if not request.extendable:
        raise Conflict("The first month is over, so it can't be extended: answer without delay.")
    details = request.sealed(keys, replace(request.noted(keys), why_longer=why))
    await conn.execute(SQL.extend, number, details)
    return await find(conn, number)


async def close(
    conn: Connection, keys: Vault, number: int, outcome: Outcome, answer: str, *, actor: Actor
) -> None:
    """It is answered; `answer`: what was said, in words. Raises Unknown or Conflict."""
    request = await locked(conn, number)
    if outcome == "refused" and not answer:
        raise Invalid("Say why it is refused: the person must be told.", field="answer")
    details = request.sealed(keys, replace(request.noted(keys), answer=answer))
    await conn.execute(SQL.close, number, outcome, actor, details)


async def locked(conn: Connection, number: int) -> Request:
    """Nobody else answers it meanwhile. Raises Unknown, or Conflict if it is answered."""
    await conn.execute(SQL.lock, number)
    request = await find(conn, number)
    if request.closed_at is not None:
        raise Conflict("Request {number} is closed already.", number=number)
    return request
