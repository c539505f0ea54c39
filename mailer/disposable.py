"""Throw-away addresses: counted, and never refused. They may be all that somebody at risk has.

What is kept is how many came in a day, for whoever wonders why few confirm; not whose they are.
Which domains they are of is said here, and besides by MAILER_THROWAWAY_DOMAINS.
"""

from collections.abc import Container, Iterable

from mailer import limits
from mailer.db import Connection

DAY_SECONDS = 86_400
KEY = b"throw-away addresses"

DOMAINS = frozenset(
    (
        "10minutemail.com", "1secmail.com", "33mail.com", "anonbox.net", "burnermail.io",
        "byom.de", "crazymailing.com", "discard.email", "dispostable.com", "dropmail.me",
        "emailondeck.com", "fakeinbox.com", "getairmail.com", "getnada.com", "grr.la",
        "guerrillamail.com", "guerrillamail.info", "guerrillamail.net", "inboxkitten.com",
        "jetable.org", "mail-temp.com", "mailcatch.com", "maildrop.cc", "mailinator.com",
        "mailnesia.com", "mailsac.com", "minuteinbox.com", "mintemail.com", "moakt.com",
        "mohmal.com", "mytemp.email", "sharklasers.com", "spam4.me", "spambog.com",
        "spamgourmet.com", "temp-mail.io", "temp-mail.org", "tempail.com", "tempmail.com",
        "tempr.email", "throwawaymail.com", "trash-mail.com", "trashmail.com", "wegwerfmail.de",
        "yopmail.com", "yopmail.fr",
    )
)  # fmt: skip


def among(domains: Iterable[str], more: Container[str] = ()) -> frozenset[str]:
    """Those of the domains that are for throw-away addresses, or lie within one that is; `more`:
    such as are known of besides ours."""
    return frozenset(d for d in domains if any(w in DOMAINS or w in more for w in within(d)))


def within(domain: str) -> Iterable[str]:
    """The domain and those that it lies in: of a.b.c also b.c and c."""
    labels = domain.split(".")
    return (".".join(labels[n:]) for n in range(len(labels)))


async def count(conn: Connection, many: int) -> None:
    """So many more came."""
    if many:
        await limits.add(conn, {KEY: many}, DAY_SECONDS)


async def lately(conn: Connection) -> int:
    """How many came within a day."""
    return round((await limits.sliding(conn, [KEY], DAY_SECONDS))[KEY])
