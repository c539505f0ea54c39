"""POST /hooks/…: bounces and complaints that mail services tell of.

A hook that is not set up is not there (404). What is not proven is refused and nothing more; what
is proven is stored in one transaction, and answered then: the service tells it again otherwise.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import aiohttp
from aiohttp import web

from mailer import bounces
from mailer.bounces import Channel
from mailer.config import Settings
from mailer.hooks import Event, Malformed, Unproven, mailgun, postmark, sendgrid, ses
from mailer.web import page

log = logging.getLogger(__name__)

MOST_BYTES = 4_000_000
MOST_CERTIFICATE = 20_000
FETCH_SECONDS = 5

Read: TypeAlias = Callable[[web.Request, Settings, bytes], Awaitable[Sequence[Event]]]


class Fetcher:
    """What fetches small files of Amazon's; `ses` has looked at the address."""

    async def get(self, url: str) -> bytes:
        """Raises aiohttp.ClientError."""
        timeout = aiohttp.ClientTimeout(total=FETCH_SECONDS)
        async with (
            aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as session,
            session.get(url, allow_redirects=False) as answer,
        ):
            return await answer.content.read(MOST_CERTIFICATE)


FETCHER = web.AppKey("hooks.fetcher", Fetcher)
CERTIFICATES = web.AppKey("hooks.certificates", dict[str, bytes])


async def amazon(request: web.Request) -> web.Response:
    return await take(request, "ses", request.app[page.SETTINGS].hook_ses, from_amazon)


async def from_amazon(request: web.Request, settings: Settings, body: bytes) -> Sequence[Event]:
    said = ses.envelope(body, settings.hook_ses or "")
    where, kept = ses.certificate(said), request.app[CERTIFICATES]
    pem = kept.get(where) or await request.app[FETCHER].get(where)
    ses.verify(said, pem)
    kept[where] = pem
    confirm = ses.confirmation(said)
    if confirm is not None:
        await request.app[FETCHER].get(confirm)
        log.info("SNS was told that we listen to our topic")
    return ses.events(said)


async def from_mailgun(_request: web.Request, settings: Settings, body: bytes) -> Sequence[Event]:
    return mailgun.events(body, settings.hook_mailgun or "")


async def mailguns(request: web.Request) -> web.Response:
    return await take(request, "mailgun", request.app[page.SETTINGS].hook_mailgun, from_mailgun)


async def from_postmark(request: web.Request, settings: Settings, body: bytes) -> Sequence[Event]:
    given = request.headers.get("Authorization", "")
    return postmark.events(body, given, settings.hook_postmark or "")


async def postmarks(request: web.Request) -> web.Response:
    return await take(request, "postmark", request.app[page.SETTINGS].hook_postmark, from_postmark)


async def from_sendgrid(request: web.Request, settings: Settings, body: bytes) -> Sequence[Event]:
    signature, at = (request.headers.get(n, "") for n in (sendgrid.SIGNATURE, sendgrid.TIMESTAMP))
    return sendgrid.events(body, signature, at, settings.hook_sendgrid or "")


async def sendgrids(request: web.Request) -> web.Response:
    return await take(request, "sendgrid", request.app[page.SETTINGS].hook_sendgrid, from_sendgrid)


async def take(
    request: web.Request, channel: Channel, secret: str | None, read: Read
) -> web.Response:
    if secret is None:
        return web.Response(status=404, text="This hook is not set up.\n")
    body = await whole(request)
    if body is None:
        return web.Response(status=413, text="Too much at once.\n")
    try:
        events = await read(request, request.app[page.SETTINGS], body)
    except Unproven as error:
        log.warning("a message to /hooks/%s was refused: %s", channel, error)
        return web.Response(status=403, text="Not proven to come from the service.\n")
    except Malformed as error:
        log.warning("a message to /hooks/%s makes no sense: %s", channel, error)
        return web.Response(status=422, text="It makes no sense.\n")
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        log.warning("Amazon's certificate can't be had: %s", type(error).__name__)
        return web.Response(status=503, text="Try again later.\n")
    await store(request, channel, events)
    return web.Response(text="OK\n")


async def whole(request: web.Request) -> bytes | None:
    """The body, byte by byte as it was signed; None: too large."""
    body = bytearray()
    async for chunk in request.content.iter_chunked(1 << 16):
        body += chunk
        if len(body) > MOST_BYTES:
            return None
    return bytes(body)


async def store(request: web.Request, channel: Channel, events: Sequence[Event]) -> None:
    keys = request.app[page.VAULT]
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        for event in events:
            if event.outcome.reason != "delivered":
                await bounces.take(conn, keys, event.report(channel))
