"""Bounces: what became of a mail after it was sent, and what is done about it.

    reading   bytes → a class, a reason, and whose mail it may have been
    reasons   a mail server's words and codes → a reason
    phrases   the words
    health    how each digest fared with each provider; storms and alarms
    loop      a mail sent to see whether bounces arrive

Whose mail it was is told by a token that only its reader's mail bore, or by a provider that has
proven who it is; else it is counted, and nothing is done. The rules:

    hard         twice, DAYS_APART days apart: suppressed, and out of every newsletter
    soft         SOFT_STRIKES times over SOFT_DAYS days: likewise
    complaint    at once
    unsubscribe  out of that newsletter
    policy, auto-reply, unknown: nothing; it is not the reader's fault

A mail that arrives in between forgives what was before. In a storm (`health.frozen`) bounces are
kept but strike nobody. Each act can be undone.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Literal, TypeAlias
from uuid import UUID

from mailer import address, db, providers, subscribers, subscriptions, suppressions, tokens, vault
from mailer.address import Address
from mailer.bounces import health, loop
from mailer.bounces.reading import Claim, Reading
from mailer.bounces.reasons import KINDS, WORDS, Kind, Stage, judge, reply
from mailer.consent import SUBJECT, SYSTEM, Actor
from mailer.db import Connection
from mailer.errors import Conflict, Invalid, Unknown
from mailer.subscriptions import Found
from mailer.vault import Subject, Vault

SQL = db.statements("bounces")

PLACE = "bounce.report"
REPORT_CHARACTERS = 4000

DAYS_APART = timedelta(days=3)
SOFT_STRIKES = 5
SOFT_DAYS = timedelta(days=30)
ARRIVED = timedelta(days=3)
"""A mail that has not come back for so long has arrived."""

Channel: TypeAlias = Literal[
    "smtp", "lmtp", "imap", "stdin", "ses", "mailgun", "postmark", "sendgrid"
]
Act: TypeAlias = Literal["left", "suppressed"]


@dataclass(frozen=True)
class Report:
    """What somebody reports. `recipients`: of its envelope; `email`: whom a provider that has
    proven who it is speaks of; `id`: the same report told again has the same."""

    channel: Channel
    id: bytes = field(repr=False)
    reading: Reading = field(repr=False)
    text: str = field(default="", repr=False)
    recipients: tuple[str, ...] = field(default=(), repr=False)
    email: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Mail:
    """A mail of ours that a report is about."""

    message: UUID
    digest: int | None


@dataclass(frozen=True)
class Strike:
    """What counts against an address."""

    id: int
    digest: int | None
    created_at: datetime


@dataclass(frozen=True)
class Taken:
    """What came of a report. `bounce`: its number; None: nobody's, told before (`again`), or a mail
    that we had sent ourselves to see it come back (`probe`)."""

    kind: Kind
    reason: str
    bounce: int | None = None
    act: Act | None = None
    again: bool = False
    probe: bool = False

    @property
    def ours(self) -> bool:
        """Whether it bore a token of ours."""
        return self.bounce is not None or self.again or self.probe


def mailed(channel: Channel, raw: bytes, reading: Reading, recipients: Sequence[str]) -> Report:
    """A report that came by mail, as bytes."""
    text = raw[:REPORT_CHARACTERS].decode("utf-8", "replace")
    return Report(channel, hashlib.sha256(raw).digest(), reading, text, tuple(recipients))


# taking


async def take(conn: Connection, keys: Vault, report: Report) -> Taken:
    """Keep a report and do what it asks for, in the caller's transaction."""
    if not await conn.fetchval(SQL.tell, keys.bounce(f"{report.channel} {report.id.hex()}")):
        return Taken(report.reading.kind, report.reading.reason, again=True)
    found, purpose = await whose(conn, keys, report)
    reading = wished(report, purpose)
    kind, reason = reading.kind, reading.reason
    if found is None:
        if await loop.returned(conn, [c.text for c in borne(report)], report.channel):
            return Taken(kind, reason, probe=True)
        await conn.execute(SQL.stray, report.channel, kind)
        return Taken(kind, reason)
    await conn.execute(SQL.hold, [found.subscription.id])
    mail = await about(conn, found, reading)
    kept = await keep(conn, keys, report.channel, found, mail, reason, reading.status, report.text)
    if mail is not None and mail.digest is not None:
        domain = found.subscriber.reach(keys).domain
        await health.add(conn, {health.Tally(mail.digest, providers.of(domain), reason): 1})
    return Taken(kind, reason, kept, await act_on(conn, keys, found, kind, kept))


