"""From approval to the last mail: when it goes, how it goes, and stopping it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from aiohttp import web

from mailer import digests, editions, newsletters, schedules
from mailer.db import Connection
from mailer.digests import Digest
from mailer.errors import Refusal
from mailer.web import desk, forms, page
from mailer.web.desk import Who
from mailer.web.issues import draft, named

OVER = ("sent", "cancelled")
GIVEN = ("when", "at", "despite", "version")


# approving


async def approve_page(request: web.Request, who: Who) -> web.StreamResponse:
    """GET /staff/digests/SLUG/NUMBER/approve: to whom it would go, and what was found in it"""
    return await asked(request, who, dict.fromkeys(GIVEN, ""), {}, 200)


async def asked(
    request: web.Request,
    who: Who,
    given: Mapping[str, str],
    faults: Mapping[str, str],
    status: int,
) -> web.StreamResponse:
    settings = request.app[page.SETTINGS]
    async with request.app[page.POOL].acquire() as conn:
        digest = await named.found(conn, request)
        newsletter, composed = await editions.compose(conn, settings, digest)
        found = await editions.findings(conn, settings, digest, newsletter, composed)
        readers = await digests.readers(conn, digest)
    return desk.answer(
        request, who, "staff/digest_approve.html", status=status, digest=digest, given=given,
        newsletter=newsletter, findings=found, readers=readers, faults=faults,
        of_languages=[each.edition.language for each in composed],
    )  # fmt: skip


async def approve(request: web.Request, who: Who) -> web.StreamResponse:
    """POST /staff/digests/SLUG/NUMBER/approve: now, or at a time."""
    sent = await forms.read(request)
    given = {name: forms.one(sent, name) for name in GIVEN}
    settings = request.app[page.SETTINGS]
    try:
        async with request.app[page.POOL].acquire() as conn, conn.transaction():
            digest = await named.found(conn, request)
            zone = (await newsletters.get(conn, digest.newsletter)).zone
            seen = replace(digest, version=draft.number(given["version"]))
            at = schedules.moment(given["at"], zone) if given["when"] == "at" else None
            despite = given["despite"] == "yes"
            await editions.approve(
                conn, settings, seen, by=who.actor, at=at, despite_warnings=despite
            )
            mails = None if at else await editions.begin(conn, settings, digest)
            when = at.isoformat() if at else "now"
            await named.note(
                conn, request, who, "digest.approved", at=when, despite=despite, rows=mails
            )
    except Refusal as fault:
        faults = desk.refused(request, who, fault)
        return await asked(request, who, given, faults, page.STATUS[type(fault)])
    return desk.see_other(request, named.own_path(request), "approved")


# stopping and going on

Verb = Callable[[Connection, Digest], Awaitable[None]]


def doing(verb: Verb, act: str, done: str) -> desk.Handler:
    """A handler of POST that does `verb` to the digest."""

    async def handle(request: web.Request, who: Who) -> web.StreamResponse:
        try:
            async with request.app[page.POOL].acquire() as conn, conn.transaction():
                await verb(conn, await named.found(conn, request))
                await named.note(conn, request, who, act)
        except Refusal as fault:
            faults = desk.refused(request, who, fault)
            return await draft.shown(request, who, {}, faults, page.STATUS[type(fault)])
        return desk.see_other(request, named.own_path(request), done)

    return handle


pause = doing(digests.pause, "digest.paused", "paused")
resume = doing(digests.resume, "digest.resumed", "resumed")
recall = doing(digests.recall, "digest.recalled", "recalled")
cancel = doing(digests.cancel, "digest.cancelled", "cancelled")


async def cancel_page(request: web.Request, who: Who) -> web.StreamResponse:
    """GET /staff/digests/SLUG/NUMBER/cancel: what it means, and a button"""
    async with request.app[page.POOL].acquire() as conn:
        digest = await named.found(conn, request)
        newsletter = await newsletters.get(conn, digest.newsletter)
        status = await digests.status(conn, digest)
    return desk.answer(
        request, who, "staff/digest_cancel.html", digest=digest, newsletter=newsletter,
        progress=status, faults={},
    )  # fmt: skip


# live


async def live(request: web.Request, who: Who) -> web.StreamResponse:
    """GET /staff/digests/SLUG/NUMBER/live: how it stands"""

    async def look(conn: Connection) -> desk.Standing:
        status = await digests.status(conn, await named.found(conn, request))
        state = status.digest.state
        return {"state": state, **status.mails}, state not in OVER

    return await desk.live(request, look)
