"""Whatever anybody sends: an answer of ours, in time; never a fault, never somebody's address.

Requests go to every route that there is, as bytes, made of odd paths, queries, headers and bodies;
with `./run fuzz` many more of them.
"""

import asyncio
import json
import random
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

import hypothesis
import pytest
from aiohttp.test_utils import unused_port
from aiohttp.web import AppRunner
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from mailer import access, articles, digests, feeds
from mailer.access import SCOPES
from mailer.articles import Draft
from mailer.db import Connection, Pool
from mailer.vault import Vault
from mailer.web import app, page
from tests import desk, site, world
from tests.conftest import times
from tests.world import ANNA

pytestmark = pytest.mark.fuzzed

TOP = Path(__file__).resolve().parent.parent
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "WORD")
TYPED = "typed-by-somebody@example.org"
ANSWER_SECONDS = 30
CPU_SECONDS = 2.0
MOST_BYTES = 500_000
FAULT = 500


# what is sent


@dataclass(frozen=True)
class Shape:
    """One odd way to ask, of each route: how its gaps, fields and body are filled."""

    method: str
    seed: int
    words: Sequence[str]
    kind: str
    headers: Mapping[str, str]
    signed_in: bool
    cut: int | None

    @property
    def promises(self) -> bool:
        """Whether it says itself how long its body is."""
        return bool({"Content-Length", "Transfer-Encoding"} & set(self.headers))


WORDS = st.one_of(
    st.text(max_size=20),
    st.text(st.characters(categories=("Cc", "Cf", "Zl", "Zp", "Mn", "So")), max_size=8),
    st.integers(-(2**70), 2**70).map(str),
    st.sampled_from([
        "", "0", "1", "-1", "yes", "en", "ar", "weekly", "..", "%", "%00", "\0", "a\r\nB: c",
        "{{ 7*7 }}", "'; --", "<script>", "\u202e", "\u00ed\u00a0\u0080", "x" * 5000, "9" * 40,
        "2026-02-30", "2026-01-01", "2026-01-01T09:00", "https://[", "http://127.0.0.1:1/", "[]",
        "null", TYPED, "anna@[127.0.0.1]", "00000000-0000-0000-0000-000000000000", "0" * 32,
        "0" * 64, "* * * * *", "Europe/Berlin", "owner", "editor", "published",
    ]),
)  # fmt: skip
BODIES = (
    "application/x-www-form-urlencoded", "multipart/form-data; boundary=edge", "application/json",
    "multipart/form-data", "text/plain; charset=\xff", "application/json; charset=utf-16", "",
    "application/vnd.api+json", "nested",
)  # fmt: skip
HEADERS = st.dictionaries(
    st.sampled_from([
        "Accept", "Accept-Language", "Accept-Encoding", "Origin", "Referer", "Cookie", "Range",
        "If-None-Match", "If-Match", "If-Modified-Since", "X-Forwarded-For", "X-Forwarded-Proto",
        "Forwarded", "Authorization", "Content-Encoding", "Expect", "Sec-Fetch-Site", "Host",
        "Transfer-Encoding", "Content-Length", "Idempotency-Key", "Upgrade", "TE",
    ]),
    st.one_of(
        st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=40),
        st.sampled_from([
            "application/json", "*/*;q=nan", "ar-EG,ru;q=2,*;q=-1", "bytes=9-1", "gzip", "chunked",
            "null", "https://[", "same-origin", "staff=x; staff=y", "staff-errand=" + "A" * 200,
            "Bearer ", "Basic Og==", "100-continue", "7" * 30, "-1", "W/\"", "x" * 8000,
        ]),
    ),
    max_size=4,
)  # fmt: skip
SHAPES = st.builds(
    Shape,
    method=st.one_of(st.sampled_from(("GET", "POST")), st.sampled_from(METHODS)),
    seed=st.integers(0, 2**32),
    words=st.lists(WORDS, min_size=1, max_size=12),
    kind=st.sampled_from(BODIES),
    headers=HEADERS,
    signed_in=st.booleans(),
    cut=st.none() | st.integers(0, 200),
)


def names() -> Sequence[str]:
    """Of every field that a page has or a handler reads."""
    pages = [path.read_text("utf-8") for path in (TOP / "templates").rglob("*.html")]
    handlers = [path.read_text("utf-8") for path in (TOP / "mailer" / "web").rglob("*.py")]
    found = {name for text in pages for name in re.findall(r'name="([\w-]+)"', text)}
    found |= {n for text in handlers for n in re.findall(r'(?:one|get)\(\w*,? ?"(\w+)"', text)}
    assert {"email", "newsletter", "never_again", "password", "code", "before"} <= found
    return sorted(found)


def body(shape: Shape, named: Sequence[str]) -> bytes:
    """Most fields of most forms, each with one of the words."""
    chance = random.Random(shape.seed)
    fields = {n: chance.choice(shape.words) for n in named if chance.random() < 0.8}
    if shape.kind == "nested":
        return b"[" * 20_000 if chance.random() < 0.5 else b'{"a":' * 9_000
    if "json" in shape.kind:
        odd: list[object] = [*fields.values(), True, None, 10**400, [fields], {}, -0.0]
        return json.dumps({n: chance.choice(odd) for n in fields}, default=str).encode(
            "utf-8", "replace"
        )
    if "multipart" in shape.kind:
        head = 'Content-Disposition: form-data; name="'
        parts = [f'--edge\r\n{head}{n}"\r\n\r\n{text}\r\n' for n, text in fields.items()]
        return ("".join(parts) + "--edge--\r\n").encode("utf-8", "replace")
    return urlencode(fields, errors="replace").encode()