async def whose(
    conn: Connection, keys: Vault, report: Report
) -> tuple[Found | None, tokens.Purpose | None]:
    """Whose mail a report is about, locked; and what the token that proves it is for."""
    for claim in borne(report):
        if claim.purpose == "leave" and not may_leave(report, claim):
            continue
        found = await subscriptions.take(conn, keys, claim.text, claim.purpose)
        if found is not None:
            return found, claim.purpose
    if report.email is not None:
        return await reader(conn, keys, report.email), None
    return None, None


def borne(report: Report) -> list[Claim]:
    """The tokens that it bears, those of its envelope first."""
    return list(dict.fromkeys([*envelope(report.recipients), *report.reading.claims]))


def envelope(recipients: Sequence[str]) -> list[Claim]:
    """The tokens in the addresses that a mail was sent to: b+TOKEN@ and u+TOKEN@."""
    found = []
    for recipient in recipients:
        mark, _, token = recipient.rpartition("@")[0].partition("+")
        purpose: tokens.Purpose | None = {"b": "bounce", "u": "leave"}.get(mark)  # type: ignore[assignment]  # two of them
        if purpose is not None and tokens.parse(token) is not None:
            found.append(Claim(purpose, token))
    return found


def may_leave(report: Report, claim: Claim) -> bool:
    """Links to leave are passed on more often than bounce addresses: they end, and strike not."""
    return report.reading.kind in ("complaint", "unsubscribe") or claim in envelope(
        report.recipients
    )


def wished(report: Report, purpose: tokens.Purpose | None) -> Reading:
    """A mail to u+TOKEN@ asks to leave, whatever it says; but not if it came back from there."""
    reading = report.reading
    to_leave = any(claim.purpose == "leave" for claim in envelope(report.recipients))
    if purpose == "leave" and to_leave and reading.kind in ("unknown", "auto-reply"):
        return Reading("leave")
    return reading


async def reader(conn: Connection, keys: Vault, email: str) -> Found | None:
    """The first subscription of the person with an address, locked."""
    try:
        found = await subscribers.by_address(conn, keys, address.parse(email))
    except Invalid:
        return None
    if found is None:
        return None
    places = await subscriptions.of_subscriber(conn, found.id)
    return await subscriptions.locked(conn, keys, places[0].id) if places else None


async def about(conn: Connection, found: Found, reading: Reading) -> Mail | None:
    id_ = found.subscription.id
    named = await db.first(conn, Mail, SQL.mail_named, id_, list(reading.messages))
    return named or await db.first(conn, Mail, SQL.mail_latest, id_)


async def keep(
    conn: Connection,
    keys: Vault,
    channel: Channel,
    found: Found,
    mail: Mail | None,
    reason: str,
    status: str | None,
    text: str,
) -> int:
    """The number of the bounce."""
    given = found.subscriber.reach(keys).given
    kept: int = await conn.fetchval(
        SQL.keep,
        found.subscription.id,
        mail.digest if mail else None,
        mail.message if mail else None,
        channel,
        KINDS[reason],
        reason,
        status,
        sealed(found.subject, text, given),
    )
    return kept


def sealed(subject: Subject, text: str, given: str) -> bytes:
    """What was said, for staff to read: without addresses, and under the person's own key."""
    return vault.seal(subject, PLACE, address.scrubbed(text, given)[:REPORT_CHARACTERS].encode())


# acting


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


# what the mail server said while we sent


@dataclass(frozen=True)
class Answer:
    """A mail server's last word on a mail to a reader at `provider` (as `providers` names it).

    `first`: the first that was heard of this mail; `again`: it is tried again.
    """

    subscription: int
    message: UUID
    digest: int | None
    provider: str | None
    kind: Literal["sent", "later", "never"]
    stage: Stage
    code: int
    status: str | None
    reply: str
    first: bool
    again: bool

    @cached_property
    def refused(self) -> str | None:
        """The reason of a refusal that is final. At MAIL or after the text the server speaks of us
        or of the mail (RFC 5321, 4.2.4): the words then say what the matter is, and nobody is
        struck."""
        if self.kind == "sent" or self.again:
            return None
        reason = judge(reply(f"{self.code or ''} {self.reply}", self.status, self.stage))
        if self.kind == "later":
            return reason if KINDS[reason] in ("soft", "policy") else "late"
        if self.stage == "rcpt":
            return "unsaid" if reason == "unclear" else reason
        return reason if KINDS[reason] == "policy" else "rules"


