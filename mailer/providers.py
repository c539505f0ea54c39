"""Providers: how much the large mailbox providers take at once, as they let us know.

A provider that answers 421 or 4.7.x (RFC 3463: policy, rate) is sent half as much at once, and one
more after each batch it took. The limit is for all workers together, each has a share of it.

Which address is with which provider is worked out by a worker from the address it has opened, and
kept nowhere: only the few providers below, each with many millions of mailboxes, are told apart,
and only a mail that waits for one of them says so, for as long as it waits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from mailer import db
from mailer.db import Connection

SQL = db.statements("providers")

DOMAINS: Mapping[str, tuple[str, ...]] = {
    "aol": ("aol.com", "aim.com"),
    "apple": ("icloud.com", "me.com", "mac.com"),
    "comcast": ("comcast.net",),
    "gmx": ("gmx.com", "gmx.net", "gmx.de", "gmx.at", "gmx.ch", "web.de", "mail.com"),
    "google": ("gmail.com", "googlemail.com"),
    "libero": ("libero.it", "virgilio.it"),
    "mail.ru": ("mail.ru", "bk.ru", "inbox.ru", "list.ru", "internet.ru"),
    "microsoft": (
        *("outlook.com", "hotmail.com", "live.com", "msn.com"),
        *("hotmail.co.uk", "hotmail.fr", "hotmail.de", "hotmail.it", "live.co.uk", "outlook.de"),
    ),
    "naver": ("naver.com",),
    "orange": ("orange.fr", "wanadoo.fr"),
    "proton": ("proton.me", "protonmail.com", "pm.me"),
    "qq": ("qq.com", "foxmail.com"),
    "rambler": ("rambler.ru", "lenta.ru", "autorambler.ru", "myrambler.ru", "ro.ru"),
    "seznam": ("seznam.cz", "email.cz"),
    "t-online": ("t-online.de", "magenta.de"),
    "ukr.net": ("ukr.net",),
    "yahoo": ("yahoo.com", "ymail.com", "yahoo.co.uk", "yahoo.fr", "yahoo.de", "yahoo.it"),
    "yandex": ("yandex.ru", "ya.ru", "yandex.com", "yandex.by", "yandex.kz", "yandex.ua"),
}
"""Domains whose mail goes to the same servers."""

NAMES: Mapping[str, str] = {domain: name for name, ds in DOMAINS.items() for domain in ds}


@dataclass(frozen=True)
class Limit:
    """How many mails this worker may have on their way to a provider at once."""

    name: str
    share: int


def of(domain: str) -> str | None:
    """The provider behind a domain; None: of its own, or too small to be told apart."""
    return NAMES.get(domain.lower())


async def limits(conn: Connection, worker: UUID) -> dict[str, int]:
    """The worker's share, for each provider that has a limit at present."""
    return {limit.name: limit.share for limit in await db.fetch(conn, Limit, SQL.limits, worker)}


async def halve(conn: Connection, name: str, now: int) -> None:
    """It asks for less; `now`: what was on the way to it, if it had no limit."""
    await conn.execute(SQL.halve, name, now)


async def widen(conn: Connection, name: str, taken: int) -> None:
    """It took some."""
    await conn.execute(SQL.widen, name, taken)


async def forget_wide(conn: Connection, room: int) -> None:
    """Limits that hold nobody back are no more; `room`: of each worker."""
    await conn.execute(SQL.forget_wide, room)
