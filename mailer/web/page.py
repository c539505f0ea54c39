"""What every page has: a language, headers that are strict unless relaxed, one way to answer."""

import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from urllib.parse import quote, urlencode, urlsplit

import asyncpg
from aiohttp import web

from mailer import render, resources
from mailer.config import Settings
from mailer.db import Pool
from mailer.errors import (
    Changed,
    Conflict,
    Invalid,
    NotAllowed,
    Refusal,
    Several,
    TooMany,
    Unauthenticated,
    Unavailable,
    Unknown,
    Unseen,
)
from mailer.vault import Vault

log = logging.getLogger(__name__)

SETTINGS = web.AppKey("settings", Settings)
POOL: web.AppKey[Pool] = web.AppKey("pool")
VAULT = web.AppKey("vault", Vault)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; frame-src {frames}; "
    "form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}"
)
HEADERS = {
    "Content-Security-Policy": POLICY.format(frames="'none'", ancestors="'none'"),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
FOREVER = "public, max-age=31536000, immutable"
SHORTLY = "public, max-age=300"

# Where the form may stand in somebody else's page, and so may what answers it. Its address holds
# no secret; under no-referrer a browser would not even tell us that our own page posted it.
FRAMED = {
    "Content-Security-Policy": POLICY.format(frames="'none'", ancestors="*"),
    "Referrer-Policy": "same-origin",
}
SCRIPTED = {
    **FRAMED,
    "Content-Security-Policy": FRAMED["Content-Security-Policy"] + "; script-src 'self'",
}
"""A form with a puzzle: the script that solves it is ours."""

PUBLIC = {"Cache-Control": SHORTLY, "X-Robots-Tag": "all"}
FRAMING = {"Content-Security-Policy": POLICY.format(frames="'self'", ancestors="'none'")}

# Styles of a mail stand in its tags. Nothing else of it is let near: no script can run, no form be
# sent, nothing be loaded from elsewhere, and a sandbox keeps it from being one of our pages.
MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; form-action 'none'; "
    "base-uri 'none'; frame-ancestors {ancestors}; sandbox allow-popups"
)
LEADING_ON = " allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation"
MAIL_ALONE = {"Content-Security-Policy": MAIL_POLICY.format(ancestors="'none'") + LEADING_ON}
MAIL_TO_READ = {"Content-Security-Policy": MAIL_POLICY.format(ancestors="'self'") + LEADING_ON}
MAIL_TO_SEE = {"Content-Security-Policy": MAIL_POLICY.format(ancestors="'self'")}
"""A mail as a page of its own; in a frame of ours; and there to be looked at, its links dead."""

STATUS: Mapping[type[Refusal], int] = {
    Invalid: 422,
    Several: 422,
    Unknown: 404,
    Conflict: 409,
    Changed: 412,
    Unseen: 428,
    Unauthenticated: 401,
    NotAllowed: 403,
    TooMany: 429,
    Unavailable: 503,
}
REFUSALS: Mapping[int, Refusal] = {
    400: Invalid("Your browser sent something that can't be read. Please try again."),
    404: Unknown("There is nothing at this address. Perhaps the link was cut off by a line break."),
    405: Conflict("This address can't be used that way."),
    413: Invalid("This is more than the form takes: 64 KB at most."),
    415: Invalid(
        "Send the form as application/x-www-form-urlencoded, multipart/form-data or JSON."
    ),
    500: Unavailable("Something went wrong on our side. Nothing was lost; please try again later."),
    503: Unavailable("We can't reach our records just now. Please try again in a minute."),
}
API = "/api/"
DESK = (API, "/staff", "/inbox")
"""What only those who work here see."""

API_REFUSALS: Mapping[int, Refusal] = {
    400: Invalid("This is not JSON: send one object."),
    404: Unknown("There is nothing at this address: /api/v1/openapi.json says what there is."),
    413: Invalid("The body is too large: send 1 MB at most."),
    415: Invalid("Send the body as application/json."),
}
LOST = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # of several servers, none takes writes at present
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # it shuts down or starts
    asyncpg.InsufficientResourcesError,  # its disk is full, or all its connections are taken
)


# answering


def answer(
    request: web.Request,
    template: str,
    *,
    status: int = 200,
    speak: str | None = None,
    headers: Mapping[str, str] | None = None,
    **values: object,
) -> web.Response:
    """A page in the language the reader asked for, else `speak`, else the browser's.

    For its links, `keep`: the language asked for; `here`: where GET finds it in another language.
    """
    chosen = language(request, speak)
    values = {
        "root": root(request),
        "static": static,
        "icon": icon(),
        "languages": offered(request),
        "keep": f"?lang={chosen}" if "lang" in request.query else "",
        "here": "",
        **values,
    }
    text = render.page(template, chosen, **values)
    spoken = {"Content-Language": chosen, "Vary": "Accept, Accept-Language"}
    return web.Response(
        text=text, status=status, content_type="text/html", headers={**spoken, **(headers or {})}
    )


def see_other(request: web.Request, path: str, **query: str) -> web.Response:
    """Go on there with GET, in the language that was asked for here."""
    if "lang" in request.query:
        query = {"lang": language(request), **query}
    where = root(request) + path + (f"?{urlencode(query)}" if query else "")
    return web.Response(status=303, headers={"Location": where})