async def hold(conn: Connection, answers: Sequence[Answer]) -> None:
    """Lock the subscriptions that `settled` may end, before anything else of them is locked."""
    struck = [answer.subscription for answer in answers if answer.refused]
    if struck:
        await conn.execute(SQL.hold, struck)


async def settled(
    conn: Connection,
    keys: Vault,
    sent: Mapping[tuple[int, str | None], int],
    answers: Sequence[Answer],
) -> None:
    """Count what became of mails, and take refusals at RCPT as bounces; where they are settled.

    `sent`: how many mails of a digest a provider took, beside those in `answers`.
    """
    tallies = Counter({health.Tally(*key, "sent"): many for key, many in sent.items()})
    tallies.update(tally for answer in answers for tally in counted(answer))
    await health.add(conn, tallies)
    for answer in answers:
        if answer.refused is not None:
            await strike(conn, keys, answer, answer.refused)


def counted(answer: Answer) -> list[health.Tally]:
    if answer.digest is None:
        return []
    if answer.again:
        words = ["deferred"] if answer.first else []
    else:
        words = ["refused", answer.refused] if answer.refused else ["sent"]
    return [health.Tally(answer.digest, answer.provider, what) for what in words]


async def strike(conn: Connection, keys: Vault, answer: Answer, reason: str) -> None:
    found = await subscriptions.locked(conn, keys, answer.subscription)
    if found is None:
        return
    mail = Mail(answer.message, answer.digest)
    status = answer.status or (str(answer.code) if answer.code else None)
    kept = await keep(conn, keys, "smtp", found, mail, reason, status, answer.reply)
    await act_on(conn, keys, found, KINDS[reason], kept)


# undoing


@dataclass(frozen=True)
class Kept:
    """A bounce as it is kept; `report` sealed."""

    id: int
    subscription: int
    digest: int | None
    channel: Channel
    kind: Kind
    reason: str
    status: str | None
    report: bytes | None = field(repr=False)
    act: Act | None
    acted_at: datetime | None
    undone_at: datetime | None
    created_at: datetime


async def get(conn: Connection, keys: Vault, id_: int) -> tuple[Kept, Found]:
    """A bounce and whose it is, locked. Raises Unknown."""
    kept = await db.first(conn, Kept, SQL.get, id_)
    found = await subscriptions.locked(conn, keys, kept.subscription) if kept else None
    if kept is None or found is None:
        raise Unknown("There is no bounce {id}: see mailer bounce list.", id=id_)
    return kept, found


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


# forgiving and forgetting


async def forgive(conn: Connection) -> None:
    """Whose later mail has arrived starts anew."""
    await conn.execute(SQL.forgive, ARRIVED)


async def forget_of(conn: Connection, subscriber: UUID) -> None:
    """The person has another address: what was told of the earlier one says nothing of it."""
    await conn.execute(SQL.forget_of, subscriber)


# listing


@dataclass(frozen=True)
class Line:
    """One line of a list of bounces: nothing in it names anybody."""

    id: int
    at: datetime
    newsletter: str
    digest: int | None
    channel: Channel
    kind: Kind
    reason: str
    status: str | None
    act: Act | None
    forgiven: bool
    undone_by: str | None


@dataclass(frozen=True)
class Stray:
    """How many reports on a day bore no token of ours."""

    day: date
    channel: Channel
    kind: Kind
    count: int


async def latest(
    conn: Connection, subscriber: UUID | None, kind: Kind | None, limit: int
) -> list[Line]:
    """The latest bounces, of a person or of all, newest first."""
    return await db.fetch(conn, Line, SQL.latest, subscriber, kind, limit)


async def strays(conn: Connection) -> list[Stray]:
    """Of the last 30 days."""
    return await db.fetch(conn, Stray, SQL.strays)


def described(kept: Kept, found: Found) -> Mapping[str, object]:
    """A bounce for staff: what was said, without addresses."""
    said = vault.unseal(found.subject, PLACE, kept.report).decode() if kept.report else None
    return {
        "id": kept.id,
        "at": kept.created_at,
        "newsletter": found.newsletter.slug,
        "channel": kept.channel,
        "kind": kept.kind,
        "reason": WORDS[kept.reason],
        "status": kept.status,
        "act": kept.act,
        "undone_at": kept.undone_at,
        "report": said,
    }
