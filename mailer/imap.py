"""A mailbox that bounces end in, read by IMAP (RFC 3501): for who can't have them handed over.

What is ours is taken out of the mailbox once it is stored; all else stays, marked as read, for
whoever looks after it. By password, or by OAuth 2.0 with a token made anew for each visit
(RFC 6749, 6; XOAUTH2).
"""

import asyncio
import imaplib
import logging
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import aiohttp

from mailer.config import Imap, OAuth
from mailer.errors import Unavailable

log = logging.getLogger(__name__)

SECONDS = 60.0
MOST_AT_ONCE = 200
MOST_BYTES = 25_000_000

Take = Callable[[bytes], Awaitable[bool]]
"""Stores a mail; whether it was ours. Raises if it can't."""


async def poll(mailbox: Imap, take: Take) -> int:
    """Take what came; how many were ours. Raises Unavailable."""
    token = await access_token(mailbox.oauth) if mailbox.oauth else None
    loop = asyncio.get_running_loop()

    def wait_for(raw: bytes) -> bool:
        async def taken() -> bool:
            return await take(raw)

        return asyncio.run_coroutine_threadsafe(taken(), loop).result()

    try:
        return await asyncio.to_thread(visit, mailbox, token, wait_for)
    except (OSError, imaplib.IMAP4.error) as error:
        raise Unavailable(
            "The mailbox at {host} can't be read ({why}): check MAILER_BOUNCE_IMAP.",
            host=mailbox.host,
            why=type(error).__name__,
        ) from None


async def access_token(oauth: OAuth) -> str:
    """A fresh token for the one that lasts. Raises Unavailable."""
    form = {
        "grant_type": "refresh_token",
        "client_id": oauth.client,
        "client_secret": oauth.secret,
        "refresh_token": oauth.refresh,
    }
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as session,
            session.post(oauth.url, data=form, allow_redirects=False) as answer,
        ):
            said = await answer.json(content_type=None)
            return str(said["access_token"])
    except (aiohttp.ClientError, TimeoutError, LookupError, TypeError, ValueError) as error:
        raise Unavailable(
            "No token for the bounce mailbox can be had ({why}): check MAILER_BOUNCE_IMAP_OAUTH.",
            why=type(error).__name__,
        ) from None


# in a thread


def visit(mailbox: Imap, token: str | None, take: Callable[[bytes], bool]) -> int:
    """Raises OSError or imaplib's error."""
    ours = 0
    with connected(mailbox) as server:
        login(server, mailbox, token)
        checked(server.select(f'"{mailbox.folder}"'))
        for uid in unread(server):
            raw = fetched(server, uid)
            if raw is not None and take(raw):
                ours += 1
                checked(server.uid("STORE", uid, "+FLAGS", r"(\Seen \Deleted)"))
            else:
                checked(server.uid("STORE", uid, "+FLAGS", r"(\Seen)"))
        if ours:
            checked(server.expunge())
    return ours


@contextmanager
def connected(mailbox: Imap) -> Iterator[imaplib.IMAP4]:
    context = ssl.create_default_context()
    server: imaplib.IMAP4
    if mailbox.scheme == "imaps":
        server = imaplib.IMAP4_SSL(mailbox.host, mailbox.port, ssl_context=context, timeout=SECONDS)
    else:
        server = imaplib.IMAP4(mailbox.host, mailbox.port, timeout=SECONDS)
    try:
        if mailbox.scheme == "imap+starttls":
            checked(server.starttls(context))
        yield server
    finally:
        with suppress(OSError, imaplib.IMAP4.error):
            server.logout()


def login(server: imaplib.IMAP4, mailbox: Imap, token: str | None) -> None:
    if token is None:
        checked(server.login(mailbox.user, mailbox.password))
        return
    words = f"user={mailbox.user}\x01auth=Bearer {token}\x01\x01"
    checked(server.authenticate("XOAUTH2", lambda _challenge: words.encode()))


def unread(server: imaplib.IMAP4) -> list[str]:
    _, found = checked(server.uid("SEARCH", "UNSEEN", "UNDELETED"))
    words = found[0].split() if found and isinstance(found[0], bytes) else []
    return [word.decode() for word in words[:MOST_AT_ONCE]]


def fetched(server: imaplib.IMAP4, uid: str) -> bytes | None:
    """One mail as it is; None: it is gone, or too large to be a bounce."""
    _, sizes = checked(server.uid("FETCH", uid, "(RFC822.SIZE)"))
    told = sizes[0] if sizes and isinstance(sizes[0], bytes) else b""
    digits = told.partition(b"RFC822.SIZE")[2].strip(b" )")
    if not digits.isdigit() or int(digits) > MOST_BYTES:
        return None
    _, parts = checked(server.uid("FETCH", uid, "(BODY.PEEK[])"))
    return next((bytes(part[1]) for part in parts if isinstance(part, tuple)), None)


def checked(answer: tuple[str, Any]) -> tuple[str, Any]:
    if answer[0] != "OK":
        raise imaplib.IMAP4.error("refused")
    return answer
