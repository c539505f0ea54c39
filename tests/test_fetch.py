"""Fetching: whatever a server does, a fetch ends soon, in an outcome with a sentence."""

import asyncio
import gzip
import json
import os
import re
import signal
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer

from mailer import fetch
from mailer.articles import Draft, Enclosed, Image
from mailer.feeds import Document, Failed, Feed, Fetched, Gone, Unchanged
from mailer.fetch import Limits, Policy, Session, pace
from mailer.fetch.items import Source, Unreadable
from mailer.fetch.parser import read
from mailer.fetch.policy import DENIED
from mailer.fetch.process import Parser

LOOPBACK = Policy(allow=(ip_network("127.0.0.1/32"),))
QUICK = Limits(size=1_000_000, connect=1, silence=0.3, total=2, parse=10)
NOW = datetime(2026, 3, 1, tzinfo=UTC)

RSS = """<?xml version="1.0"?>
<rss version="2.0"><channel><title>Example news</title><language>en-GB</language><ttl>180</ttl>
<item><guid isPermaLink="false">tag:2</guid><title>Второе</title>
<link>https://example.org/2</link></item>
<item><guid isPermaLink="false">tag:1</guid><title>First</title>
<link>https://example.org/1</link></item></channel></rss>"""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def feed(url: str, etag: str | None = None, last_modified: str | None = None) -> Feed:
    return Feed(
        1, 1, url, None, None, etag, last_modified, None, NOW, 0, None,
        gone=False, created_at=NOW, id_host="127.0.0.1",
    )  # fmt: skip


@pytest.fixture
async def session() -> AsyncIterator[Session]:
    async with fetch.session("https://news.example.org", LOOPBACK, QUICK) as opened:
        yield opened


@asynccontextmanager
async def server(**handlers: Handler) -> AsyncIterator[BaseTestServer]:
    """Answers /name with the handler of that name."""
    application = web.Application()
    for name, handler in handlers.items():
        application.router.add_get(f"/{name}", handler)
    async with TestServer(application, host="127.0.0.1") as running:
        yield running


