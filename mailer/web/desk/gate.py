"""The gate: one table says of each route which roles may; nobody comes past it.

Pages of other sites can't act for whoever is signed in: their requests carry no cookie of ours
(SameSite=Strict), and what changes something must besides come from a page of our own, as the
browser says in `Sec-Fetch-Site` or `Origin`, which no page can forge. Every browser of the last
years sends one of them with each POST; what sends neither is refused. A token in each form would
prove nothing more.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlsplit

from aiohttp import web

from mailer import sessions, staff
from mailer.db import Connection
from mailer.errors import NotAllowed, Unknown
from mailer.staff import ROLES, Role
from mailer.web import page
from mailer.web.desk import answering, cookies
from mailer.web.desk.who import Who

ROOT = "/staff"
SIGN_IN = "/staff/sign-in"
CODE = "/staff/code"
FACTOR = "/staff/factor"
AGAIN = "/staff/again"

EVERYONE: tuple[Role, ...] = ROLES
FRESH_MINUTES = 10
SENT_MINUTES = 30
"""How long ago one may have shown who one is to open a page that asks for it; and to send the form
that stands on it, which should not be lost to a slow hand."""

SAFE = ("GET", "HEAD")


Open: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
Handler: TypeAlias = Callable[[web.Request, Who], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Entry:
    """One line of the table.

    `roles`: who may; none: anybody, or (`half`) who has shown a password and must show more.
    `fresh`: only who has shown within minutes who they are. `bare`: also who must set up a second
    factor first, and has not.
    """

    method: str
    path: str
    handler: Handler
    roles: frozenset[Role] = frozenset()
    half: bool = False
    fresh: bool = False
    bare: bool = False
    open: Open | None = None

    def route(self) -> web.RouteDef:
        async def guarded(request: web.Request) -> web.StreamResponse:
            return await pass_(self, request)

        return web.route(self.method, self.path, guarded)


def get(
    path: str, handler: Handler, *roles: Role, fresh: bool = False, bare: bool = False
) -> Entry:
    return Entry("GET", path, handler, frozenset(roles), fresh=fresh, bare=bare)


def post(
    path: str, handler: Handler, *roles: Role, fresh: bool = False, bare: bool = False
) -> Entry:
    return Entry("POST", path, handler, frozenset(roles), fresh=fresh, bare=bare)


def anybody(method: str, path: str, handler: Open) -> Entry:
    """For who is not signed in: nothing is known of who asks."""

    async def unasked(request: web.Request, who: Who) -> web.StreamResponse:
        raise AssertionError("nobody is asked who they are there")

    return Entry(method, path, unasked, open=handler)


def half(method: str, path: str, handler: Handler) -> Entry:
    """For who has shown a password and must show a second factor."""
    return Entry(method, path, handler, half=True)


TABLE: web.AppKey[Sequence[Entry]] = web.AppKey("staff_table")


def install(app: web.Application, table: Sequence[Entry]) -> None:
    """The staff's routes. Raises ValueError for one that says of nobody that they may."""
    for entry in table:
        if not (entry.roles or entry.half or entry.open):
            raise ValueError(f"{entry.method} {entry.path} says of no role that it may")
    app[TABLE] = tuple(table)
    app[answering.MAY] = lambda path, role, method="GET": any(
        role in e.roles for e in table if (e.method, e.path) == (method, path)
    )
    guarded = {route.handler for route in app.add_routes([entry.route() for entry in table])}
    undeclared = {
        route.resource.canonical
        for route in app.router.routes()
        if route.resource and route.resource.canonical.startswith(ROOT)
        if route.handler not in guarded
    }
    if undeclared:
        raise ValueError(f"{sorted(undeclared)} are not in the table of the staff's routes")


# coming past it


async def pass_(entry: Entry, request: web.Request) -> web.StreamResponse:
    """Answer with the handler, if whoever asks may; else say what to do first."""
    if request.method not in SAFE and not from_own_page(request):
        raise NotAllowed("This did not come from a page of ours, so nothing was done.")
    if entry.open is not None:
        return await entry.open(request)
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        who = await recognise(conn, request)
        missing = await lacking(conn, entry, request, who) if who else nobody(request)
    if missing is not None:
        return missing
    assert who is not None
    if entry.roles and who.role not in entry.roles:
        raise NotAllowed("Your role does not include this. Ask an owner if it should.")
    return await entry.handler(request, who)


async def recognise(conn: Connection, request: web.Request) -> Who | None:
    """Whose session the browser shows, if it holds."""
    session = await sessions.find(conn, cookies.secret(request))
    if session is None:
        return None
    try:
        account = await staff.get(conn, session.staff)
    except Unknown:
        return None
    if account.disabled_at is not None:
        return None
    return Who(session, account, account.email(request.app[page.VAULT]))


async def lacking(
    conn: Connection, entry: Entry, request: web.Request, who: Who
) -> web.Response | None:
    """Where to go first, if there is something to show first."""
    if (who.session.stage == "password") != entry.half:
        return page.see_other(request, ROOT if entry.half else CODE)
    if not entry.half and who.account.needs_factor and not entry.bare:
        return page.see_other(request, FACTOR)
    minutes = FRESH_MINUTES if request.method in SAFE else SENT_MINUTES
    if entry.fresh and who.role in entry.roles and who.session.proven_minutes > minutes:
        here = request.path_qs if request.method in SAFE else answering.back(request)
        await sessions.want(conn, who.session.id, here)
        return page.see_other(request, AGAIN)
    return None


def nobody(request: web.Request) -> web.Response:
    """To the door; by way of a page of ours if the link was somebody else's.

    A link in another site's page (or a mail read there) is followed without our cookie, which is
    SameSite=Strict. A page of ours that leads on by itself brings it along.
    """
    if request.method in SAFE and request.headers.get("Sec-Fetch-Site") == "cross-site":
        return page.answer(
            request, "staff/onward.html", onward=page.root(request) + request.path_qs
        )
    query = {"done": "ended"} if cookies.secret(request) else {}
    return page.see_other(request, SIGN_IN, **query)


def from_own_page(request: web.Request) -> bool:
    """Whether a page of ours sent it, as the browser says (W3C Fetch Metadata; RFC 6454)."""
    said = request.headers.get("Sec-Fetch-Site")
    if said is not None:
        return said == "same-origin"
    ours = urlsplit(request.app[page.SETTINGS].base_url)
    return request.headers.get("Origin") == f"{ours.scheme}://{ours.netloc}"
