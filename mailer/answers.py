"""Answers to other programs, kept for a day: who repeats a request with its Idempotency-Key is told
what came of it the first time, and nothing is done twice."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from mailer import db
from mailer.db import Connection
from mailer.errors import Conflict, Invalid
from mailer.vault import Vault

SQL = db.statements("answers")


@dataclass(frozen=True)
class Asked:
    """A request that may come again. Keyed hashes: what it says may name people."""

    token: int
    key: bytes
    request: bytes


@dataclass(frozen=True)
class Kept:
    """What was answered, and to which request."""

    request: bytes
    status: int
    headers: Mapping[str, str]
    body: str


def asked(keys: Vault, token: int, key: str, method: str, path: str, body: object) -> Asked:
    whole = json.dumps([method, path, body], sort_keys=True, default=str)
    digest = hashlib.sha256(whole.encode()).hexdigest()
    return Asked(token, keys.form(f"api key {token} {key}"), keys.form(f"api request {digest}"))


async def before(conn: Connection, this: Asked) -> Kept | None:
    """What was answered to it; None: it is to be answered now, and by nobody else meanwhile, until
    `conn` goes back to its pool. Raises Conflict if somebody is about to, or Invalid if the key was
    another request's."""
    number = int.from_bytes(this.key[:8], "big", signed=True)
    if not await conn.fetchval(SQL.hold, number):
        raise Conflict("A request with this Idempotency-Key is being answered: ask again soon.")
    kept = await db.first(conn, Kept, SQL.find, this.token, this.key)
    if kept is not None and kept.request != this.request:
        raise Invalid(
            "This Idempotency-Key was another request's: take a new one.", field="Idempotency-Key"
        )
    return kept


async def keep(
    conn: Connection, this: Asked, status: int, headers: Mapping[str, str], body: str
) -> None:
    """In the transaction of what was done."""
    await conn.execute(SQL.keep, this.token, this.key, this.request, status, dict(headers), body)


async def forget_old(conn: Connection) -> None:
    await conn.execute(SQL.forget_old)
