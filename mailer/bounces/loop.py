"""A mail to the bounce domain, to see whether it comes back: the way that bounces take.

What is kept of it is a hash of its token. Whoever takes what comes back (worker or command) marks
it as returned, and by which way.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from secrets import token_bytes
from uuid import uuid4

from mailer import db
from mailer.config import Settings
from mailer.db import Connection
from mailer.tokens import PROOF_BYTES, Token, new_handle

SQL = db.statements("bounces")


@dataclass(frozen=True)
class Returned:
    """By which way it came, and how long after it was sent."""

    channel: str
    after: timedelta


def fingerprint(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


async def begin(conn: Connection) -> str:
    """The token of a mail that is to be sent."""
    token = str(Token(new_handle(), token_bytes(PROOF_BYTES)))
    await conn.execute(SQL.probe, fingerprint(token))
    return token


def mail(settings: Settings, sender: str, token: str) -> tuple[bytes, str]:
    """The mail as it goes, and where to."""
    recipient = f"b+{token}@{settings.bounce_domain}"
    lines = (
        f"From: <{sender}>",
        f"To: <{recipient}>",
        "Subject: Does it come back?",
        f"Date: {format_datetime(datetime.now(UTC))}",
        f"Message-ID: <{uuid4()}@{settings.domain}>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        "This mail was sent by `mailer check --bounce-loop` to see whether bounces arrive.",
        "",
    )
    return "\r\n".join(lines).encode(), recipient


async def returned(conn: Connection, tokens: Iterable[str], channel: str) -> bool:
    """Whether one of these tokens is of such a mail, which has now come back."""
    marks = [fingerprint(token) for token in tokens]
    return bool(await conn.fetchval(SQL.probe_returned, marks, channel)) if marks else False


async def came_back(conn: Connection, token: str) -> Returned | None:
    return await db.first(conn, Returned, SQL.probe_came_back, fingerprint(token))
