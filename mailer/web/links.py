"""Behind the links in mails: confirm, "this was not me", agree to newer words, leave.

GET shows a button and changes nothing, because scanners follow every link; only POST acts.
"""

from zoneinfo import ZoneInfo

from aiohttp import web

from mailer import notices, render, renewals, subscriptions
from mailer.errors import Invalid
from mailer.renewals import Question
from mailer.subscriptions import Found
from mailer.tokens import Purpose
from mailer.web import forms, page

CONFIRM_VERSION = "confirm/1"
RENEW_VERSION = "renew/1"


async def found_by(request: web.Request, purpose: Purpose) -> Found | None:
    """What the link is about; only looked at."""
    async with request.app[page.POOL].acquire() as conn:
        return await subscriptions.look(conn, request.app[page.VAULT], token(request), purpose)


def token(request: web.Request) -> str:
    return request.match_info["token"]


def about(
    request: web.Request,
    found: Found | None,
    template: str,
    *,
    told: str | None = None,
    here: str = "",
) -> web.Response:
    """A page about a subscription, in its language; for an unknown link one of the same shape."""
    if found is None:
        return page.answer(request, "public/unknown.html", status=404)
    return page.answer(
        request,
        f"public/{template}.html",
        speak=found.subscription.language,
        token=token(request),
        found=found,
        newsletter=found.newsletter,
        notice=found.notice,
        manage=found.subscriber.manage_token(request.app[page.VAULT]),
        leave=found.subscription.token(found.subject, "leave"),
        whys=subscriptions.WHYS,
        told=told,
        here=here,
    )


def spoken(request: web.Request, found: Found | None) -> str:
    """The language of a page about it."""
    return page.language(request, found.subscription.language if found else None)


# /confirm/TOKEN


async def confirm_page(request: web.Request) -> web.Response:
    found = await found_by(request, "confirm")
    return about(request, found, standing(found))


def standing(found: Found | None) -> str:
    """Which page a confirmation link shows before anything is pressed."""
    if found is None or (found.subscription.state == "pending" and not found.subscription.expired):
        return "confirm"
    return "already" if found.subscription.state == "confirmed" else "expired"


async def confirm(request: web.Request) -> web.Response:
    keys = request.app[page.VAULT]
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        shown = await subscriptions.look(conn, keys, token(request), "confirm")
        evidence = {"page": CONFIRM_VERSION, "language": spoken(request, shown)}
        outcome, found = await subscriptions.confirm(conn, keys, token(request), evidence)
    if outcome != "confirmed" or found is None:
        return about(request, found, outcome)
    own = found.subscriber.manage_token(keys)
    return page.see_other(request, f"/me/{own}/confirmed/{found.newsletter.slug}")


async def ask_again(request: web.Request) -> web.Response:
    """POST /confirm/TOKEN/again: a new mail instead of an expired link."""
    app, keys = request.app, request.app[page.VAULT]
    async with app[page.POOL].acquire() as conn, conn.transaction():
        found = await subscriptions.look(conn, keys, token(request), "confirm")
        await subscriptions.ask_again(conn, keys, token(request), app[page.SETTINGS].confirm_hours)
    return page.see_other(request, "/check-inbox", lang=spoken(request, found))


# /refuse/TOKEN


async def refuse_page(request: web.Request) -> web.Response:
    return about(request, await found_by(request, "refuse"), "refuse")


async def refuse(request: web.Request) -> web.Response:
    sent = await sent_with(request)
    never_again = forms.one(sent, "never_again") == "yes"
    keys = request.app[page.VAULT]
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        found = await subscriptions.look(conn, keys, token(request), "refuse")
        known = await subscriptions.refuse(conn, keys, token(request), never_again=never_again)
    if not known:
        return about(request, None, "refuse")
    return page.answer(
        request, "public/refused.html", speak=spoken(request, found), never_again=never_again
    )


async def sent_with(request: web.Request) -> forms.Fields:
    """The fields of a button's form. Whatever was sent, or nothing: the button was pressed."""
    try:
        return await forms.read(request)
    except (web.HTTPUnsupportedMediaType, Invalid):
        return {}


