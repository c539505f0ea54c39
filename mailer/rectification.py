"""Rectification: a new address, which counts once whoever reads it there says that it is theirs.

    ask       one sealed row and a letter to the new address     (page or staff)
    confirm   the address is the person's                        (the button behind the mailed link)
    refuse    the address is forgotten

GDPR, Article 16. Asking does and answers the same whoever the address is: that it is somebody
else's, or suppressed, shows only to its own reader, or as a letter that never comes. The old
address is told nothing: whoever gives it up because others read it is not betrayed by us; and the
links in mails that lie there end, but for those that can only withdraw.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias
from uuid import UUID

from mailer import (
    address,
    consent,
    db,
    limits,
    lookalikes,
    outbox,
    subscribers,
    suppressions,
    tokens,
    vault,
)
from mailer.address import Address
from mailer.consent import SUBJECT, Actor
from mailer.db import Connection
from mailer.errors import Conflict, TooMany, Unknown
from mailer.subscriptions import Own
from mailer.tokens import Token
from mailer.vault import Subject, Vault

SQL = db.statements("rectification")

PLACE = "address_change.address"
ASKED_MOST = 3
"""By one person in a day."""

DAY = 24 * 3600

Outcome: TypeAlias = Literal["changed", "already", "taken", "unknown"]


@dataclass(frozen=True)
class Change:
    """A row of a change that is asked for; `dek` wrapped, `address` sealed."""

    subscriber: UUID
    handle: int
    address: bytes
    language: str
    actor: Actor
    asked_at: datetime
    seconds: int
    confirmed_at: datetime | None
    dek: bytes


@dataclass(frozen=True)
class Asked:
    """What a link opened."""

    change: Change
    subject: Subject
    address: Address


async def ask(
    conn: Connection,
    keys: Vault,
    own: Own,
    email: str,
    *,
    language: str,
    hours: int,
    actor: Actor,
) -> None:
    """Ask at the new address whether it is the person's. Raises Invalid, Conflict or TooMany."""
    reached = address.parse(email)
    lookalikes.check(reached)
    if own.subscriber.restricted_at is not None:
        raise Conflict("While your data is only kept, no mail is sent: lift that first.")
    if not own.subscriptions:
        raise Unknown("You are not subscribed to anything.")
    counted = await limits.count(conn, keys.form(f"address {own.subscriber.id}"), DAY)
    if counted > ASKED_MOST:
        raise TooMany(
            "A new address can be given three times a day. Please try again tomorrow.",
            retry_after=DAY,
        )
    await conn.execute(
        SQL.ask,
        own.subscriber.id,
        tokens.new_handle(),
        vault.seal(own.subscriber.subject(keys), PLACE, reached.given.encode()),
        keys.lookup(reached.normal),
        language,
        actor,
        timedelta(hours=hours),
    )
    await outbox.put(conn, "address", own.subscriptions[0].subscription.id)


def bound_to(subscriber: UUID, asked_at: datetime) -> str:
    """What the proof of the link is made over: one asking."""
    return f"{subscriber}/{int(asked_at.timestamp())}.{asked_at.microsecond:06}"


async def look(conn: Connection, keys: Vault, text: str) -> Asked | None:
    """What a link is about; changes nothing. None: not a true token of ours, or too late."""
    token = tokens.parse(text)
    for change in await db.fetch(conn, Change, SQL.by_handle, token.handle) if token else ():
        asked = open_change(keys, change)
        if token is not None and token.proven_by(proof(asked)):
            return asked
    return None


def open_change(keys: Vault, change: Change) -> Asked:
    subject = keys.unwrap(change.subscriber, change.dek)
    return Asked(change, subject, subscribers.open_address(subject, change.address, PLACE))


def proof(asked: Asked) -> bytes:
    bound = bound_to(asked.change.subscriber, asked.change.asked_at)
    return vault.proof(asked.subject, "address", bound)


async def confirm(
    conn: Connection, keys: Vault, text: str, evidence: Mapping[str, Any]
) -> tuple[Outcome, Token | None]:
    """The button behind the mailed link was pressed; with the link to the person's page.

    Taken: whoever reads that address is subscribed by themselves.
    """
    asked = await take(conn, keys, text)
    if asked is None or await suppressions.reason(conn, keys, asked.address) is not None:
        return "unknown", None
    if asked.change.confirmed_at is not None:
        return "already", None
    if not await subscribers.move(conn, keys, asked.subject, asked.address):
        return "taken", None
    await conn.execute(SQL.end, asked.subject.id)
    await consent.record(
        conn,
        asked.subject,
        "address.changed",
        actor=SUBJECT,
        language=asked.change.language,
        evidence={
            **evidence,
            "asked_by": asked.change.actor,
            "asked_at": consent.timestamp(asked.change.asked_at),
            "seconds_since_asked": asked.change.seconds,
        },
    )
    moved = await subscribers.get(conn, asked.subject.id)
    assert moved is not None, "it is locked"
    return "changed", moved.manage_token(keys)


async def take(conn: Connection, keys: Vault, text: str) -> Asked | None:
    """Like `look`, and nobody else changes anything of the person's until this transaction ends."""
    asked = await look(conn, keys, text)
    if asked is None:
        return None
    await subscribers.lock(conn, asked.subject.id)
    return await look(conn, keys, text)


async def refuse(conn: Connection, keys: Vault, text: str) -> bool:
    """Forget the new address, unless it is the person's by now; whether the token was true."""
    asked = await take(conn, keys, text)
    if asked is not None and asked.change.confirmed_at is None:
        await conn.execute(SQL.forget, asked.subject.id)
    return asked is not None
