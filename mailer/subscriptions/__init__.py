"""Subscriptions: who is subscribed to what. The rules of asking, confirming and leaving.

    request   what a form left            (web: one sealed row, the same work for everyone)
    admit     request → asked, or nothing (worker)
    bring     asked, or confirmed by an earlier consent (worker: from a list of staff's)
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

    rows        what is kept          requests    what forms left
    asking      the confirmation mail admitting   requests are taken up, in their turn
    leaving     ends of all kinds     confirming  the yes, to new words, or asked anew
    links       behind a mailed link  person      what a person may change of their own
    bringing    people brought over   listing     numbers and lists
"""

from mailer.subscriptions.admitting import (
    Domains,
    admit,
    admit_slow,
    open_request,
    promote,
    waiting,
    waiting_longest,
)
from mailer.subscriptions.asking import (
    IN_VAIN,
    MAIL_AGAIN,
    MAILED_MOST,
    UNANSWERED_MOST,
    Choice,
    ask,
)
from mailer.subscriptions.bringing import Brought, Guest, bring
from mailer.subscriptions.confirming import ask_again, ask_back, confirm, mailed, renew
from mailer.subscriptions.leaving import (
    end,
    lapse,
    leave,
    leave_all,
    refuse,
    restore,
    tell_why,
    withdraw,
)
from mailer.subscriptions.links import locked, look, take
from mailer.subscriptions.listing import (
    LISTED,
    Count,
    Listed,
    Reason,
    Wanted,
    counts,
    how_many,
    listing,
    reasons,
)
from mailer.subscriptions.person import (
    PAUSE_DAYS,
    Days,
    Own,
    change,
    find,
    manage,
    own,
    pausable,
    pause,
)
from mailer.subscriptions.requests import Request, Wish, request
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

__all__ = [
    "IN_VAIN",
    "LISTED",
    "MAILED_MOST",
    "MAIL_AGAIN",
    "PAUSE_DAYS",
    "UNANSWERED_MOST",
    "WHYS",
    "Brought",
    "Channel",
    "Choice",
    "Count",
    "Days",
    "Domains",
    "Found",
    "Guest",
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
    "bring",
    "change",
    "confirm",
    "counts",
    "end",
    "find",
    "how_many",
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
    "pausable",
    "pause",
    "promote",
    "reasons",
    "record",
    "refuse",
    "renew",
    "request",
    "restore",
    "take",
    "tell_why",
    "waiting",
    "waiting_longest",
    "withdraw",
]
