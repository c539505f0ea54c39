"""Invitations, and new passwords by mail: a link in a letter, behind which one sets a password.

The link's token is worked out when the letter is sent (`tokens`), so the database opens none. The
latest link of an account is the one that holds, once, and for a while.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias
from uuid import UUID

from mailer import address, db, outbox, staff, tokens, vault
from mailer.db import Connection
from mailer.errors import Invalid
from mailer.staff import Account
from mailer.tokens import Token
from mailer.vault import Subject, Vault

SQL = db.statements("invitations")

Purpose: TypeAlias = Literal["invitation", "password"]
"""The kinds of their letters, too."""

HOURS: dict[Purpose, int] = {"invitation": 72, "password": 2}
AGAIN_MINUTES = 10
"""Who asks for a new password again gets no second letter before."""


@dataclass(frozen=True)
class Link:
    """One that holds."""

    id: int
    staff: UUID
    purpose: Purpose
    handle: int
    expires_at: datetime

    def token(self, subject: Subject) -> Token:
        return Token(self.handle, vault.proof(subject, "desk", f"{self.staff}/{self.id}"))


async def send(conn: Connection, staff: UUID, purpose: Purpose) -> None:
    """A letter with a new link; older links are worth nothing."""
    await conn.execute(
        SQL.add, staff, purpose, tokens.new_handle(), timedelta(hours=HOURS[purpose])
    )
    await outbox.put_staff(conn, purpose, staff)


async def ask_password(conn: Connection, keys: Vault, email: str) -> bool:
    """Somebody wants a new password for the account with this address, if there is one.

    Whether there is, or a letter went a moment ago, must not show in the answer.
    """
    try:
        lookup = keys.lookup(address.parse(email).normal)
    except Invalid:
        return False
    account: UUID | None = await conn.fetchval(
        SQL.may_have, lookup, timedelta(minutes=AGAIN_MINUTES)
    )
    if account is None:
        return False
    await send(conn, account, "password")
    return True


async def holding(conn: Connection, staff: UUID, purpose: Purpose) -> Link | None:
    """The account's link, if it has one that holds."""
    return await db.first(conn, Link, SQL.holding, staff, purpose)


async def look(conn: Connection, keys: Vault, text: str) -> tuple[Link, Account] | None:
    """What link this token is of, and whose, if it holds."""
    token = tokens.parse(text)
    found = await db.fetch(conn, Link, SQL.by_handle, token.handle) if token else []
    for link in found:
        account = await staff.get(conn, link.staff)
        held = link.token(account.subject(keys))
        if token and token.proven_by(held.proof) and account.disabled_at is None:
            return link, account
    return None


async def use(conn: Connection, link: Link) -> bool:
    """It is used up; False: somebody was first."""
    return await conn.fetchval(SQL.use, link.id) is not None
