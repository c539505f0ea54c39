"""What is done for a person: each has a page that says what it does, and a button; all is recorded.

correct, restrict, lift, suppress, release, undo, erase     something changes
export, pack                                                a file to hand over
"""

import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from aiohttp import web

from mailer import (
    acts,
    bounces,
    consent,
    erasures,
    evidence,
    people,
    receipts,
    rectification,
    subject_requests,
)
from mailer.config import Settings
from mailer.db import Connection
from mailer.errors import Conflict, Refusal, Unavailable, Unknown
from mailer.subject_requests import Request
from mailer.subscriptions import Own
from mailer.vault import Vault
from mailer.web import desk, forms, page
from mailer.web.desk import Handler, Who
from mailer.web.forms import Fields
from mailer.web.officer import silencing
from mailer.web.officer.finding import on_behalf, person

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Errand:
    """What somebody of the staff is about to do for one person, in one transaction."""

    conn: Connection
    keys: Vault
    settings: Settings
    own: Own
    who: Who
    sent: Fields
    reason: str


@dataclass(frozen=True)
class File:
    """What is handed over."""

    name: str
    type: str
    body: bytes


Deed = Callable[[Errand], Awaitable[File | None]]


async def correct(errand: Errand) -> None:
    await rectification.ask(
        errand.conn,
        errand.keys,
        errand.own,
        desk.text(errand.sent, "email"),
        language=errand.own.subscriber.language,
        hours=errand.settings.confirm_hours,
        actor=errand.who.actor,
    )


async def restrict(errand: Errand) -> None:
    actor = errand.who.actor
    if not await people.restrict(errand.conn, errand.keys, errand.own, "staff", actor=actor):
        raise Conflict("This person's data is restricted already.")


async def lift(errand: Errand) -> None:
    actor = errand.who.actor
    if not await people.unrestrict(errand.conn, errand.keys, errand.own, "staff", actor=actor):
        raise Conflict("This person's data is not restricted.")


async def suppress(errand: Errand) -> None:
    given = errand.own.address.given
    await people.suppress(errand.conn, errand.keys, given, actor=errand.who.actor)


async def release(errand: Errand) -> None:
    await silencing.release(errand.conn, errand.keys, errand.settings, errand.own.address)


async def undo(errand: Errand) -> None:
    """Of a bounce of this person's, as the form names it."""
    given = forms.one(errand.sent, "bounce")
    mine = await bounces.latest(errand.conn, errand.own.subscriber.id, None, people.MOST_BOUNCES)
    for line in mine:
        if str(line.id) == given:
            await bounces.undo(errand.conn, errand.keys, line.id, errand.who.actor)
            return
    raise Unknown("This mail did not come back, or it is forgotten.")


async def erase(errand: Errand) -> None:
    never_again = forms.one(errand.sent, "never_again") == "yes"
    await people.erase(
        errand.conn, errand.keys, errand.own, never_again=never_again, actor=errand.who.actor
    )


async def export(errand: Errand) -> File:
    held = await people.export(errand.conn, errand.keys, errand.own, actor=errand.who.actor)
    return File("person.json", "application/json", receipts.pretty(held).encode())


async def pack(errand: Errand) -> File:
    """The record as it is sealed; what was written in this very second may still be waiting."""
    try:
        body = await evidence.pack(errand.conn, errand.keys, errand.own, errand.settings)
    except Unavailable:
        raise Unavailable(
            "The latest events of this person are not sealed yet: try again in a minute."
        ) from None
    told = {
        "what": "evidence pack",
        "rows": len(errand.own.record),
        "sha256": hashlib.sha256(body).hexdigest(),
        "reason": errand.reason,
    }
    await consent.record(
        errand.conn,
        errand.own.subscriber.subject(errand.keys),
        "staff.exported",
        actor=errand.who.actor,
        evidence=told,
    )
    return File("evidence.zip", "application/zip", body)


DEEDS: Mapping[str, Deed] = {
    "correct": correct,
    "restrict": restrict,
    "lift": lift,
    "suppress": suppress,
    "release": release,
    "undo": undo,
    "erase": erase,
    "export": export,
    "pack": pack,
}
RECORDED_AS = {
    "correct": "person.corrected",
    "restrict": "person.restricted",
    "lift": "person.unrestricted",
    "suppress": "person.suppressed",
    "release": "person.released",
    "undo": "bounce.undone",
    "erase": "person.erased",
    "export": "person.exported",
    "pack": "person.proven",
}


