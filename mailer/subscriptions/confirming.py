"""Confirming: the yes, to new words or anew, and what became of the mail that asks for it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, TypeAlias

from mailer import db, notices, suppressions
from mailer.consent import SYSTEM
from mailer.db import Connection
from mailer.notices import Notice
from mailer.subscriptions.asking import Choice, answered, ask
from mailer.subscriptions.links import locked, take
from mailer.subscriptions.rows import Found, Testimony, record
from mailer.vault import Vault

SQL = db.statements("subscriptions")

Outcome: TypeAlias = Literal["confirmed", "already", "expired", "unknown"]


async def confirm(
    conn: Connection, keys: Vault, text: str, evidence: Mapping[str, Any]
) -> tuple[Outcome, Found | None]:
    """The button behind the mailed link was pressed. What was found is as it was before."""
    found = await take(conn, keys, text, "confirm")
    if found is None:
        return "unknown", None
    subscription = found.subscription
    if subscription.state == "confirmed":
        return "already", found
    if subscription.state == "left" or subscription.expired:
        return "expired", found
    waited = await conn.fetchval(SQL.seconds_since_mailed, subscription.id)
    await conn.execute(SQL.confirm, subscription.id)
    await answered(conn, keys, found)
    await conn.execute(SQL.forget_bookmarks, subscription.id)
    await conn.execute(SQL.speak, subscription.subscriber, subscription.language)
    said = {**evidence, "cadence": subscription.cadence, "seconds_since_mailed": waited}
    await record(conn, found, "consent.confirmed", said)
    return "confirmed", found


async def renew(
    conn: Connection, found: Found, notice: Notice, evidence: Mapping[str, Any]
) -> None:
    """Somebody confirmed (and locked) agrees to a newer version of the words."""
    await conn.execute(SQL.renew, found.subscription.id, notice.id)
    await record(conn, replace(found, notice=notice), "consent.renewed", evidence)


# asking once more


async def ask_again(conn: Connection, keys: Vault, text: str, confirm_hours: int) -> None:
    """The holder of an expired link wants a new one; the usual caps hold."""
    found = await take(conn, keys, text, "confirm")
    if found is not None and found.subscription.state != "confirmed":
        await ask_anew(conn, keys, found, found.notice, "expired link", confirm_hours)


async def ask_back(conn: Connection, keys: Vault, text: str, confirm_hours: int) -> None:
    """Whoever left thinks better of it. The old consent is over, so they are asked to confirm
    anew, under the words of today; the usual caps hold."""
    found = await take(conn, keys, text, "leave")
    if found is None or found.subscription.state != "left":
        return
    newest = await notices.current(conn, found.newsletter.id, found.notice.language)
    await ask_anew(conn, keys, found, newest or found.notice, "undo", confirm_hours)


async def ask_anew(
    conn: Connection, keys: Vault, found: Found, notice: Notice, channel: str, confirm_hours: int
) -> None:
    """As things stood, but for the words. Not whoever wished never to be written to."""
    if await suppressions.reason(conn, keys, found.subscriber.reach(keys)) is not None:
        return
    held = found.subscription
    evidence = {"channel": channel}
    choice = Choice(found.newsletter, notice, held.language, held.cadence, evidence)
    await ask(conn, keys, found.subscriber, choice, confirm_hours)


async def mailed(
    conn: Connection,
    keys: Vault,
    subscription: int,
    type_: Testimony,
    evidence: Mapping[str, Any],
) -> bool:
    """Keep it on record; False: there is nothing to keep.

    Whoever was forgotten in the meantime stays so, and to whoever does not wait to be asked (any
    more) nothing is sent.
    """
    found = await locked(conn, keys, subscription)
    if found is None or (type_ == "confirmation.sent" and not found.waits):
        return False
    await record(conn, found, type_, evidence, SYSTEM)
    return True
