"""A person's own page: what they are subscribed to, how to change or end it."""

from datetime import date

from aiohttp import web

from mailer import address, newsletters, render, subscriptions
from mailer.consent import SUBJECT
from mailer.db import Connection
from mailer.errors import Invalid, Refusal, Unknown
from mailer.newsletters import Newsletter
from mailer.subscriptions import Found, Own
from mailer.vault import Vault
from mailer.web import forms, page
from mailer.web.forms import Fields


async def show(request: web.Request) -> web.Response:
    """GET /me/TOKEN"""
    return await render_own(request, None, {})


async def render_own(request: web.Request, fault: Refusal | None, sent: Fields) -> web.Response:
    """`fault`: what was wrong with what was sent; the page leads to the field it speaks of."""
    async with request.app[page.POOL].acquire() as conn:
        own = await subscriptions.manage(conn, request.app[page.VAULT], token(request))
        everything = await newsletters.all_(conn)
        pausable = await subscriptions.pausable(conn)
    if own is None:
        return unknown(request)
    spoken = page.language(request, own.subscriber.language)
    return page.answer(
        request,
        "public/me.html",
        status=422 if fault else 200,
        speak=own.subscriber.language,
        token=token(request),
        masked=address.masked(own.address.given),
        restricted=own.subscriber.restricted_at,
        held=own.subscriptions,
        others=others(own, everything),
        fault=render.refusal(fault, spoken) if fault else None,
        faulty=(fault.field, forms.one(sent, "newsletter")) if fault else None,
        pausable=pausable,
        given=forms.one(sent, "until"),
        done=request.query.get("done", ""),
    )


def token(request: web.Request) -> str:
    return request.match_info["token"]


def unknown(request: web.Request) -> web.Response:
    return page.answer(request, "public/unknown.html", status=404)


def others(own: Own, everything: list[Newsletter]) -> list[Newsletter]:
    """What else there is."""
    held = {f.newsletter.slug for f in own.subscriptions if f.subscription.state != "left"}
    return [newsletter for newsletter in everything if newsletter.slug not in held]


async def confirmed(request: web.Request) -> web.Response:
    """GET /me/TOKEN/confirmed/SLUG: where the button of a confirmation leads."""
    async with request.app[page.POOL].acquire() as conn:
        own = await subscriptions.manage(conn, request.app[page.VAULT], token(request))
    for found in own.subscriptions if own else ():
        known = found.newsletter.slug == request.match_info["slug"]
        if known and found.subscription.state == "confirmed":
            return page.answer(
                request,
                "public/confirmed.html",
                speak=found.subscription.language,
                token=token(request),
                newsletter=found.newsletter,
                notice=found.notice,
                found=found,
            )
    return unknown(request)


# POST /me/TOKEN


async def act(request: web.Request) -> web.Response:
    """Do what a button of the page says."""
    sent = await forms.read(request)
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        keys = request.app[page.VAULT]
        own = await subscriptions.manage(conn, keys, token(request))
        fault = await do(conn, keys, own, sent) if own else None
    if own is None:
        return unknown(request)
    if fault is not None:
        return await render_own(request, fault, sent)
    return page.see_other(request, f"/me/{token(request)}", done=forms.one(sent, "action"))


async def do(conn: Connection, keys: Vault, own: Own, sent: Fields) -> Refusal | None:
    """Why not, if not; nothing is raised inside the transaction."""
    action = forms.one(sent, "action")
    try:
        if action == "leave-all":
            if forms.one(sent, "never_again") == "yes":
                await subscriptions.end(conn, keys, own, "page", "person", SUBJECT)
            else:
                await subscriptions.leave_all(conn, own, "page", SUBJECT)
        elif action == "leave":
            await subscriptions.withdraw(conn, await chosen(conn, own, sent), "page", SUBJECT)
        elif action == "change":
            found = await chosen(conn, own, sent)
            language, cadence = forms.one(sent, "lang"), forms.one(sent, "cadence")
            await subscriptions.change(conn, found, language, cadence)
        elif action == "pause":
            until = day(forms.one(sent, "until"))
            await subscriptions.pause(conn, await chosen(conn, own, sent), until)
        elif action == "go-on":
            await subscriptions.pause(conn, await chosen(conn, own, sent), None)
        else:
            return Invalid("Press one of the buttons of the page.")
    except (Invalid, Unknown) as error:
        return error
    return None


async def chosen(conn: Connection, own: Own, sent: Fields) -> Found:
    """The subscription a button speaks of, locked. Raises Unknown."""
    found = await subscriptions.find(conn, own, forms.one(sent, "newsletter"))
    if found is None:
        raise Unknown("You are not subscribed to this newsletter.")
    return found


def day(text: str) -> date:
    """As browsers send it (HTML, a valid date string). Raises Invalid."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Invalid("Give the day as 2027-01-31.", field="until") from None
