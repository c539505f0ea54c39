"""What was brought over, and a file on its way: sealed piece by piece as it comes."""

from collections.abc import AsyncIterator

from aiohttp import BodyPartReader, MultipartReader, web

from mailer import acts, imports, newsletters, staff
from mailer.errors import Conflict, Invalid, Refusal, Unknown
from mailer.imports import files
from mailer.web import desk, page
from mailer.web.desk import Who

LISTED = 50
NAME_BYTES = 100
"""A slug is shorter."""


async def listing(request: web.Request, who: Who) -> web.StreamResponse:
    """GET /staff/import"""
    return await listed(request, who, None, "")


async def listed(
    request: web.Request, who: Who, fault: Refusal | None, chosen: str
) -> web.StreamResponse:
    async with request.app[page.POOL].acquire() as conn:
        brought = (await imports.all_(conn))[:LISTED]
        known = await newsletters.all_(conn)
        names = await staff.names(conn, request.app[page.VAULT])
    return desk.answer(
        request,
        who,
        "staff/imports.html",
        status=page.STATUS[type(fault)] if fault else 200,
        faults=desk.refused(request, who, fault) if fault else {},
        imports=brought,
        newsletters=known,
        chosen=chosen,
        names=names,
        most=files.MOST_BYTES >> 20,
    )


async def upload(request: web.Request, who: Who) -> web.StreamResponse:
    """POST /staff/import: a newsletter, and then a file of any length up to MOST_BYTES"""
    slug = ""
    try:
        if request.content_type != "multipart/form-data":
            raise Invalid("Choose a file.", field="file")
        parts = await request.multipart()
        slug = await named(parts)
        file = await part(parts, "file")
        if file is None or not file.filename:
            raise Invalid("Choose a file.", field="file")
        id_ = await kept(request, who, slug, file)
    except (Invalid, Unknown, Conflict) as fault:
        return await listed(request, who, fault, slug)
    return desk.see_other(request, f"/staff/import/{id_}")


async def named(parts: MultipartReader) -> str:
    """The newsletter, which stands before the file."""
    first = await part(parts, "newsletter")
    text = await first.read_chunk(NAME_BYTES) if first is not None else b""
    if not text:
        raise Invalid("Choose a newsletter.", field="newsletter")
    return text.decode(errors="replace")


async def part(parts: MultipartReader, name: str) -> BodyPartReader | None:
    """The next part, if it is that one."""
    try:
        found = await parts.next()
    except ValueError:  # what aiohttp says of a body that isn't one
        return None
    return found if isinstance(found, BodyPartReader) and found.name == name else None


async def kept(request: web.Request, who: Who, slug: str, file: BodyPartReader) -> int:
    """All of it, or nothing: its number."""
    pool, keys = request.app[page.POOL], request.app[page.VAULT]
    async with pool.acquire() as conn, conn.transaction():
        terms = await imports.terms(conn, await newsletters.find(conn, slug), documented=False)
        id_ = await imports.begin(conn, terms, by=who.actor)
        await files.keep(conn, id_)
        house = await files.house(conn, keys)
    try:
        number = 0
        async for piece in pieces(file):
            async with pool.acquire() as conn, conn.transaction():
                await files.put(conn, house, id_, number, piece)
            number += 1
        if not number:
            raise Invalid("The file is empty.", field="file")
        async with pool.acquire() as conn, conn.transaction():
            await acts.record(conn, keys, who.actor, "import.uploaded", str(id_))
    except BaseException:
        async with pool.acquire() as conn, conn.transaction():
            await imports.drop(conn, id_)
        raise
    return id_


async def pieces(file: BodyPartReader) -> AsyncIterator[bytes]:
    """Of one size but for the last. Raises Invalid behind MOST_BYTES."""
    held, length = bytearray(), 0
    while chunk := await file.read_chunk(1 << 16):
        length += len(chunk)
        if length > files.MOST_BYTES:
            raise Invalid(
                "The file is larger than {most} MB: divide it into several.",
                field="file",
                most=files.MOST_BYTES >> 20,
            )
        held += chunk
        while len(held) >= files.PIECE_BYTES:
            yield bytes(held[: files.PIECE_BYTES])
            del held[: files.PIECE_BYTES]
    if held:
        yield bytes(held)
