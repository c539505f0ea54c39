"""Fetching a picture: from the public internet only, nothing but a picture, and of it nothing but
what is to be seen."""

import asyncio
import struct
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from mailer.articles.cleaning import address
from mailer.fetch.body import Trouble, body
from mailer.fetch.redraw import redrawn
from mailer.pictures import Picture

if TYPE_CHECKING:
    from mailer.fetch import Session

ACCEPT = "image/jpeg, image/png, image/gif, image/webp"
MOST_BYTES = 2_000_000
MOST_PIXELS = 8_000
FEWEST_PIXELS = 32
"""A side of what is to be looked at."""

REDIRECTS = (301, 302, 303, 307, 308)

Size = tuple[int, int]


async def fetch(session: "Session", url: str) -> Picture | str:
    """The picture, or in a sentence why not. Nothing is raised for what a server does."""
    try:
        async with asyncio.timeout(session.limits.total):
            data = await ask(session, url)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError, Trouble) as error:
        return f"It could not be had ({type(error).__name__})."
    if data is None:
        return "Its server does not have it."
    if measured(data) is None:
        return "It is no JPEG, PNG, GIF or WebP of a usual size."
    drawn = await redrawn(data)
    return (measured(drawn) if drawn else None) or "It is too broken or too large to be shown."


async def ask(session: "Session", url: str) -> bytes | None:
    for _ in range(session.limits.hops + 1):
        async with session.http.get(
            URL(url, encoded=True), headers={"Accept": ACCEPT}, allow_redirects=False
        ) as answer:
            if answer.status == HTTPStatus.OK:
                return await body(answer, MOST_BYTES)
            if answer.status not in REDIRECTS:
                return None
            target = address(answer.headers.get("Location", ""), url)
            if target is None:
                return None
            url = target
    return None


# what it is, by its bytes


def measured(data: bytes) -> Picture | None:
    """None: it is no picture that mail programs show, or one that is not meant to be seen."""
    for type_, start, size in FORMATS:
        if data.startswith(start):
            try:
                width, height = size(data)
            except (struct.error, IndexError, ValueError):
                return None
            fits = all(FEWEST_PIXELS <= side <= MOST_PIXELS for side in (width, height))
            return Picture(type_, width, height, data) if fits else None
    return None


def png(data: bytes) -> Size:
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def gif(data: bytes) -> Size:
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height


def jpeg(data: bytes) -> Size:
    """From the header of its frame, which stands after others of any length (ITU T.81, B.1)."""
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        at += 2 + int(struct.unpack_from(">H", data, at + 2)[0])
    raise ValueError


def webp(data: bytes) -> Size:
    """RFC 9649: lossy, lossless or extended."""
    kind = data[12:16]
    if data[8:12] != b"WEBP":
        raise ValueError
    if kind == b"VP8X":
        return (
            1 + int.from_bytes(data[24:27], "little"),
            1 + int.from_bytes(data[27:30], "little"),
        )
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError


FORMATS: tuple[tuple[str, bytes, Callable[[bytes], Size]], ...] = (
    ("image/png", b"\x89PNG\r\n\x1a\n", png),
    ("image/jpeg", b"\xff\xd8\xff", jpeg),
    ("image/gif", b"GIF8", gif),
    ("image/webp", b"RIFF", webp),
)
