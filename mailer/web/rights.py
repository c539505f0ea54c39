"""What one may demand on one's own page: another address, to be left alone, to be forgotten.

Each has a page that says what it does, with a button; GET changes nothing.
"""

import logging

import asyncpg
from aiohttp import web

from mailer import address, bounces, erasures, people, rectification, render, subscriptions
from mailer.consent import SUBJECT
from mailer.db import Connection
from mailer.errors import Conflict, Invalid, Refusal, TooMany, Unavailable, Unknown
from mailer.rectification import Asked
from mailer.subscriptions import Own
from mailer.vault import Vault
from mailer.web import forms, page

log = logging.getLogger(__name__)

PAGE_VERSION = "address/1"


def token(request: web.Request) -> str:
    return request.match_info["token"]


def unknown(request: web.Request) -> web.Response:
    return page.answer(request, "public/unknown.html", status=404)


def shown(template: str) -> page.Handler:
    """A page about the person, which asks before it does anything."""

    async def show(request: web.Request) -> web.Response:
        own = await owned(request)
        return about(request, own, template) if own else unknown(request)

    return show


async def owned(request: web.Request) -> Own | None:
    async with request.app[page.POOL].acquire() as conn:
        return await subscriptions.manage(conn, request.app[page.VAULT], token(request))


def about(
    request: web.Request, own: Own, template: str, fault: Refusal | None = None, given: str = ""
) -> web.Response:
    speak = own.subscriber.language
    later = {"Retry-After": str(fault.retry_after)} if isinstance(fault, TooMany) else {}
    return page.answer(
        request,
        f"public/{template}.html",
        status=page.STATUS[type(fault)] if fault else 200,
        speak=speak,
        headers=later,
        token=token(request),
        masked=address.masked(own.address.given),
        restricted=own.subscriber.restricted_at,
        fault=render.refusal(fault, page.language(request, speak)) if fault else None,
        given=given,
    )


def back(request: web.Request, done: str) -> web.Response:
    return page.see_other(request, f"/me/{token(request)}", done=done)


# /me/TOKEN/address

address_page = shown("address")


async def ask_address(request: web.Request) -> web.Response:
    """POST: a letter to the new address, whoever has it; the answer is the same."""
    given = forms.one(await forms.read(request), "email")
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        own = await subscriptions.manage(conn, request.app[page.VAULT], token(request))
        fault = await ask(request, conn, own, given) if own else None
    if own is None:
        return unknown(request)
    return about(request, own, "address", fault, given) if fault else back(request, "address")


async def ask(request: web.Request, conn: Connection, own: Own, given: str) -> Refusal | None:
    """Why not, if not; nothing is raised inside the transaction."""
    try:
        await rectification.ask(
            conn,
            request.app[page.VAULT],
            own,
            given,
            language=page.language(request, own.subscriber.language),
            hours=request.app[page.SETTINGS].confirm_hours,
            actor=SUBJECT,
        )
    except (Invalid, Conflict, TooMany, Unknown) as error:
        return error
    return None


# /address/TOKEN: behind the link in the letter


async def moving_page(request: web.Request) -> web.Response:
    async with request.app[page.POOL].acquire() as conn:
        asked = await rectification.look(conn, request.app[page.VAULT], token(request))
    if asked is None:
        return unknown(request)
    return moving(request, asked, "moved" if asked.change.confirmed_at else "moving")


def moving(request: web.Request, asked: Asked, template: str) -> web.Response:
    return page.answer(
        request,
        f"public/{template}.html",
        speak=asked.change.language,
        token=token(request),
        masked=address.masked(asked.address.given),
    )


async def move(request: web.Request) -> web.Response:
    """POST: yes, it is mine; or no, delete it."""
    sent = await forms.read(request)
    if forms.one(sent, "answer") != "yes":
        return await refuse(request)
    asked, outcome, own = await moved(request)
    if asked is None or outcome == "unknown":
        return unknown(request)
    if own is None:
        return moving(request, asked, "moved" if outcome == "already" else "taken")
    return page.see_other(request, f"/me/{own}", done="moved")


async def moved(
    request: web.Request,
) -> tuple[Asked | None, rectification.Outcome, str | None]:
    """What was asked, what came of it, and the way to the person's page."""
    keys, evidence = request.app[page.VAULT], {"channel": "page", "page": PAGE_VERSION}
    async with request.app[page.POOL].acquire() as conn:
        asked = await rectification.look(conn, keys, token(request))
        try:
            async with conn.transaction():
                outcome, own = await rectification.confirm(conn, keys, token(request), evidence)
                if own is not None and asked is not None:
                    await bounces.forget_of(conn, asked.subject.id)
        except asyncpg.UniqueViolationError:  # somebody else took it in this very moment
            return asked, "taken", None
    return asked, outcome, str(own) if own else None


async def refuse(request: web.Request) -> web.Response:
    keys = request.app[page.VAULT]
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        asked = await rectification.look(conn, keys, token(request))
        known = await rectification.refuse(conn, keys, token(request))
    if not known:
        return unknown(request)
    speak = asked.change.language if asked else None
    return page.answer(request, "public/refused.html", speak=speak, never_again=False)


# /me/TOKEN/restrict

restrict_page = shown("restrict")


async def restrict(request: web.Request) -> web.Response:
    """POST: keep my data and do nothing with it; or go on again."""
    lift = forms.one(await forms.read(request), "action") == "lift"
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        keys = request.app[page.VAULT]
        own = await subscriptions.manage(conn, keys, token(request))
        if own is not None:
            act = people.unrestrict if lift else people.restrict
            await act(conn, keys, own, "page", actor=SUBJECT)
    if own is None:
        return unknown(request)
    return back(request, "lifted" if lift else "restricted")


# /me/TOKEN/erase

erase_page = shown("erase")


async def erase(request: web.Request) -> web.Response:
    """POST: forget me, at once; the link leads nowhere afterwards."""
    never_again = forms.one(await forms.read(request), "never_again") == "yes"
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        own = await forget(conn, request.app[page.VAULT], token(request), never_again=never_again)
    if own is None:
        return unknown(request)
    try:
        await erasures.note(request.app[page.SETTINGS].data_dir, [own.subscriber.id])
    except Unavailable as error:  # a worker will write it down
        log.error("%s", error)
    return page.answer(
        request, "public/erased.html", speak=own.subscriber.language, never_again=never_again
    )


async def forget(conn: Connection, keys: Vault, text: str, *, never_again: bool) -> Own | None:
    own = await subscriptions.manage(conn, keys, text)
    if own is None:
        return None
    gone = await people.erase(conn, keys, own, never_again=never_again, actor=SUBJECT)
    return own if gone else None