@asynccontextmanager
async def raw(*pieces: bytes, pause: float = 0, hang: bool = False) -> AsyncIterator[str]:
    """A server that sends these bytes whatever it is asked."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause)
            if hang:
                await reader.read()
        except (ConnectionError, EOFError):  # whoever wanted TLS, or had enough
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/"


def answer(
    body: bytes | str = RSS, status: int = 200, seen: list[web.Request] | None = None, **more: str
) -> Handler:
    headers = {name.replace("_", "-"): value for name, value in more.items()}

    async def handler(request: web.Request) -> web.Response:
        if seen is not None:
            seen.append(request)
        content = body.encode() if isinstance(body, str) else body
        return web.Response(body=content, status=status, headers=headers)

    return handler


async def fetched(session: Session, handler: Handler, **known: str) -> Fetched:
    async with server(feed=handler) as running:
        return await fetch.fetch(session, feed(str(running.make_url("/feed")), **known))


def problem(outcome: Fetched) -> str:
    assert isinstance(outcome, Failed)
    assert outcome.problem.endswith(".")
    return outcome.problem


# what servers answer


async def test_a_feed_is_fetched(session: Session) -> None:
    outcome = await fetched(
        session, answer(ETag='W/"1"', Last_Modified="Sun, 01 Mar 2026 00:00:00 GMT")
    )
    assert isinstance(outcome, Document)
    assert (outcome.title, outcome.language, outcome.ttl) == (
        "Example news",
        "en-GB",
        timedelta(hours=3),
    )
    assert outcome.drafts == (
        Draft("tag:2", "Второе", None, "https://example.org/2"),
        Draft("tag:1", "First", None, "https://example.org/1"),
    )
    assert (outcome.etag, outcome.last_modified, outcome.moved) == (
        'W/"1"',
        "Sun, 01 Mar 2026 00:00:00 GMT",
        None,
    )


async def test_it_says_who_asks_and_sends_validators_back_verbatim(session: Session) -> None:
    seen: list[web.Request] = []
    outcome = await fetched(
        session, answer("", 304, seen), etag='W/"a,b"', last_modified="as it came"
    )
    assert outcome == Unchanged()
    headers = seen[0].headers
    assert headers["If-None-Match"] == 'W/"a,b"'
    assert headers["If-Modified-Since"] == "as it came"
    assert re.fullmatch(r"mailer/[\d.]+ \(\+https://news\.example\.org\)", headers["User-Agent"])
    assert "application/rss+xml" in headers["Accept"]
    assert "Cookie" not in headers


async def test_unchanged_since_never_is_no_answer(session: Session) -> None:
    assert "304" in problem(await fetched(session, answer("", 304)))


async def test_gone_is_gone(session: Session) -> None:
    assert await fetched(session, answer("", 410)) == Gone()


@pytest.mark.parametrize("status", [206, 400, 401, 403, 404, 500, 502, 599])
async def test_other_answers_are_failures_that_name_them(session: Session, status: int) -> None:
    assert str(status) in problem(await fetched(session, answer(RSS, status)))


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_in_seconds(session: Session, status: int) -> None:
    outcome = await fetched(session, answer("", status, Retry_After="7200"))
    assert isinstance(outcome, Failed)
    assert outcome.retry_after == timedelta(hours=2)


async def test_retry_after_as_a_date(session: Session) -> None:
    when = (datetime.now(UTC) + timedelta(hours=2)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    outcome = await fetched(session, answer("", 503, Retry_After=when))
    assert isinstance(outcome, Failed)
    assert outcome.retry_after is not None
    assert timedelta(hours=1.9) < outcome.retry_after < timedelta(hours=2.1)


@pytest.mark.parametrize("said", ["soon", "-1", "", "9" * 400, "Sun, 01 Mar 1970 00:00:00 GMT"])
async def test_a_silly_retry_after_is_harmless(session: Session, said: str) -> None:
    outcome = await fetched(session, answer("", 503, Retry_After=said))
    assert isinstance(outcome, Failed)
    assert outcome.retry_after is None or outcome.retry_after > timedelta(days=1)


# redirects


@pytest.mark.parametrize(
    ("statuses", "moved"),
    [
        ([301], "/1"),
        ([308, 301], "/2"),
        ([302], None),
        ([307, 301], None),
        ([301, 302], "/1"),
        ([303], None),
        ([301] * 5, "/5"),
    ],
)
async def test_redirects_are_followed_and_those_for_good_remembered(
    session: Session, statuses: list[int], moved: str | None
) -> None:
    async def handler(request: web.Request) -> web.Response:
        step = int(request.path.strip("/") or 0)
        if step < len(statuses):
            return web.Response(status=statuses[step], headers={"Location": f"/{step + 1}"})
        return web.Response(text=RSS)

    application = web.Application()
    application.router.add_get("/{step:.*}", handler)
    async with TestServer(application, host="127.0.0.1") as running:
        outcome = await fetch.fetch(session, feed(str(running.make_url("/"))))
        assert isinstance(outcome, Document)
        assert outcome.moved == (moved and str(running.make_url(moved)))


async def test_a_loop_of_redirects_ends(session: Session) -> None:
    seen: list[web.Request] = []
    outcome = await fetched(session, answer("", 302, seen, Location="/feed"))
    assert "redirects more than 5 times" in problem(outcome)
    assert len(seen) == 6


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1:70/x", ""]
)
async def test_redirects_lead_to_the_web_only(session: Session, target: str) -> None:
    outcome = await fetched(session, answer("", 302, Location=target))
    assert "not a web address" in problem(outcome)


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.2:{port}/feed",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]:{port}/feed",
        "http://[::ffff:127.0.0.1]:{port}/feed",
        "http://[64:ff9b::7f00:1]/",
        "http://0x7f.0.0.2:{port}/feed",
    ],
)
async def test_redirects_into_private_networks_are_refused(session: Session, target: str) -> None:
    seen: list[web.Request] = []
    async with server(feed=answer(seen=seen)) as victim:
        there = target.format(port=victim.port)
        outcome = await fetched(session, answer("", 302, Location=there))
    assert "private network" in problem(outcome)
    assert seen == []


# which addresses may be asked


async def test_loopback_is_refused_unless_allowed() -> None:
    seen: list[web.Request] = []
    async with fetch.session("https://news.example.org", limits=QUICK) as session:
        for host in ("127.0.0.1", "localhost"):
            async with server(feed=answer(seen=seen)) as running:
                outcome = await fetch.fetch(session, feed(f"http://{host}:{running.port}/feed"))
                assert "private network" in problem(outcome)
    assert seen == []


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "3fff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%1",
        "fec0::1",
        "ff02::1",
        "nonsense",
    ],
)
def test_special_addresses_are_denied(address: str) -> None:
    assert not Policy().permits(address)


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "192.0.1.1",
        "192.167.0.1",
        "198.17.0.1",
        "198.20.0.1",
        "223.255.255.255",
        "2001:200::1",
        "2001:4860:4860::8888",
        "2606:4700::1111",
        "2a00::1",
        "3ffe::1",
    ],
)
def test_public_addresses_are_permitted(address: str) -> None:
    assert Policy().permits(address)


def test_every_network_python_knows_as_special_is_denied() -> None:
    for network in DENIED:
        assert not Policy().permits(str(network[0]))
        assert not Policy().permits(str(network[-1]))
        assert Policy(allow=(network,)).permits(str(network[-1]))


# misbehaviour on the wire


async def test_a_server_that_never_answers(session: Session) -> None:
    async with raw(hang=True) as url:
        assert "too long" in problem(await fetch.fetch(session, feed(url)))


async def test_a_feed_that_trickles_for_ever(session: Session) -> None:
    head = b"HTTP/1.1 200 OK\r\n\r\n<rss>"
    async with raw(head, *[b"<item/>"] * 100, pause=0.1) as url:
        began = asyncio.get_running_loop().time()
        assert "too long" in problem(await fetch.fetch(session, feed(url)))
        assert asyncio.get_running_loop().time() - began < 3


async def test_a_feed_without_end_stops_at_the_limit(session: Session) -> None:
    head = b"HTTP/1.1 200 OK\r\n\r\n<rss>"
    async with raw(head, *[b"x" * 100_000] * 10_000) as url:
        assert "larger than 1 MB" in problem(await fetch.fetch(session, feed(url)))


async def test_what_is_no_http(session: Session) -> None:
    async with raw(b"SSH-2.0-OpenSSH_9.2\r\n") as url:
        assert "HTTP" in problem(await fetch.fetch(session, feed(url)))


async def test_headers_without_end(session: Session) -> None:
    async with raw(b"HTTP/1.1 200 OK\r\nX: ", *[b"x" * 100_000] * 20) as url:
        problem(await fetch.fetch(session, feed(url)))


async def test_a_feed_that_breaks_off(session: Session) -> None:
    async with raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n<rss>") as url:
        assert "broke off" in problem(await fetch.fetch(session, feed(url)))


async def test_a_server_that_is_not_there(session: Session) -> None:
    async with raw() as url:
        pass
    assert "can't be reached" in problem(await fetch.fetch(session, feed(url)))


async def test_a_server_that_speaks_no_tls(session: Session) -> None:
    async with raw(b"HTTP/1.1 200 OK\r\n\r\n") as url:
        problem(await fetch.fetch(session, feed(url.replace("http:", "https:"))))


# compression


@pytest.mark.parametrize(
    ("packed", "encoding"),
    [
        (gzip.compress(RSS.encode()), "gzip"),
        (gzip.compress(RSS.encode()), None),
        (gzip.compress(RSS[:99].encode()) + gzip.compress(RSS[99:].encode()), "gzip"),
        (gzip.compress(RSS.encode()) + b"\0\0\0", "gzip"),
        (zlib.compress(RSS.encode()), "deflate"),
        (zlib.compress(RSS.encode(), wbits=-15), "deflate"),
        (RSS.encode(), "identity"),
        (RSS.encode(), "gzip"),
    ],
)
async def test_compressed_feeds_are_read(
    session: Session, packed: bytes, encoding: str | None
) -> None:
    head = f"Content-Encoding: {encoding}\r\n" if encoding else ""
    async with raw(f"HTTP/1.1 200 OK\r\n{head}\r\n".encode(), packed[:50], packed[50:]) as url:
        outcome = await fetch.fetch(session, feed(url))
    assert isinstance(outcome, Document)
    assert [d.title for d in outcome.drafts] == ["Второе", "First"]


async def test_a_bomb_does_not_unfold(session: Session) -> None:
    bomb = gzip.compress(gzip.compress(b"\0" * 100_000_000))
    once = gzip.decompress(bomb)  # 100 kB that would be 100 MB
    outcome = await fetched(session, answer(once, Content_Encoding="gzip"))
    assert "larger than 1 MB" in problem(outcome)


async def test_broken_compression_is_named(session: Session) -> None:
    packed = gzip.compress(RSS.encode() * 50)
    async with raw(b"HTTP/1.1 200 OK\r\n\r\n", packed[:-20]) as url:
        assert "broke off" in problem(await fetch.fetch(session, feed(url)))
    async with raw(b"HTTP/1.1 200 OK\r\n\r\n", packed[:10] + b"\xff" * 99) as url:
        assert "compression" in problem(await fetch.fetch(session, feed(url)))
    async with raw(b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\n", b"\x0b\x02") as url:
        assert "compressed" in problem(await fetch.fetch(session, feed(url)))


# the parser's own process


async def test_a_parser_that_hangs_is_killed_and_the_next_feed_is_read() -> None:
    parser = Parser(seconds=10)
    source = Source("https://example.org/feed", "example.org", "")
    try:
        await parser.parse(RSS.encode(), source)
        assert parser.running is not None
        first = parser.running.pid
        os.kill(first, signal.SIGSTOP)
        parser.seconds = 0.2
        with pytest.raises(Unreadable, match="too long"):
            await parser.parse(RSS.encode(), source)
        with pytest.raises(ProcessLookupError):
            os.kill(first, 0)
        parser.seconds = 10
        assert len((await parser.parse(RSS.encode(), source)).drafts) == 2
    finally:
        await parser.stop()


async def test_a_parser_that_dies_is_replaced() -> None:
    parser = Parser(seconds=10)
    source = Source("https://example.org/feed", "example.org", "")
    try:
        await parser.parse(RSS.encode(), source)
        assert parser.running is not None
        parser.running.kill()
        with pytest.raises(Unreadable):
            await parser.parse(RSS.encode(), source)
        assert len((await parser.parse(RSS.encode(), source)).drafts) == 2
    finally:
        await parser.stop()


async def test_a_cancelled_fetch_does_not_mix_up_answers() -> None:
    parser = Parser(seconds=10)
    source = Source("https://example.org/feed", "example.org", "")
    try:
        await parser.parse(RSS.encode(), source)
        task = asyncio.create_task(parser.parse(RSS.replace("First", "Other").encode(), source))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        document = await parser.parse(RSS.encode(), source)
        assert [d.title for d in document.drafts] == ["Второе", "First"]
    finally:
        await parser.stop()


async def test_the_parser_knows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILER_SECRET_KEY", "not for parsers")
    parser = Parser(seconds=10)
    try:
        await parser.parse(RSS.encode(), Source("https://example.org/", "example.org", ""))
        assert parser.running is not None
        environ = Path(f"/proc/{parser.running.pid}/environ")
        if environ.exists():
            assert b"MAILER" not in environ.read_bytes()
    finally:
        await parser.stop()


# what feeds say


def parsed(text: str | bytes, content_type: str = "", url: str = "https://example.org/x/feed"):  # type: ignore[no-untyped-def]
    body = text.encode() if isinstance(text, str) else text
    return read(body, Source(url, "example.org", content_type))


def rss(item: str, channel: str = "") -> Draft:
    found: Draft = parsed(
        '<rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/" '
        'xmlns:content="http://purl.org/rss/1.0/modules/content/" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<channel>{channel}<item>{item}</item></channel></rss>"
    ).drafts[0]
    return found


def atom(entry: str, attributes: str = "") -> Draft:
    found: Draft = parsed(
        f'<feed xmlns="http://www.w3.org/2005/Atom" {attributes}><entry>{entry}</entry></feed>'
    ).drafts[0]
    return found


@pytest.mark.parametrize(
    ("markup", "title"),
    [
        ("<title>Fish &amp; chips</title>", "Fish & chips"),
        ("<title>Fish &amp;amp; chips</title>", "Fish & chips"),
        ("<title>5 &lt; 6 &gt; 4</title>", "5 < 6 > 4"),
        ("<title><![CDATA[A <b>bold</b> word]]></title>", "A bold word"),
        ("<title>Vec&lt;T&gt; &amp; co</title>", "Vec<T> & co"),
        ("<title>A &lt;i&gt;b&lt;/i&gt;</title>", "A b"),
        ("<title>Caf&eacute;</title>", "Café"),
        ("<title>a&#x0;b&#xD800;c&#1114112;d</title>", "a\ufffdb\ufffdc\ufffdd"),
        ("<title>{{ 7*7 }}</title>", "{{ 7*7 }}"),
        ("<title>\n  two\n lines </title>", "two lines"),
        ("<title>exe.\u202efdp</title>", "exe.fdp"),
        ("<title></title><description>&lt;p&gt;Only words&lt;/p&gt;</description>", "Only words"),
        ("<link>https://example.org/1</link>", "https://example.org/1"),
    ],
)
def test_titles_of_rss(markup: str, title: str) -> None:
    assert rss(markup).title == title


@pytest.mark.parametrize(
    ("markup", "title"),
    [
        ("<title>1 &lt; 2 &amp;amp; 3</title>", "1 < 2 &amp; 3"),
        ('<title type="text">&lt;b&gt;x&lt;/b&gt;</title>', "<b>x</b>"),
        ('<title type="html">&lt;b&gt;x&lt;/b&gt; &amp;amp; y</title>', "x & y"),
        (
            '<title type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">H<sub>2</sub>O &amp; '
            "&lt;b&gt;</div></title>",
            "H2O & <b>",
        ),
    ],
)
def test_titles_of_atom(markup: str, title: str) -> None:
    assert atom(markup).title == title


def test_identity_is_guid_then_link_then_hash() -> None:
    link = "<link>http://Example.org/a?utm_source=feed&amp;id=1#top</link>"
    assert rss(f"<guid>http://example.org/?p=1</guid>{link}").external_id == (
        "https://example.org/?p=1"
    )
    assert rss(f'<guid isPermaLink="false">17</guid>{link}').external_id == "example.org 17"
    assert rss(f"<guid>17</guid>{link}").external_id == "example.org 17"
    assert rss(f"<title>x</title>{link}").external_id == "https://example.org/a?id=1"
    hashed = rss("<title>x</title><description>y</description>").external_id
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", hashed)
    assert rss("<title>x</title><description>z</description>").external_id != hashed
    assert rss(f"<guid>tag:{'x' * 600}</guid>").external_id.startswith("sha256:")


def test_an_id_is_a_link_only_if_it_looks_like_one() -> None:
    assert rss("<guid>https://example.org/1</guid>").url == "https://example.org/1"
    assert rss("<guid>17</guid>").url is None
    assert rss("<guid>/17</guid><link>/17</link>").url == "https://example.org/17"
    assert atom("<id>tag:example.org,2026:1</id>").url is None


def test_what_is_said_of_a_picture_is_no_summary() -> None:
    picture = (
        '<media:content url="/a.jpg"><media:title>A</media:title>'
        "<media:description>The court, seen from the street</media:description></media:content>"
    )
    for item in (
        f"<title>T</title><description>Ruling</description>{picture}",
        f"{picture}<title>T</title><description>Ruling</description>",
    ):
        assert (rss(item).title, rss(item).summary) == ("T", "Ruling")
    assert rss(f"<title>T</title>{picture}").summary == "The court, seen from the street"


def test_categories_and_pictures() -> None:
    given = ("<category>Courts</category>", "<category>Prisons, jails</category>")
    said = "".join(given) + "<dc:subject>Courts</dc:subject>"
    thumbnail = '<media:thumbnail url="/small.jpg"/>'
    draft = rss(f"<title>T</title>{said}{thumbnail}")
    assert draft.categories == ("Courts", "Prisons, jails")
    assert draft.image == Image("https://example.org/small.jpg")
    assert atom('<category term="c" label="Courts"/><category term="d"/>').categories == (
        "Courts",
        "d",
    )
    whole = {
        "version": "https://jsonfeed.org/version/1.1",
        "items": [{"id": "1", "title": "T", "tags": ["a", 5, "a"], "image": "/a.jpg"}],
    }
    (item,) = parsed(json.dumps(whole)).drafts
    assert (item.categories, item.image) == (("a",), Image("https://example.org/a.jpg"))


async def test_when_to_ask_again_crosses_the_pipe() -> None:
    text = """<rss version="2.0"><channel><title>News</title><ttl>90</ttl><skipDays>
    <day>Sunday</day></skipDays><skipHours><hour>3</hour></skipHours><item><title>A</title></item></channel></rss>"""
    reader = Parser(10)
    try:
        found = await reader.parse(text.encode(), Source("https://example.org/", "example.org", ""))
    finally:
        await reader.stop()
    assert (found.ttl, found.skip_hours, found.skip_days) == (timedelta(minutes=90), (3,), (0,))


async def test_categories_and_pictures_cross_the_pipe() -> None:
    item = '<title>T</title><category>c</category><media:thumbnail url="/a.jpg"/>'
    body = (
        '<rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/"><channel><item>'
        f"{item}</item></channel></rss>"
    ).encode()
    source = Source("https://example.org/x/feed", "example.org", "")
    parser = Parser(seconds=10)
    try:
        assert await parser.parse(body, source) == read(body, source)
    finally:
        await parser.stop()


# when to ask again


def paced(channel: str) -> Document:
    found: Document = parsed(f"""<rss version="2.0" xmlns:sy="http://purl.org/rss/1.0/modules/syndication/">
    <channel><title>News</title>{channel}<item><title>A</title><hour>7</hour><day>Monday</day>
    <link>https://example.org/1</link></item></channel></rss>""")
    return found


