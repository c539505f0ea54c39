"""Staff: accounts of those who run the service; their addresses are sealed like anybody's."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Literal, TypeAlias, get_args
from uuid import UUID, uuid4

import asyncpg
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from mailer import address, db, render, subjects, vault
from mailer.consent import Actor
from mailer.db import Connection
from mailer.errors import Conflict, Invalid, Unknown
from mailer.vault import Subject, Vault

SQL = db.statements("staff")

PLACE = "staff.address"
PASSWORD_LENGTH = 12
PASSWORD_MOST = 256

Role: TypeAlias = Literal["owner", "editor", "privacy", "viewer"]
ROLES: tuple[Role, ...] = get_args(Role)
FACTOR_ROLES: frozenset[Role] = frozenset({"owner", "privacy"})
"""Who can do nothing without a second factor: they see addresses, or make who does."""


@dataclass(frozen=True)
class Account:
    """`dek` wrapped, `address` and `totp` sealed; `password`: its hash, None before they came;
    `language`: of their pages, and of letters to them."""

    id: UUID
    dek: bytes
    address: bytes
    role: Role
    language: str
    password: str | None
    totp: bytes | None
    passkeys: int
    disabled_at: datetime | None
    created_at: datetime

    def subject(self, keys: Vault) -> Subject:
        return keys.unwrap(self.id, self.dek)

    def email(self, keys: Vault) -> str:
        return vault.unseal(self.subject(keys), PLACE, self.address).decode()

    @property
    def actor(self) -> Actor:
        """As the record names them."""
        return f"staff:{self.id}"

    @property
    def has_factor(self) -> bool:
        return self.totp is not None or self.passkeys > 0

    @property
    def needs_factor(self) -> bool:
        """Whether they must set one up before anything else."""
        return self.role in FACTOR_ROLES and not self.has_factor


async def add(
    conn: Connection,
    keys: Vault,
    email: str,
    role: Role,
    password_hash: str | None,
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


async def get(conn: Connection, id_: UUID) -> Account:
    """Raises Unknown."""
    found = await db.first(conn, Account, SQL.get, id_)
    if found is None:
        raise Unknown("There is no such account.")
    return found


async def by_address(conn: Connection, keys: Vault, email: str) -> Account | None:
    """None as well for what is no address: nobody has it."""
    try:
        lookup = keys.lookup(address.parse(email).normal)
    except Invalid:
        return None
    return await db.first(conn, Account, SQL.by_lookup, lookup)


async def find(conn: Connection, keys: Vault, email: str) -> Account:
    """Raises Unknown."""
    found = await by_address(conn, keys, email)
    if found is None:
        raise Unknown("There is no account with this address.", field="email")
    return found


async def names(conn: Connection, keys: Vault) -> dict[Actor, str]:
    """What to call those whom the record names."""
    return {account.actor: account.email(keys) for account in await all_(conn)}


# changes


async def set_password(conn: Connection, id_: UUID, password_hash: str) -> None:
    await conn.execute(SQL.set_password, id_, password_hash)


async def set_role(conn: Connection, id_: UUID, role: Role) -> None:
    """Raises Conflict if there would be no owner any more."""
    await conn.fetch(SQL.lock_owners)
    await conn.execute(SQL.set_role, id_, role)
    await require_owner(conn)


async def set_language(conn: Connection, id_: UUID, language: str) -> None:
    await conn.execute(SQL.set_language, id_, language)


async def disable(conn: Connection, id_: UUID) -> bool:
    """They are signed out and can't come back; False: it was so. Raises Conflict as `set_role`."""
    await conn.fetch(SQL.lock_owners)
    done = await conn.fetchval(SQL.disable, id_)
    await require_owner(conn)
    return done is not None


async def enable(conn: Connection, id_: UUID) -> bool:
    return await conn.fetchval(SQL.enable, id_) is not None


async def require_owner(conn: Connection) -> None:
    """Owners are locked before: two who take the role from each other wait for one another."""
    if not await conn.fetch(SQL.lock_owners):
        raise Conflict("Somebody must stay owner: make another one first.")


# passwords


def hash_password(password: str) -> str:
    """argon2id; takes tens of milliseconds, so not on the event loop of a server."""
    check_password(password)
    return PasswordHasher().hash(password)


def check_password(password: str, field: str = "password") -> None:
    """Raises Invalid."""
    if len(password) < PASSWORD_LENGTH:
        raise Invalid(
            "A password needs at least {count} characters.", field=field, count=PASSWORD_LENGTH
        )
    if len(password) > PASSWORD_MOST:
        raise Invalid(
            "A password has at most {count} characters.", field=field, count=PASSWORD_MOST
        )


def matches(kept: str | None, password: str) -> bool:
    """Whether it is the password; as much work if there is none, so that nobody can tell."""
    try:
        PasswordHasher().verify(kept or nobodys(), password[:PASSWORD_MOST])
    except (VerificationError, InvalidHashError):
        return False
    return kept is not None


@cache
def nobodys() -> str:
    """The hash of a password that nobody knows."""
    return PasswordHasher().hash(hashlib.sha256(uuid4().bytes).hexdigest())
