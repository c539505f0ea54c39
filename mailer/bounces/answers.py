"""Answers: what the mail servers said while we sent, counted, and refusals taken as bounces."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal
from uuid import UUID

from mailer import db, subscriptions
from mailer.bounces import health
from mailer.bounces.keeping import Mail, keep
from mailer.bounces.reasons import KINDS, Stage, judge, reply
from mailer.bounces.striking import act_on
from mailer.db import Connection
from mailer.vault import Vault

SQL = db.statements("bounces")


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
