"""From the confirm step on: start it, see how far it is, stop it."""

from aiohttp import web

from mailer import acts, imports
from mailer.db import Connection
from mailer.errors import Refusal
from mailer.imports import Manner
from mailer.web import desk, forms, page
from mailer.web.desk import Who
from mailer.web.lists import named, reading
from mailer.web.lists.reading import Told


async def start(request: web.Request, who: Who) -> web.StreamResponse:
    """POST /staff/import/NUMBER/start"""
    sent = await forms.read(request)
    id_, pool = named.number(request), request.app[page.POOL]
    try:
        async with pool.acquire() as conn, conn.transaction():
            await imports.start(conn, id_, again=forms.one(sent, "again") == "yes")
            staged = (await imports.find(conn, id_)).staged
            await acts.record(
                conn, request.app[page.VAULT], who.actor, "import.started", str(id_), rows=staged
            )
    except Refusal as fault:
        return await refused(request, who, fault)
    return desk.see_other(request, named.path(request), "started")


async def refused(request: web.Request, who: Who, fault: Refusal) -> web.StreamResponse:
    """Raises Unknown if there is no such import."""
    async with request.app[page.POOL].acquire() as conn:
        seen = await named.seen(conn, request)
    return await reading.shown(request, who, seen, Told(Manner()), fault)


async def cancel(request: web.Request, who: Who) -> web.StreamResponse:
    """POST /staff/import/NUMBER/cancel: nothing has come of it, and nothing stays of it"""
    id_ = named.number(request)
    try:
        async with request.app[page.POOL].acquire() as conn, conn.transaction():
            await imports.cancel(conn, id_)
            await acts.record(
                conn, request.app[page.VAULT], who.actor, "import.cancelled", str(id_)
            )
    except Refusal as fault:
        return await refused(request, who, fault)
    return desk.see_other(request, "/staff/import", "cancelled")


async def stop_page(request: web.Request, who: Who) -> web.StreamResponse:
    """GET /staff/import/NUMBER/stop: what it means, and a button"""
    async with request.app[page.POOL].acquire() as conn:
        seen = await named.seen(conn, request)
    return desk.answer(request, who, "staff/import_stop.html", brought=seen.brought, faults={})


async def stop(request: web.Request, who: Who) -> web.StreamResponse:
    """POST /staff/import/NUMBER/stop: bring over nobody more of it"""
    id_ = named.number(request)
    try:
        async with request.app[page.POOL].acquire() as conn, conn.transaction():
            forgotten = await imports.stop(conn, id_)
            await acts.record(
                conn, request.app[page.VAULT], who.actor, "import.stopped", str(id_),
                rows=forgotten,
            )  # fmt: skip
    except Refusal as fault:
        return await refused(request, who, fault)
    return desk.see_other(request, named.path(request), "stopped")


async def live(request: web.Request, who: Who) -> web.StreamResponse:
    """GET /staff/import/NUMBER/live: how far it is"""

    async def look(conn: Connection) -> desk.Standing:
        seen = await named.seen(conn, request)
        return named.far(seen, reading.spoken(request, who)), seen.phase in named.MOVES

    return await desk.live(request, look)
