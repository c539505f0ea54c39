"""Striking: what counts against an address, when it is enough, and what is done then."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from mailer import db, subscribers, subscriptions, suppressions
from mailer.address import Address
from mailer.bounces import health
from mailer.bounces.keeping import Act, get
from mailer.bounces.reasons import Kind
from mailer.consent import SUBJECT, SYSTEM, Actor
from mailer.db import Connection
from mailer.errors import Conflict
from mailer.subscriptions import Found
from mailer.vault import Vault

SQL = db.statements("bounces")

DAYS_APART = timedelta(days=3)
SOFT_STRIKES = 5
SOFT_DAYS = timedelta(days=30)
ARRIVED = timedelta(days=3)
"""A mail that has not come back for so long has arrived."""


@dataclass(frozen=True)
class Strike:
    """What counts against an address."""

    id: int
    digest: int | None
    created_at: datetime


async def act_on(conn: Connection, keys: Vault, found: Found, kind: Kind, kept: int) -> Act | None:
    """Do what a bounce that has just been kept asks for."""
    act: Act | None = None
    if kind == "unsubscribe" and found.subscription.state != "left":
        await subscriptions.withdraw(conn, found, "one-click", SUBJECT)
        act = "left"
    elif kind == "complaint":
        act = await suppress(conn, keys, found, "complaint")
    elif kind in ("hard", "soft") and await condemned(conn, keys, found, kind):
        act = await suppress(conn, keys, found, "bounce")
    if act is not None:
        await conn.execute(SQL.act, kept, act)
    return act


async def suppress(
    conn: Connection, keys: Vault, found: Found, why: Literal["complaint", "bounce"]
) -> Act:
    own = await subscriptions.own(conn, keys, found.subscriber)
    await subscriptions.end(conn, keys, own, why, why, SYSTEM)
    return "suppressed"


async def condemned(conn: Connection, keys: Vault, found: Found, kind: Kind) -> bool:
    """Whether the strikes against a person's address are enough, storms left out."""
    told = await db.fetch(conn, Strike, SQL.strikes, found.subscriber.id, kind)
    if kind == "soft":
        enough = len(told) >= SOFT_STRIKES
        return enough and told[-1].created_at - told[0].created_at >= SOFT_DAYS
    domain = found.subscriber.reach(keys).domain
    strikes = [s for s in told if not await health.frozen(conn, s.digest, domain)]
    apart = strikes[-1].created_at - strikes[0].created_at if strikes else timedelta(0)
    return apart >= DAYS_APART


async def forgive(conn: Connection) -> None:
    """Whose later mail has arrived starts anew."""
    await conn.execute(SQL.forgive, ARRIVED)


# undoing


async def undo(conn: Connection, keys: Vault, id_: int, actor: Actor) -> None:
    """A bounce never counts again; what was done because of it is taken back.

    Only subscriptions that ended by it go on. Raises Unknown, or Conflict if that was done before.
    """
    kept, found = await get(conn, keys, id_)
    if kept.undone_at is not None:
        raise Conflict("Bounce {id} was undone before.", id=id_)
    await conn.execute(SQL.undone, id_, actor)
    if kept.act is None:
        return
    person = found.subscriber
    if kept.act == "suppressed" and not await conn.fetchval(SQL.still_suppressing, person.id, id_):
        await release(conn, keys, person.reach(keys))
    if await suppressions.reason(conn, keys, person.reach(keys)) is not None:
        return  # something else keeps them silent
    for place in await subscriptions.of_subscriber(conn, person.id):
        ended = await subscriptions.locked(conn, keys, place.id)
        if ended is not None and ended.subscription.left_at == kept.acted_at:
            evidence = {"channel": "bounce", "bounce": id_}
            await subscriptions.restore(conn, ended, evidence, actor)


async def release(conn: Connection, keys: Vault, reached: Address) -> None:
    """Not if the person, or staff, wished for it themselves."""
    if await suppressions.reason(conn, keys, reached) in ("complaint", "bounce"):
        await suppressions.remove(conn, keys, reached)


@dataclass(frozen=True)
class Acted:
    """Somebody who was suppressed because of a bounce."""

    id: int
    subscriber: UUID


async def watch(conn: Connection, keys: Vault) -> list[health.Alarm]:
    """Look for storms and many complaints; who was suppressed in a new storm is so no more.

    The new alarms. In a transaction of its own: it locks subscriptions of many.
    """
    storms = await health.new_storms(conn)
    for storm in storms:
        for acted in await db.fetch(conn, Acted, SQL.suppressed_in, storm.digest):
            person = await subscribers.get(conn, acted.subscriber)
            if person and health.provider(person.reach(keys).domain) == storm.provider:
                await undo(conn, keys, acted.id, SYSTEM)
    return await health.raise_alarms(conn, storms)
