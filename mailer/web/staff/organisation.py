"""Signing in with the OpenID provider of one's organisation, in place of the password."""

from aiohttp import web

from mailer import oidc, staff
from mailer.config import Oidc
from mailer.errors import Invalid, Refusal, Unavailable
from mailer.oidc import Errand
from mailer.web import desk, page
from mailer.web.staff import entrance, throttle


async def go(request: web.Request) -> web.Response:
    """GET /staff/organisation: off to the provider; only a cookie is set."""
    chosen, errand = provider(request), Errand.new()
    try:
        at = await oidc.discover(chosen)
    except (Invalid, Unavailable) as refusal:
        return entrance.sign_in_refused(request, refusal, "")
    where = oidc.authorization(chosen, at, errand, back(request))
    answer = web.Response(status=303, headers={"Location": where})
    desk.keep_errand(request, answer, str(errand))
    return answer


async def come(request: web.Request) -> web.Response:
    """GET /staff/organisation/back: they were there."""
    chosen, errand = provider(request), Errand.parse(desk.errand(request))
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        refusal: Refusal | None = await throttle.too_many(conn, request, None, "organisation", "")
    if errand is None and refusal is None:
        refusal = Invalid("This sign-in was not begun in this browser: begin again.")
    if errand is None or refusal is not None:
        assert refusal is not None
        return entrance.sign_in_refused(request, refusal, "")
    try:
        email = await oidc.address(
            chosen,
            await oidc.discover(chosen),
            errand,
            back(request),
            state=request.query.get("state", ""),
            code=request.query.get("code", ""),
        )
        async with request.app[page.POOL].acquire() as conn:
            account = await staff.by_address(conn, request.app[page.VAULT], email)
        if account is None or account.disabled_at is not None:
            raise Invalid("There is no account here with the address that your provider names.")
    except (Invalid, Unavailable) as refused:
        return entrance.sign_in_refused(request, refused, "")
    answer = await entrance.begin(request, account, "organisation")
    desk.keep_errand(request, answer, "")
    return answer


def provider(request: web.Request) -> Oidc:
    """Raises Unknown if there is none, as for any other address."""
    found = request.app[page.SETTINGS].oidc
    if found is None:
        raise page.REFUSALS[404]
    return found


def back(request: web.Request) -> str:
    """Our address, as it is registered with the provider."""
    return f"{request.app[page.SETTINGS].base_url}/staff/organisation/back"
