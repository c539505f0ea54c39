"""What a link is about, and holding it still."""

from mailer import db, tokens, vault
from mailer.db import Connection
from mailer.subscriptions.rows import Found, Subscription, open_subscription
from mailer.tokens import Purpose
from mailer.vault import Vault

SQL = db.statements("subscriptions")


async def look(conn: Connection, keys: Vault, text: str, purpose: Purpose) -> Found | None:
    """What a link is about; changes nothing. None: not a true token of ours."""
    token = tokens.parse(text)
    if token is None:
        return None
    for subscription in await db.fetch(conn, Subscription, SQL.by_handle, token.handle):
        found = await open_subscription(conn, keys, subscription)
        if found is None:
            continue
        if token.proven_by(vault.proof(found.subject, purpose, subscription.bound_to(purpose))):
            return found
    return None


async def take(conn: Connection, keys: Vault, text: str, purpose: Purpose) -> Found | None:
    """Like `look`, and nobody else changes the subscription until this transaction ends."""
    found = await look(conn, keys, text, purpose)
    if found is None:
        return None
    locked = await db.first(conn, Subscription, SQL.lock, found.subscription.id)
    # It may have changed while we waited: read what it is now, or that it is gone.
    return await look(conn, keys, text, purpose) if locked else None


async def locked(conn: Connection, keys: Vault, subscription: int) -> Found | None:
    """By its id; nobody else changes it until this transaction ends. None: it is gone."""
    row = await db.first(conn, Subscription, SQL.lock, subscription)
    return await open_subscription(conn, keys, row) if row is not None else None
