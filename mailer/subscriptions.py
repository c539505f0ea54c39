"""Subscriptions: who is subscribed to what. The rules of asking, confirming and leaving.

    request   what a form left            (web: one sealed row, the same work for everyone)
    admit     request → asked, or nothing (worker)
    confirm   pending → confirmed         (the button behind the mailed link)
    renew     confirmed, under newer words
    refuse    pending → forgotten         ("this was not me")
    leave     pending, confirmed → left   (one click; never expires)
    lapse     pending → forgotten         (nobody answered in time)
              confirmed → left

Who is forgotten after an earlier yes is `left` instead: the proof of that yes stays. Each step
writes its consent event in the same transaction, and `replay` reads the states out of the events.
"""

import json
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias
from uuid import UUID, uuid4

from cryptography.exceptions import InvalidTag

from mailer import (
    address,
    consent,
    db,
    newsletters,
    notices,
    outbox,
    subscribers,
    suppressions,
    tokens,
    vault,
)
from mailer.address import Address
from mailer.consent import SUBJECT, SYSTEM, Actor
from mailer.db import Connection
from mailer.errors import Invalid
from mailer.newsletters import Newsletter
from mailer.notices import Notice
from mailer.subscribers import Subscriber
from mailer.tokens import Purpose, Token
from mailer.vault import Subject, Vault

SQL = db.statements("subscriptions")
log = logging.getLogger(__name__)

PLACE = "request.payload"
PAYLOAD_BYTES = 4096
"""Every request takes the same space, so that its size says nothing of what was asked."""

MAIL_AGAIN = timedelta(hours=24)
UNANSWERED_MOST = 3
MAILED_MOST = 5
"""Confirmations to one address in 24 hours, over all newsletters."""

State: TypeAlias = Literal["pending", "confirmed", "left"]
Channel: TypeAlias = Literal["one-click", "page", "complaint", "staff", "bounce", "journal"]
Testimony: TypeAlias = Literal["confirmation.sent", "confirmation.accepted", "confirmation.failed"]


@dataclass(frozen=True)
class Wish:
    """What a form asks for. `evidence`: how it was asked, for the consent record; `by`: who asked.

    Whoever is asked for by staff was brought over from another list.
    """

    email: str = field(repr=False)
    newsletters: Sequence[str]
    notice: str
    language: str
    cadence: str | None = None
    evidence: Mapping[str, Any] | None = None
    by: Actor = SUBJECT


@dataclass(frozen=True)
class Subscription:
    """One person's place in one newsletter; `asked_at` binds the links of the present asking."""

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


# asking


@dataclass(frozen=True)
class Request:
    """A row a form left; `dek` wrapped, `payload` sealed."""

    id: UUID
    dek: bytes
    payload: bytes
    created_at: datetime


@dataclass(frozen=True)
class Asking:
    """A request opened."""

    request: Request
    subject: Subject
    wish: Wish
    address: Address
    lookup: bytes


async def request(conn: Connection, keys: Vault, wish: Wish) -> None:
    """Check a wish and leave it for a worker: one sealed row, whoever the address is.

    Raises Invalid or Unknown, naming the field.
    """
    await check(conn, wish)
    subject = keys.new_subject(uuid4())
    sealed = vault.seal(subject, PLACE, payload(wish))
    await conn.execute(SQL.request, subject.id, keys.wrap(subject), sealed)
    await outbox.wake(conn, "request")


async def check(conn: Connection, wish: Wish) -> None:
    address.parse(wish.email)
    if not wish.newsletters:
        raise Invalid("Choose at least one newsletter.", field="newsletter")
    if not wish.notice:
        raise Invalid("The form must carry the id of the notice it shows.", field="notice")
    notice = await notices.find(conn, wish.notice)
    for slug in wish.newsletters:
        newsletter = await newsletters.find(conn, slug)
        if not notice.covers(newsletter.id):
            raise Invalid("The notice is about another newsletter.", field="notice")
        if notice.language not in (wish.language, newsletter.offered(wish.language)):
            raise Invalid("The notice is in another language than the form.", field="notice")
        if wish.cadence is not None and wish.cadence not in newsletter.cadences:
            raise Invalid("This newsletter does not come that often.", field="cadence")


def payload(wish: Wish) -> bytes:
    text = json.dumps(asdict(wish), ensure_ascii=False).encode()
    if len(text) > PAYLOAD_BYTES:
        raise Invalid("The form sent more than it may.", field="newsletter")
    return text.ljust(PAYLOAD_BYTES)


async def admit(conn: Connection, keys: Vault, confirm_hours: int, limit: int) -> int:
    """Turn waiting requests into subscriptions and mails; how many were taken."""
    taken = await db.fetch(conn, Request, SQL.take_requests, limit)
    opened = [asking for row in taken if (asking := open_request(keys, row)) is not None]
    # In the order of the index, so that two workers never wait for each other in a ring.
    for asking in sorted(opened, key=lambda a: a.lookup):
        await admit_one(conn, keys, asking, confirm_hours)
    return len(taken)


