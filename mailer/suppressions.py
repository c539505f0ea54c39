"""Suppressions: addresses never to write to, kept only as keyed hashes."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

from mailer import db
from mailer.address import Address
from mailer.db import Connection
from mailer.vault import Vault

SQL = db.statements("suppressions")

Reason: TypeAlias = Literal["person", "complaint", "bounce", "staff"]


async def add(conn: Connection, vault: Vault, address: Address, reason: Reason) -> None:
    """The first reason stays: it is what happened."""
    await conn.execute(SQL.add, vault.suppression(address.normal), reason)


async def remove(conn: Connection, vault: Vault, address: Address) -> bool:
    """Whether there was one to remove."""
    return bool(await conn.fetchval(SQL.remove, vault.suppression(address.normal)))


async def reason(conn: Connection, vault: Vault, address: Address) -> Reason | None:
    """Why the address is suppressed, or None if it is not."""
    found: Reason | None = await conn.fetchval(SQL.reason, vault.suppression(address.normal))
    return found


async def among(conn: Connection, vault: Vault, addresses: Sequence[Address]) -> set[str]:
    """The normal forms of those addresses that are suppressed."""
    hashes = {vault.suppression(address.normal): address.normal for address in addresses}
    rows = await conn.fetch(SQL.among, list(hashes))
    return {hashes[row["hash"]] for row in rows}
