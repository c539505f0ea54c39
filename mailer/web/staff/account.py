"""One's own account: language, password, what one is signed in with."""

from aiohttp import web

from mailer import render, staff
from mailer.web import desk, forms, page
from mailer.web.desk import Who


async def speak(request: web.Request, who: Who) -> web.Response:
    """POST /staff/language: of these pages, and of letters to them."""
    language = forms.one(await forms.read(request), "lang")
    if language in render.DESK:
        async with request.app[page.POOL].acquire() as conn, conn.transaction():
            await staff.set_language(conn, who.account.id, language)
    return desk.see_other(request, desk.back(request))