@pytest.mark.parametrize(
    ("channel", "hours"),
    [
        ("<ttl>180</ttl>", 3),
        ("<sy:updatePeriod>daily</sy:updatePeriod>", 24),
        ("<sy:updatePeriod> Daily </sy:updatePeriod><sy:updateFrequency>4</sy:updateFrequency>", 6),
        ("<sy:updatePeriod>weekly</sy:updatePeriod><sy:updateFrequency>7</sy:updateFrequency>", 24),
        ("<sy:updatePeriod>daily</sy:updatePeriod><sy:updateFrequency>0</sy:updateFrequency>", 24),
        ("<sy:updatePeriod>daily</sy:updatePeriod><sy:updateFrequency>x</sy:updateFrequency>", 24),
        ("<ttl>60</ttl><sy:updatePeriod>daily</sy:updatePeriod>", 24),
        ("<ttl>600</ttl><sy:updatePeriod>hourly</sy:updatePeriod>", 10),
    ],
)
def test_how_often_a_feed_wants_to_be_asked(channel: str, hours: int) -> None:
    assert paced(channel).ttl == timedelta(hours=hours)


@pytest.mark.parametrize(
    "channel",
    ["", "<ttl>soon</ttl>", "<sy:updateFrequency>4</sy:updateFrequency>",
     "<sy:updatePeriod>sometimes</sy:updatePeriod>"],
)  # fmt: skip
def test_a_feed_that_says_nothing_of_it(channel: str) -> None:
    found = paced(channel)
    assert (found.ttl, found.skip_hours, found.skip_days) == (None, (), ())


