"""Every route there is, asked in every way: what its answers allow, and nothing else does.

Whoever adds a route finds it here: it is as strict as the others, or stands in a list below.
"""

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web
from multidict import CIMultiDictProxy

from mailer.db import Connection, Pool
from mailer.mailbox import Mailbox
from mailer.vault import Vault
from tests import site, world
from tests.site import Client
from tests.world import ANNA, World

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")
KEPT = ("/", "/archive", "/embed.js", "/log/", "/notice/", "/notices/", "/static/", "/robots.txt")
"""What others may keep for a while, and search engines may list: it is public, and about nobody."""

FULL = {"/form": "/form?newsletter=weekly"}
"""Without a newsletter it is the front page."""

FRAMED = ("/form", "/subscribe", "/check-inbox")
"""What may stand in a frame on other sites."""

OPEN = ("/subscribe", "/subscribe/solution")
"""What scripts of other sites may read."""

SIGNED_IN = ("/staff",)
"""Where there are cookies."""

MOST_BYTES = 30_000
FILE = re.compile(r'<(?:link rel="stylesheet" href|script src|img src)="([^"]+)"')


@dataclass(frozen=True)
class Here:
    """The site with everything it ever has, over TLS; Anna has confirmed a newsletter."""

    client: Client
    conn: Connection
    weekly: World
    paths: dict[str, str]

    def routes(self) -> Iterator[str]:
        assert self.client.app is not None
        for resource in self.client.app.router.resources():
            if not isinstance(resource, web.PlainResource):
                yield re.sub(r"\{(\w+)[^}]*\}", self.filled, resource.canonical)
            else:
                yield FULL.get(resource.canonical, resource.canonical)

    def filled(self, found: re.Match[str]) -> str:
        return self.paths.get(found[1], "1")


@pytest.fixture
async def here(pool: Pool, vault: Vault, tmp_path: Path) -> AsyncIterator[Here]:
    secure = {"MAILER_BASE_URL": "https://news.example.org"}
    mailbox = Mailbox(tmp_path)
    async with site.opened(pool, vault, mailbox, **secure) as client, pool.acquire() as conn:
        weekly = await world.make(conn, vault)
        await world.confirmed(conn, vault, weekly.wish(ANNA))
        token = await world.link(conn, vault, ANNA, "leave")
        paths = {"slug": "weekly", "token": token, "id": weekly.notices["en"].id}
        yield Here(client, conn, weekly, paths)


def is_among(path: str, known: tuple[str, ...]) -> bool:
    return any(path == each or (each != "/" and path.startswith(each)) for each in known)


def wrong(path: str, status: int, headers: CIMultiDictProxy[str]) -> Iterator[str]:
    """What is not as it should be."""
    path = path.partition("?")[0]
    policy = headers.get("Content-Security-Policy", "")
    if not policy.startswith("default-src 'none'; ") or "unsafe" in policy or "*." in policy:
        yield f"policy {policy!r}"
    if ("frame-ancestors 'none'" not in policy) and not (
        is_among(path, FRAMED) and "frame-ancestors *" in policy
    ):
        yield f"frames {policy!r}"
    if headers.get("X-Content-Type-Options") != "nosniff":
        yield "sniffing"
    referrer = headers.get("Referrer-Policy")
    if referrer != "no-referrer" and not (referrer == "same-origin" and not secret(path)):
        yield f"referrer {referrer!r}"
    kept = is_among(path, KEPT) and status < 400
    if headers.get("Cache-Control") != "no-store" and not kept:
        yield f"kept: {headers.get('Cache-Control')!r}"
    if headers.get("X-Robots-Tag") != "noindex" and not kept:
        yield f"listed: {headers.get('X-Robots-Tag')!r}"
    if not headers.get("Strict-Transport-Security", "").startswith("max-age=31536000"):
        yield "transport"
    if "Access-Control-Allow-Origin" in headers and path not in OPEN:
        yield "read by other sites"
    if "Access-Control-Allow-Credentials" in headers:
        yield "read by other sites as the visitor"
    if "Set-Cookie" in headers and not is_among(path, SIGNED_IN):
        yield f"cookie {headers['Set-Cookie']!r}"
    if "Server" in headers:
        yield "says what it is made with"


def secret(path: str) -> bool:
    return path.split("/")[1] in ("confirm", "refuse", "renew", "u", "me", "address")


async def test_every_answer_of_every_route_is_strict(here: Here) -> None:
    found, asked = [], 0
    for path in {*here.routes(), "/nothing", "/me/x", "/staff/nothing", "/api/v1/nothing"}:
        for method in METHODS:
            answer = await here.client.request(method, path, allow_redirects=False)
            await answer.read()
            asked += 1
            assert answer.status != 500, (method, path)
            found += [
                (method, path, answer.status, what)
                for what in wrong(path, answer.status, answer.headers)
            ]
    assert found == []
    assert asked > 200


async def test_bodies_and_heads_that_are_too_large_are_refused_everywhere(here: Here) -> None:
    assert here.client.app is not None
    posts = {r.resource.canonical for r in here.client.app.router.routes()
             if r.method == "POST" and r.resource is not None}  # fmt: skip
    body = b"x" * (64 * 1024 + 1)
    for canonical in sorted(posts):
        if canonical.startswith(("/api/", "/hooks/")):
            continue  # programs, which have other bounds: see their tests
        path = re.sub(r"\{(\w+)[^}]*\}", here.filled, canonical)
        for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            answer = await here.client.post(
                path, data=body, headers={"Content-Type": kind}, allow_redirects=False
            )
            await answer.read()
            # A page that needs to know who asks looks at that first.
            assert answer.status in (413, 303, 401, 403, 404), (path, answer.status)
            assert list(wrong(path, answer.status, answer.headers)) == []


async def test_a_page_is_small_and_takes_two_requests(here: Here) -> None:
    token = here.paths["token"]
    pages = ["/", "/form?newsletter=weekly", "/check-inbox", f"/u/{token}", f"/confirm/{token}",
             f"/notice/{here.paths['id']}", "/archive", "/nothing"]  # fmt: skip
    for path in pages:
        answer = await here.client.get(path)
        text = await answer.text()
        # Without the icon, which a browser asks for by itself, once and for all pages.
        files = set(FILE.findall(text))
        assert len(files) == 1, (path, files)
        total = len(text.encode())
        for file in files:
            total += len(await (await here.client.get(file)).read())
        assert total <= MOST_BYTES, (path, total)
