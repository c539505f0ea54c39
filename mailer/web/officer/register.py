"""The register of requests about data: what arrived, by when it must be answered, what came of it.

What was noted of a request may name somebody, so it is shown only when asked for, and that is on
record; all else of the register names nobody.
"""

import re
from datetime import date, datetime

from aiohttp import web

from mailer import acts, people, render, staff, subject_requests
from mailer.errors import Invalid, Refusal
from mailer.render import LANGUAGES
from mailer.subject_requests import ASKS, OUTCOMES, ROADS, STATES, Asked, Details, Filter, Request
from mailer.web import desk, forms, page
from mailer.web.desk import Who
from mailer.web.forms import Fields
from mailer.web.officer.finding import person

SHOWN = 50
BLANK = re.compile(r"\n{3,}")
BY_STAFF = tuple(road for road in ROADS if road != "page")


# the list


async def listing(request: web.Request, who: Who) -> web.Response:
    """GET /staff/requests?state=&ask=&road=&after="""
    wanted, after = filtered(request), number(request.query.get("after", ""))
    async with request.app[page.POOL].acquire() as conn:
        found = await subject_requests.listed(conn, wanted, after=after, most=SHOWN + 1)
        pressing = await subject_requests.pressing(conn)
        names = await staff.names(conn, request.app[page.VAULT])
    return desk.answer(
        request, who, "staff/requests.html", requests=found[:SHOWN], wanted=wanted, after=after,
        onward=found[SHOWN - 1].id if len(found) > SHOWN else None, pressing=pressing, names=names,
        states=STATES, asks=ASKS, roads=ROADS,
    )  # fmt: skip


def filtered(request: web.Request) -> Filter:
    """Names that are none are passed over."""
    given = request.query.get
    return Filter(
        state=next((each for each in STATES if each == given("state")), "open"),
        ask=next((each for each in ASKS if each == given("ask")), None),
        road=next((each for each in ROADS if each == given("road")), None),
    )


def number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


# a new one


async def new_page(request: web.Request, who: Who) -> web.Response:
    """GET /staff/requests/new: from anybody, known or not"""
    return asked(request, who, None, {})


async def new(request: web.Request, who: Who) -> web.Response:
    """POST /staff/requests/new: of whoever has the address that is given, if anybody has."""
    sent = await forms.read(request)
    keys = request.app[page.VAULT]
    try:
        what, email = read(sent), desk.text(sent, "email", required=False)
        async with request.app[page.POOL].acquire() as conn, conn.transaction():
            own = await people.with_address(conn, keys, email) if email else None
            sender = what.details.sender or ("" if own else email)
            noted = Details(what.details.note, sender)
            arrived = Asked(what.asks, what.road, what.received_on, noted)
            made = await people.ask(conn, keys, own, arrived, actor=who.actor)
    except Refusal as fault:
        return asked(request, who, fault, sent)
    return desk.see_other(request, f"/staff/requests/{made}", done="recorded")


async def of_person_page(request: web.Request, who: Who) -> web.Response:
    """GET /staff/people/ID/request"""
    async with request.app[page.POOL].acquire() as conn:
        await people.known(conn, request.app[page.VAULT], person(request))
    return asked(request, who, None, {})


async def of_person(request: web.Request, who: Who) -> web.Response:
    """POST /staff/people/ID/request"""
    sent = await forms.read(request)
    keys = request.app[page.VAULT]
    try:
        async with request.app[page.POOL].acquire() as conn, conn.transaction():
            own = await people.known(conn, keys, person(request))
            made = await people.ask(conn, keys, own, read(sent), actor=who.actor)
    except Invalid as fault:
        return asked(request, who, fault, sent)
    return desk.see_other(request, f"/staff/requests/{made}", done="recorded")


def asked(request: web.Request, who: Who, fault: Refusal | None, sent: Fields) -> web.Response:
    return desk.answer(
        request,
        who,
        "staff/request_new.html",
        status=page.STATUS[type(fault)] if fault else 200,
        faults=desk.refused(request, who, fault) if fault else {},
        id=request.match_info.get("id"),
        given={name: forms.one(sent, name) for name in sent},
        ticked=sent.get("asks", ()),
        asks=ASKS,
        roads=BY_STAFF,
    )