def test_hours_and_days_in_which_nobody_should_ask() -> None:
    found = paced(
        "<skipHours><hour>1</hour><hour>24</hour> <hour> 13 </hour><hour>25</hour><hour/>"
        "<hour>-2</hour></skipHours><skipDays><day>Sunday</day><day>saturday</day><day>Caturday"
        "</day></skipDays>"
    )
    assert found.skip_hours == (0, 1, 13)
    assert found.skip_days == (0, 6)


def test_a_feed_that_is_never_to_be_asked_is_asked() -> None:
    hours = "".join(f"<hour>{hour}</hour>" for hour in range(24))
    days = "".join(f"<day>{day}</day>" for day in pace.DAYS)
    found = paced(f"<skipHours>{hours}</skipHours><skipDays>{days}</skipDays>")
    assert (found.skip_hours, found.skip_days) == ((), ())


async def test_a_feed_nested_without_end_does_no_harm(session: Session) -> None:
    for nested in ("<a>" * 300_000, "<item>" * 50_000, "<media:group>" * 100_000):
        outcome = await fetched(session, answer(RSS.replace("</item>", nested, 1)[:999_000]))
        assert isinstance(outcome, Document | Failed)


def test_relative_links_follow_xml_base() -> None:
    draft = atom(
        '<link href="2026/1"/><link rel="enclosure" href="a.pdf"/>'
        '<summary type="html">&lt;a href="b"&gt;b&lt;/a&gt;</summary><title>x</title>',
        'xml:base="https://site.example.org/news/"',
    )
    assert draft.url == "https://site.example.org/news/2026/1"
    assert draft.summary == '<a href="https://site.example.org/news/b">b</a>'
    assert draft.attachments[0].url == "https://site.example.org/news/a.pdf"
    assert rss("<link>/1</link>").url == "https://example.org/1"