def refused(
    request: web.Request,
    error: Refusal,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
    speak: str | None = None,
) -> web.Response:
    """The sentence of a refusal, as a page or, when asked for, as JSON."""
    status = status or STATUS.get(type(error), 500)
    more = dict(headers or {})
    if isinstance(error, TooMany):
        more["Retry-After"] = str(error.retry_after)
    if isinstance(error, Unauthenticated):
        more["WWW-Authenticate"] = "Bearer"
    if request.path.startswith(API):
        return problem(request, error, status, more)
    sentence = render.refusal(error, language(request, speak))
    if wants_json(request):
        body = {"errors": {error.field: sentence}} if error.field else {"error": sentence}
        return web.json_response(body, status=status, headers=more)
    return answer(
        request,
        "public/error.html",
        status=status,
        speak=speak,
        headers=more,
        sentence=sentence,
        code=status,
    )


def problem(
    request: web.Request, error: Refusal, status: int, headers: Mapping[str, str]
) -> web.Response:
    """A refusal as problem details (RFC 9457); `errors` names each field that is wrong."""
    spoken = language(request)
    said = [
        (each.field, render.refusal(each, spoken))
        for each in (error.each if isinstance(error, Several) else (error,))
    ]
    body: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": " ".join(sentence for _, sentence in said),
    }
    fields = [{"field": field, "detail": sentence} for field, sentence in said if field]
    if fields:
        body["errors"] = fields
    return web.json_response(
        body, status=status, headers=headers, content_type="application/problem+json"
    )


def language(request: web.Request, speak: str | None = None) -> str:
    """What the reader asked for, else `speak`, else the browser's, among those the page is in."""
    among = offered(request)
    asked = render.lookup(request.query.get("lang", ""), among)
    return asked or render.best(speak, request.headers.get("Accept-Language"), among)


def offered(request: web.Request) -> Sequence[str]:
    return render.DESK if request.path.startswith(DESK) else render.LANGUAGES


def wants_json(request: web.Request) -> bool:
    """Whether it speaks JSON, or asks for it rather than for a page."""
    if request.content_type == "application/json":
        return True
    accepted = [
        part.partition(";")[0].strip() for part in request.headers.get("Accept", "").split(",")
    ]
    return "application/json" in accepted and "text/html" not in accepted


def root(request: web.Request) -> str:
    """What stands before every path when we live below somebody's site: "" or "/news"."""
    return urlsplit(request.app[SETTINGS].base_url).path.rstrip("/")


# for every answer


@web.middleware
async def kindly(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Whatever goes wrong, a sentence in the reader's language."""
    try:
        return await handler(request)
    except Refusal as error:
        return refused(request, error)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return refused_by_status(request, error)
    except Exception as error:
        return failed(request, error)


def failed(request: web.Request, error: Exception) -> web.Response:
    """No database, or a fault of the program; the log learns of it, the reader only that.

    Or the reader is gone, in the middle of what they sent: nobody needs to learn of that.
    """
    if isinstance(error, ConnectionError) and request.transport is None:
        return web.Response(status=400)
    # What asyncpg raises for a value it can't send is both: that is our fault.
    if isinstance(error, LOST) and not isinstance(error, ValueError):
        log.error("no database for %s: %s", where(request), type(error).__name__)
        return refused(request, REFUSALS[503], 503, {"Retry-After": "60"})
    log.error("%s %s failed", request.method, where(request), exc_info=error)
    return refused(request, REFUSALS[500], 500)


def refused_by_status(request: web.Request, error: web.HTTPException) -> web.Response:
    kept = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
    known = {**REFUSALS, **API_REFUSALS} if request.path.startswith(API) else REFUSALS
    status = error.status if error.status in known else 400
    return refused(request, known[status], status, kept)


def where(request: web.Request) -> str:
    """The route, which tells no token."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else "an unknown path"


async def harden(request: web.Request, response: web.StreamResponse) -> None:
    """Every answer is strict in what its handler did not relax."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.app[SETTINGS].base_url.startswith("https:"):
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    response.headers.pop("Server", None)


# files of our own


@dataclass(frozen=True)
class File:
    """One of templates/static, under an address that changes with its content."""

    path: str
    body: bytes
    type: str


TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@cache
def files() -> Mapping[str, File]:
    """By name."""
    return {
        path.name: File(address(path.name, body := path.read_bytes()), body, TYPES[path.suffix])
        for path in sorted((resources("templates") / "static").iterdir())
        if path.suffix in TYPES
    }


def address(name: str, body: bytes) -> str:
    return f"/static/{hashlib.sha256(body).hexdigest()[:12]}/{name}"


def static(name: str) -> str:
    return files()[name].path


@cache
def icon() -> str:
    """In the page itself: a picture of a few strokes is not worth a request."""
    return f"data:{TYPES['.svg']},{quote(files()['icon.svg'].body)}"


async def file(request: web.Request) -> web.Response:
    """GET /static/HASH/NAME"""
    found = files().get(request.match_info["name"])
    if found is None or found.path != request.path:
        raise REFUSALS[404]
    headers = {"Cache-Control": FOREVER, "X-Robots-Tag": "all"}
    return web.Response(body=found.body, content_type=found.type, charset="utf-8", headers=headers)


async def embed(request: web.Request) -> web.Response:
    """GET /embed.js: for other sites' pages, so under an address that stays; whole, for a policy of
    theirs may forbid a script to load another."""
    found = files()["embed.js"]
    body = files()["puzzle.js"].body + b"\n" + found.body
    headers = {
        "Cache-Control": SHORTLY,
        "Cross-Origin-Resource-Policy": "cross-origin",
        "X-Robots-Tag": "all",
    }
    return web.Response(body=body, content_type=found.type, charset="utf-8", headers=headers)
