"""Delivery: one step that takes mails from the outbox, sends them and says what became of them.

    claim, commit → compose → attest, commit → send (no transaction open) → settle, commit

To attest is to put on record that a confirmation is being mailed, before anybody can answer it.

Whoever left, was erased or suppressed since the mail was put is found out in the transaction that
claims it. A closed road (no connection, no login, 421) ends the round and costs no mail an attempt.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias
from uuid import UUID

import asyncpg

from mailer import (
    consent,
    digests,
    letters,
    limits,
    mime,
    newsletters,
    notices,
    outbox,
    render,
    renewals,
    subscribers,
    subscriptions,
    suppressions,
    vault,
)
from mailer.address import Address
from mailer.config import Settings
from mailer.db import Connection, Pool
from mailer.errors import Refusal
from mailer.letters import Letter
from mailer.mime import Mould
from mailer.newsletters import Newsletter
from mailer.outbox import Claimed
from mailer.renewals import Asked
from mailer.smtp import Road, RoadClosed, Verdict
from mailer.subscriptions import Testimony
from mailer.tokens import Purpose, Token
from mailer.vault import Subject, Vault

log = logging.getLogger(__name__)

RETRY_MINUTES = (5, 7, 8, 25, 75, 120, 240)
JITTER = 0.2
PATIENCE = {
    "confirm": timedelta(hours=4),
    "already": timedelta(hours=4),
    "renew": timedelta(hours=48),
    "digest": timedelta(hours=48),
}
ROAD_CLOSED = timedelta(seconds=15)
"""How long mails rest when no mail server took a connection."""

MAILS_A_CONNECTION = 10
"""In one step: few, so that little is on the way when a worker dies."""

MOULDS_MOST = 200
AGAIN_SECONDS = 1.0
UNHEARD = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.TransactionRollbackError,
    asyncpg.OperatorInterventionError,
)
"""The database is away, starting or stopping, or took back a transaction: it may hear us yet."""

UNFIT = Verdict("later", "mail", 0, None, "it could not be sent", "")

Claim: TypeAlias = Callable[[Connection, UUID, int], Awaitable[list[Claimed]]]
Compiled: TypeAlias = tuple[Newsletter, Mould]
Settled: TypeAlias = Literal["sent", "failed"]


@dataclass(frozen=True)
class Ready:
    """A mail composed as far as it is the same for all, and the person it goes to."""

    mail: Claimed
    subject: Subject
    to: Address
    mould: Mould
    newsletter: Newsletter


@dataclass(frozen=True)
class Sent:
    """What became of a mail; no verdict: it was not tried."""

    ready: Ready
    verdict: Verdict | None


@dataclass
class Delivery:
    """What one kind of delivery works with; `moulds` keeps what was compiled."""

    settings: Settings
    pool: Pool
    keys: Vault
    road: Road
    worker: UUID
    claim: Claim
    stop: asyncio.Event
    connections: int
    moulds: dict[tuple[object, ...], Compiled] = field(default_factory=dict)

    async def step(self) -> bool:
        """Take some mails and bring them on their way; whether there were any."""
        async with self.pool.acquire() as conn, conn.transaction():
            ready, wait = await self.take(conn)
        if not ready:
            return False
        ready = await self.attest(ready)
        await asyncio.sleep(wait)
        outcomes = await self.send_all(ready)
        await self.settle_all(outcomes)
        return all(outcome.verdict is not None for outcome in outcomes)

    # take

    async def take(self, conn: Connection) -> tuple[list[Ready], float]:
        """Mails still wanted, and the seconds to wait for their turn."""
        claimed = await self.claim(conn, self.worker, self.connections * MAILS_A_CONNECTION)
        opened = [self.open(mail) for mail in claimed]
        barred = await suppressions.among(conn, self.keys, [to for _, _, to in opened])
        wanted = [o for o in opened if o[0].wanted and o[2].normal not in barred]
        kept = {mail.id for mail, _, _ in wanted}
        await outbox.drop(conn, [mail.id for mail in claimed if mail.id not in kept])
        found = [await self.composed(conn, *each) for each in wanted]
        ready = [each for each in found if each is not None]
        return ready, await self.turn(conn, len(ready))

    async def composed(
        self, conn: Connection, mail: Claimed, subject: Subject, to: Address
    ) -> Ready | None:
        """None: it can't be composed at present, which must not hold up the others."""
        try:
            newsletter, mould = await self.compose(conn, mail, subject)
        except (Refusal, render.BadTemplate, LookupError, ValueError, AssertionError):
            log.exception("mail %s can't be composed", mail.id)
            if has_time(mail):
                await outbox.defer(conn, mail.id, delay(mail.attempts), UNFIT.reply)
            else:
                await outbox.settle(conn, mail.id, "failed", UNFIT.reply)
            return None
        return Ready(mail, subject, to, mould, newsletter)

    def open(self, mail: Claimed) -> tuple[Claimed, Subject, Address]:
        subject = self.keys.unwrap(mail.subscriber, mail.dek)
        return mail, subject, subscribers.open_address(subject, mail.address)

    async def turn(self, conn: Connection, many: int) -> float:
        if self.settings.rate is None or not many:
            return 0
        return await limits.reserve(conn, "mail", many, self.settings.rate)

    # compose

    async def compose(self, conn: Connection, mail: Claimed, subject: Subject) -> Compiled:
        """The mail as it is for all who get the same words, compiled once."""
        origin = await self.origin(conn, mail, subject) if mail.kind == "confirm" else None
        asked = await renewals.last_asked(conn, mail.subscription) if mail.kind == "renew" else None
        words = (asked.notice, asked.answer_by) if asked else mail.notice
        key = (mail.kind, mail.digest, mail.newsletter, words, mail.language, origin)
        if key not in self.moulds:
            if len(self.moulds) >= MOULDS_MOST:
                self.moulds.clear()
            newsletter = await newsletters.get(conn, mail.newsletter)
            letter = await self.write(conn, mail, newsletter, origin, asked)
            self.moulds[key] = newsletter, mime.mould(letter, self.settings.domain)
        return self.moulds[key]

    async def write(
        self,
        conn: Connection,
        mail: Claimed,
        newsletter: Newsletter,
        origin: str | None,
        asked: Asked | None,
    ) -> Letter:
        language = newsletter.offered(mail.language)
        if mail.digest is not None:
            digest = await digests.get(conn, mail.digest)
            edition = await digests.edition(conn, mail.digest, language)
            assert edition is not None, "approving freezes one for each language"
            return letters.edition(self.settings, newsletter, digest, edition)
        if mail.kind == "already":
            return letters.already(self.settings, newsletter, language)
        notice = await notices.find(conn, asked.notice if asked else mail.notice)
        if asked is not None:
            return letters.renew(self.settings, newsletter, notice, language, asked.answer_by)
        return letters.confirm(self.settings, newsletter, notice, language, origin)

    async def origin(self, conn: Connection, mail: Claimed, subject: Subject) -> str | None:
        """The page that the request came from, as its consent event tells."""
        events = await consent.of(conn, subject)
        asked = [e.content for e in events if e.content["type"] == "subscription.requested"]
        return next((e["evidence"].get("origin") for e in reversed(asked)), None)

    # attest

    async def attest(self, ready: Sequence[Ready]) -> list[Ready]:
        """Put new confirmations on record; what is left to send: not to those forgotten by now."""
        new = [each for each in ready if each.mail.kind == "confirm" and not each.mail.attested]
        if not new:
            return list(ready)
        forgotten: set[int] = set()

        async def record(conn: Connection) -> None:
            forgotten.clear()
            for each in sorted(new, key=lambda each: each.mail.subscription):
                if await self.testify(conn, each, "confirmation.sent", mailed(each)):
                    await outbox.attest(conn, each.mail.id)
                else:
                    forgotten.add(each.mail.id)

        await self.surely(record)
        return [each for each in ready if each.mail.id not in forgotten]

    async def testify(
        self, conn: Connection, ready: Ready, type_: Testimony, evidence: Mapping[str, object]
    ) -> bool:
        held = ready.mail.subscription
        return await subscriptions.mailed(conn, self.keys, held, type_, evidence)

    # send

    async def send_all(self, ready: Sequence[Ready]) -> list[Sent]:
        """Each on the next free connection, until the road closes or the worker is to stop."""
        free = asyncio.Semaphore(self.connections)
        closed = asyncio.Event()

        async def send(mail: Ready) -> Sent:
            async with free:
                if closed.is_set() or self.stop.is_set():
                    return Sent(mail, None)
                try:
                    return Sent(mail, await self.send(mail))
                except RoadClosed as error:
                    closed.set()
                    log.warning("no mail goes out at present: %s", error)
                except Exception:  # a fault of ours must not keep what it held for ever
                    log.exception("mail %s could not be sent", mail.mail.id)
                    return Sent(mail, UNFIT)
                return Sent(mail, None)

        return list(await asyncio.gather(*(send(mail) for mail in ready)))

    async def send(self, ready: Ready) -> Verdict:
        filling = tokens_of(ready)
        data = ready.mould.cast(
            ready.to.given,
            ready.mail.message,
            {purpose: str(token) for purpose, token in filling.items()},
            datetime.now(UTC),
        )
        sender = letters.return_path(self.settings, ready.newsletter, str(filling["bounce"]))
        return await self.road.send(data, sender, ready.to.given)

    # settle

    async def settle_all(self, outcomes: Sequence[Sent]) -> None:
        """In the order in which everybody locks subscriptions, so that nobody waits in a ring."""

        async def settle(conn: Connection) -> None:
            for outcome in sorted(outcomes, key=lambda outcome: outcome.ready.mail.subscription):
                await self.settle(conn, outcome)

        await self.surely(settle)

    async def surely(self, what: Callable[[Connection], Awaitable[None]]) -> None:
        """What was sent was sent: it is said in one transaction until the database hears it."""
        while True:
            try:
                async with self.pool.acquire() as conn, conn.transaction():
                    await what(conn)
            except UNHEARD:
                log.warning("the database does not answer; saying it again soon")
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                return

    async def settle(self, conn: Connection, outcome: Sent) -> None:
        mail, verdict = outcome.ready.mail, outcome.verdict
        if verdict is None:
            await outbox.release(conn, [mail.id], ROAD_CLOSED)
        elif verdict.kind == "later" and has_time(mail):
            await outbox.defer(conn, mail.id, delay(mail.attempts), verdict.reply)
        else:
            # The consent record first: whoever erases a person locks the subscription and then
            # its mails, and so do we.
            if mail.kind == "confirm":
                await self.testify(conn, outcome.ready, answer(verdict), said(verdict))
            state: Settled = "sent" if verdict.kind == "sent" else "failed"
            await outbox.settle(conn, mail.id, state, verdict.reply)


