"""One connection to a mail server, and what the server says on it."""

import re
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, TypeAlias

import aiosmtplib
from aiosmtplib import SMTPException, SMTPResponse

from mailer import address
from mailer.config import Smtp
from mailer.errors import Refusal

Stage: TypeAlias = Literal["mail", "rcpt", "data"]

MOST_MAILS = 100
MOST_SECONDS = 300.0
IDLE_SECONDS = 60.0
QUIT_SECONDS = 2.0
MOST_REPLY = 300

ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?!\S)")

OF_US = {421, 432, 454, 530, 534, 535, 538}
"""Not available, or not without TLS or a login: true of every mail (RFC 5321, 3207, 4954)."""


class RoadClosed(Refusal):
    """No mail can go at present, whichever; it costs none of them an attempt."""


@dataclass(frozen=True)
class Verdict:
    """What became of one mail. `stage`: at which command; 5xx at rcpt speaks of the person.

    `reply`: the server's words, without addresses; `code` 0: it said nothing.
    """

    kind: Literal["sent", "later", "never"]
    stage: Stage
    code: int
    enhanced: str | None
    reply: str
    server: str


@dataclass(frozen=True)
class Times:
    """How long to wait for an answer, in seconds: RFC 5321, 4.5.3.2."""

    greeting: float = 300
    mail: float = 300
    rcpt: float = 300
    data: float = 120
    end: float = 600


class Lost(Exception):
    """The connection broke, or its answers make no sense."""


class Session:
    """One connection, past greeting, TLS and login."""

    def __init__(self, client: aiosmtplib.SMTP, server: Smtp, times: Times) -> None:
        self.client = client
        self.server = server
        self.times = times
        self.mails = 0
        self.begun = False
        self.opened = self.used = time.monotonic()

    @property
    def good(self) -> bool:
        """Whether another mail may go this way."""
        now = time.monotonic()
        fresh = now - self.opened < MOST_SECONDS and now - self.used < IDLE_SECONDS
        return self.client.is_connected and self.mails < MOST_MAILS and fresh

    async def send(self, mail: bytes, sender: str, recipient: str) -> Verdict:
        """One transaction. Raises RoadClosed, or Lost with the stage it was lost at.

        Nothing is awaited once there is a verdict: a cancel could make it be forgotten.
        """
        stage: Stage = "mail"
        options = self.options(mail, sender, recipient)
        if options is None:
            return self.cannot_spell()
        self.mails += 1
        try:
            await self.reset()
            said = await self.say(self.times.mail, f"MAIL FROM:<{sender}>", *options)
            if said.code // 100 == 2:
                stage = "rcpt"
                said = await self.say(self.times.rcpt, f"RCPT TO:<{recipient}>")
            if said.code // 100 == 2:
                stage = "data"
                said = await self.data(mail)
        except (SMTPException, OSError) as error:
            raise Lost(stage) from error
        self.used = time.monotonic()
        self.begun = said.code // 100 != 2
        return self.judged(said, stage, recipient)

    async def say(self, seconds: float, *words: str) -> SMTPResponse:
        return await self.client.execute_command(*(w.encode() for w in words), timeout=seconds)

    async def data(self, mail: bytes) -> SMTPResponse:
        said = await self.say(self.times.data, "DATA")
        protocol = self.client.protocol
        if said.code != 354:
            # Whoever says 2xx to DATA and doesn't want the mail is out of step with us.
            return said if said.code // 100 in (4, 5) else SMTPResponse(0, said.message)
        if protocol is None:
            raise aiosmtplib.SMTPServerDisconnected("closed before the text")
        protocol.write(stuffed(mail) + b".\r\n")
        return await protocol.read_response(timeout=self.times.end)

    def options(self, mail: bytes, sender: str, recipient: str) -> list[str] | None:
        """Parameters of MAIL; None if the server can't take an address that isn't ASCII."""
        options = [f"SIZE={len(mail)}"] if self.client.supports_extension("size") else []
        if sender.isascii() and recipient.isascii():
            return options
        return [*options, "SMTPUTF8"] if self.client.supports_extension("smtputf8") else None

    def cannot_spell(self) -> Verdict:
        reply = "This mail server takes only addresses in ASCII (it does not offer SMTPUTF8)."
        return Verdict("never", "mail", 553, "5.6.7", reply, repr(self.server))

    def judged(self, said: SMTPResponse, stage: Stage, recipient: str) -> Verdict:
        """Raises RoadClosed if it speaks of us."""
        reply = masked(said.message, recipient)
        if said.code in OF_US:
            raise closed(self.server, f"{said.code} {reply}")
        found = ENHANCED.match(said.message)
        enhanced = found[0] if found else None
        kind: Literal["sent", "later", "never"] = "later"
        if said.code == 503 or said.code // 100 not in (2, 4, 5):
            self.client.close()  # no answer to the question: we are out of step
        elif said.code // 100 != 4:
            kind = "sent" if said.code // 100 == 2 else "never"
        return Verdict(kind, stage, max(said.code, 0), enhanced, reply, repr(self.server))

    async def reset(self) -> None:
        """End the transaction that was refused half-way, if there is one."""
        if self.begun:
            said = await self.say(self.times.mail, "RSET")
            if said.code // 100 != 2:
                raise aiosmtplib.SMTPServerDisconnected("no way back")
            self.begun = False

    async def quit(self) -> None:
        with suppress(SMTPException, OSError):
            await self.client.quit(timeout=QUIT_SECONDS)
        self.client.close()


def closed(server: Smtp, reason: str) -> RoadClosed:
    return RoadClosed(
        "The mail server {server} does not take mail now ({reason}): "
        "check MAILER_SMTP_URL and that server.",
        server=repr(server),
        reason=reason.rstrip("."),
    )


def stuffed(mail: bytes) -> bytes:
    """Lines that begin with a dot get another; `mime` makes none, so this seldom copies."""
    if mail.startswith(b"."):
        mail = b"." + mail
    return mail.replace(b"\r\n.", b"\r\n..") if b"\r\n." in mail else mail


def masked(reply: str, recipient: str) -> str:
    """A reply in one short line, without anything that looks like an address or its owner."""
    line = " ".join("".join(c if c.isprintable() else " " for c in reply).split())
    line = address.masked(line, recipient)
    return line if len(line) <= MOST_REPLY else line[: MOST_REPLY - 1] + "…"
