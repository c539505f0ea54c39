"""One person's own subscriptions, and what they may change of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from mailer import consent, db, subscribers, tokens
from mailer.address import Address
from mailer.db import Connection
from mailer.errors import Invalid
from mailer.subscribers import Subscriber
from mailer.subscriptions.rows import (
    Found,
    Subscription,
    of_subscriber,
    open_subscription,
    record,
)
from mailer.vault import Vault

SQL = db.statements("subscriptions")

PAUSE_DAYS = 366
"""Whoever wants to hear nothing for longer leaves."""


@dataclass(frozen=True)
class Own:
    """What the manage page shows."""

    subscriber: Subscriber
    address: Address
    subscriptions: Sequence[Found]
    record: Sequence[consent.Event]


async def manage(conn: Connection, keys: Vault, text: str) -> Own | None:
    """What the holder of a manage link may see; None: not a true token of ours."""
    token = tokens.parse(text)
    subscriber = await subscribers.by_token(conn, keys, token) if token else None
    return await own(conn, keys, subscriber) if subscriber else None


async def own(conn: Connection, keys: Vault, subscriber: Subscriber) -> Own:
    places = await of_subscriber(conn, subscriber.id)
    return Own(
        subscriber,
        subscriber.reach(keys),
        [f for place in places if (f := await open_subscription(conn, keys, place)) is not None],
        await consent.of(conn, subscriber.subject(keys)),
    )


async def find(conn: Connection, own_: Own, slug: str) -> Found | None:
    """One of the person's subscriptions, locked and fresh."""
    for found in own_.subscriptions:
        if found.newsletter.slug == slug:
            await conn.execute(SQL.hold_newsletter, found.newsletter.id)
            locked = await db.first(conn, Subscription, SQL.lock, found.subscription.id)
            return replace(found, subscription=locked) if locked else None
    return None


async def change(conn: Connection, found: Found, language: str, cadence: str) -> None:
    """Another language or cadence, of what `find` found. No article is missed for it, and none
    comes twice: see `digests.sending`. Raises Invalid for what the newsletter does not offer."""
    subscription, newsletter = found.subscription, found.newsletter
    if language not in newsletter.languages:
        raise Invalid("This newsletter does not come in that language.", field="lang")
    if cadence not in newsletter.cadences:
        raise Invalid("This newsletter does not come that often.", field="cadence")
    if (language, cadence) == (subscription.language, subscription.cadence):
        return
    await conn.execute(SQL.bookmark, subscription.id)
    await conn.execute(SQL.change, subscription.id, language, cadence)
    before = {"language": subscription.language, "cadence": subscription.cadence}
    await record(
        conn,
        found,
        "consent.updated",
        {"from": before, "to": {"language": language, "cadence": cadence}},
    )


async def pause(conn: Connection, found: Found, until: date | None) -> None:
    """Nothing of what `find` found comes until that day begins; None: it comes again from now on.

    Digests that go meanwhile pass by: none comes later. Raises Invalid for a day that is none of
    those that `pausable` names.
    """
    before = found.subscription.paused_until
    if until is None:
        await conn.execute(SQL.go_on, found.subscription.id)
        after = None
    else:
        after = await conn.fetchval(SQL.pause, found.subscription.id, until, PAUSE_DAYS)
        if after is None:
            days = (await pausable(conn))[found.newsletter.id]
            raise Invalid(
                "Any day from {first} to {last} will do.",
                field="until",
                first=days.first,
                last=days.last,
            )
    if before != after:
        said = {"from": paused(before), "to": paused(after), "channel": "page"}
        await record(conn, found, "consent.updated", said)


@dataclass(frozen=True)
class Days:
    """From one to another, both included."""

    newsletter: int
    first: date
    last: date


async def pausable(conn: Connection) -> dict[int, Days]:
    """Until which days the mails of each newsletter, by id, can be paused."""
    return {each.newsletter: each for each in await db.fetch(conn, Days, SQL.pausable, PAUSE_DAYS)}


def paused(until: datetime | None) -> Mapping[str, str | None]:
    return {"paused_until": consent.timestamp(until) if until else None}
