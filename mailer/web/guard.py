"""At the door: who asks, how often, and what the access log may keep of it."""

import hmac
import ipaddress
import logging
import re
import time
from collections.abc import Sequence
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from mailer import limits
from mailer.config import ConsentIp, Network
from mailer.errors import TooMany
from mailer.subscriptions import requests
from mailer.subscriptions.requests import Kept
from mailer.vault import Vault
from mailer.web import page
from mailer.web.forms import Filled

IP: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

BODY_BYTES = 64 * 1024
FASTEST_SECONDS = 2
LATEST_SECONDS = 86_400
"""Between seeing a form and sending it. People who fill it in by a program of theirs need two."""

STAMPED = ("hosted/1", "element/1")
"""The forms of ours, all of which bear a stamp."""

STAMP = re.compile(r"[0-9a-f]{1,12}\.[0-9a-f]{32}")

ORIGIN_CHARACTERS = 200
SECRET_PATHS = ("confirm", "refuse", "renew", "u", "me", "address")
SECRET = re.compile(r"[\w=-]{27,28}|.*[@%].*|.{81,}")


# who


def visitor(request: web.Request) -> IP | None:
    """Who asks, as far as MAILER_TRUSTED_PROXIES can be believed."""
    return client(request, request.app[page.SETTINGS].trusted_proxies)


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
    if found.version == 4:
        return f"{str(found).rpartition('.')[0]}.0/24"
    return f"{ipaddress.IPv6Address(int(found) >> 64 << 64)}/64"


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


# how it was filled in


def stamp(keys: Vault) -> str:
    """When a form was shown: the second, and what shows that we said so."""
    return stamped(keys, int(time.time()))


def stamped(keys: Vault, second: int) -> str:
    return f"{second:x}.{keys.form(f'stamp {second}').hex()[:32]}"


def age(keys: Vault, text: str) -> float | None:
    """How many seconds ago a form was shown; None: we never said so."""
    second = text.partition(".")[0]
    if not STAMP.fullmatch(text) or not hmac.compare_digest(stamped(keys, int(second, 16)), text):
        return None
    return time.time() - int(second, 16)


Manner: TypeAlias = Literal["ordinary", "unknown", "doubtful"]


def manner(keys: Vault, given: Filled) -> Manner:
    """How it seems to have been filled in: in a form of ours as people do; by a program, which is
    doubtful, so that it has to wait; or in another site's own HTML, which bears no stamp.
    """
    if given.remark:
        return "doubtful"
    if not given.stamp:
        return "doubtful" if given.form in STAMPED else "unknown"
    seconds = age(keys, given.stamp)
    people = seconds is not None and FASTEST_SECONDS <= seconds <= LATEST_SECONDS
    return "ordinary" if people else "doubtful"


# how often


def key(keys: Vault, found: IP | None) -> bytes:
    """What the forms of a network are counted by."""
    return keys.network(f"subscribe {network(found)}")


def too_many(kept: Kept) -> TooMany:
    return TooMany(
        "The form was sent too often from your network. Please try again in a few minutes.",
        retry_after=limits.wait(
            kept.present, kept.before, requests.MOST, kept.elapsed, requests.WINDOW_SECONDS
        ),
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