def test_enclosures_of_every_kind() -> None:
    enclosure = '<enclosure url="https://example.org/a%20b.pdf" length="{}" type="{}"/>'
    name = "a b.pdf"
    url = "https://example.org/a%20b.pdf"
    pdf = "application/pdf"
    assert rss(enclosure.format(311296, pdf)).attachments == (Enclosed(name, url, pdf, 311296),)
    for unknown in ("0", "", "-5", "12 KB", "9" * 30):
        assert rss(enclosure.format(unknown, pdf)).attachments == (Enclosed(name, url, pdf),)
    assert rss(enclosure.format(1, "nonsense")).attachments == (Enclosed(name, url, None, 1),)
    media = f'<media:content url="{url}" fileSize="5" type="{pdf}" lang="ru"/>'
    assert rss(media).attachments == (Enclosed(name, url, pdf, 5, "ru"),)
    assert rss(f"<media:group>{media}</media:group>").attachments == rss(media).attachments
    assert rss(media + enclosure.format(5, pdf)).attachments == (Enclosed(name, url, pdf, 5),)
    link = f'<link rel="enclosure" href="{url}" title="Приказ №660.pdf" hreflang="ru"/>'
    assert atom(link).attachments == (Enclosed("Приказ №660.pdf", url, None, None, "ru"),)
    assert rss('<enclosure url="javascript:alert(1)"/>').attachments == ()


