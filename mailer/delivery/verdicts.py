"""What follows from what a server said: for the mail, for its provider, for the consent record."""

import random
from collections.abc import Mapping
from datetime import timedelta

from mailer import render
from mailer.delivery.composing import Ready
from mailer.outbox import Mail
from mailer.smtp import Verdict
from mailer.subscriptions import Testimony

RETRY_MINUTES = (5, 7, 8, 25, 75, 120, 240)
JITTER = 0.2
PATIENCE = {
    "confirm": timedelta(hours=4),
    "already": timedelta(hours=4),
    "address": timedelta(hours=4),
    "renew": timedelta(hours=48),
    "digest": timedelta(hours=48),
    "trouble": timedelta(hours=48),
    "invitation": timedelta(hours=48),
    "password": timedelta(hours=2),
    "trial": timedelta(hours=1),
}

SLOWER = "4.7."
"""Policy, rate (RFC 3463, 3.8): the provider wants less of us, whatever it thinks of the mail."""

UNFIT = Verdict("later", "mail", 0, None, "it could not be sent", "")
"""Of a mail that can't be composed, or broke what would send it."""


def again(mail: Mail, verdict: Verdict) -> bool:
    """Whether to try it another time: not when that would be of no use to anybody."""
    return verdict.kind == "later" and mail.age < PATIENCE[mail.kind] and not mail.replaced


def delay(attempts: int) -> timedelta:
    """Before the next try, after so many; a little different each time, so that mails don't come
    back in a wave."""
    minutes = RETRY_MINUTES[min(attempts, len(RETRY_MINUTES)) - 1]
    return timedelta(minutes=minutes * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 - no secret


def too_fast(verdict: Verdict) -> bool:
    """Whether the provider wants less at once (421 comes as a closed road)."""
    return verdict.kind == "later" and (verdict.enhanced or "").startswith(SLOWER)


# for the consent record


def mailed(ready: Ready) -> Mapping[str, object]:
    """What it keeps of a confirmation that is being mailed."""
    mould = ready.compiled.mould
    return {
        "message_id": mould.message_id(ready.mail.message),
        "mail_sha256": mould.sha256.hex(),
        "template_sha256": render.source_sha256("mail/confirm"),
    }


def answer(verdict: Verdict) -> Testimony:
    return "confirmation.accepted" if verdict.kind == "sent" else "confirmation.failed"


def said(verdict: Verdict) -> Mapping[str, object]:
    return {"server": verdict.server, "code": verdict.code, "reply": verdict.reply}
