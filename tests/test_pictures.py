"""Pictures: brought once, from the public internet only, kept by their content, shown from here."""

import asyncio
import hashlib
import io
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from ipaddress import ip_network

import PIL.Image
import PIL.PngImagePlugin
import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer
from hypothesis import given
from hypothesis import strategies as st

from mailer import articles, digests, editions, fetch, newsletters, pictures
from mailer.articles import Draft, Image
from mailer.config import Settings
from mailer.db import Connection, Pool
from mailer.fetch import Limits, Policy, Session
from mailer.fetch.image import MOST_BYTES, measured
from mailer.fetch.redraw import redrawn
from mailer.pictures import Picture
from mailer.vault import Vault
from tests import site, world

LOOPBACK = Policy(allow=(ip_network("127.0.0.1/32"),))
QUICK = Limits(connect=1, silence=0.5, total=3)
URL = "https://example.org/map.png"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int) -> bytes:
    """A whole picture in grey."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + b"\x80" * width for _ in range(height)))
    whole = chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + whole


def jpeg(width: int, height: int) -> bytes:
    """Its headers: a comment, tables, and the frame."""
    comment = b"\xff\xfe\x00\x04hi" + b"\xff\xc4\x00\x05abc"
    return b"\xff\xd8" + comment + b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", height, width)


MAP = png(640, 400)
SHAPES = {
    "image/png": MAP,
    "image/jpeg": jpeg(640, 400),
    "image/gif": b"GIF89a" + struct.pack("<HH", 640, 400),
    "image/webp": b"RIFF....WEBPVP8X" + bytes(8) + (639).to_bytes(3, "little")
    + (399).to_bytes(3, "little"),
}  # fmt: skip


@pytest.mark.parametrize("kind", SHAPES)
def test_what_it_is_is_told_by_its_bytes(kind: str) -> None:
    assert measured(SHAPES[kind]) == Picture(kind, 640, 400, SHAPES[kind])


def test_other_kinds_of_webp() -> None:
    lossless = b"RIFF....WEBPVP8L...." + b"\x2f" + struct.pack("<I", 639 | 399 << 14)
    lossy = b"RIFF....WEBPVP8 " + bytes(10) + struct.pack("<HH", 640, 400)
    for data in (lossless, lossy):
        found = measured(data)
        assert found is not None
        assert (found.width, found.height) == (640, 400)


@pytest.mark.parametrize(
    "data",
    [b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<html>", MAP[:20], png(1, 1),
     jpeg(640, 400)[:-3], b"\xff\xd8\xff\xe0\xff", b"RIFF....AVI LIST" + bytes(40),
     b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 99999, 9, 8, 0, 0, 0, 0))],
)  # fmt: skip
def test_what_is_no_picture_to_look_at_is_refused(data: bytes) -> None:
    assert measured(data) is None


@given(st.sampled_from(sorted(SHAPES)), st.binary(max_size=80))
def test_any_bytes_after_a_good_beginning_are_harmless(kind: str, noise: bytes) -> None:
    measured(SHAPES[kind][:12] + noise)
    measured(SHAPES[kind][:4] + noise)


# fetching


@pytest.fixture
async def session() -> AsyncIterator[Session]:
    async with fetch.session("https://news.example.org", LOOPBACK, QUICK) as opened:
        yield opened


@asynccontextmanager
async def server() -> AsyncIterator[BaseTestServer]:
    async def picture(_: web.Request) -> web.Response:
        return web.Response(body=MAP, content_type="text/html")  # servers say what they like

    async def moved(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "/map.png"})

    async def inward(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "http://10.0.0.1/x.png"})

    async def huge(_: web.Request) -> web.Response:
        return web.Response(body=MAP + bytes(MOST_BYTES))

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<html>")

    application = web.Application()
    for path, answer in (
        ("map.png", picture), ("moved", moved), ("inward", inward), ("huge", huge), ("page", page)
    ):  # fmt: skip
        application.router.add_get(f"/{path}", answer)
    async with TestServer(application, host="127.0.0.1") as running:
        yield running


@pytest.mark.parametrize(
    ("path", "outcome"),
    [("map.png", Picture), ("moved", Picture), ("inward", "could not be had"),
     ("huge", "could not be had"), ("page", "no JPEG"), ("away", "does not have it")],
)  # fmt: skip
async def test_a_picture_is_fetched_or_it_is_said_why_not(
    session: Session, path: str, outcome: object
) -> None:
    async with server() as running:
        found = await fetch.fetch_picture(session, str(running.make_url(f"/{path}")))
    if isinstance(outcome, str):
        assert isinstance(found, str)
        assert outcome in found
    else:
        assert isinstance(found, Picture)
        assert (found.type, found.width, found.height) == ("image/png", 640, 400)


# drawing anew


def photo(kind: str, size: tuple[int, int] = (400, 200), **more: object) -> bytes:
    """Left half red, right half blue; with where it was taken, by whom and on what."""
    image = PIL.Image.new("RGB", size, "red")
    image.paste("blue", (size[0] // 2, 0, *size))
    exif = PIL.Image.Exif()
    exif[0x010F] = "SECRET camera"
    exif.get_ifd(0x8825).update({1: "N", 2: (55.0, 45.0, 7.0), 29: "SECRET day"})
    if turned := more.pop("turned", None):
        exif[0x0112] = turned
    out = io.BytesIO()
    image.save(out, kind, exif=exif, **more)
    return out.getvalue()


def colour(image: PIL.Image.Image, x: int, y: int) -> str:
    """The strongest of a pixel's."""
    pixel = image.convert("RGB").crop((x, y, x + 1, y + 1)).tobytes()
    return ("red", "green", "blue")[pixel.index(max(pixel))]