def test_several_enclosures_keep_their_order() -> None:
    many = "".join(f'<enclosure url="https://example.org/{n}.pdf"/>' for n in (3, 1, 2))
    assert [a.name for a in rss(many).attachments] == ["3.pdf", "1.pdf", "2.pdf"]


def test_languages_of_items_and_feeds() -> None:
    assert parsed(RSS).language == "en-GB"
    assert rss("<title>x</title>", "<language>en</language>").language is None
    assert rss("<title>x</title><dc:language>ru</dc:language>").language == "ru"
    assert atom('<title xml:lang="ru">x</title>', 'xml:lang="en"').language == "ru"
    assert atom("<title>x</title>", 'xml:lang="en"').language is None


@pytest.mark.parametrize(
    ("date", "read_as"),
    [
        ("Sun, 01 Mar 2026 12:00:00 +0300", datetime(2026, 3, 1, 9, tzinfo=UTC)),
        ("2026-03-01T12:00:00Z", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("yesterday", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", None),
        ("Fri, 01 Jan 2999 00:00:00 GMT", None),
        ("Mon, 32 Foo 20260 99:99:99 XYZ", None),
        ("", None),
    ],
)
def test_dates(date: str, read_as: datetime | None) -> None:
    assert rss(f"<title>x</title><pubDate>{date}</pubDate>").published_at == read_as


def test_script_in_a_feed_does_not_pass() -> None:
    text = "&lt;script&gt;x&lt;/script&gt;&lt;img src=x onerror=y&gt;&lt;b onclick=z&gt;b&lt;/b&gt;"
    assert rss(f"<title>{text}</title><description>{text}</description>").summary == "<b>b</b>"
    assert rss(f"<title>{text}</title>").title == "b"


def test_the_full_text_serves_where_there_is_no_summary() -> None:
    content = "<content:encoded><![CDATA[<p>All</p>]]></content:encoded>"
    assert rss(content).summary == "<p>All</p>"
    assert rss(f"<description>Part</description>{content}").summary == "Part"
    assert atom("<summary>1 &lt; 2</summary>").summary == "1 &lt; 2"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (RSS.encode(), "text/xml; charset=iso-8859-1"),
        (RSS.encode(), "text/xml; charset=windows-1251"),
        (RSS.encode(), "text/html"),
        (RSS.encode("utf-8-sig"), ""),
        (RSS.encode("utf-16"), ""),
        (RSS.replace("?>", ' encoding="windows-1251"?>', 1).encode("windows-1251"), ""),
        (
            RSS.replace("?>", ' encoding="koi8-r"?>', 1).encode("koi8-r"),
            "text/xml; charset=iso-8859-1",
        ),
        (RSS.encode("windows-1251"), "text/xml; charset=windows-1251"),
        (RSS.encode(), "text/xml; charset=no-such-thing"),
        (RSS.replace("?>", ' encoding="windows-1251"?>', 1).encode(), "text/xml"),
    ],
)
def test_charsets_right_and_wrong(body: bytes, content_type: str) -> None:
    assert parsed(body, content_type).drafts[0].title == "Второе"


