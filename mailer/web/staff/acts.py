"""Who did what: the acts of staff, for those who must answer for them."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from aiohttp import web

from mailer import acts, staff
from mailer.acts import Filter
from mailer.consent import STAFF
from mailer.errors import Invalid
from mailer.web import desk, page
from mailer.web.desk import Who

SHOWN = 50


async def listing(request: web.Request, who: Who) -> web.Response:
    """GET /staff/acts?who=&type=&since=&until=&before="""
    try:
        wanted, before, faults = filtered(request), last_shown(request), {}
    except Invalid as fault:
        wanted, before, faults = Filter(), None, desk.refused(request, who, fault)
    keys = request.app[page.VAULT]
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        shown = await acts.listed(conn, keys, wanted, before=before, most=SHOWN + 1)
        names = await staff.names(conn, keys)
    return desk.answer(
        request,
        who,
        "staff/acts.html",
        status=422 if faults else 200,
        acts=shown[:SHOWN],
        onward=shown[SHOWN - 1].id if len(shown) > SHOWN else None,
        types=acts.TYPES,
        names=names,
        who_to_choose=[(actor.removeprefix(STAFF), email) for actor, email in names.items()],
        before=before,
        given={name: request.query.get(name, "") for name in ("who", "type", "since", "until")},
        faults=faults,
    )


def filtered(request: web.Request) -> Filter:
    """Whole days (UTC); both are included. Raises Invalid."""
    until = day(request, "until")
    return Filter(
        staff=request.query.get("who") or None,
        type=request.query.get("type") or None,
        since=day(request, "since"),
        until=until + timedelta(days=1) if until else None,
    )


def day(request: web.Request, name: str) -> datetime | None:
    text = request.query.get(name, "")
    if not text:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise Invalid("Give the day as 2026-01-31.", field=name) from None
    return datetime(found.year, found.month, found.day, tzinfo=UTC)


def last_shown(request: web.Request) -> UUID | None:
    text = request.query.get("before", "")
    try:
        return UUID(text) if text else None
    except ValueError:
        raise Invalid("There is no such page of the list: begin at its first.") from None
