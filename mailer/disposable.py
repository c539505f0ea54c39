"""Throw-away addresses: counted, and never refused. They may be all that somebody at risk has.

What is kept is how many came in a day, for whoever wonders why few confirm; not whose they are.
"""

from collections.abc import Iterable

from mailer import limits
from mailer.address import Address
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


def among(addresses: Iterable[Address]) -> int:
    """How many of them are."""
    return sum(is_one(address.domain) for address in addresses)


def is_one(domain: str) -> bool:
    return any(domain == known or domain.endswith(f".{known}") for known in DOMAINS)


async def count(conn: Connection, addresses: Iterable[Address]) -> None:
    if many := among(addresses):
        await limits.add(conn, {KEY: many}, DAY_SECONDS)


async def lately(conn: Connection) -> int:
    """How many came within a day."""
    return round((await limits.sliding(conn, [KEY], DAY_SECONDS))[KEY])
