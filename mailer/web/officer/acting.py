"""What is done for a person: each has a page that says what it does, and a button; all is recorded.

correct, restrict, lift, suppress, release, erase     something changes
export, pack                                          a file to hand over
"""

import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from mailer import (
    acts,
    consent,
    erasures,
    evidence,
    people,
    receipts,
    rectification,
    suppressions,
    withdrawals,
)
from mailer.config import Settings
from mailer.db import Connection
from mailer.errors import Conflict, Refusal, Unavailable
from mailer.subscriptions import Own
from mailer.vault import Vault
from mailer.web import desk, forms, page
from mailer.web.desk import Handler, Who
from mailer.web.forms import Fields
from mailer.web.officer.finding import person

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
    reached = errand.own.address
    if not await suppressions.remove(errand.conn, errand.keys, reached):
        raise Conflict("This address is not suppressed.")
    await withdrawals.lifted(errand.settings.data_dir, errand.keys.suppression(reached.normal))


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
    "erase": "person.erased",
    "export": "person.exported",
    "pack": "person.proven",
}


def asking(name: str) -> Handler:
    """GET /staff/people/ID/NAME: what will happen; nothing of the person is shown."""

    async def ask(request: web.Request, who: Who) -> web.Response:
        async with request.app[page.POOL].acquire() as conn:
            await people.known(conn, request.app[page.VAULT], person(request))
        return asked(request, who, name, None)

    return ask


def asked(
    request: web.Request, who: Who, name: str, fault: Refusal | None, reason: str = ""
) -> web.Response:
    return desk.answer(
        request,
        who,
        "staff/person_act.html",
        status=page.STATUS[type(fault)] if fault else 200,
        faults=desk.refused(request, who, fault) if fault else {},
        deed=name,
        id=person(request),
        reason=reason,
    )


def doing(name: str) -> Handler:
    """POST /staff/people/ID/NAME"""

    async def do(request: web.Request, who: Who) -> web.Response:
        sent = await forms.read(request)
        try:
            file = await done(request, who, name, sent)
        except Refusal as fault:
            return asked(request, who, name, fault, forms.one(sent, "reason"))
        if name == "erase":
            await note(request)
            return desk.see_other(request, "/staff/people", done=name)
        if file is None:
            return desk.see_other(request, f"/staff/people/{person(request)}", done=name)
        attached = {"Content-Disposition": f'attachment; filename="{file.name}"'}
        return web.Response(body=file.body, content_type=file.type, headers=attached)

    return do


async def done(request: web.Request, who: Who, name: str, sent: Fields) -> File | None:
    """Do it and record it, both or neither. Raises a Refusal."""
    keys, settings = request.app[page.VAULT], request.app[page.SETTINGS]
    reason = desk.text(sent, "reason")
    async with (
        request.app[page.POOL].acquire() as conn,
        conn.transaction(isolation="repeatable_read" if name == "pack" else "read_committed"),
    ):
        own = await people.known(conn, keys, person(request))
        file = await DEEDS[name](Errand(conn, keys, settings, own, who, sent, reason))
        on = str(own.subscriber.id)
        await acts.record(conn, keys, who.actor, RECORDED_AS[name], on, reason=reason)
    return file


async def note(request: web.Request) -> None:
    try:
        await erasures.note(request.app[page.SETTINGS].data_dir, [person(request)])
    except Unavailable as error:  # a worker will write it down
        log.error("%s", error)
