"""One's own account: language, password, second factor, where one is signed in."""

from uuid import UUID

from aiohttp import web

from mailer import acts, factors, passkeys, render, sessions, staff
from mailer.errors import Invalid, Refusal
from mailer.web import desk, forms, page
from mailer.web.desk import Who
from mailer.web.staff import entrance


async def show(request: web.Request, who: Who) -> web.Response:
    """GET /staff/account"""
    return await shown(request, who, None)


async def shown(request: web.Request, who: Who, fault: Refusal | None) -> web.Response:
    async with request.app[page.POOL].acquire() as conn:
        held = await sessions.of(conn, who.account.id)
        known = await passkeys.of(conn, who.account.id)
        left = await factors.codes_left(conn, who.account.id)
    keys = request.app[page.VAULT]
    subject = who.account.subject(keys)
    return desk.answer(
        request,
        who,
        "staff/account.html",
        status=page.STATUS[type(fault)] if fault else 200,
        faults=desk.refused(request, who, fault) if fault else {},
        sessions=[(session, session.named(subject)) for session in held],
        passkeys=[(key, key.named(who.account, keys)) for key in known],
        codes_left=left,
    )


async def speak(request: web.Request, who: Who) -> web.Response:
    """POST /staff/language: of these pages, and of letters to them."""
    language = forms.one(await forms.read(request), "lang")
    if language in render.DESK:
        async with request.app[page.POOL].acquire() as conn, conn.transaction():
            await staff.set_language(conn, who.account.id, language)
    return desk.see_other(request, desk.back(request))


async def change_password(request: web.Request, who: Who) -> web.Response:
    """POST /staff/account/password: all other sessions end."""
    sent = await forms.read(request)
    keys = request.app[page.VAULT]
    try:
        staff.check_password(forms.one(sent, "new"), "new")
        fault = await entrance.password_again(request, who, forms.one(sent, "password"))
    except Invalid as short:
        fault = short
    if fault is not None:
        return await shown(request, who, fault)
    hashed = await entrance.hashed(request, forms.one(sent, "new"))
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        await staff.set_password(conn, who.account.id, hashed)
        await sessions.end_others(conn, who.account.id, who.session.id)
        await acts.record(conn, keys, who.actor, "password.changed")
    return desk.see_other(request, "/staff/account", done="password")


async def end_sessions(request: web.Request, who: Who) -> web.Response:
    """POST /staff/account/sessions: one of them, or all but this."""
    named = forms.one(await forms.read(request), "session")
    keys = request.app[page.VAULT]
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        if named == "others":
            ended = await sessions.end_others(conn, who.account.id, who.session.id)
        else:
            ended = int(await sessions.end(conn, who.account.id, uuid(named)))
        if ended:
            await acts.record(conn, keys, who.actor, "session.ended", count=ended)
    return desk.see_other(request, "/staff/account", done="ended")


def uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)
