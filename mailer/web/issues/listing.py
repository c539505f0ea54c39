"""All digests, and what is new for the next."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from mailer import acts, digests, newsletters
from mailer.errors import Refusal
from mailer.newsletters import Newsletter
from mailer.web import desk, forms, page
from mailer.web.desk import Who
from mailer.web.issues.named import path

MOST = 30


@dataclass(frozen=True)
class Waiting:
    """How many articles a cadence of a newsletter has not had."""

    newsletter: Newsletter
    cadence: str
    fresh: int


async def listing(request: web.Request, who: Who) -> web.StreamResponse:
    """GET /staff/digests"""
    return await show(request, who, {}, 200)


async def show(
    request: web.Request, who: Who, faults: Mapping[str, str], status: int
) -> web.StreamResponse:
    before = request.query.get("before", "")
    last = int(before) if before.isascii() and before.isdigit() and len(before) < 10 else None
    async with request.app[page.POOL].acquire() as conn:
        found = await digests.page(conn, before=last, most=MOST)
        listed = await digests.statuses(conn, found)
        offered = await newsletters.all_(conn)
        fresh = await digests.fresh(conn)
    return desk.answer(
        request,
        who,
        "staff/digests.html",
        status=status,
        listed=listed,
        newsletters={each.slug: each for each in offered},
        waiting=[
            Waiting(each, cadence, fresh.get((each.id, cadence), 0))
            for each in offered
            for cadence in each.cadences
        ],
        faults=faults,
        before=last,
        onward=found[-1].id if len(found) == MOST else None,
    )


async def create(request: web.Request, who: Who) -> web.StreamResponse:
    """POST /staff/digests: a draft of what a cadence has not had yet."""
    slug, _, cadence = forms.one(await forms.read(request), "of").partition("/")
    try:
        async with request.app[page.POOL].acquire() as conn, conn.transaction():
            newsletter = await newsletters.find(conn, slug)
            digest = await digests.create(conn, newsletter, cadence, by=who.actor)
            what = f"{newsletter.slug}/{digest.number}"
            await acts.record(conn, request.app[page.VAULT], who.actor, "digest.created", what)
    except Refusal as fault:
        return await show(request, who, desk.refused(request, who, fault), page.STATUS[type(fault)])
    return desk.see_other(request, path(newsletter.slug, digest.number), "created")
