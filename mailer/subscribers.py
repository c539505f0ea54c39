"""Subscribers: people, each known by one sealed address."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID

from mailer import address, consent, db, subjects, vault
from mailer.address import Address
from mailer.consent import Actor
from mailer.db import Connection
from mailer.tokens import Token, new_handle
from mailer.vault import Subject, Vault

SQL = db.statements("subscribers")

PLACE = "subscriber.address"

Cause: TypeAlias = Literal["request", "refused", "retention", "journal"]
"""Why somebody is erased: they asked for it, they never asked to be here, nothing speaks for
keeping them any longer, or they had been erased before a backup was restored."""


@dataclass(frozen=True)
class Subscriber:
    """`dek` wrapped and `address` sealed: `subject` and `reach` open them.

    `restricted_at`: since when nothing is done with it but keeping it (GDPR, Article 18).
    """

    id: UUID
    dek: bytes
    address: bytes
    language: str
    handle: int
    restricted_at: datetime | None

    def subject(self, keys: Vault) -> Subject:
        return keys.unwrap(self.id, self.dek)

    def reach(self, keys: Vault) -> Address:
        return open_address(self.subject(keys), self.address)

    def manage_token(self, keys: Vault) -> Token:
        bound = bound_to(self.id, self.handle)
        return Token(self.handle, vault.proof(self.subject(keys), "manage", bound))


def bound_to(id_: UUID, handle: int) -> str:
    """What the proof of a manage link is made over: a new handle ends the links mailed before."""
    return f"{id_}/{handle}"


def open_address(subject: Subject, sealed: bytes, place: str = PLACE) -> Address:
    return address.known(vault.unseal(subject, place, sealed).decode())


async def keep(
    conn: Connection, keys: Vault, new: Subject, reached: Address, language: str
) -> Subscriber:
    """The subscriber of an address: the one there is, else `new`."""
    await hold(conn, [keys.lookup(reached.normal)])
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


async def hold(conn: Connection, lookups: Sequence[bytes]) -> None:
    """Nobody else makes anything of these addresses, known or not, until the transaction ends.

    Whoever holds several takes them in the order of their look-ups, at once or one by one, and
    before anything else of the persons': so nobody waits for each other in a ring.
    """
    keys = [int.from_bytes(lookup[:8], "big", signed=True) for lookup in sorted(lookups)]
    await conn.execute(SQL.hold, keys)


async def keep_all(
    conn: Connection, keys: Vault, new: Sequence[tuple[Subject, Address, str]]
) -> set[UUID]:
    """Keep people that are held and were not known a moment ago, with their languages: the ids of
    those who are new. Somebody else may just have moved to an address."""
    await subjects.keep_all(conn, keys, [subject for subject, _, _ in new])
    rows = await conn.fetch(
        SQL.keep_all,
        [subject.id for subject, _, _ in new],
        [keys.lookup(reached.normal) for _, reached, _ in new],
        [vault.seal(subject, PLACE, reached.given.encode()) for subject, reached, _ in new],
        [language for _, _, language in new],
        [new_handle() for _ in new],
    )
    kept = {row["id"] for row in rows}
    for subject, _, _ in new:
        if subject.id not in kept:
            await conn.execute(SQL.forget_subject, subject.id)
    return kept


async def forget_unasked(conn: Connection, id_: UUID) -> None:
    """Somebody of whom there is nothing on record is not kept."""
    if await conn.fetchval(SQL.forget_unasked, id_):
        await conn.execute(SQL.forget_subject, id_)


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


async def move(conn: Connection, keys: Vault, owner: Subject, reached: Address) -> bool:
    """The person is reached there from now on; False: somebody else is.

    Links in mails to the old address end, but for those that only withdraw: who reads the old
    mailbox is perhaps not the person any more.
    """
    sealed = vault.seal(owner, PLACE, reached.given.encode())
    lookup = keys.lookup(reached.normal)
    if not await conn.fetchval(SQL.move, owner.id, lookup, sealed, new_handle()):
        return False
    await conn.execute(SQL.end_links, owner.id)
    return True


async def restrict(conn: Connection, id_: UUID) -> bool:
    """Do nothing with the person's data but keep it; False: it was so already."""
    return bool(await conn.fetchval(SQL.restrict, id_))


async def unrestrict(conn: Connection, id_: UUID) -> bool:
    return bool(await conn.fetchval(SQL.unrestrict, id_))


async def lock(conn: Connection, id_: UUID) -> None:
    """Nobody else changes what the person is subscribed to until this transaction ends."""
    await conn.execute(SQL.lock_subscriptions, id_)


async def erase(conn: Connection, keys: Vault, id_: UUID, cause: Cause, actor: Actor) -> bool:
    """Destroy the person's key and all that it opens; what they were subscribed to goes along.

    On record stays that somebody with a random id was erased, and why. False: somebody else erased
    them a moment before.
    """
    await lock(conn, id_)
    if not await conn.fetchval(SQL.erase, id_):
        return False
    await consent.erase(conn, id_)
    await consent.record(
        conn,
        await subjects.house(conn, keys),
        "subject.erased",
        actor=actor,
        evidence={"subject": str(id_), "cause": cause},
    )
    return True
