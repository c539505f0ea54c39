"""Staff: accounts of those who run the service; their addresses are sealed like anybody's."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias, get_args
from uuid import UUID, uuid4

import asyncpg
from argon2 import PasswordHasher

from mailer import address, db, render, subjects, vault
from mailer.db import Connection
from mailer.errors import Conflict, Invalid
from mailer.vault import Vault

SQL = db.statements("staff")

PLACE = "staff.address"
PASSWORD_LENGTH = 12

Role: TypeAlias = Literal["owner", "editor", "privacy", "viewer"]
ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True)
class Account:
    """`dek` wrapped, `address` sealed. `language`: of letters to them."""

    id: UUID
    dek: bytes
    address: bytes
    role: Role
    language: str
    disabled_at: datetime | None
    created_at: datetime

    def email(self, keys: Vault) -> str:
        return vault.unseal(keys.unwrap(self.id, self.dek), PLACE, self.address).decode()


def hash_password(password: str) -> str:
    """argon2id; takes tens of milliseconds, so not on the event loop of a server."""
    if len(password) < PASSWORD_LENGTH:
        raise Invalid(
            "A password needs at least {count} characters.", field="password", count=PASSWORD_LENGTH
        )
    return PasswordHasher().hash(password)


async def add(
    conn: Connection,
    keys: Vault,
    email: str,
    role: Role,
    password_hash: str,
    language: str = render.SOURCE,
) -> UUID:
    """Raises Invalid or Conflict."""
    reached = address.parse(email)
    subject = keys.new_subject(uuid4())
    await subjects.keep(conn, keys, subject)
    sealed = vault.seal(subject, PLACE, reached.given.encode())
    try:
        await conn.execute(
            SQL.add,
            subject.id,
            keys.lookup(reached.normal),
            sealed,
            role,
            password_hash,
            language,
        )
    except asyncpg.UniqueViolationError:
        raise Conflict("There is an account with this address already.", field="email") from None
    return subject.id


async def all_(conn: Connection) -> list[Account]:
    return await db.fetch(conn, Account, SQL.listed)