def noted() -> PIL.PngImagePlugin.PngInfo:
    notes = PIL.PngImagePlugin.PngInfo()
    notes.add_text("Author", "SECRET name")
    notes.add_itxt("XML:com.adobe.xmp", "<x>SECRET place</x>")
    return notes


@pytest.mark.parametrize(
    ("data", "type_"),
    [
        (photo("JPEG", comment=b"SECRET remark", xmp=b"<x>SECRET</x>", quality=95), "image/jpeg"),
        (photo("PNG", pnginfo=noted()), "image/png"),
        (photo("WEBP", xmp=b"<x>SECRET</x>"), "image/jpeg"),
        (photo("GIF", comment=b"SECRET remark"), "image/png"),
    ],
    ids=["JPEG", "PNG", "WebP", "GIF"],
)
async def test_of_a_picture_stays_what_is_seen_alone(data: bytes, type_: str) -> None:
    assert b"SECRET" in data
    drawn = await redrawn(data + b"SECRET appendix")
    assert drawn is not None
    found = measured(drawn)
    assert found is not None
    assert (found.type, found.width, found.height) == (type_, 400, 200)
    assert b"SECRET" not in drawn
    with PIL.Image.open(io.BytesIO(drawn)) as image:
        assert not image.getexif()
        assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert colour(image, 50, 100) == "red"


async def test_one_that_was_held_sideways_stands_upright() -> None:
    drawn = await redrawn(photo("JPEG", turned=6))
    assert drawn is not None
    with PIL.Image.open(io.BytesIO(drawn)) as image:
        assert image.size == (200, 400)
        assert [colour(image, 100, y) for y in (50, 350)] == ["red", "blue"]


async def test_a_large_one_becomes_as_large_as_a_mail_needs() -> None:
    drawn = await redrawn(photo("JPEG", (4000, 3000)))
    assert drawn is not None
    found = measured(drawn)
    assert found is not None
    assert (found.width, found.height) == (1072, 804)


@pytest.mark.parametrize(
    "data", [SHAPES["image/jpeg"], MAP[:60], b"", b"<svg/>", png(7999, 7999)[:4000]]
)
async def test_what_can_not_be_decoded_is_none(data: bytes) -> None:
    assert await redrawn(data) is None