def test_a_feed_that_is_not_well_formed_is_read_as_far_as_it_goes() -> None:
    broken = RSS.replace("<title>First</title>", "<title>First & <b>last</title>")
    assert [d.title for d in parsed(broken).drafts] == ["Второе", "First & last"]
    assert [d.title for d in parsed(RSS[: RSS.rindex("<item>")]).drafts] == ["Второе"]


@pytest.mark.parametrize(
    "stumble", ["<image><width/></image>", "<enclosure/>", "</link>", "<height>x</height>"]
)
def test_an_element_that_makes_no_sense_costs_only_itself(stumble: str) -> None:
    broken = RSS.replace("<title>First</title>", f"<title>First</title>{stumble}")
    assert [d.title for d in parsed(broken).drafts] == ["Второе", "First"]


def test_json_feeds() -> None:
    given = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": "Example news",
        "language": "ru",
        "items": [
            {
                "id": 17,
                "url": "/17",
                "title": "Приказ",
                "content_html": "<p onclick=x>See <a href='annex'>annex</a></p>",
                "date_published": "2026-03-01T12:00:00+03:00",
                "language": "en",
                "attachments": [
                    {"url": "a.pdf", "mime_type": "application/pdf", "size_in_bytes": 5},
                    {"url": "https://example.org/b.pdf", "title": "Annex"},
                    {"url": 5},
                    "nonsense",
                ],
            },
            {"content_text": "1 < 2"},
            "nonsense",
        ],
    }
    document = parsed(json.dumps(given))
    assert (document.title, document.language) == ("Example news", "ru")
    first, second = document.drafts
    assert (first.external_id, first.url, first.language) == (
        "example.org 17",
        "https://example.org/17",
        "en",
    )
    assert first.summary == '<p>See <a href="https://example.org/annex">annex</a></p>'
    assert first.published_at == datetime(2026, 3, 1, 9, tzinfo=UTC)
    assert first.attachments == (
        Enclosed("a.pdf", "https://example.org/a.pdf", "application/pdf", 5),
        Enclosed("Annex", "https://example.org/b.pdf"),
    )
    assert (second.title, second.summary) == ("1 < 2", "1 &lt; 2")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "not a feed"),
        ("hello", "not a feed"),
        ("<!doctype html><html><body><p>Welcome</p></body></html>", "web page"),
        ("{}", "not a JSON Feed"),
        ('{"version": 1, "items": {}}', "not a JSON Feed"),
        ("{", "broken JSON"),
        ("{" * 100_000, "broken JSON"),
        (b"\0" * 1000, "not a feed"),
        ("<rss><channel>" + "<item/>" * 10_001 + "</channel></rss>", "more than 10,000"),
    ],
)
def test_what_is_no_feed_is_said(body: str | bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        parsed(body)


async def test_entities_that_unfold_without_end_do_no_harm(session: Session) -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f'<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY l0 "ha">{laughs}]>' + RSS[
        RSS.index("<rss") :
    ].replace("First", "&l11;")
    outcome = await fetched(session, answer(bomb))
    assert isinstance(outcome, Document | Failed)
    if isinstance(outcome, Document):
        assert all(len(d.title) <= 500 for d in outcome.drafts)


def test_files_of_this_machine_stay_here() -> None:
    evil = '<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY f SYSTEM "file:///etc/passwd">]>' + RSS[
        RSS.index("<rss") :
    ].replace("First", "&f;")
    assert "root:" not in str(parsed(evil))
