"""The door for what comes back: speaks LMTP (RFC 2033) and SMTP, takes mail for our tokens only.

A mail is answered 250 once it is stored, so the server that hands it over keeps it until then.
One recipient a transaction: LMTP wants an answer for each, and a bounce has one.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable

from aiosmtpd.smtp import SMTP, Envelope, Session, syntax

from mailer.config import Listen

log = logging.getLogger(__name__)

MOST_BYTES = 25_000_000
IDLE_SECONDS = 300.0
AT_ONCE = 4
"""Mails that are read and stored at the same time."""

OURS = re.compile(r"[bu]\+[A-Za-z0-9_-]{27}|fbl", re.IGNORECASE)
"""Bounces, wishes to leave, and what providers send to the address of a feedback loop."""

Take = Callable[[bytes, str], Awaitable[object]]


class Speaker(SMTP):
    """One connection, in whichever of the two languages it begins."""

    @syntax("LHLO hostname")
    async def smtp_LHLO(self, arg: str) -> None:  # noqa: N802  # the name aiosmtpd calls
        await self.smtp_EHLO(arg)


class Listener:
    """Listens on MAILER_LMTP_LISTEN; hands each mail and its recipient to `take`, which stores it
    or raises."""

    def __init__(self, domain: str, take: Take) -> None:
        self.domain = domain.lower()
        self.take = take
        self.room = asyncio.Semaphore(AT_ONCE)
        self.server: asyncio.Server | None = None

    async def start(self, listen: Listen) -> int:
        """The port at which. Raises OSError if somebody has it."""
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(self.speaker, listen.host, listen.port)
        found: int = self.server.sockets[0].getsockname()[1]
        return found

    def speaker(self) -> SMTP:
        return Speaker(
            self,
            data_size_limit=MOST_BYTES,
            enable_SMTPUTF8=True,
            hostname=self.domain,
            ident="mailer",
            timeout=IDLE_SECONDS,
        )

    def stop(self) -> None:
        if self.server is not None:
            self.server.close()
            self.server = None

    # what the server calls

    async def handle_RCPT(  # noqa: N802  # the name aiosmtpd calls
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: object
    ) -> str:
        local, _, domain = address.rpartition("@")
        if domain.lower() != self.domain or not OURS.fullmatch(local):
            return "550 5.1.1 Only what comes back from a mail of ours is taken here"
        if envelope.rcpt_tos:
            return "452 4.5.3 One recipient at a time"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802  # the name aiosmtpd calls
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        assert isinstance(envelope.content, bytes)
        try:
            async with self.room:
                await self.take(envelope.content, envelope.rcpt_tos[0])
        except Exception:  # whatever it is, the server that has the mail keeps it
            log.exception("what came back could not be stored")
            return "451 4.3.0 It could not be stored; keep it and try again"
        return "250 2.0.0 Stored"

    async def handle_exception(self, error: Exception) -> str:
        log.error("a server that speaks to us broke off: %s", type(error).__name__)
        return "451 4.3.0 Something went wrong; try again"
