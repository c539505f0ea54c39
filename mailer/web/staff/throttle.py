"""How often somebody may try to sign in, so that guessing is hopeless and nobody is locked out.

A browser that the account was in before counts for itself alone. All others are counted by their
network, and by the account they try, which need not be there. So strangers can make it hard to
come in with a browser that is new, and to nobody with one that is known; a link in a letter makes
a browser known.
"""

import time
from uuid import uuid4

from aiohttp import web

from mailer import limits
from mailer.db import Connection
from mailer.errors import TooMany
from mailer.staff import Account
from mailer.web import desk, guard, page

KNOWN_TRIES = 10
NETWORK_TRIES = 20
ACCOUNT_TRIES = 30
SECONDS = 600


async def too_many(
    conn: Connection, request: web.Request, account: Account | None, what: str, typed: str
) -> TooMany | None:
    """Count one more try at `what` for the account they named (`typed`; "": none, as what they show
    can't be guessed); the refusal if there were too many.

    The same work whether the account is there or not.
    """
    keys = request.app[page.VAULT]
    known = desk.knows(request, account.id if account else uuid4())
    if known is not None:
        counted = [(f"known {known}", KNOWN_TRIES)]
    else:
        client = guard.client(request, request.app[page.SETTINGS].trusted_proxies)
        counted = [(f"network {guard.network(client)}", NETWORK_TRIES)]
        if typed:
            counted.append((f"account {typed.strip().lower()}", ACCOUNT_TRIES))
    # Each is counted, in one order, so that two requests never wait for one another.
    over = [
        await limits.count(conn, keys.staff(f"try {what} {key}"), SECONDS) > most
        for key, most in counted
    ]
    if not any(over):
        return None
    return TooMany(
        "There were too many tries. Wait a few minutes, or use a browser in which you have been "
        "in before. A new password by mail works at once.",
        retry_after=SECONDS - int(time.time()) % SECONDS,
    )
