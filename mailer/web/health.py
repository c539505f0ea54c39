"""For those who watch: alive, and ready to serve."""

from aiohttp import web

from mailer import log, migrate, outbox
from mailer.errors import Conflict
from mailer.web import page


async def alive(request: web.Request) -> web.Response:
    """GET /healthz: this process answers."""
    return web.json_response({"status": "ok"})


async def ready(request: web.Request) -> web.Response:
    """GET /readyz: the database answers and its schema still fits; else 503 and a sentence.

    A log that is not sealed any more, or letters that don't go, are said too; but neither keeps
    anybody from confirming or leaving.
    """
    async with request.app[page.POOL].acquire() as conn:
        try:
            await migrate.still_fits(conn)
        except Conflict as error:
            return page.refused(request, error, 503)
        wrong = {"log": await log.objection(conn), "outbox": await outbox.objection(conn)}
    said = {name: sentence for name, sentence in wrong.items() if sentence}
    return web.json_response({"status": "ready", **said})
