"""Subjects as the database keeps them: a random id and a wrapped key; and the house's own keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from mailer import db, vault
from mailer.db import Connection
from mailer.vault import HOUSE, Subject, Vault

SQL = db.statements("subjects")


@dataclass(frozen=True)
class VaultKey:
    """One of the house's keys; `wrapped` as `vault` describes."""

    name: str
    wrapped: bytes


async def open_vault(conn: Connection, secret_key: str) -> Vault:
    """The vault of this database under MAILER_SECRET_KEY; what it lacks is made at first use.

    Raises Misconfigured if the setting is malformed or not this database's key.
    """
    opened = Vault(vault.masters(secret_key))
    await follow(conn, opened)
    for name in vault.NAMES:
        await conn.execute(SQL.keep_key, name, opened.new_key(name))
    for key in await db.fetch(conn, VaultKey, SQL.keys):
        opened.take_key(key.name, key.wrapped)
    await keep(conn, opened, opened.new_subject(HOUSE))
    return opened


async def follow(conn: Connection, keys: Vault) -> None:
    """Wrap with the key that this database is written with at present.

    Raises Misconfigured if MAILER_SECRET_KEY lacks it.
    """
    name = await conn.fetchval(SQL.wrapping)
    if name is not None:
        keys.wrap_with(name)


async def keep(conn: Connection, vault: Vault, subject: Subject) -> None:
    """Store a subject if its id is new; the key is wrapped before it leaves memory."""
    await conn.execute(SQL.keep, subject.id, vault.wrap(subject))


async def keep_all(conn: Connection, vault: Vault, new: Sequence[Subject]) -> None:
    """As `keep`, of many whose ids are new."""
    wrapped = [vault.wrap(subject) for subject in new]
    await conn.execute(SQL.keep_all, [subject.id for subject in new], wrapped)


async def find(conn: Connection, vault: Vault, id_: UUID) -> Subject | None:
    """The subject, or None if unknown or erased."""
    wrapped = await conn.fetchval(SQL.dek, id_)
    return vault.unwrap(id_, wrapped) if wrapped else None


async def house(conn: Connection, vault: Vault) -> Subject:
    """The subject of events that are about nobody."""
    found = await find(conn, vault, HOUSE)
    assert found is not None, "open_vault keeps it"
    return found
