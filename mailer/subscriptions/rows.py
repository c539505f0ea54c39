"""Places in newsletters as rows, and what a link to one opens."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias, get_args
from uuid import UUID

from mailer import consent, db, newsletters, notices, subscribers, vault
from mailer.consent import SUBJECT, Actor
from mailer.db import Connection
from mailer.newsletters import Newsletter
from mailer.notices import Notice
from mailer.subscribers import Subscriber
from mailer.tokens import Purpose, Token
from mailer.vault import Subject, Vault

SQL = db.statements("subscriptions")

State: TypeAlias = Literal["pending", "confirmed", "left"]
Channel: TypeAlias = Literal["one-click", "page", "complaint", "staff", "bounce", "journal"]
Why: TypeAlias = Literal["often", "irrelevant", "unasked", "unsafe", "other"]
WHYS: tuple[Why, ...] = get_args(Why)
Testimony: TypeAlias = Literal["confirmation.sent", "confirmation.accepted", "confirmation.failed"]


@dataclass(frozen=True)
class Subscription:
    """One person's place in one newsletter; `asked_at` binds the links of the present asking.

    `told_why`: they said why they left. `paused_until`: only while it is to come.
    """

    id: int
    subscriber: UUID
    newsletter: int
    state: State
    language: str
    cadence: str
    notice: str
    handle: int
    asked_at: datetime
    mailed_at: datetime | None
    unanswered: int
    expires_at: datetime
    expired: bool
    confirmed_at: datetime | None
    left_at: datetime | None
    told_why: bool
    paused_until: datetime | None

    def token(self, subject: Subject, purpose: Purpose) -> Token:
        return Token(self.handle, vault.proof(subject, purpose, self.bound_to(purpose)))

    def bound_to(self, purpose: Purpose) -> str:
        return bound_to(purpose, self.id, self.asked_at)


def bound_to(purpose: Purpose, id_: int, asked_at: datetime) -> str:
    """What a token's proof is made over: a confirmation is bound to one asking, a leave to none."""
    if purpose in ("confirm", "refuse"):
        return f"{id_}/{int(asked_at.timestamp())}.{asked_at.microsecond:06}"
    return str(id_)


@dataclass(frozen=True)
class Found:
    """What a token opened."""

    subscription: Subscription
    subscriber: Subscriber
    subject: Subject
    newsletter: Newsletter
    notice: Notice

    @property
    def waits(self) -> bool:
        """Whether the person is to be asked to confirm."""
        return self.subscription.state == "pending" and self.subscriber.restricted_at is None


async def open_subscription(
    conn: Connection, keys: Vault, subscription: Subscription
) -> Found | None:
    """None: the person was erased since the subscription was read."""
    subscriber = await subscribers.get(conn, subscription.subscriber)
    if subscriber is None:
        return None
    return Found(
        subscription,
        subscriber,
        subscriber.subject(keys),
        await newsletters.get(conn, subscription.newsletter),
        await notices.find(conn, subscription.notice),
    )


async def of_subscriber(conn: Connection, subscriber: UUID) -> list[Subscription]:
    return await db.fetch(conn, Subscription, SQL.of_subscriber, subscriber)


async def record(
    conn: Connection,
    found: Found,
    type_: consent.Type,
    evidence: Mapping[str, Any],
    actor: Actor = SUBJECT,
) -> None:
    await consent.record(
        conn,
        found.subject,
        type_,
        actor=actor,
        newsletter=found.newsletter.slug,
        notice=found.notice,
        language=found.subscription.language,
        evidence=evidence,
    )
