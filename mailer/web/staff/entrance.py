"""Coming in and going out: password, second factor, showing again who one is.

Whoever asks with a wrong address, a wrong password or for a disabled account gets one answer after
one amount of work.
"""

import asyncio
import re
from collections.abc import Mapping

from aiohttp import web

from mailer import acts, factors, sessions, staff
from mailer.db import Connection
from mailer.errors import Invalid, Refusal, TooMany
from mailer.staff import Account
from mailer.web import desk, forms, page
from mailer.web.desk import Who
from mailer.web.staff import throttle

BROWSERS = (
    ("Firefox", r"Firefox/"), ("Edge", r"Edg/"), ("Opera", r"OPR/"), ("Chrome", r"Chrom(e|ium)/"),
    ("Safari", r"Safari/"),
)  # fmt: skip
SYSTEMS = (
    ("Android", r"Android"), ("iPhone", r"iPhone"), ("iPad", r"iPad"), ("Windows", r"Windows"),
    ("macOS", r"Mac OS X"), ("Linux", r"Linux"),
)  # fmt: skip
HASHING: web.AppKey[asyncio.Semaphore] = web.AppKey("hashing", asyncio.Semaphore)
HASHING_AT_ONCE = 2
"""A password takes 64 MiB while it is looked at: a crowd at the door waits its turn."""


async def sign_in_page(request: web.Request) -> web.Response:
    """GET /staff/sign-in"""
    return offer(request, {}, "")


def offer(
    request: web.Request,
    faults: Mapping[str, str],
    email: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    return desk.answer(
        request, None, "staff/sign_in.html", status=status, headers=headers, faults=faults,
        email=email, organisation=request.app[page.SETTINGS].oidc is not None,
    )  # fmt: skip


async def sign_in(request: web.Request) -> web.Response:
    """POST /staff/sign-in"""
    sent = await forms.read(request)
    email, password = forms.one(sent, "email"), forms.one(sent, "password")
    keys = request.app[page.VAULT]
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        account = await staff.by_address(conn, keys, email)
        refusal: Refusal | None = await throttle.too_many(conn, request, account, "password", email)
    if refusal is None:
        there = account and account.disabled_at is None
        kept = account.password if account and there else None
        if await matches(request, kept, password):
            assert account is not None
            return await begin(request, account)
        refusal = Invalid("The address or the password is not right.", field="password")
    return sign_in_refused(request, refusal, email)


def sign_in_refused(request: web.Request, refusal: Refusal, email: str) -> web.Response:
    later = {"Retry-After": str(refusal.retry_after)} if isinstance(refusal, TooMany) else {}
    faults = desk.refused(request, None, refusal)
    return offer(request, faults, email, status=page.STATUS[type(refusal)], headers=later)


async def matches(request: web.Request, kept: str | None, password: str) -> bool:
    async with request.app[HASHING]:
        return await asyncio.to_thread(staff.matches, kept, password)


async def hashed(request: web.Request, password: str) -> str:
    """Raises Invalid."""
    staff.check_password(password)
    async with request.app[HASHING]:
        return await asyncio.to_thread(staff.hash_password, password)


async def begin(request: web.Request, account: Account, shown: str = "password") -> web.Response:
    """The password was right, or what stands in for it: in, or half way."""
    keys = request.app[page.VAULT]
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        secret = await sessions.begin(
            conn, account.subject(keys), "password" if account.has_factor else "whole",
            browser(request),
        )  # fmt: skip
        if not account.has_factor:
            await note(conn, request, account, shown)
    answer = desk.see_other(request, "/staff/code" if account.has_factor else "/staff")
    return let_in(request, answer, account, secret, whole=not account.has_factor)


async def note(conn: Connection, request: web.Request, account: Account, *shown: str) -> None:
    known = desk.knows(request, account.id) is not None
    await acts.signed_in(conn, request.app[page.VAULT], account.actor, shown, known=known)


def let_in(
    request: web.Request, answer: web.Response, account: Account, secret: str, *, whole: bool
) -> web.Response:
    desk.remember(request, answer, secret)
    if whole:
        desk.remember_device(request, answer, account.id)
    return answer


def browser(request: web.Request) -> str:
    """What it says it is, as far as people know it by."""
    said = request.headers.get("User-Agent", "")
    named = [
        next((name for name, pattern in kinds if re.search(pattern, said)), "")
        for kinds in (BROWSERS, SYSTEMS)
    ]
    return ", ".join(filter(None, named))


# the second factor


async def code_page(request: web.Request, who: Who) -> web.Response:
    """GET /staff/code"""
    return desk.answer(request, who, "staff/code.html", faults={})


async def code(request: web.Request, who: Who) -> web.Response:
    """POST /staff/code: one of the app's, or a recovery code."""
    given = forms.one(await forms.read(request), "code").strip()
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        refusal, shown = await take(conn, request, who, given)
        if refusal is None:
            secret = await sessions.complete(conn, who.session.id)
            await note(conn, request, who.account, shown)
    if refusal is not None:
        return factor_refused(request, who, "staff/code.html", refusal)
    return let_in(request, desk.see_other(request, "/staff"), who.account, secret, whole=True)


async def take(
    conn: Connection, request: web.Request, who: Who, given: str
) -> tuple[Refusal | None, str]:
    """Why the code is not taken, or which kind it was."""
    keys, account = request.app[page.VAULT], who.account
    refusal = await throttle.too_many(conn, request, account, "code", str(account.id))
    if refusal is not None:
        return refusal, ""
    if await factors.take_totp(conn, keys, account, given):
        return None, "app"
    if await factors.take_code(conn, keys, account.id, given):
        return None, "recovery code"
    return Invalid("This code is not right, or was used already.", field="code"), ""


def factor_refused(request: web.Request, who: Who, template: str, refusal: Refusal) -> web.Response:
    return desk.answer(
        request, who, template, status=page.STATUS[type(refusal)],
        faults=desk.refused(request, who, refusal),
    )  # fmt: skip


# again, for what must not be done by whoever finds the desk empty


async def again_page(request: web.Request, who: Who) -> web.Response:
    """GET /staff/again"""
    return desk.answer(request, who, "staff/again.html", faults={})


async def again(request: web.Request, who: Who) -> web.Response:
    """POST /staff/again: the second factor; the password where there is none."""
    sent = await forms.read(request)
    refusal: Refusal | None
    if who.account.has_factor:
        async with request.app[page.POOL].acquire() as conn, conn.transaction():
            refusal, _ = await take(conn, request, who, forms.one(sent, "code").strip())
    else:
        refusal = await password_again(request, who, forms.one(sent, "password"))
    if refusal is not None:
        return factor_refused(request, who, "staff/again.html", refusal)
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        wanted = await sessions.prove(conn, who.session.id)
    return page.see_other(request, wanted or "/staff")


async def password_again(request: web.Request, who: Who, password: str) -> Refusal | None:
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        refusal = await throttle.too_many(
            conn, request, who.account, "password", str(who.account.id)
        )
    if refusal is None and not await matches(request, who.account.password, password):
        return Invalid("The password is not right.", field="password")
    return refusal


async def sign_out(request: web.Request, who: Who) -> web.Response:
    """POST /staff/sign-out"""
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        await sessions.end(conn, who.account.id, who.session.id)
    answer = desk.see_other(request, "/staff/sign-in", done="out")
    desk.forget(request, answer)
    return answer
