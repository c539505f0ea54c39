"""Taking a report: whose mail was it, which one, and what does it ask for."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from mailer import address, db, providers, subscribers, subscriptions, tokens
from mailer.bounces import health, loop
from mailer.bounces.keeping import REPORT_CHARACTERS, Act, Channel, Mail, keep
from mailer.bounces.reading import Claim, Reading
from mailer.bounces.reasons import Kind
from mailer.bounces.striking import act_on
from mailer.db import Connection
from mailer.errors import Invalid
from mailer.subscriptions import Found
from mailer.vault import Vault

SQL = db.statements("bounces")


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
