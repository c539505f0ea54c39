"""At the door: who asks, how often, and what the access log may keep of it."""

import ipaddress
import logging
import re
import time
from collections.abc import Sequence
from typing import TypeAlias
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from mailer import limits
from mailer.config import ConsentIp, Network
from mailer.db import Connection
from mailer.errors import TooMany
from mailer.vault import Vault

IP: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

BODY_BYTES = 64 * 1024
ASKINGS = 20
WINDOW_SECONDS = 600
"""A network may send the form ASKINGS times in a window."""

ORIGIN_CHARACTERS = 200
SECRET_PATHS = ("confirm", "refuse", "renew", "u", "me")
SECRET = re.compile(r"[\w=-]{27,28}|.*[@%].*|.{81,}")


# who


def client(request: web.Request, trusted: Sequence[Network]) -> IP | None:
    """Who asks; through proxies of ours, whom the last of them saw. None: a Unix socket."""
    seen = ip(request.remote or "")
    forwarded = ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")
    while seen is not None and forwarded and any(seen in network for network in trusted):
        before = ip(forwarded.pop())
        if before is None:
            break
        seen = before
    return seen


def ip(text: str) -> IP | None:
    try:
        found = ipaddress.ip_address(text.strip().strip("[]").partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def network(found: IP | None) -> str:
    """A /24 or a /64: about one household, office or phone mast."""
    if found is None:
        return "unknown"
    length = 24 if found.version == 4 else 64
    return str(ipaddress.ip_network((found, length), strict=False))


def kept(found: IP | None, allowed: ConsentIp) -> str | None:
    """What of it the consent record may keep (MAILER_CONSENT_IP)."""
    if found is None or allowed == "off":
        return None
    return network(found) if allowed == "prefix" else str(found)


def origin(request: web.Request) -> str | None:
    """The site whose page sent the form; never a path or query, which may say who it was."""
    for header in ("Origin", "Referer"):
        try:
            url = urlsplit(request.headers.get(header, ""))
            port = f":{url.port}" if url.port else ""
        except ValueError:
            continue
        if url.scheme in ("http", "https") and url.hostname and url.hostname.isascii():
            return f"{url.scheme}://{url.hostname}{port}"[:ORIGIN_CHARACTERS]
    return None


# how often


async def too_many(conn: Connection, keys: Vault, found: IP | None) -> TooMany | None:
    """Count one more form of this network; the refusal if there were too many."""
    key = keys.network(f"subscribe {network(found)}")
    if await limits.count(conn, key, WINDOW_SECONDS) <= ASKINGS:
        return None
    return TooMany(
        "The form was sent too often from your network. Please try again in a few minutes.",
        retry_after=WINDOW_SECONDS - int(time.time()) % WINDOW_SECONDS,
    )


# the access log


class AccessLog(AbstractAccessLogger):
    """Method, path, status, bytes and time; no address of anybody and no token."""

    @property
    def enabled(self) -> bool:
        return self.logger.isEnabledFor(logging.INFO)

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        self.logger.info(
            "%s %s %d %d %.0fms",
            request.method,
            scrub(request.rel_url.raw_path),
            response.status,
            response.body_length,
            time * 1000,
        )


def scrub(path: str) -> str:
    """The path without tokens or anything that looks like one; the query is never logged."""
    parts = path.split("/")
    if len(parts) > 2 and parts[1].lower() in SECRET_PATHS:
        parts[2] = "-"
    return "/".join("-" if SECRET.fullmatch(part) else part for part in parts)
