"""Pictures of articles, for the mails that show them: one address for everybody, by its content."""

from aiohttp import web

from mailer import pictures
from mailer.web import page

FOR_EVER = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",  # mail programs on the web show it
    "X-Content-Type-Options": "nosniff",
}


async def show(request: web.Request) -> web.Response:
    """GET /picture/SHA256"""
    async with request.app[page.POOL].acquire() as conn:
        found = await pictures.find(conn, bytes.fromhex(request.match_info["sha256"]))
    if found is None:
        raise page.REFUSALS[404]
    return web.Response(body=found.data, content_type=found.type, headers=FOR_EVER)
