"""The consent log in public, as C2SP tlog-tiles has it: anybody may check that it only grows."""

from aiohttp import web

from mailer import log
from mailer.log.notes import Checkpoint
from mailer.web import page

TEXT = {"Cache-Control": "no-cache"}
BYTES = {"Cache-Control": page.FOREVER}

NUMBER = r"{number:(?:x\d{3}/)*\d{3}}"
WIDTH = r"{width:(?:\.p/[1-9]\d{0,2})?}"
LEVEL = r"{level:\d|[1-5]\d|6[0-3]}"


async def checkpoint(request: web.Request) -> web.Response:
    """GET /log/checkpoint"""
    return web.Response(text=(await signed(request)).note, headers=TEXT)


async def key(request: web.Request) -> web.Response:
    """GET /log/key: what verifies the checkpoint's signature, as signed-note spells it."""
    async with request.app[page.POOL].acquire() as conn:
        found = await log.key(conn, request.app[page.VAULT])
    return web.Response(text=f"{found}\n", headers=TEXT)


async def tile(request: web.Request) -> web.Response:
    """GET /log/tile/L/N[.p/W]"""
    place = int(request.match_info["level"]), number(request)
    latest = await signed(request)
    async with request.app[page.POOL].acquire() as conn:
        found = await log.tile(conn, latest, place, width(request))
    return binary(found)


async def entries(request: web.Request) -> web.Response:
    """GET /log/tile/entries/N[.p/W]"""
    latest = await signed(request)
    async with request.app[page.POOL].acquire() as conn:
        keys = request.app[page.VAULT]
        found = await log.bundle(conn, keys, latest, number(request), width(request))
    return binary(found)


async def signed(request: web.Request) -> Checkpoint:
    async with request.app[page.POOL].acquire() as conn:
        found = await log.checkpoint(conn, request.app[page.VAULT])
    if found is None:
        raise page.REFUSALS[404]
    return found


def number(request: web.Request) -> int:
    """x001/x234/067 is 1234067; spelt in another way it is nothing. Too long: it is not there."""
    parts = request.match_info["number"].split("/")
    if (len(parts) > 1 and parts[0] == "x000") or len(parts) > 5:
        raise page.REFUSALS[404]
    return int("".join(part.removeprefix("x") for part in parts))


def width(request: web.Request) -> int:
    partial = int(request.match_info["width"].removeprefix(".p/") or 0)
    if partial >= log.tree.TILE_WIDTH:
        raise page.REFUSALS[404]
    return partial or log.tree.TILE_WIDTH


def binary(found: bytes | None) -> web.Response:
    if found is None:
        raise page.REFUSALS[404]
    return web.Response(body=found, content_type="application/octet-stream", headers=BYTES)
