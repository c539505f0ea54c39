"""The first page: how things stand."""

from aiohttp import web

from mailer.web import desk
from mailer.web.desk import Who


async def show(request: web.Request, who: Who) -> web.Response:
    """GET /staff"""
    return desk.answer(request, who, "staff/home.html")
