"""People's rights over what is held about them: see it, take it along, have it left alone, erased.

GDPR, Articles 15 (access), 17 (erasure), 18 (restriction), 20 (portability); for Article 16 see
`rectification`.
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from mailer import (
    acts,
    address,
    bounces,
    consent,
    imports,
    notices,
    subject_requests,
    subscribers,
    subscriptions,
    suppressions,
)
from mailer.bounces.reasons import WORDS
from mailer.consent import SUBJECT, Actor
from mailer.db import Connection
from mailer.errors import Unknown
from mailer.subject_requests import Ask, Asked, Details, Outcome, Request
from mailer.subscriptions import Channel, Own
from mailer.vault import Vault

MOST_BOUNCES = 1000
REQUEST = "request"


async def find(conn: Connection, keys: Vault, email: str) -> Own:
    """Everything held about the person with this address. Raises Invalid or Unknown."""
    own = await with_address(conn, keys, email)
    if own is None:
        raise Unknown("Nobody with this address is known.", field="email")
    return own


async def with_address(conn: Connection, keys: Vault, email: str) -> Own | None:
    """As `find`, or None. Raises Invalid."""
    subscriber = await subscribers.by_address(conn, keys, address.parse(email))
    return await subscriptions.own(conn, keys, subscriber) if subscriber else None


async def known(conn: Connection, keys: Vault, id_: UUID) -> Own:
    """As `find`, of the person with this id. Raises Unknown."""
    subscriber = await subscribers.get(conn, id_)
    if subscriber is None:
        raise Unknown("Nobody with this number is known: perhaps they were erased.")
    return await subscriptions.own(conn, keys, subscriber)


async def view(
    conn: Connection, keys: Vault, email: str, *, what: str, reason: str, actor: Actor
) -> Own:
    """What staff look at, as `find`; that they looked, at what and why is recorded."""
    own = await find(conn, keys, email)
    await looked(conn, keys, own, what=what, reason=reason, actor=actor)
    return own


async def looked(
    conn: Connection, keys: Vault, own: Own, *, what: str, reason: str, actor: Actor
) -> None:
    """Staff look at what is held about the person: it is recorded."""
    await consent.record(
        conn,
        own.subscriber.subject(keys),
        "staff.viewed",
        actor=actor,
        evidence={"what": what, "reason": reason},
    )


async def check_suppression(
    conn: Connection, keys: Vault, email: str, *, reason: str, actor: Actor
) -> suppressions.Reason | None:
    """Why the address is suppressed, if it is; that staff looked is recorded of who has it."""
    reached = address.parse(email)
    if await subscribers.by_address(conn, keys, reached) is not None:
        await view(conn, keys, email, what="suppression", reason=reason, actor=actor)
    return await suppressions.reason(conn, keys, reached)


async def export(conn: Connection, keys: Vault, own: Own, *, actor: Actor) -> Mapping[str, Any]:
    """Everything held about a person as one JSON object; that it was exported is recorded."""
    await consent.record(conn, own.subscriber.subject(keys), "subject.exported", actor=actor)
    await register(conn, own, "access", actor)
    fresh = await subscriptions.own(conn, keys, own.subscriber)
    suppressed = await suppressions.reason(conn, keys, own.address)
    came_back = await bounces.latest(conn, own.subscriber.id, None, MOST_BOUNCES)
    shown = await notices.named(
        conn, [event.content["notice"]["id"] for event in fresh.record if event.content["notice"]]
    )
    return {
        "subject": str(fresh.subscriber.id),
        "email": fresh.address.given,
        "language": fresh.subscriber.language,
        "restricted_at": stamp(fresh.subscriber.restricted_at),
        "suppressed": suppressed,
        "subscriptions": [describe(found) for found in fresh.subscriptions],
        "notices": {id_: notices.content(notice) for id_, notice in shown.items()},
        "events": [event.content for event in fresh.record],
        "bounces": [returned(line) for line in came_back],
        "requests": [
            requested(keys, each) for each in await subject_requests.of(conn, own.subscriber.id)
        ],
    }


async def register(conn: Connection, own: Own, ask: Ask, actor: Actor) -> None:
    """What somebody does on their own page stands among the requests as done."""
    if actor == SUBJECT:
        await subject_requests.record_done(conn, own.subscriber.id, ask)


def requested(keys: Vault, request: Request) -> Mapping[str, Any]:
    """What they asked about their data, and what was noted of it."""
    return {
        "number": request.id,
        "asks": list(request.asks),
        "road": request.road,
        "received_on": request.received_on.isoformat(),
        "due_on": request.due_on.isoformat(),
        "extended_at": stamp(request.extended_at),
        "closed_at": stamp(request.closed_at),
        "outcome": request.outcome,
        **asdict(request.noted(keys)),
    }


def returned(line: bounces.Line) -> Mapping[str, Any]:
    """What came back of a mail to them, as it is kept."""
    return {
        "at": consent.timestamp(line.at),
        "newsletter": line.newsletter,
        "digest": line.digest,
        "kind": line.kind,
        "reason": WORDS[line.reason],
        "status": line.status,
        "act": line.act,
    }


def describe(found: subscriptions.Found) -> Mapping[str, Any]:
    held = found.subscription
    return {
        "newsletter": found.newsletter.slug,
        "state": held.state,
        "language": held.language,
        "cadence": held.cadence,
        "notice": held.notice,
        "asked_at": consent.timestamp(held.asked_at),
        "confirmed_at": stamp(held.confirmed_at),
        "left_at": stamp(held.left_at),
        "paused_until": stamp(held.paused_until),
    }


def stamp(at: datetime | None) -> str | None:
    return consent.timestamp(at) if at else None


async def restrict(
    conn: Connection, keys: Vault, own: Own, channel: Channel, *, actor: Actor
) -> bool:
    """Nothing is sent to the person and nothing of theirs goes by itself, until it is lifted.

    False: it was so already.
    """
    if not await subscribers.restrict(conn, own.subscriber.id):
        return False
    await record_restriction(conn, keys, own, channel, restricted=True, actor=actor)
    await register(conn, own, "restriction", actor)
    return True


async def unrestrict(
    conn: Connection, keys: Vault, own: Own, channel: Channel, *, actor: Actor
) -> bool:
    """Everything is as before; False: it was so already."""
    if not await subscribers.unrestrict(conn, own.subscriber.id):
        return False
    await record_restriction(conn, keys, own, channel, restricted=False, actor=actor)
    return True


async def record_restriction(
    conn: Connection, keys: Vault, own: Own, channel: Channel, *, restricted: bool, actor: Actor
) -> None:
    await consent.record(
        conn,
        own.subscriber.subject(keys),
        "consent.updated",
        actor=actor,
        language=own.subscriber.language,
        evidence={
            "channel": channel,
            "from": {"restricted": not restricted},
            "to": {"restricted": restricted},
        },
    )


async def erase(
    conn: Connection, keys: Vault, own: Own, *, never_again: bool, actor: Actor
) -> bool:
    """Destroy the person's key and all that it opens, at once; False: that was done already.

    What stays says only that somebody with a random id was erased; and, if the person wishes
    never to be written to again, a keyed hash of the address.
    """
    if never_again:
        await suppressions.add(conn, keys, own.address, "person")
    await imports.forget(conn, keys, own.address)
    gone = await subscribers.erase(conn, keys, own.subscriber.id, "request", actor)
    if gone:
        await register(conn, own, "erasure", actor)
    return gone


async def suppress(conn: Connection, keys: Vault, email: str, *, actor: Actor) -> None:
    """Never write to the address again; whoever has it leaves everything. Raises Invalid."""
    reached = address.parse(email)
    subscriber = await subscribers.by_address(conn, keys, reached)
    if subscriber is None:
        await suppressions.add(conn, keys, reached, "staff")
        return
    own = await subscriptions.own(conn, keys, subscriber)
    await subscriptions.end(conn, keys, own, "staff", "staff", actor)


# requests about their data


async def ask(
    conn: Connection, keys: Vault, own: Own | None, arrived: Asked, *, actor: Actor
) -> int:
    """Put a request into the register, and on record: with the person too, if they are known.

    Its number. Raises Invalid.
    """
    subject = own.subscriber.subject(keys) if own else None
    number = await subject_requests.record(conn, keys, subject, arrived, actor=actor)
    if own is not None:
        await looked(conn, keys, own, what=REQUEST, reason=f"{REQUEST} {number}", actor=actor)
    asks = list(arrived.asks)
    await acts.record(conn, keys, actor, "request.recorded", str(number), asks=asks)
    return number


async def look_at(
    conn: Connection, keys: Vault, number: int, *, actor: Actor
) -> tuple[Request, Details]:
    """A request with what was noted of it; that staff looked is recorded. Raises Unknown."""
    found = await subject_requests.find(conn, number)
    if found.known:
        own = await known(conn, keys, found.subject)
        await looked(conn, keys, own, what=REQUEST, reason=f"{REQUEST} {number}", actor=actor)
    await acts.record(conn, keys, actor, "request.viewed", str(number))
    return found, found.noted(keys)


async def answer(
    conn: Connection, keys: Vault, number: int, outcome: Outcome, said: str, *, actor: Actor
) -> None:
    """Close a request, and put that on record. Raises Invalid, Unknown or Conflict."""
    await subject_requests.close(conn, keys, number, outcome, said, actor=actor)
    await acts.record(conn, keys, actor, "request.closed", str(number), outcome=outcome)