# keeping


async def pictured(conn: Connection, vault: Vault, *, images: bool = True) -> None:
    weekly = (await world.make(conn, vault)).newsletter
    await newsletters.change(conn, weekly, images=images)
    draft = Draft("1", "One", "en", "https://example.org/1", image=Image(URL, "A map"))
    await articles.add(conn, weekly.id, draft)


async def test_one_worker_gets_it_and_it_is_kept_by_its_content(
    conn: Connection, pool: Pool, vault: Vault
) -> None:
    await pictured(conn, vault)

    async def claim() -> str | None:
        async with pool.acquire() as own, own.transaction():
            return await pictures.claim(own)

    assert sorted(filter(None, await asyncio.gather(*(claim() for _ in range(4))))) == [URL]
    assert await pictures.frames(conn, [URL]) == {}
    await pictures.keep(conn, URL, Picture("image/png", 640, 400, MAP))
    frame = (await pictures.frames(conn, [URL]))[URL]
    assert frame.sha256 == hashlib.sha256(MAP).digest()
    assert await pictures.find(conn, frame.sha256) == Picture("image/png", 640, 400, MAP)
    assert await claim() is None


async def test_one_that_can_not_be_had_is_tried_a_few_times(conn: Connection, vault: Vault) -> None:
    await pictured(conn, vault)
    for _ in range(pictures.ATTEMPTS):
        assert await pictures.claim(conn) == URL
        await pictures.fail(conn, URL, "Its server does not have it.")
        assert await pictures.claim(conn) is None, "not at once"
        await conn.execute("update picture set due_at = due_at - $1::interval", timedelta(hours=1))
    assert await pictures.claim(conn) is None


async def test_none_is_brought_for_a_newsletter_that_wants_none(
    conn: Connection, vault: Vault
) -> None:
    await pictured(conn, vault, images=False)
    assert await pictures.claim(conn) is None


# showing


async def test_it_is_shown_to_anybody_for_ever_and_says_nothing_of_whoever_asks(
    conn: Connection, pool: Pool, vault: Vault
) -> None:
    await pictured(conn, vault)
    await pictures.claim(conn)
    await pictures.keep(conn, URL, Picture("image/png", 640, 400, MAP))
    frame = (await pictures.frames(conn, [URL]))[URL]
    async with site.opened(pool, vault) as client:
        answer = await client.get(frame.path)
        assert (answer.status, await answer.read()) == (200, MAP)
        assert answer.content_type == "image/png"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert "immutable" in answer.headers["Cache-Control"]
        assert "Set-Cookie" not in answer.headers
        assert (await client.get(f"/picture/{'0' * 64}")).status == 404


# forgetting


async def test_one_goes_when_no_mail_shows_it_and_no_digest_will(
    conn: Connection, vault: Vault, settings: Settings
) -> None:
    await pictured(conn, vault)
    await pictures.claim(conn)
    await pictures.keep(conn, URL, Picture("image/png", 640, 400, MAP))
    weekly = await newsletters.find(conn, "weekly")
    assert await pictures.forget(conn, 10) == 0, "it may come into a digest"
    digest = await digests.create(conn, weekly, "weekly", by="staff:anna")
    await conn.execute("update article set seen_at = seen_at - interval '40 days'")
    assert await pictures.forget(conn, 10) == 0, "it is in a draft"
    await editions.approve(conn, settings, digest, by="staff:anna", despite_warnings=True)
    await editions.begin(conn, settings, digest)
    await conn.execute("update article set image_url = null, image_alt = null")
    assert await pictures.forget(conn, 10) == 0, "mails show it, whatever its article does"
    await conn.execute("delete from edition")
    assert await pictures.unwanted(conn) == 1
    assert await pictures.forget(conn, 10) == 1
    assert await pictures.forget(conn, 10) == 0