def has_time(mail: Claimed) -> bool:
    """Whether trying again later is of use to anybody."""
    return datetime.now(UTC) - mail.created_at < PATIENCE[mail.kind]


def mailed(ready: Ready) -> Mapping[str, object]:
    """What the consent record keeps of a confirmation that is being mailed."""
    return {
        "message_id": ready.mould.message_id(ready.mail.message),
        "mail_sha256": ready.mould.sha256.hex(),
        "template_sha256": render.source_sha256("mail/confirm"),
    }


def answer(verdict: Verdict) -> Testimony:
    return "confirmation.accepted" if verdict.kind == "sent" else "confirmation.failed"


def said(verdict: Verdict) -> Mapping[str, object]:
    return {"server": verdict.server, "code": verdict.code, "reply": verdict.reply}


def tokens_of(ready: Ready) -> dict[Purpose, Token]:
    """Every link this reader's mail can carry."""
    mail = ready.mail
    purposes: tuple[Purpose, ...] = ("confirm", "refuse", "leave", "bounce", "renew")
    tokens = {
        purpose: Token(
            mail.handle,
            vault.proof(
                ready.subject,
                purpose,
                subscriptions.bound_to(purpose, mail.subscription, mail.asked_at),
            ),
        )
        for purpose in purposes
    }
    manage = vault.proof(ready.subject, "manage", str(mail.subscriber))
    return {**tokens, "manage": Token(mail.subscriber_handle, manage)}


def delay(attempts: int) -> timedelta:
    """Before the next try; a little different for each mail, so that they don't come in a wave."""
    minutes = RETRY_MINUTES[min(attempts, len(RETRY_MINUTES)) - 1]
    return timedelta(minutes=minutes * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 - no secret
