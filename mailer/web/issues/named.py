"""The digest that a path names, and the path of a digest."""

from aiohttp import web

from mailer import acts, digests
from mailer.db import Connection
from mailer.digests import Digest
from mailer.web import page
from mailer.web.desk import Who


def path(slug: str, number: int) -> str:
    return f"/staff/digests/{slug}/{number}"


def own_path(request: web.Request) -> str:
    """Of the digest's page, on it and on those below it."""
    return path(request.match_info["slug"], int(request.match_info["number"]))


async def found(conn: Connection, request: web.Request) -> Digest:
    """Raises Unknown."""
    return await digests.find(conn, request.match_info["slug"], int(request.match_info["number"]))


async def note(
    conn: Connection, request: web.Request, who: Who, act: str, **details: object
) -> None:
    """Put on record what was done to it."""
    what = f"{request.match_info['slug']}/{request.match_info['number']}"
    await acts.record(conn, request.app[page.VAULT], who.actor, act, what, **details)
