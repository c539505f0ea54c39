"""Fetching one feed: politely, from the public internet only, within limits of size and time.

async with fetch.session(settings.base_url) as session:
    fetched = await fetch.fetch(session, feed)
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import aiohttp
from yarl import URL

from mailer import __version__
from mailer.articles.cleaning import address
from mailer.feeds import Failed, Feed, Fetched, Gone, Unchanged
from mailer.fetch.body import Trouble, body
from mailer.fetch.image import fetch as fetch_picture
from mailer.fetch.items import Source, Unreadable
from mailer.fetch.policy import Forbidden, Policy
from mailer.fetch.process import Parser

__all__ = ["Limits", "Policy", "Session", "fetch", "fetch_picture", "session"]

ACCEPT = (
    "application/rss+xml, application/atom+xml, application/feed+json, application/rdf+xml, "
    "application/xml;q=0.9, text/xml;q=0.9, application/json;q=0.8, */*;q=0.1"
)
REDIRECTS = (301, 302, 303, 307, 308)
FOR_GOOD = (301, 308)
MOST_VALIDATOR = 1_000
A_HOST = 2
"""Connections to one server at the same time, however many feeds it has."""


@dataclass(frozen=True)
class Limits:
    """Of one fetch; `size` in decoded bytes, the rest but `hops` in seconds."""

    size: int = 10_000_000
    hops: int = 5
    connect: float = 10
    silence: float = 20
    total: float = 60
    parse: float = 30


@dataclass(frozen=True)
class Session:
    """What fetches share."""

    http: aiohttp.ClientSession
    parser: Parser
    limits: Limits


@asynccontextmanager
async def session(
    base_url: str, policy: Policy | None = None, limits: Limits | None = None
) -> AsyncIterator[Session]:
    """`base_url`: of this service, told to the servers asked. `policy`: public addresses only."""
    policy, limits = policy or Policy(), limits or Limits()
    parser = Parser(limits.parse)
    http = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            socket_factory=policy.socket, force_close=True, limit_per_host=A_HOST
        ),
        headers={
            "User-Agent": f"mailer/{__version__} (+{base_url})",
            "Accept": ACCEPT,
            "Accept-Encoding": "gzip, deflate",
        },
        timeout=aiohttp.ClientTimeout(
            total=limits.total, sock_connect=limits.connect, sock_read=limits.silence
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,  # ours stops at the limit instead of after it
    )
    try:
        async with http:
            yield Session(http, parser, limits)
    finally:
        await parser.stop()


async def fetch(session: Session, feed: Feed) -> Fetched:
    """Ask once. Whatever goes wrong is an outcome; nothing is raised for it."""
    try:
        async with asyncio.timeout(session.limits.total):
            outcome = await ask(session, feed)
    except (Trouble, Unreadable) as trouble:
        return Failed(str(trouble))
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        return Failed(sentence(error))
    if not isinstance(outcome, Read):
        return outcome
    try:
        document = await session.parser.parse(outcome.body, outcome.source)
    except Unreadable as trouble:
        return Failed(str(trouble))
    return replace(
        document, etag=outcome.etag, last_modified=outcome.last_modified, moved=outcome.moved
    )


@dataclass(frozen=True)
class Read:
    """A feed's bytes, not understood yet."""

    body: bytes
    source: Source
    etag: str | None
    last_modified: str | None
    moved: str | None


async def ask(session: Session, feed: Feed) -> Read | Unchanged | Gone | Failed:
    """Follow redirects to an answer; `moved` is where those that hold for good lead."""
    url, moved, for_good = feed.url, None, True
    for _ in range(session.limits.hops + 1):
        async with session.http.get(
            URL(url, encoded=True), headers=conditions(feed), allow_redirects=False
        ) as answer:
            if answer.status not in REDIRECTS:
                return await understood(session, feed, answer, url, moved)
            url = target(answer, url)
        for_good = for_good and answer.status in FOR_GOOD
        moved = url if for_good else moved
    raise Trouble(f"The address redirects more than {session.limits.hops} times.")


def conditions(feed: Feed) -> dict[str, str]:
    """Send the feed only if it changed: its validators, exactly as they came."""
    known = {"If-None-Match": feed.etag, "If-Modified-Since": feed.last_modified}
    return {name: value for name, value in known.items() if value}


def target(answer: aiohttp.ClientResponse, url: str) -> str:
    found = address(answer.headers.get("Location", ""), url)
    if found is None:
        raise Trouble("The address redirects to something that is not a web address.")
    return found


async def understood(
    session: Session, feed: Feed, answer: aiohttp.ClientResponse, url: str, moved: str | None
) -> Read | Unchanged | Gone | Failed:
    if answer.status == HTTPStatus.OK:
        return Read(
            body=await body(answer, session.limits.size),
            source=Source(url, feed.id_host, answer.headers.get("Content-Type", "")),
            etag=validator(answer, "ETag"),
            last_modified=validator(answer, "Last-Modified"),
            moved=moved,
        )
    # Without a condition, "unchanged" would make everything after it news.
    if answer.status == HTTPStatus.NOT_MODIFIED and conditions(feed):
        return Unchanged(moved)
    if answer.status == HTTPStatus.GONE:
        return Gone()
    return Failed(f"The server answered {status(answer.status)}.", retry_after(answer))


def status(code: int) -> str:
    try:
        return f"{code} ({HTTPStatus(code).phrase})"
    except ValueError:
        return str(code)


def validator(answer: aiohttp.ClientResponse, name: str) -> str | None:
    value = answer.headers.get(name, "")
    fine = value.isascii() and value.isprintable() and len(value) <= MOST_VALIDATOR
    return value if value and fine else None


def retry_after(answer: aiohttp.ClientResponse) -> timedelta | None:
    """Seconds or a date."""
    value = answer.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return timedelta(seconds=min(int(value[:9]), 10**7))
    try:
        when = parsedate_to_datetime(value)
    except (TypeError, ValueError, OverflowError):
        return None
    wait = (when if when.tzinfo else when.replace(tzinfo=UTC)) - datetime.now(UTC)
    return wait if wait > timedelta() else None


SENTENCES: tuple[tuple[type[Exception], str], ...] = (
    (aiohttp.ClientConnectorDNSError, "The name of its server can't be found: check the address."),
    (aiohttp.ClientConnectorCertificateError, "The certificate of its server is not valid."),
    (TimeoutError, "The server took too long."),
    (aiohttp.ClientPayloadError, "The feed broke off in the middle."),
    (aiohttp.InvalidURL, "The address is not a web address."),
    (OSError, "The server can't be reached."),
)


def sentence(error: Exception) -> str:
    """What went wrong on the way, for people; nothing of the server's own words."""
    if isinstance(error, aiohttp.ClientConnectorError) and str(Forbidden()) in str(error.os_error):
        return "The address leads into a private network: feeds must be public."
    said = (text for kind, text in SENTENCES if isinstance(error, kind))
    return next(said, "The server did not answer in proper HTTP.")
