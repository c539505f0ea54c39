"""Access: the tokens with which other programs use the API.

A token is `mailer_NUMBER_SECRET`, the secret 256 random bits. Only its hash is kept: who reads the
database can't use it, and nobody is shown it a second time. It has a name, scopes and an end.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias, get_args

from mailer import db
from mailer.db import Connection
from mailer.errors import Conflict, Invalid, Unknown

SQL = db.statements("access")

Scope: TypeAlias = Literal[
    "newsletters:read",
    "newsletters:write",
    "notices:read",
    "notices:write",
    "articles:read",
    "articles:write",
    "digests:read",
    "digests:write",
    "digests:send",
    "subscribers:count",
    "subscribers:subscribe",
    "subscribers:lookup",
    "subscribers:export",
    "subscribers:erase",
    "consent:export",
    "addresses:export",
]
"""`digests:send`: test mails, approval, pause, resume, cancel. `addresses:export`: beside one of
the other two exports, so that they may hold addresses."""

SCOPES: tuple[Scope, ...] = get_args(Scope)

SECRET_BYTES = 32
MOST_DAYS = 3650
SPELT = re.compile(r"mailer_(?P<id>[1-9]\d{0,8})_(?P<secret>[A-Za-z0-9_-]{43})")
NAME = re.compile(r"[\w][\w .-]{0,63}")


@dataclass(frozen=True)
class Token:
    """All that is known of one. `newsletter`: the only one it is for, if it is for one only."""

    id: int
    name: str
    scopes: Sequence[str]
    newsletter: int | None
    created_by: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None


async def issue(
    conn: Connection,
    name: str,
    scopes: Sequence[str],
    days: int,
    *,
    newsletter: int | None = None,
    by: str,
) -> tuple[Token, str]:
    """A new token, and its words, which can't be had again. Raises Invalid or Conflict."""
    check(name, scopes, days)
    secret = secrets.token_urlsafe(SECRET_BYTES)
    issued = await db.first(
        conn, Token, SQL.issue, name, digest(secret), list(scopes), newsletter, by,
        timedelta(days=days),
    )  # fmt: skip
    if issued is None:
        raise Conflict("There is a token {name} already: revoke it first.", name=name)
    return issued, f"mailer_{issued.id}_{secret}"


def check(name: str, scopes: Sequence[str], days: int) -> None:
    if not NAME.fullmatch(name):
        raise Invalid(
            "The name must be letters, digits, dots, spaces and hyphens, such as cms.", field="name"
        )
    if not scopes or not set(scopes) <= set(SCOPES):
        raise Invalid("Scopes are {known}.", field="scope", known=", ".join(SCOPES))
    if not 1 <= days <= MOST_DAYS:
        raise Invalid("A token holds for 1 to {most} days.", field="days", most=MOST_DAYS)


def digest(secret: str) -> bytes:
    """A secret of 256 random bits needs no slow hash: there is nothing to guess."""
    return hashlib.sha256(secret.encode()).digest()


async def admit(conn: Connection, words: str) -> Token | None:
    """The token that these words are, if it holds (still)."""
    spelt = SPELT.fullmatch(words)
    if spelt is None:
        return None
    id_ = int(spelt["id"])
    kept = await conn.fetchval(SQL.hash, id_) or bytes(32)
    if not hmac.compare_digest(kept, digest(spelt["secret"])):
        return None
    token = await db.first(conn, Token, SQL.valid, id_)
    if token is not None:
        await conn.execute(SQL.used, id_)
    return token


async def all_(conn: Connection) -> list[Token]:
    return await db.fetch(conn, Token, SQL.all)


async def revoke(conn: Connection, name: str) -> None:
    """It opens nothing from now on. Raises Unknown."""
    if await conn.fetchval(SQL.revoke, name) is None:
        raise Unknown("There is no token {name} that holds.", field="name", name=name)