@dataclass
class Door:
    """The site, everything of it that has a route, and who is known there."""

    port: int
    routes: Sequence[str]
    known: Mapping[str, Sequence[str]]
    named: Sequence[str]
    cookies: str
    bearer: str

    def path(self, route: str, shape: Shape) -> str:
        chance = random.Random(f"{shape.seed} {route}")

        def filled(gap: "re.Match[str]") -> str:
            known = self.known.get(gap[1], ("1",))
            return chance.choice(
                [*known, *known, quote(chance.choice(shape.words), errors="replace")]
            )

        query = {n: chance.choice(shape.words) for n in self.named if chance.random() < 0.1}
        path = re.sub(r"\{(\w+)[^}]*\}", filled, route)
        return path + (f"?{urlencode(query, errors='replace')}" if query else "")

    def request(self, route: str, shape: Shape) -> bytes:
        sent = body(shape, self.named) if shape.method not in ("GET", "HEAD") else b""
        sent = sent[: shape.cut] if shape.cut is not None else sent
        who = (
            {"Authorization": f"Bearer {self.bearer}"}
            if route.startswith("/api/")
            else {"Cookie": self.cookies, "Origin": desk.BASE}
        )
        headers = {
            "Host": "news.example.org",
            "Content-Type": "application/json" if shape.kind == "nested" else shape.kind,
            "Content-Length": str(len(sent)),
            **(who if shape.signed_in else {}),
            **shape.headers,
            "Connection": "close",
        }
        lines = [f"{shape.method} {self.path(route, shape)} HTTP/1.1"]
        lines += [f"{name}: {text}" for name, text in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + sent

    async def ask(self, sent: bytes, *, ends: bool) -> bytes:
        """The whole answer, as bytes; `ends`: nothing more comes, though it was promised."""
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                writer.write(sent)
                if ends:
                    writer.write_eof()
                return await reader.read(MOST_BYTES + 1)
            except ConnectionError:
                return b""
            finally:
                writer.close()


@pytest.fixture
async def door(conn: Connection, pool: Pool, vault: Vault) -> AsyncIterator[Door]:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    await articles.add(conn, weekly.newsletter.id, Draft("1", "One", "en", "https://example.org/1"))
    await digests.create(conn, weekly.newsletter, "weekly", by="staff:anna")
    await feeds.add(conn, weekly.newsletter.id, "https://example.org/feed.xml")
    _, bearer = await access.issue(conn, "fuzzer", SCOPES, 1, by="staff:anna")
    keys = {
        "MAILER_HOOK_MAILGUN": "a-signing-key",
        "MAILER_HOOK_POSTMARK": "user:a-password",
        "MAILER_METRICS_TOKEN": "a-token-of-some-length",
    }
    async with desk.signed_in(pool, vault, "owner", **keys) as seat:
        assert seat.client.app is not None
        kept = seat.client.session.cookie_jar.filter_cookies(seat.client.make_url("/"))
        port = unused_port()
        runner = seat.client.server.runner
        assert isinstance(runner, AppRunner)
        settings = site.settings(MAILER_LISTEN=f"127.0.0.1:{port}")
        known = Door(
            port,
            sorted({resource.canonical for resource in seat.client.app.router.resources()}),
            {
                "slug": ("weekly",),
                "token": [
                    await world.link(conn, vault, ANNA, kind) for kind in ("leave", "manage")
                ],
                "id": (weekly.notices["en"].id, str(seat.member.id), "1"),
                "language": ("en",),
            },
            names(),
            "; ".join(f"{name}={cookie.value}" for name, cookie in kept.items()),
            bearer,
        )
        async with app.listening(runner, settings):
            yield known


def wrong(answer: bytes, sent: bytes) -> list[str]:
    """What is not as it should be."""
    head = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").partition(b"\r\n\r\n")[0]
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): text for name, _, text in (line.partition(": ") for line in lines[1:])}
    about_typed = sent.split(b" ")[1].startswith(b"/staff")
    faults = {
        f"answered {lines[0]}": int(lines[0].split(" ")[1]) >= FAULT,
        "without our headers": not {name.lower() for name in page.HEADERS} <= set(headers),
        "says what it is made with": headers.get("server", "mailer") != "mailer",
        "has no end": len(answer) > MOST_BYTES,
        "names somebody": ANNA.encode() in answer,
        "says in its head what was typed": TYPED.encode() in head and not about_typed,
    }
    return [fault for fault, there in faults.items() if there]


@given(shape=SHAPES)
@hypothesis.settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=times(15),
)
async def test_no_request_to_any_route_gets_anything_but_an_answer_of_ours(
    door: Door, shape: Shape
) -> None:
    for route in door.routes:
        sent = door.request(route, shape)
        began = time.process_time()
        answer = await door.ask(sent, ends=shape.promises)
        took = time.process_time() - began
        found = wrong(answer, sent) if answer or not shape.promises else []
        assert not found, (found, route, sent[:3000])
        assert took < CPU_SECONDS, (took, route, sent[:3000])
