"""Asking somebody to confirm, as often as is decent."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from mailer import consent, db, outbox, tokens
from mailer.consent import SUBJECT, Actor
from mailer.db import Connection
from mailer.newsletters import Newsletter
from mailer.notices import Notice
from mailer.subscribers import Subscriber
from mailer.subscriptions.rows import Found, State, Subscription, open_subscription, record
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
    """What is asked for in one newsletter, and by whom."""

    newsletter: Newsletter
    notice: Notice
    language: str
    cadence: str
    evidence: Mapping[str, Any]
    by: Actor = SUBJECT


async def ask(
    conn: Connection, keys: Vault, subscriber: Subscriber, choice: Choice, confirm_hours: int
) -> bool:
    """Ask the person to confirm; a confirmed one is told so instead. False: neither is decent."""
    if subscriber.restricted_at is not None:
        return False
    subscription = await place(conn, subscriber, choice, confirm_hours)
    if not await may_mail(conn, keys, subscriber, subscription):
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
    imported: tuple[consent.Type, ...] = () if choice.by == SUBJECT else ("subject.imported",)
    for type_ in (*imported, "subscription.requested"):
        await consent.record(
            conn,
            subscriber.subject(keys),
            type_,
            actor=choice.by,
            newsletter=choice.newsletter.slug,
            notice=choice.notice,
            language=choice.language,
            evidence={**choice.evidence, "cadence": choice.cadence},
        )


async def vouch(
    conn: Connection, keys: Vault, subscriber: Subscriber, choice: Choice, confirm_hours: int
) -> bool:
    """Confirm what staff document the person to have agreed to elsewhere, earlier; nothing is
    mailed. False: the person is here already, and what they say here counts.
    """
    subscription = await place(conn, subscriber, choice, confirm_hours)
    if subscription.state != "pending" or subscription.unanswered or subscription.confirmed_at:
        return False
    await begin(conn, keys, subscriber, subscription.id, choice, confirm_hours)
    found = await open_subscription(conn, keys, subscription)
    assert found is not None, "the subscription is locked"
    await conn.execute(SQL.confirm, subscription.id)
    said = {**choice.evidence, "cadence": choice.cadence}
    await record(conn, found, "consent.confirmed", said, choice.by)
    return True


async def standing(conn: Connection, subscriber: UUID, newsletter: int) -> State | None:
    """How the person stands in a newsletter; None: not at all."""
    state: State | None = await conn.fetchval(SQL.standing, subscriber, newsletter)
    return state


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
    conn: Connection, keys: Vault, subscriber: Subscriber, subscription: Subscription
) -> bool:
    """Whether one more mail about this is decent; what was forgotten since counts too."""
    allowed: bool = await conn.fetchval(
        SQL.may_mail,
        subscription.id,
        hash_of(keys, subscriber),
        MAIL_AGAIN,
        UNANSWERED_MOST,
        IN_VAIN,
        MAILED_MOST,
    )
    return allowed


# who did not answer


def hash_of(keys: Vault, subscriber: Subscriber) -> bytes:
    """What an address is known by when everything else about it is forgotten."""
    return keys.form(f"asked {subscriber.reach(keys).normal}")


async def remember(conn: Connection, keys: Vault, found: Found) -> None:
    """How often somebody was asked in vain, before they are forgotten."""
    await conn.execute(SQL.remember, hash_of(keys, found.subscriber), found.subscription.id)


async def answered(conn: Connection, keys: Vault, found: Found) -> None:
    """They answered: the caps on asking begin anew."""
    await conn.execute(SQL.forget_in_vain, hash_of(keys, found.subscriber), found.newsletter.id)
