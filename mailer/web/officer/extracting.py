"""Taking records out as a file: an order is written here, a worker carries it out (`working`)."""

from datetime import UTC, datetime, time
from typing import get_args

from aiohttp import web

from mailer import consent, extracts, jobs, newsletters, staff
from mailer.consent import Filter
from mailer.errors import Conflict, Invalid, NotAllowed, Refusal, Unknown
from mailer.exports import Format
from mailer.extracts import WHATS, Order
from mailer.outfiles import reader
from mailer.subscriptions import State, Wanted
from mailer.web import desk, forms, page
from mailer.web.desk import Who
from mailer.web.forms import Fields
from mailer.web.officer import working

FORMATS: tuple[Format, ...] = get_args(Format)
STATES: tuple[State, ...] = get_args(State)
VERIFIED = 5
"""The latest verifications that are listed."""


async def consent_page(request: web.Request, who: Who) -> web.Response:
    """GET /staff/consent"""
    return await choosing(request, who, None, {})


async def choosing(
    request: web.Request, who: Who, fault: Refusal | None, sent: Fields
) -> web.Response:
    keys = request.app[page.VAULT]
    async with request.app[page.POOL].acquire() as conn:
        known = await newsletters.all_(conn)
        verified = await jobs.latest(conn, "verification", VERIFIED)
        made = await jobs.latest(conn, "extract", VERIFIED)
        names = await staff.names(conn, keys)
    return desk.answer(
        request,
        who,
        "staff/consent.html",
        status=page.STATUS[type(fault)] if fault else 200,
        faults=desk.refused(request, who, fault) if fault else {},
        newsletters=known,
        types=consent.TYPES,
        states=STATES,
        given={name: forms.one(sent, name) for name in sent},
        may_see=may_see(who),
        verified=verified,
        made=[job for job in made if job.asked_by == who.actor],
        names=names,
    )


def may_see(who: Who) -> bool:
    """Addresses by the thousand are for those who answer for them."""
    return who.role == "privacy"


async def extract(request: web.Request, who: Who) -> web.StreamResponse:
    """POST /staff/consent"""
    sent = await forms.read(request)
    keys = request.app[page.VAULT]
    try:
        order = ordered(sent, who)
        async with request.app[page.POOL].acquire() as conn, conn.transaction():
            await extracts.check(conn, order.wanted)
            noted = extracts.noted(order)
            id_ = await jobs.ask(conn, keys, "extract", noted, actor=who.actor)
    except (Invalid, Conflict, Unknown) as fault:
        return await choosing(request, who, fault, sent)
    return desk.see_other(request, working.place(id_))


def ordered(sent: Fields, who: Who) -> Order:
    """Raises Invalid or NotAllowed."""
    with_addresses = forms.one(sent, "addresses") == "yes"
    if with_addresses and not may_see(who):
        raise NotAllowed("Addresses are for those who answer for privacy.")
    format_ = next((each for each in FORMATS if each == forms.one(sent, "format")), None)
    if format_ is None:
        raise Invalid("Choose a format.", field="format")
    what = forms.one(sent, "what") or WHATS[0]
    if what not in WHATS:
        raise Invalid("Choose what to take out.", field="what")
    recipient = desk.text(sent, "encrypt-to", required=False) or None
    if recipient:
        reader(recipient)
    return Order(
        format_,
        events(sent) if what == "consent" else people(sent),
        with_addresses,
        recipient,
        desk.reason(sent),
    )


def events(sent: Fields) -> Filter:
    """Raises Invalid."""
    type_ = forms.one(sent, "type") or None
    if type_ is not None and type_ not in consent.TYPES:
        raise Invalid("Choose a type.", field="type")
    return Filter(
        desk.text(sent, "newsletter", required=False) or None,
        type_,
        desk.text(sent, "notice", required=False) or None,
        day(sent, "since"),
        day(sent, "until"),
    )


def people(sent: Fields) -> Wanted:
    """Raises Invalid."""
    state = forms.one(sent, "state")
    if state and state not in STATES:
        raise Invalid("Choose a state.", field="state")
    return Wanted(
        desk.text(sent, "newsletter", required=False) or None,
        next((each for each in STATES if each == state), None),
        desk.text(sent, "language", required=False) or None,
        day(sent, "since"),
    )


def day(sent: Fields, name: str) -> datetime | None:
    """The beginning of a day, UTC. Raises Invalid."""
    given = forms.one(sent, name)
    try:
        found = datetime.strptime(given, "%Y-%m-%d").date() if given else None
    except ValueError:
        raise Invalid("Give the day as 2026-12-31.", field=name) from None
    return datetime.combine(found, time(), UTC) if found else None