def read(sent: Fields) -> Asked:
    """What the form says of it. Raises Invalid."""
    road = forms.one(sent, "road")
    if road not in BY_STAFF:
        raise Invalid("Choose how it arrived.", field="road")
    return Asked(
        [each for each in ASKS if each in sent.get("asks", ())],
        road,
        day(forms.one(sent, "received")),
        Details(
            note=desk.text(sent, "note", required=False),
            sender=desk.text(sent, "sender", required=False),
        ),
    )


def day(text: str) -> date:
    """Raises Invalid."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise Invalid(
            "Give the day on which it arrived: today or earlier.", field="received"
        ) from None


# one


async def show(request: web.Request, who: Who) -> web.Response:
    """GET /staff/requests/NUMBER?letter=LANGUAGE"""
    return await shown(request, who)


async def shown(
    request: web.Request, who: Who, fault: Refusal | None = None, sent: Fields | None = None
) -> web.Response:
    """The request, without what was noted of it."""
    async with request.app[page.POOL].acquire() as conn:
        found = await subject_requests.find(conn, named(request))
        names = await staff.names(conn, request.app[page.VAULT])
    return told(request, who, found, None, names, fault, sent or {})


async def open_(request: web.Request, who: Who) -> web.Response:
    """POST /staff/requests/NUMBER/open: with what was noted; that somebody looked is on record."""
    keys = request.app[page.VAULT]
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        found, noted = await people.look_at(conn, keys, named(request), actor=who.actor)
        names = await staff.names(conn, keys)
    return told(request, who, found, noted, names, None, {})


def told(
    request: web.Request,
    who: Who,
    found: Request,
    noted: Details | None,
    names: dict[str, str],
    fault: Refusal | None,
    sent: Fields,
) -> web.Response:
    written = letter_language(request, who)
    return desk.answer(
        request,
        who,
        "staff/request.html",
        status=page.STATUS[type(fault)] if fault else 200,
        faults=desk.refused(request, who, fault) if fault else {},
        entry=found,
        noted=noted,
        names=names,
        given={name: forms.one(sent, name) for name in sent},
        outcomes=OUTCOMES,
        letter=letter(request, found, noted or Details(), written),
        letter_language=written,
        letter_languages=LANGUAGES,
    )


def letter_language(request: web.Request, who: Who) -> str:
    wanted = request.query.get("letter")
    return next(
        (code for code in LANGUAGES if code == wanted), page.language(request, who.account.language)
    )


def letter(request: web.Request, found: Request, noted: Details, language: str) -> str:
    """What to write to the person, as it stands now."""
    written = render.text(
        "public/answer.txt",
        language,
        entry=found,
        noted=noted,
        controller=(request.app[page.SETTINGS].controller or "").replace("\\n", "\n"),
    )
    return BLANK.sub("\n\n", written).strip()


def named(request: web.Request) -> int:
    return int(request.match_info["id"])


async def extend(request: web.Request, who: Who) -> web.Response:
    """POST /staff/requests/NUMBER/extend"""
    sent = await forms.read(request)
    keys, asked_ = request.app[page.VAULT], named(request)
    try:
        why = desk.text(sent, "why")
        async with request.app[page.POOL].acquire() as conn, conn.transaction():
            await subject_requests.extend(conn, keys, asked_, why)
            await acts.record(conn, keys, who.actor, "request.extended", str(asked_))
    except Refusal as fault:
        return await shown(request, who, fault, sent)
    return desk.see_other(request, f"/staff/requests/{asked_}", done="extended")


async def close(request: web.Request, who: Who) -> web.Response:
    """POST /staff/requests/NUMBER/close"""
    sent = await forms.read(request)
    try:
        outcome = next((each for each in OUTCOMES if each == forms.one(sent, "outcome")), None)
        if outcome is None:
            raise Invalid("Choose what came of it.", field="outcome")
        answer = desk.text(sent, "answer", required=False)
        async with request.app[page.POOL].acquire() as conn, conn.transaction():
            keys = request.app[page.VAULT]
            await people.answer(conn, keys, named(request), outcome, answer, actor=who.actor)
    except Refusal as fault:
        return await shown(request, who, fault, sent)
    return desk.see_other(request, f"/staff/requests/{named(request)}", done="closed")