def asking(name: str) -> Handler:
    """GET /staff/people/ID/NAME?request=: what will happen; nothing of the person is shown."""

    async def ask(request: web.Request, who: Who) -> web.Response:
        async with request.app[page.POOL].acquire() as conn:
            await people.known(conn, request.app[page.VAULT], person(request))
            waiting = await open_requests(conn, person(request))
        return asked(request, who, name, waiting, None, {})

    return ask


async def open_requests(conn: Connection, id_: UUID) -> list[Request]:
    """Of this person: what is done here may answer one."""
    return [each for each in await subject_requests.of(conn, id_) if each.closed_at is None]


def asked(
    request: web.Request,
    who: Who,
    name: str,
    waiting: Sequence[Request],
    fault: Refusal | None,
    sent: Fields,
) -> web.Response:
    return desk.answer(
        request,
        who,
        "staff/person_act.html",
        status=page.STATUS[type(fault)] if fault else 200,
        faults=desk.refused(request, who, fault) if fault else {},
        deed=name,
        id=person(request),
        requests=waiting,
        request_number=on_behalf(request),
        given={"bounce": request.query.get("bounce", "")}
        | {field: forms.one(sent, field) for field in sent},
    )


def doing(name: str) -> Handler:
    """POST /staff/people/ID/NAME"""

    async def do(request: web.Request, who: Who) -> web.Response:
        sent = await forms.read(request)
        try:
            done = await did(request, who, name, sent)
        except Refusal as fault:
            async with request.app[page.POOL].acquire() as conn:
                waiting = await open_requests(conn, person(request))
            return asked(request, who, name, waiting, fault, sent)
        if name == "erase":
            await note(request)
        if done.file is not None:
            attached = {"Content-Disposition": f'attachment; filename="{done.file.name}"'}
            return web.Response(body=done.file.body, content_type=done.file.type, headers=attached)
        return on_from(request, name, done)

    return do


def on_from(request: web.Request, name: str, done: "Done") -> web.Response:
    """To the request that was answered, whose page has the letter to send; else to the person."""
    if done.closed is not None:
        query = {"done": "erase" if name == "erase" else "closed", "letter": done.language}
        return page.see_other(request, f"/staff/requests/{done.closed}", **query)
    if name == "erase":
        return desk.see_other(request, "/staff/people", done=name)
    return desk.see_other(request, f"/staff/people/{person(request)}", done=name)


@dataclass(frozen=True)
class Done:
    """What was done: a file to hand over, the request that it answered; the person's language."""

    file: File | None
    closed: int | None
    language: str


async def did(request: web.Request, who: Who, name: str, sent: Fields) -> Done:
    """Do it and record it, both or neither. Raises a Refusal."""
    keys, settings = request.app[page.VAULT], request.app[page.SETTINGS]
    reason = desk.reason(sent)
    async with (
        request.app[page.POOL].acquire() as conn,
        conn.transaction(isolation="repeatable_read" if name == "pack" else "read_committed"),
    ):
        own = await people.known(conn, keys, person(request))
        closes = answered(await open_requests(conn, own.subscriber.id), sent)
        file = await DEEDS[name](Errand(conn, keys, settings, own, who, sent, reason))
        if closes is not None:
            await people.answer(conn, keys, closes, "done", "", actor=who.actor)
        on = str(own.subscriber.id)
        await acts.record(conn, keys, who.actor, RECORDED_AS[name], on, reason=reason)
    return Done(file, closes, own.subscriber.language)


def answered(waiting: Sequence[Request], sent: Fields) -> int | None:
    """Which request this answers. Raises Conflict if it is none that waits."""
    given = forms.one(sent, "closes")
    if not given:
        return None
    for each in waiting:
        if str(each.id) == given:
            return each.id
    raise Conflict("This request is not open any more.", field="closes")


async def note(request: web.Request) -> None:
    try:
        await erasures.note(request.app[page.SETTINGS].data_dir, [person(request)])
    except Unavailable as error:  # a worker will write it down
        log.error("%s", error)
