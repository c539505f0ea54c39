"""The catch-all of `mailer dev`: takes every mail on this machine and keeps it to be read.

Mails are .eml files in a folder, with the envelope in their first two lines, so a restart keeps
them and any mail program opens them.
"""

import asyncio
import re
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from itertools import count
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

MOST_MAILS = 1000
MOST_BYTES = 10_000_000
NAME = re.compile(r"\d{20}")


@dataclass(frozen=True)
class Mail:
    """One mail in the list; `sender` and `recipient` are the envelope's."""

    id: str
    at: datetime
    sender: str
    recipient: str
    subject: str


@dataclass(frozen=True)
class Parsed:
    """One mail to be read: its header fields as text, its two bodies, and the bytes as they came.

    `text` and `html` are None where there is no such part.
    """

    mail: Mail
    headers: tuple[tuple[str, str], ...]
    text: str | None
    html: str | None
    raw: bytes


class Mailbox:
    """A server on `host`, which must be this machine itself, and what it has taken."""

    def __init__(self, folder: Path, *, most: int = MOST_MAILS) -> None:
        self.folder = folder
        self.most = most
        self.mails: OrderedDict[str, Mail] = OrderedDict()
        self.server: asyncio.Server | None = None
        self.numbers = count(time.time_ns())

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Take mails; the port at which."""
        if host not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError("the mailbox takes mail only from this machine")
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.remember()
        self.server = await asyncio.get_running_loop().create_server(self.receiver, host, port)
        found: int = self.server.sockets[0].getsockname()[1]
        return found

    def receiver(self) -> SMTP:
        return SMTP(
            self, enable_SMTPUTF8=True, data_size_limit=MOST_BYTES, hostname="localhost", ident=""
        )

    async def stop(self) -> None:
        if self.server is not None:
            self.server.close()
            self.server = None

    def remember(self) -> None:
        """What earlier runs have kept."""
        for path in sorted(self.folder.glob("*.eml")):
            if NAME.fullmatch(path.stem):
                self.mails[path.stem] = listed(path.stem, path.read_bytes())
        if self.mails:
            self.numbers = count(max(time.time_ns(), int(next(reversed(self.mails))) + 1))
        self.forget()

    def forget(self) -> None:
        """All but the latest."""
        while len(self.mails) > self.most:
            oldest, _ = self.mails.popitem(last=False)
            self.path(oldest).unlink(missing_ok=True)

    def path(self, id_: str) -> Path:
        return self.folder / f"{id_}.eml"

    # what the server calls

    async def handle_RCPT(  # noqa: N802  # the name aiosmtpd calls
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: object
    ) -> str:
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802  # the name aiosmtpd calls
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        assert isinstance(envelope.content, bytes)
        for recipient in envelope.rcpt_tos:
            self.keep(envelope.mail_from or "", recipient, envelope.content)
        return "250 2.0.0 Kept"

    def keep(self, sender: str, recipient: str, content: bytes) -> Mail:
        id_ = f"{next(self.numbers):020d}"
        raw = f"Return-Path: <{sender}>\r\nDelivered-To: {recipient}\r\n".encode() + content
        unfinished = self.path(id_).with_suffix(".new")
        unfinished.write_bytes(raw)
        unfinished.chmod(0o600)
        unfinished.rename(self.path(id_))
        self.mails[id_] = mail = listed(id_, raw)
        self.forget()
        return mail

    # what the page shows

    def list(self) -> list[Mail]:
        """Newest first."""
        return list(reversed(self.mails.values()))

    def read(self, id_: str) -> Parsed | None:
        """One mail, or None if there is none of that id."""
        mail = self.mails.get(id_)
        if mail is None or not self.path(id_).is_file():
            return None
        raw = self.path(id_).read_bytes()
        found = opened(raw)
        headers = tuple((name, str(value)) for name, value in found.items())
        return Parsed(mail, headers, body(found, "plain"), body(found, "html"), raw)


def opened(raw: bytes) -> EmailMessage:
    found = message_from_bytes(raw, policy=policy.SMTPUTF8)
    assert isinstance(found, EmailMessage)
    return found


def listed(id_: str, raw: bytes) -> Mail:
    head = opened(raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
    return Mail(
        id_,
        datetime.fromtimestamp(int(id_) / 1e9, UTC),
        str(head["Return-Path"] or "").strip("<>"),
        str(head["Delivered-To"] or ""),
        str(head["Subject"] or ""),
    )


def body(found: EmailMessage, kind: str) -> str | None:
    part = found.get_body((kind,))
    if part is None:
        return None
    raw = part.get_payload(decode=True)
    assert isinstance(raw, bytes)
    charset = part.get_content_charset("utf-8")
    try:
        text = raw.decode(charset, "replace")
    except LookupError:
        text = raw.decode("utf-8", "replace")
    return text.replace("\r\n", "\n")
