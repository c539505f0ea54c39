"""Subscriptions: who is subscribed to what. The rules of asking, confirming and leaving.

    request   what a form left            (web: one sealed row, the same work for everyone)
    admit     request → asked, or nothing (worker)
    confirm   pending → confirmed         (the button behind the mailed link)
    renew     confirmed, under newer words
    pause     confirmed, hearing nothing until a day
    refuse    pending → forgotten         ("this was not me")
    leave     pending, confirmed → left   (one click; never expires)
    ask_back  left → pending              (asked anew, to be confirmed anew)
    lapse     pending → forgotten         (nobody answered in time)
              confirmed → left

Who is forgotten after an earlier yes is `left` instead: the proof of that yes stays. Each step
writes its consent event in the same transaction, and `replay` reads the states out of the events.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Literal, TypeAlias

from mailer import consent, db, notices, outbox, subscribers, suppressions, tokens, vault
from mailer.address import Address
from mailer.consent import SUBJECT, SYSTEM, Actor
from mailer.db import Connection
from mailer.errors import Invalid
from mailer.notices import Notice
from mailer.subscribers import Subscriber
from mailer.subscriptions.asking import (
    IN_VAIN,
    MAIL_AGAIN,
    MAILED_MOST,
    UNANSWERED_MOST,
    Choice,
    answered,
    ask,
    remember,
    standing,
    vouch,
)
from mailer.subscriptions.listing import (
    LISTED,
    Count,
    Listed,
    Reason,
    Wanted,
    counts,
    listing,
    reasons,
)
from mailer.subscriptions.requests import (
    Domains,
    Request,
    Wish,
    admit,
    admit_slow,
    open_request,
    promote,
    request,
    waiting,
    waiting_longest,
)
from mailer.subscriptions.rows import (
    WHYS,
    Channel,
    Found,
    State,
    Subscription,
    Testimony,
    Why,
    bound_to,
    of_subscriber,
    open_subscription,
    record,
)
from mailer.tokens import Purpose
from mailer.vault import Vault

__all__ = [
    "IN_VAIN",
    "LISTED",
    "MAILED_MOST",
    "MAIL_AGAIN",
    "PAUSE_DAYS",
    "UNANSWERED_MOST",
    "WHYS",
    "Channel",
    "Choice",
    "Count",
    "Domains",
    "Found",
    "Listed",
    "Own",
    "Reason",
    "Request",
    "State",
    "Subscription",
    "Testimony",
    "Wanted",
    "Why",
    "Wish",
    "admit",
    "admit_slow",
    "ask",
    "ask_again",
    "ask_back",
    "bound_to",
    "change",
    "confirm",
    "counts",
    "end",
    "find",
    "lapse",
    "leave",
    "leave_all",
    "listing",
    "locked",
    "look",
    "mailed",
    "manage",
    "of_subscriber",
    "open_request",
    "open_subscription",
    "own",
    "pause",
    "promote",
    "reasons",
    "record",
    "refuse",
    "renew",
    "request",
    "restore",
    "standing",
    "take",
    "tell_why",
    "vouch",
    "waiting",
    "waiting_longest",
    "withdraw",
]

SQL = db.statements("subscriptions")

PAUSE_DAYS = 366
"""Whoever wants to hear nothing for longer leaves."""

# links


async def look(conn: Connection, keys: Vault, text: str, purpose: Purpose) -> Found | None:
    """What a link is about; changes nothing. None: not a true token of ours."""
    token = tokens.parse(text)
    if token is None:
        return None
    for subscription in await db.fetch(conn, Subscription, SQL.by_handle, token.handle):
        found = await open_subscription(conn, keys, subscription)
        if found is None:
            continue
        if token.proven_by(vault.proof(found.subject, purpose, subscription.bound_to(purpose))):
            return found
    return None


async def take(conn: Connection, keys: Vault, text: str, purpose: Purpose) -> Found | None:
    """Like `look`, and nobody else changes the subscription until this transaction ends."""
    found = await look(conn, keys, text, purpose)
    if found is None:
        return None
    locked = await db.first(conn, Subscription, SQL.lock, found.subscription.id)
    # It may have changed while we waited: read what it is now, or that it is gone.
    return await look(conn, keys, text, purpose) if locked else None


async def locked(conn: Connection, keys: Vault, subscription: int) -> Found | None:
    """By its id; nobody else changes it until this transaction ends. None: it is gone."""
    row = await db.first(conn, Subscription, SQL.lock, subscription)
    return await open_subscription(conn, keys, row) if row is not None else None


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


async def lapse(conn: Connection, keys: Vault, found: Found, evidence: Mapping[str, Any]) -> None:
    """There was no answer in time: what was asked, or agreed to, is at an end.

    `found` is locked, and pending or confirmed.
    """
    await record(conn, found, "consent.expired", evidence, SYSTEM)
    await forget(conn, keys, found, "retention", SYSTEM)


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


async def end(
    conn: Connection,
    keys: Vault,
    own_: "Own",
    channel: Channel,
    why: suppressions.Reason,
    actor: Actor,
) -> None:
    """Nothing is written to the person again: suppressed, and out of every newsletter."""
    await suppressions.add(conn, keys, own_.address, why)
    await leave_all(conn, own_, channel, actor)


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


# one person's own page


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


async def leave_all(conn: Connection, own_: Own, channel: Channel, actor: Actor) -> None:
    for held in own_.subscriptions:
        found = await find(conn, own_, held.newsletter.slug)
        if found is not None:
            await withdraw(conn, found, channel, actor)


# what became of a confirmation mail


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
