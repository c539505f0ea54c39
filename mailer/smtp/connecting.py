"""Up to where mails can go: the connection, TLS, the greeting, the login."""

import asyncio
import ipaddress
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import cast

import aiosmtplib
from aiosmtplib import (
    SMTPException,
    SMTPResponse,
    SMTPResponseException,
    SMTPServerDisconnected,
)

from mailer.config import Smtp
from mailer.smtp.session import Offer, Session, Times
from mailer.smtp.verdicts import closed, masked


class Lmtp(aiosmtplib.SMTP):
    """Greets as RFC 2033 wants; with one recipient the rest is as in SMTP."""

    async def execute_command(self, *args: bytes, **options: object) -> SMTPResponse:
        verb = b"LHLO" if args[0] in (b"EHLO", b"HELO") else args[0]
        return await super().execute_command(verb, *args[1:], **options)  # type: ignore[arg-type]  # passed on


async def connect(server: Smtp, name: str, times: Times) -> tuple[asyncio.Transport, Session]:
    """A connection up to where mails can go, for a session to take over. Raises RoadClosed."""
    if server.user and server.scheme in ("smtp", "lmtp") and not local(server):
        reason = "a password would cross the network unencrypted (use smtps or smtp+starttls)"
        raise closed(server, reason)
    kind = Lmtp if server.scheme == "lmtp" else aiosmtplib.SMTP
    client = kind(
        hostname=None if server.socket else server.host,
        port=None if server.socket else server.port,
        socket_path=server.socket,
        username=server.user,
        password=server.password,
        local_hostname=name,
        timeout=times.greeting,
        use_tls=server.scheme == "smtps",
        start_tls=server.scheme == "smtp+starttls",
        tls_context=trust(server),
    )
    with closing_on_failure(client, server):
        await client.connect()
        if client.is_ehlo_or_helo_needed:
            await client.ehlo()
        transport = client.transport
        if transport is None or transport.is_closing():
            raise SMTPServerDisconnected("closed after the greeting")
    return cast("asyncio.Transport", transport), Session(server, offer(client), times)


def offer(client: aiosmtplib.SMTP) -> Offer:
    """What EHLO was answered."""
    size = client.esmtp_extensions.get("size", "")
    return Offer(
        pipelining=client.supports_extension("pipelining"),
        eight_bit=client.supports_extension("8bitmime"),
        utf8=client.supports_extension("smtputf8"),
        sizes=client.supports_extension("size"),
        size=int(size) if size.isascii() and size.isdigit() else 0,
    )


@contextmanager
def closing_on_failure(client: aiosmtplib.SMTP, server: Smtp) -> Iterator[None]:
    who = f"{server.user or ''}@"
    try:
        yield
    except SMTPResponseException as error:
        client.close()
        raise closed(server, f"{error.code} {masked(error.message, who)}", error.code) from error
    except (SMTPException, OSError, ValueError) as error:
        client.close()
        raise closed(server, masked(str(error) or type(error).__name__, who)) from error
    except BaseException:
        client.close()
        raise


@cache
def trust(server: Smtp) -> ssl.SSLContext | None:
    """The system's authorities (SSL_CERT_FILE adds to them); on this machine nobody need vouch."""
    if server.scheme not in ("smtps", "smtp+starttls"):
        return None
    context = ssl.create_default_context()
    if local(server):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def local(server: Smtp) -> bool:
    """Whether what is sent stays on this machine."""
    if server.socket or server.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(server.host).is_loopback
    except ValueError:
        return False


def literal(name: str) -> str:
    """As EHLO takes it: an IP address in brackets."""
    try:
        found = ipaddress.ip_address(name)
    except ValueError:
        return name
    return f"[{found}]" if found.version == 4 else f"[IPv6:{found}]"
