"""Setting up a second factor, and the recovery codes beside it."""

from urllib.parse import urlsplit

from aiohttp import web

from mailer import acts, factors
from mailer.errors import Refusal
from mailer.web import desk, forms, page
from mailer.web.desk import Who


async def app_page(request: web.Request, who: Who) -> web.Response:
    """GET /staff/factor: a secret for the app, which is nobody's until it has shown a code."""
    return offer(request, who, factors.new_secret(), None)


def offer(request: web.Request, who: Who, secret: str, fault: Refusal | None) -> web.Response:
    secret = secret if factors.well_formed(secret) else factors.new_secret()
    host = urlsplit(request.app[page.SETTINGS].base_url).netloc
    return desk.answer(
        request,
        who,
        "staff/factor.html",
        status=page.STATUS[type(fault)] if fault else 200,
        faults=desk.refused(request, who, fault) if fault else {},
        secret=secret,
        spelt=" ".join(secret[i : i + 4] for i in range(0, len(secret), 4)),
        qr=factors.qr(factors.uri(secret, who.email, host)),
    )


async def set_app(request: web.Request, who: Who) -> web.Response:
    """POST /staff/factor: the app is set up; new recovery codes, shown this once."""
    sent = await forms.read(request)
    secret, code = forms.one(sent, "secret"), forms.one(sent, "code")
    keys = request.app[page.VAULT]
    try:
        async with request.app[page.POOL].acquire() as conn, conn.transaction():
            await factors.set_totp(conn, keys, who.account, secret, code)
            codes = await factors.new_codes(conn, keys, who.account.id)
            await acts.record(conn, keys, who.actor, "factor.set", kind="app")
    except Refusal as fault:
        return offer(request, who, secret, fault)
    return desk.answer(request, who, "staff/codes.html", codes=codes)


async def new_codes(request: web.Request, who: Who) -> web.Response:
    """POST /staff/factor/codes"""
    keys = request.app[page.VAULT]
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        codes = await factors.new_codes(conn, keys, who.account.id)
        await acts.record(conn, keys, who.actor, "codes.renewed")
    return desk.answer(request, who, "staff/codes.html", codes=codes)
