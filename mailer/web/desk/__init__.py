"""The staff's desk, as far as all its pages share it: who is let in where, and what a page has.

    table = [desk.get("/staff/digests", digests.listing, *desk.EVERYONE), …]     in web.app

A route below /staff is a line of that table or the service does not start; a line says which roles
may, and its handler is called with who asks.
"""

from mailer.web.desk.answering import (
    FRAMING,
    answer,
    back,
    check_lines,
    reason,
    refused,
    see_other,
    text,
)
from mailer.web.desk.cookies import (
    challenge,
    errand,
    forget,
    keep_challenge,
    keep_errand,
    knows,
    remember,
    remember_device,
)
from mailer.web.desk.gate import (
    EVERYONE,
    FRESH_MINUTES,
    Entry,
    Handler,
    anybody,
    get,
    half,
    install,
    post,
)
from mailer.web.desk.streaming import Standing, live
from mailer.web.desk.who import Who

__all__ = [
    "EVERYONE",
    "FRAMING",
    "FRESH_MINUTES",
    "Entry",
    "Handler",
    "Standing",
    "Who",
    "answer",
    "anybody",
    "back",
    "challenge",
    "check_lines",
    "errand",
    "forget",
    "get",
    "half",
    "install",
    "keep_challenge",
    "keep_errand",
    "knows",
    "live",
    "post",
    "reason",
    "refused",
    "remember",
    "remember_device",
    "see_other",
    "text",
]
