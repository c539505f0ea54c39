"""Behind the links in letters to staff: setting a password, the first or a new one."""

import asyncio
import time

from aiohttp import web

from mailer import acts, invitations, sessions, staff
from mailer.errors import Invalid, Refusal
from mailer.invitations import Link
from mailer.staff import Account
from mailer.web import desk, forms, page
from mailer.web.staff import entrance, throttle

ANSWER_SECONDS = 0.3
"""No sooner, so that the time does not tell whether a letter was put in the outbox."""


async def forgotten_page(request: web.Request) -> web.Response:
    """GET /staff/forgotten"""
    return desk.answer(request, None, "staff/forgotten.html", faults={}, email="")


async def forgotten(request: web.Request) -> web.Response:
    """POST /staff/forgotten: the same answer, in the same time, whether there is an account."""
    began = time.monotonic()
    email = forms.one(await forms.read(request), "email").strip()
    keys = request.app[page.VAULT]
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        refusal = await throttle.too_many(conn, request, None, "letter", email)
        if refusal is None:
            await invitations.ask_password(conn, keys, email)
    await asyncio.sleep(max(0.0, began + ANSWER_SECONDS - time.monotonic()))
    if refusal is None:
        return desk.see_other(request, "/staff/forgotten", done="asked")
    return desk.answer(
        request, None, "staff/forgotten.html", status=429, email=email,
        headers={"Retry-After": str(refusal.retry_after)},
        faults=desk.refused(request, None, refusal),
    )  # fmt: skip


async def come_page(request: web.Request) -> web.Response:
    """GET /staff/come/TOKEN: changes nothing, whoever follows the link first."""
    async with request.app[page.POOL].acquire() as conn:
        found = await invitations.look(conn, request.app[page.VAULT], request.match_info["token"])
    return offer(request, found, None)


def offer(
    request: web.Request, found: tuple[Link, Account] | None, fault: Refusal | None
) -> web.Response:
    if found is None:
        return desk.answer(request, None, "staff/stale.html", status=404)
    link, account = found
    return desk.answer(
        request,
        None,
        "staff/come.html",
        status=page.STATUS[type(fault)] if fault else 200,
        faults=desk.refused(request, None, fault) if fault else {},
        link=link,
        email=account.email(request.app[page.VAULT]),
    )


async def come(request: web.Request) -> web.Response:
    """POST /staff/come/TOKEN: the password is set; they are in, or show their second factor."""
    password = forms.one(await forms.read(request), "password")
    token, keys = request.match_info["token"], request.app[page.VAULT]
    async with request.app[page.POOL].acquire() as conn:
        found = await invitations.look(conn, keys, token)
    try:
        hashed = await entrance.hashed(request, password) if found else ""
    except Invalid as fault:
        return offer(request, found, fault)
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        if found is None or not await invitations.use(conn, found[0]):
            found = None
        else:
            link, account = found
            await staff.set_password(conn, account.id, hashed)
            await sessions.end_others(conn, account.id, None)
            await acts.record(conn, keys, account.actor, "password.set", by=link.purpose)
    if found is None:
        return offer(request, None, None)
    answer = await entrance.begin(request, account)
    desk.remember_device(request, answer, account.id)
    return answer
