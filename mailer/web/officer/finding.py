"""A person's page. Each look is a form that was sent, with its reason, and is on record.

No address is in any URL: a person is found by a form, and named by their random id afterwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from aiohttp import web

from mailer import (
    acts,
    bounces,
    newsletters,
    outbox,
    people,
    receipts,
    subject_requests,
    suppressions,
)
from mailer.bounces import Line
from mailer.db import Connection
from mailer.errors import Refusal, Unknown
from mailer.newsletters import Newsletter
from mailer.outbox import Delivered
from mailer.receipts import Record
from mailer.subject_requests import Request
from mailer.subscriptions import Own
from mailer.web import desk, forms, page
from mailer.web.desk import Who
from mailer.web.forms import Fields

BOUNCES = 20
MAILS = 20
WHAT = "record"


@dataclass(frozen=True)
class Seen:
    """What the page shows; `bounces`: the latest, each with what was said, addresses masked;
    `newsletters`: all there are, whether the person is in them or not."""

    record: Record
    newsletters: Sequence[Newsletter]
    requests: Sequence[Request]
    suppressed: suppressions.Reason | None
    mails: Sequence[Delivered]
    bounces: Sequence[tuple[Line, object]]


def person(request: web.Request) -> UUID:
    return UUID(request.match_info["id"])


def on_behalf(request: web.Request) -> int | None:
    """The request about data (its number) that led here, if one did."""
    text = request.query.get("request", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


# by address


async def find_page(request: web.Request, who: Who) -> web.Response:
    """GET /staff/people"""
    return finding(request, who, None, {})


def finding(request: web.Request, who: Who, fault: Refusal | None, sent: Fields) -> web.Response:
    return desk.answer(
        request,
        who,
        "staff/people.html",
        status=page.STATUS[type(fault)] if fault else 200,
        faults=desk.refused(request, who, fault) if fault else {},
        given={name: forms.one(sent, name) for name in sent},
    )


async def find(request: web.Request, who: Who) -> web.Response:
    """POST /staff/people: who has this address. That nobody has is an answer too: on record."""
    sent = await forms.read(request)
    keys, pool = request.app[page.VAULT], request.app[page.POOL]
    email, reason = forms.one(sent, "email").strip(), forms.one(sent, "reason").strip()
    try:
        desk.text(sent, "email")
        desk.reason(sent)
        async with pool.acquire() as conn, conn.transaction():
            own = await people.view(conn, keys, email, what=WHAT, reason=reason, actor=who.actor)
            seen = await gather(request, who, conn, own)
    except Unknown as fault:
        async with pool.acquire() as conn, conn.transaction():
            await acts.record(conn, keys, who.actor, "person.sought", reason=reason)
        return finding(request, who, fault, sent)
    except Refusal as fault:
        return finding(request, who, fault, sent)
    return shown(request, who, seen)


# by id


async def look_page(request: web.Request, who: Who) -> web.Response:
    """GET /staff/people/ID: why they are looked at; nothing of theirs is shown yet."""
    async with request.app[page.POOL].acquire() as conn:
        await people.known(conn, request.app[page.VAULT], person(request))
    return opening(request, who, None)


def opening(
    request: web.Request, who: Who, fault: Refusal | None, reason: str = ""
) -> web.Response:
    return desk.answer(
        request,
        who,
        "staff/person_open.html",
        status=page.STATUS[type(fault)] if fault else 200,
        faults=desk.refused(request, who, fault) if fault else {},
        id=person(request),
        request_number=on_behalf(request),
        reason=reason,
    )


async def look(request: web.Request, who: Who) -> web.Response:
    """POST /staff/people/ID"""
    sent = await forms.read(request)
    keys = request.app[page.VAULT]
    try:
        reason = desk.reason(sent)
        async with request.app[page.POOL].acquire() as conn, conn.transaction():
            own = await people.known(conn, keys, person(request))
            await people.looked(conn, keys, own, what=WHAT, reason=reason, actor=who.actor)
            seen = await gather(request, who, conn, own)
    except Refusal as fault:
        return opening(request, who, fault, forms.one(sent, "reason"))
    return shown(request, who, seen)


async def gather(request: web.Request, who: Who, conn: Connection, own: Own) -> Seen:
    keys = request.app[page.VAULT]
    spoken = page.language(request, who.account.language)
    series = await newsletters.all_(conn)
    titles = {each.slug: each.title(spoken) for each in series}
    base = request.app[page.SETTINGS].base_url
    return Seen(
        await receipts.gather(conn, own, titles, base),
        series,
        await subject_requests.of(conn, own.subscriber.id),
        await suppressions.reason(conn, keys, own.address),
        await outbox.of_person(conn, own.subscriber.id, MAILS),
        [
            (line, bounces.described(*await bounces.get(conn, keys, line.id)))
            for line in await bounces.latest(conn, own.subscriber.id, None, BOUNCES)
        ],
    )


def shown(request: web.Request, who: Who, seen: Seen) -> web.Response:
    own = seen.record.own
    return desk.answer(
        request,
        who,
        "staff/person.html",
        own=own,
        id=own.subscriber.id,
        record=[receipts.told(seen.record, event) for event in own.record],
        titles=seen.record.titles,
        requests=seen.requests,
        suppressed=seen.suppressed,
        held={found.newsletter.id: found.subscription for found in own.subscriptions},
        newsletters=seen.newsletters,
        mails=seen.mails,
        bounces=seen.bounces,
    )
