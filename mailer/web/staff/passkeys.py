"""Passkeys: set up on one's account, shown at the door or where one is asked again who one is.

`static/passkey.js` asks for JSON, lets the browser do its part, and sends the answer.
"""

import json
from typing import Any

from aiohttp import web

from mailer import acts, passkeys, sessions, staff
from mailer.db import Connection
from mailer.errors import Invalid, Unknown
from mailer.passkeys import Site
from mailer.staff import Account
from mailer.web import desk, forms, page
from mailer.web.desk import Who
from mailer.web.staff import entrance, throttle


def here(request: web.Request) -> Site:
    """Raises Unknown where browsers have no passkeys."""
    found = passkeys.site(request.app[page.SETTINGS].base_url)
    if found is None:
        raise Unknown("Passkeys need TLS and a name: they don't work at this address.")
    return found


async def sent(request: web.Request) -> Any:
    """The JSON of a body. Raises Invalid."""
    try:
        return json.loads(await request.read())
    except (ValueError, RecursionError):
        raise Invalid("The browser's answer is not what was asked for: try again.") from None


def asked(request: web.Request, text: str, kept: str) -> web.Response:
    """What the browser is to do; it keeps the challenge until then."""
    answer = web.Response(text=text, content_type="application/json")
    desk.keep_challenge(request, answer, kept)
    return answer


# setting one up


async def wish(request: web.Request, who: Who) -> web.Response:
    """POST /staff/passkeys/wish"""
    at = here(request)
    async with request.app[page.POOL].acquire() as conn:
        kept = await passkeys.challenge(conn, request.app[page.VAULT])
        there = await passkeys.of(conn, who.account.id)
    return asked(request, passkeys.wish(at, kept, who.account, who.email, there), kept)


async def add(request: web.Request, who: Who) -> web.Response:
    """POST /staff/passkeys"""
    at, made, keys = here(request), await sent(request), request.app[page.VAULT]
    kept, name = desk.challenge(request), entrance.browser(request)
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        await passkeys.add(conn, keys, at, who.account, kept, made, name)
        await acts.record(conn, keys, who.actor, "factor.set", kind="passkey")
    return web.json_response({"to": page.root(request) + "/staff/account?done=passkey"})


async def remove(request: web.Request, who: Who) -> web.Response:
    """POST /staff/passkeys/remove"""
    named = forms.one(await forms.read(request), "passkey")
    keys = request.app[page.VAULT]
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        if await passkeys.remove(conn, who.account.id, named):
            await acts.record(conn, keys, who.actor, "passkey.removed")
    return desk.see_other(request, "/staff/account", done="removed")


# showing one


async def question(request: web.Request) -> web.Response:
    """POST /staff/passkey/question: nothing is known of who asks."""
    at = here(request)
    async with request.app[page.POOL].acquire() as conn:
        kept = await passkeys.challenge(conn, request.app[page.VAULT])
    return asked(request, passkeys.question(at, kept), kept)


async def enter(request: web.Request) -> web.Response:
    """POST /staff/passkey: in, with nothing else."""
    answered, keys = await sent(request), request.app[page.VAULT]
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        refusal = await throttle.too_many(conn, request, None, "passkey", "")
    if refusal is not None:
        raise refusal
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        account = await whose(conn, request, answered)
        secret = await sessions.begin(
            conn, account.subject(keys), "whole", entrance.browser(request)
        )
        await entrance.note(conn, request, account, "passkey")
    answer = web.json_response({"to": page.root(request) + "/staff"})
    return entrance.let_in(request, answer, account, secret, whole=True)


async def again(request: web.Request, who: Who) -> web.Response:
    """POST /staff/passkey/again: they showed again who they are."""
    answered = await sent(request)
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        account = await whose(conn, request, answered)
        if account.id != who.account.id:
            raise Invalid("This passkey is of another account.")
        wanted = await sessions.prove(conn, who.session.id)
    return web.json_response({"to": page.root(request) + (wanted or "/staff")})


async def whose(conn: Connection, request: web.Request, answered: Any) -> Account:
    """Raises Invalid."""
    at, keys = here(request), request.app[page.VAULT]
    account = await staff.get(
        conn, await passkeys.show(conn, keys, at, desk.challenge(request), answered)
    )
    if account.disabled_at is not None:
        raise Invalid("This passkey is not known here.")
    return account
