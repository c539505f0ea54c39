"""Subscribers: people, each known by one sealed address."""

from dataclasses import dataclass
from uuid import UUID

from mailer import address, consent, db, subjects, vault
from mailer.address import Address
from mailer.db import Connection
from mailer.tokens import Token, new_handle
from mailer.vault import Subject, Vault

SQL = db.statements("subscribers")

PLACE = "subscriber.address"


@dataclass(frozen=True)
class Subscriber:
    """`dek` wrapped and `address` sealed: `subject` and `reach` open them."""

    id: UUID
    dek: bytes
    address: bytes
    language: str
    handle: int

    def subject(self, keys: Vault) -> Subject:
        return keys.unwrap(self.id, self.dek)

    def reach(self, keys: Vault) -> Address:
        return open_address(self.subject(keys), self.address)

    def manage_token(self, keys: Vault) -> Token:
        return Token(self.handle, vault.proof(self.subject(keys), "manage", str(self.id)))


def open_address(subject: Subject, sealed: bytes) -> Address:
    return address.known(vault.unseal(subject, PLACE, sealed).decode())


async def keep(
    conn: Connection, keys: Vault, new: Subject, reached: Address, language: str
) -> Subscriber:
    """The subscriber of an address: the one there is, else `new`."""
    found = await by_address(conn, keys, reached)
    if found is not None:
        return found
    await subjects.keep(conn, keys, new)
    sealed = vault.seal(new, PLACE, reached.given.encode())
    lookup = keys.lookup(reached.normal)
    added = await conn.fetchval(SQL.keep, new.id, lookup, sealed, language, new_handle())
    if added is None:  # somebody else was a moment faster
        await conn.execute(SQL.forget_subject, new.id)
    found = await by_address(conn, keys, reached)
    assert found is not None
    return found


async def by_address(conn: Connection, keys: Vault, reached: Address) -> Subscriber | None:
    return await db.first(conn, Subscriber, SQL.by_address, keys.lookup(reached.normal))


async def by_token(conn: Connection, keys: Vault, token: Token) -> Subscriber | None:
    """Whose manage page a token opens."""
    for found in await db.fetch(conn, Subscriber, SQL.by_handle, token.handle):
        if token.proven_by(found.manage_token(keys).proof):
            return found
    return None


async def get(conn: Connection, id_: UUID) -> Subscriber | None:
    return await db.first(conn, Subscriber, SQL.get, id_)


async def erase(conn: Connection, id_: UUID) -> None:
    """Destroy the key and all that it opens; subscriptions and waiting mails go along."""
    await conn.execute(SQL.erase, id_)
    await consent.erase(conn, id_)
