"""Bounces: what became of a mail after it was sent, and what is done about it.

    reading   bytes → a class, a reason, and whose mail it may have been
    reasons   a mail server's words and codes → a reason
    phrases   the words
    taking    a report: whose mail it was, and what it asks for
    answers   what servers said while we sent
    keeping   bounces, sealed; lists of them
    striking  when it is enough; undoing, forgiving
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

from mailer.bounces.answers import Answer, hold, settled
from mailer.bounces.keeping import (
    Act,
    Channel,
    Line,
    Mail,
    Stray,
    described,
    forget_of,
    get,
    latest,
    strays,
)
from mailer.bounces.striking import forgive, undo, watch
from mailer.bounces.taking import Report, Taken, mailed, take

__all__ = [
    "Act",
    "Answer",
    "Channel",
    "Line",
    "Mail",
    "Report",
    "Stray",
    "Taken",
    "described",
    "forget_of",
    "forgive",
    "get",
    "hold",
    "latest",
    "mailed",
    "settled",
    "strays",
    "take",
    "undo",
    "watch",
]
