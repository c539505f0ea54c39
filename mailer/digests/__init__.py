"""Digests: issues of a newsletter for one cadence; chosen articles, frozen at approval.

    draft → approved → sending → sent     paused ↔ sending
    draft, approved, sending, paused → cancelled          approved → draft, by `recall`

The ledger (digest_article) is the only memory of what a cadence has had.
"""

from mailer.digests.choosing import SCHEDULE, create, create_or_extend, had, in_language
from mailer.digests.editing import edit, introduce, pick, pin, put_back, reorder, skip
from mailer.digests.rows import (
    Digest,
    Edition,
    Item,
    Status,
    all_,
    contents,
    edition,
    editions,
    find,
    get,
    page,
    sent,
    status,
    stuck,
    these,
)
from mailer.digests.sending import (
    Group,
    advance,
    approve,
    begin,
    cancel,
    catching_up,
    complain,
    finish_done,
    freeze,
    lock,
    pause,
    recall,
    remaining,
    resume,
    to_begin,
)

__all__ = [
    "SCHEDULE",
    "Digest",
    "Edition",
    "Group",
    "Item",
    "Status",
    "advance",
    "all_",
    "approve",
    "begin",
    "cancel",
    "catching_up",
    "complain",
    "contents",
    "create",
    "create_or_extend",
    "edit",
    "edition",
    "editions",
    "find",
    "finish_done",
    "freeze",
    "get",
    "had",
    "in_language",
    "introduce",
    "lock",
    "page",
    "pause",
    "pick",
    "pin",
    "put_back",
    "recall",
    "remaining",
    "reorder",
    "resume",
    "sent",
    "skip",
    "status",
    "stuck",
    "these",
    "to_begin",
]