def open_request(keys: Vault, row: Request) -> Asking | None:
    subject = keys.unwrap(row.id, row.dek)
    try:
        wish = Wish(**json.loads(vault.unseal(subject, PLACE, row.payload)))
    except InvalidTag:
        log.error("request %s was changed in the database and is dropped", row.id)
        return None
    reached = address.parse(wish.email)
    return Asking(row, subject, wish, reached, keys.lookup(reached.normal))


async def admit_one(conn: Connection, keys: Vault, asking: Asking, confirm_hours: int) -> None:
    if await suppressions.reason(conn, keys, asking.address) is not None:
        return
    wish = asking.wish
    subscriber = await subscribers.keep(conn, keys, asking.subject, asking.address, wish.language)
    notice = await notices.find(conn, wish.notice)
    evidence = {
        **(wish.evidence or {}),
        "received": consent.timestamp(asking.request.created_at),
    }
    for slug in wish.newsletters:
        newsletter = await newsletters.find(conn, slug)
        choice = Choice(
            newsletter,
            notice,
            newsletter.offered(wish.language),
            wish.cadence or newsletter.cadences[0],
            evidence,
            wish.by,
        )
        await ask(conn, keys, subscriber, choice, confirm_hours)


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
) -> None:
    """Ask the person to confirm, as often as is decent; a confirmed one is told so instead."""
    if subscriber.restricted_at is not None:
        return
    subscription = await place(conn, subscriber, choice, confirm_hours)
    if subscription.mailed_at is not None and not await may_mail(conn, subscription):
        return
    if subscription.state == "confirmed":
        await conn.execute(SQL.told, subscription.id)
        await outbox.put(conn, "already", subscription.id)
        return
    if await conn.fetchval(SQL.mailed_lately, subscriber.id, MAIL_AGAIN) >= MAILED_MOST:
        # Nobody is asked, so nothing is recorded, and a place that no event speaks of can't stay.
        await conn.execute(SQL.remove_unasked, subscription.id)
        return
    await begin(conn, keys, subscriber, subscription.id, choice, confirm_hours)
    await outbox.put(conn, "confirm", subscription.id)


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


async def may_mail(conn: Connection, subscription: Subscription) -> bool:
    lately = await conn.fetchval(SQL.is_recent, subscription.mailed_at, MAIL_AGAIN)
    return not lately and subscription.unanswered < UNANSWERED_MOST


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
    if found is None or found.subscription.state == "confirmed":
        return
    subscription = found.subscription
    choice = Choice(
        found.newsletter,
        found.notice,
        subscription.language,
        subscription.cadence,
        {"channel": "expired link"},
    )
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


async def of_subscriber(conn: Connection, subscriber: UUID) -> list[Subscription]:
    return await db.fetch(conn, Subscription, SQL.of_subscriber, subscriber)


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


# counting


@dataclass(frozen=True)
class Count:
    """How many subscriptions of a newsletter are in a state and language."""

    newsletter: str
    language: str
    state: State
    count: int


async def counts(conn: Connection) -> list[Count]:
    return await db.fetch(conn, Count, SQL.counts)


# listing


@dataclass(frozen=True)
class Wanted:
    """Which subscriptions; None: all. `since`: first asked for then or later."""

    newsletter: str | None = None
    state: State | None = None
    language: str | None = None
    since: datetime | None = None


@dataclass(frozen=True)
class Listed:
    """One line of a list of subscribers. `agreed_…`: of who is confirmed, what another list that
    they are brought over to has to know of it (`imports`)."""

    subject_id: UUID
    newsletter: str
    state: State
    language: str
    cadence: str
    confirmed_at: datetime | None
    left_at: datetime | None
    agreed_how: str | None
    agreed_words: str | None
    agreed_source: str | None


LISTED = tuple(each.name for each in fields(Listed))


@dataclass(frozen=True)
class ListedRow(Listed):
    """Beside the person's sealed address and wrapped key."""

    dek: bytes
    address: bytes


async def listing(
    conn: Connection, keys: Vault, wanted: Wanted, *, with_addresses: bool
) -> AsyncIterator[tuple[Mapping[str, object], str | None]]:
    """Lines by LISTED, and the address if it is asked for; in constant memory, in the caller's
    transaction."""
    rows = conn.cursor(
        SQL.listing, wanted.newsletter, wanted.state, wanted.language, wanted.since, prefetch=1000
    )
    async for record_ in rows:
        row = ListedRow(**record_)
        shown = {name: getattr(row, name) for name in LISTED}
        if with_addresses:
            opened = subscribers.open_address(keys.unwrap(row.subject_id, row.dek), row.address)
            yield shown, opened.given
        else:
            yield shown, None