# /renew/TOKEN


async def renew_page(request: web.Request) -> web.Response:
    """GET /renew/TOKEN: the newer words, what changed, a button."""
    return await about_renewal(request, stale=False)


async def renew(request: web.Request) -> web.Response:
    """POST /renew/TOKEN"""
    keys = request.app[page.VAULT]
    shown = forms.one(await sent_with(request), "notice")
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        found = await subscriptions.look(conn, keys, token(request), "renew")
        said = {"page": RENEW_VERSION, "channel": "page", "language": spoken(request, found)}
        before = await renewals.renew(conn, keys, token(request), shown, said)
    stale = before.notice is not None and before.notice.id != shown
    return await about_renewal(request, stale=stale)


async def about_renewal(request: web.Request, *, stale: bool) -> web.Response:
    """How things are now; `stale`: the button was pressed beside words that are not the newest."""
    async with request.app[page.POOL].acquire() as conn:
        question = await renewals.look(conn, request.app[page.VAULT], token(request))
    found, asked, notice = question.found, question.asked, question.notice
    if question.standing != "asked" or found is None or asked is None or notice is None:
        template = {"already": "renewed", "left": "left", "unknown": "unknown"}[question.standing]
        return about(request, found, template)
    zone = ZoneInfo(found.newsletter.timezone)
    return page.answer(
        request,
        "public/renew.html",
        speak=found.subscription.language,
        token=token(request),
        leave=found.subscription.token(found.subject, "leave"),
        found=found,
        newsletter=found.newsletter,
        notice=notice,
        changes=notices.difference(found.notice, notice) if is_same_language(question) else [],
        until=render.date(asked.answer_by, spoken(request, found), zone),
        stale=stale,
    )


def is_same_language(question: Question) -> bool:
    """Word by word, only words of one language can be compared."""
    assert question.found is not None
    assert question.notice is not None
    return question.found.notice.language == question.notice.language


# /u/TOKEN


async def leave_page(request: web.Request) -> web.Response:
    return about_leaving(request, await found_by(request, "leave"))


async def leave(request: web.Request) -> web.Response:
    """From the mail program's own button (RFC 8058) or from our page: at once, no questions."""
    one_click = is_one_click(await sent_with(request))
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        await subscriptions.leave(
            conn, request.app[page.VAULT], token(request), "one-click" if one_click else "page"
        )
    if one_click:
        return web.Response(text="OK\n")
    return about_leaving(request, await found_by(request, "leave"))


async def ask_back(request: web.Request) -> web.Response:
    """POST /u/TOKEN/again: it was a mistake; a mail asks to confirm anew, like any form."""
    app = request.app
    async with app[page.POOL].acquire() as conn, conn.transaction():
        await subscriptions.ask_back(
            conn, app[page.VAULT], token(request), app[page.SETTINGS].confirm_hours
        )
    return page.see_other(request, "/check-inbox", lang=page.language(request))


async def tell_why(request: web.Request) -> web.Response:
    """POST /u/TOKEN/reason: to be counted. Without one, the page once more."""
    why = forms.one(await sent_with(request), "why")
    if why not in subscriptions.WHYS:
        return about_leaving(request, await found_by(request, "leave"))
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        found = await subscriptions.tell_why(conn, request.app[page.VAULT], token(request), why)
    return about_leaving(request, found, told=why)


def about_leaving(
    request: web.Request, found: Found | None, told: str | None = None
) -> web.Response:
    """Unknown links answer 200 as well: for who wants to leave, having nothing to leave is fine."""
    left = found is not None and found.subscription.state == "left"
    here = f"{page.root(request)}/u/{token(request)}"
    answer = about(request, found, "left" if left else "leave", told=told, here=here)
    answer.set_status(200)
    return answer


def is_one_click(sent: forms.Fields) -> bool:
    return sent.get("List-Unsubscribe") == ["One-Click"]
