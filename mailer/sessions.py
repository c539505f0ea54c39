"""Sessions: who is signed in, in which browser; kept here, so that they can be listed and ended.

The browser's cookie is 256 random bits, of which only the hash is kept: whoever reads the database
is nobody. A session begins half way, when the password was right; whole once everything that the
account asks for was shown, under a new secret.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID

from mailer import db, vault
from mailer.db import Connection
from mailer.vault import Subject

SQL = db.statements("sessions")

PLACE = "session.device"
SECRET_BYTES = 32
HOURS = 12
"""The longest that one holds; less without a request: see `session_holding` in the schema."""

Stage: TypeAlias = Literal["password", "whole"]


@dataclass(frozen=True)
class Session:
    """`device`: what the browser says it is, sealed; `proven_minutes`: since they last showed who
    they are; `wanted`: the page they must show it for."""

    id: UUID
    staff: UUID
    stage: Stage
    device: bytes
    wanted: str | None
    proven_minutes: float
    seen_at: datetime
    created_at: datetime

    def named(self, subject: Subject) -> str:
        return vault.unseal(subject, PLACE, self.device).decode()


async def begin(conn: Connection, subject: Subject, stage: Stage, device: str) -> str:
    """A new session of the account; returns the secret of its cookie."""
    secret = new_secret()
    sealed = vault.seal(subject, PLACE, device.encode())
    await conn.execute(SQL.forget_old)
    await conn.execute(SQL.begin, digest(secret), subject.id, stage, sealed)
    return secret


async def find(conn: Connection, secret: str) -> Session | None:
    """The session of this cookie, if it holds (still)."""
    found = await db.first(conn, Session, SQL.find, digest(secret))
    if found is not None:
        await conn.execute(SQL.seen, found.id)
    return found


async def complete(conn: Connection, id_: UUID) -> str:
    """Everything was shown; returns a new secret, and the old one is worth nothing."""
    secret = new_secret()
    await conn.execute(SQL.complete, id_, digest(secret))
    return secret


async def want(conn: Connection, id_: UUID, path: str) -> None:
    """Keep which page they are on the way to while they show again who they are."""
    await conn.execute(SQL.want, id_, path)


async def prove(conn: Connection, id_: UUID) -> str | None:
    """They showed again who they are; returns the page they wanted."""
    wanted: str | None = await conn.fetchval(SQL.prove, id_)
    return wanted


async def of(conn: Connection, staff: UUID) -> list[Session]:
    """Those that hold, the latest used first."""
    return await db.fetch(conn, Session, SQL.of, staff)


async def end(conn: Connection, staff: UUID, id_: UUID) -> bool:
    """One of that account's; False: it had ended."""
    return await conn.fetchval(SQL.end, staff, id_) is not None


async def end_others(conn: Connection, staff: UUID, but: UUID | None) -> int:
    """All of that account's but one; how many there were."""
    ended: int = await conn.fetchval(SQL.end_others, staff, but)
    return ended


def new_secret() -> str:
    return secrets.token_urlsafe(SECRET_BYTES)


def digest(secret: str) -> bytes:
    """There is nothing to guess in 256 random bits: a fast hash is enough."""
    return hashlib.sha256(secret.encode()).digest()
