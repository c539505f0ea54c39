"""For those who watch: alive, and ready to serve."""

from aiohttp import web

from mailer import log, migrate
from mailer.errors import Conflict
from mailer.web import page


async def alive(request: web.Request) -> web.Response:
    """GET /healthz: this process answers."""
    return web.json_response({"status": "ok"})


async def ready(request: web.Request) -> web.Response:
    """GET /readyz: the database answers and its schema is ours; else 503 and a sentence.

    A log that is not sealed any more is said, but keeps nobody from confirming or leaving.
    """
    async with request.app[page.POOL].acquire() as conn:
        try:
            await migrate.check(conn)
        except Conflict as error:
            return page.refused(request, error, 503)
        wrong = await log.objection(conn)
    return web.json_response({"status": "ready", **({"log": wrong} if wrong else {})})
