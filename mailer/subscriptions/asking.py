"""Asking somebody to confirm, as often as is decent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from mailer import consent, db, outbox, tokens
from mailer.address import Address
from mailer.consent import SUBJECT
from mailer.db import Connection
from mailer.newsletters import Newsletter
from mailer.notices import Notice
from mailer.subscribers import Subscriber
from mailer.subscriptions.rows import Found, Subscription
from mailer.vault import Vault

SQL = db.statements("subscriptions")

MAIL_AGAIN = timedelta(hours=24)
UNANSWERED_MOST = 3
IN_VAIN = timedelta(days=365)
"""So many times without an answer, then no more until so long after the last."""

MAILED_MOST = 5
"""Confirmations to one address in 24 hours, over all newsletters."""


@dataclass(frozen=True)
class Choice:
    """What is asked for in one newsletter."""

    newsletter: Newsletter
    notice: Notice
    language: str
    cadence: str
    evidence: Mapping[str, Any]


async def ask(
    conn: Connection, keys: Vault, subscriber: Subscriber, choice: Choice, confirm_hours: int
) -> bool:
    """Ask the person to confirm; a confirmed one is told so instead. False: neither is decent."""
    if subscriber.restricted_at is not None:
        return False
    subscription = await place(conn, subscriber, choice, confirm_hours)
    known_by = hash_of(keys, subscriber.reach(keys))
    (decent,) = await may_mail(conn, choice.newsletter.id, [(subscriber.id, known_by)])
    if not decent:
        # Nobody is asked, so nothing is recorded, and a place that no event speaks of can't stay.
        await conn.execute(SQL.remove_unasked, subscription.id)
        return False
    if subscription.state == "confirmed":
        await conn.execute(SQL.told, subscription.id)
        await outbox.put(conn, "already", subscription.id)
        return True
    await begin(conn, keys, subscriber, subscription.id, choice, confirm_hours)
    await outbox.put(conn, "confirm", subscription.id)
    return True


async def begin(
    conn: Connection,
    keys: Vault,
    subscriber: Subscriber,
    subscription: int,
    choice: Choice,
    confirm_hours: int,
) -> None:
    """It is asked for, and on record."""
    await conn.execute(
        SQL.ask,
        subscription,
        choice.notice.id,
        choice.language,
        choice.cadence,
        timedelta(hours=confirm_hours),
    )
    await consent.record(
        conn,
        subscriber.subject(keys),
        "subscription.requested",
        actor=SUBJECT,
        newsletter=choice.newsletter.slug,
        notice=choice.notice,
        language=choice.language,
        evidence={**choice.evidence, "cadence": choice.cadence},
    )


async def place(
    conn: Connection, subscriber: Subscriber, choice: Choice, confirm_hours: int
) -> Subscription:
    """The person's row in the newsletter, made if there is none, locked."""
    await conn.execute(
        SQL.place,
        subscriber.id,
        choice.newsletter.id,
        choice.language,
        choice.cadence,
        choice.notice.id,
        tokens.new_handle(),
        timedelta(hours=confirm_hours),
    )
    found = await db.first(conn, Subscription, SQL.placed, subscriber.id, choice.newsletter.id)
    assert found is not None
    return found


async def may_mail(
    conn: Connection, newsletter: int, asked: Sequence[tuple[UUID | None, bytes]]
) -> list[bool]:
    """Whether one more mail about the newsletter is decent, to each: subscribers, if they are
    known, with what their addresses are known by (`hash_of`). What was forgotten counts too."""
    rows = await conn.fetch(
        SQL.may_mail,
        newsletter,
        [subscriber for subscriber, _ in asked],
        [hash_ for _, hash_ in asked],
        MAIL_AGAIN,
        UNANSWERED_MOST,
        IN_VAIN,
        MAILED_MOST,
    )
    return [row["decent"] for row in rows]


# who did not answer


def hash_of(keys: Vault, reached: Address) -> bytes:
    """What an address is known by when everything else about it is forgotten."""
    return keys.form(f"asked {reached.normal}")


async def remember(conn: Connection, keys: Vault, found: Found) -> None:
    """How often somebody was asked in vain, before they are forgotten."""
    known_by = hash_of(keys, found.subscriber.reach(keys))
    await conn.execute(SQL.remember, known_by, found.subscription.id)


async def answered(conn: Connection, keys: Vault, found: Found) -> None:
    """They answered: the caps on asking begin anew."""
    known_by = hash_of(keys, found.subscriber.reach(keys))
    await conn.execute(SQL.forget_in_vain, known_by, found.newsletter.id)
