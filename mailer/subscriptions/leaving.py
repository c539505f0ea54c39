"""Leaving, of one or of everything; what ends by itself; and what ended by mistake."""

from collections.abc import Mapping
from typing import Any

from mailer import db, outbox, subscribers, suppressions
from mailer.consent import SUBJECT, SYSTEM, Actor
from mailer.db import Connection
from mailer.subscriptions.asking import remember
from mailer.subscriptions.links import take
from mailer.subscriptions.person import Own, find, own
from mailer.subscriptions.rows import Channel, Found, of_subscriber, record
from mailer.vault import Vault

SQL = db.statements("subscriptions")


async def leave(conn: Connection, keys: Vault, text: str, channel: Channel) -> Found | None:
    """One click is enough, for ever; leaving twice changes nothing."""
    found = await take(conn, keys, text, "leave")
    if found is not None:
        await withdraw(conn, found, channel, SUBJECT)
    return found


async def tell_why(conn: Connection, keys: Vault, text: str, why: str) -> Found | None:
    """Count why (one of WHYS) somebody left, once; nothing says afterwards who it was."""
    found = await take(conn, keys, text, "leave")
    if found is not None:
        await conn.execute(SQL.tell_why, found.subscription.id, why)
    return found


async def withdraw(conn: Connection, found: Found, channel: Channel, actor: Actor) -> None:
    if found.subscription.state == "left":
        return
    await conn.execute(SQL.leave, found.subscription.id)
    await outbox.drop_of(conn, found.subscription.id)
    await record(conn, found, "consent.withdrawn", {"channel": channel}, actor)


async def restore(
    conn: Connection, found: Found, evidence: Mapping[str, Any], actor: Actor
) -> None:
    """What ended by mistake, and not by the person's will, goes on; they had confirmed it."""
    if found.subscription.state != "left" or found.subscription.confirmed_at is None:
        return
    await conn.execute(SQL.restore, found.subscription.id)
    said = {"from": {"state": "left"}, "to": {"state": "confirmed"}, **evidence}
    await record(conn, found, "consent.updated", said, actor)


# of everything


async def end(
    conn: Connection,
    keys: Vault,
    own_: Own,
    channel: Channel,
    why: suppressions.Reason,
    actor: Actor,
) -> None:
    """Nothing is written to the person again: suppressed, and out of every newsletter."""
    await suppressions.add(conn, keys, own_.address, why)
    await leave_all(conn, own_, channel, actor)


async def leave_all(conn: Connection, own_: Own, channel: Channel, actor: Actor) -> None:
    for held in own_.subscriptions:
        found = await find(conn, own_, held.newsletter.slug)
        if found is not None:
            await withdraw(conn, found, channel, actor)


# what never became a yes, or is one no longer


async def refuse(conn: Connection, keys: Vault, text: str, *, never_again: bool) -> bool:
    """ "This was not me": what was asked is forgotten at once; whether the token was true.

    Whoever confirmed in the meantime leaves.
    """
    found = await take(conn, keys, text, "refuse")
    if found is None:
        return False
    own_ = await own(conn, keys, found.subscriber)
    if found.subscription.state == "confirmed":
        await withdraw(conn, found, "page", SUBJECT)
    elif found.subscription.state == "pending":
        await record(conn, found, "consent.refused", {"never_again": never_again})
        await forget(conn, keys, found, "refused", SUBJECT)
    if never_again:
        await end(conn, keys, own_, "page", "person", SUBJECT)
    return True


async def lapse(conn: Connection, keys: Vault, found: Found, evidence: Mapping[str, Any]) -> None:
    """There was no answer in time: what was asked, or agreed to, is at an end.

    `found` is locked, and pending or confirmed.
    """
    await record(conn, found, "consent.expired", evidence, SYSTEM)
    await forget(conn, keys, found, "retention", SYSTEM)


async def forget(
    conn: Connection, keys: Vault, found: Found, cause: subscribers.Cause, actor: Actor
) -> None:
    """Whoever never said yes leaves nothing behind; whoever once did, the proof of it."""
    subscription = found.subscription
    if subscription.confirmed_at is not None:
        await conn.execute(SQL.fall_back, subscription.id)
        await outbox.drop_of(conn, subscription.id)
        return
    await remember(conn, keys, found)
    await conn.execute(SQL.remove, subscription.id)
    if not await of_subscriber(conn, subscription.subscriber):
        await subscribers.erase(conn, keys, subscription.subscriber, cause, actor)
