"""For visitors: the form, what it sends, the words they agree to."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from aiohttp import web

from mailer import lookalikes, newsletters, notices, puzzles, render
from mailer.db import Connection
from mailer.errors import Conflict, Refusal, TooMany, Unknown
from mailer.newsletters import Newsletter
from mailer.notices import Change, Notice
from mailer.subscriptions import requests
from mailer.web import door, forms, guard, page
from mailer.web.forms import Faults, Filled
from mailer.web.known import KNOWN

FORM_VERSION = "hosted/1"
ELEMENT_VERSION = "element/1"
VERSIONS = (FORM_VERSION, ELEMENT_VERSION)
CORS = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After"}
PREFLIGHT = {
    **CORS,
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "Accept, Content-Type",
    "Access-Control-Max-Age": "86400",
}


@dataclass(frozen=True)
class Form:
    """What a form shows; `languages`: those it can be read in; `puzzle`: to be solved, if any."""

    newsletter: Newsletter
    notice: Notice
    languages: tuple[str, ...]
    stamp: str
    puzzle: str | None
    version: str = FORM_VERSION


@dataclass(frozen=True)
class Version:
    """A notice, and what changed with it; None: it is the first."""

    notice: Notice
    changes: Sequence[Change] | None


@dataclass(frozen=True)
class Compared:
    """Two versions, and what they differ in."""

    old: Notice
    new: Notice
    changes: Sequence[Change]


async def home(request: web.Request) -> web.Response:
    """GET /"""
    async with request.app[page.POOL].acquire() as conn:
        offered = await newsletters.all_(conn)
    return page.answer(request, "public/home.html", headers=page.PUBLIC, offered=offered)


async def form(request: web.Request) -> web.Response:
    """GET /form?newsletter=SLUG&lang=xx"""
    slug = request.query.get("newsletter", "")
    if not slug:
        return await home(request)
    return empty(request, await prepare(request, slug))


async def offer(request: web.Request) -> web.Response:
    """GET /subscribe?newsletter=SLUG&lang=xx: the same form, for `<newsletter-form>` to show.

    It is the one address that other sites' scripts may read (`share`).
    """
    shown = await prepare(request, request.query.get("newsletter", ""))
    return empty(request, replace(shown, version=ELEMENT_VERSION))


def empty(request: web.Request, shown: Form) -> web.Response:
    return show(request, shown, Filled(cadence=shown.newsletter.cadences[0]), {}, 200)


async def prepare(request: web.Request, slug: str, wanted: str = "") -> Form:
    """The form in the language that suits best. Raises Unknown, or Conflict: it has no notice."""
    known = request.app[KNOWN]
    await known.refresh()  # on a connection of its own: not while this one is held
    async with request.app[page.POOL].acquire() as conn:
        newsletter = await newsletters.find(conn, slug)
        found = {
            code: await notices.current(conn, newsletter.id, code) for code in newsletter.languages
        }
        posed = await puzzle(conn, request, flooded=known.is_flooded(newsletter.id))
    ready = {code: notice for code, notice in found.items() if notice is not None}
    if not ready:
        raise Conflict(
            "The newsletter {slug} can't be subscribed to yet: it has no notice.",
            slug=newsletter.slug,
        )
    offered = sorted(ready, key=lambda code: code != newsletter.fallback)
    asked = request.query.get("lang") or wanted
    chosen = render.best(asked, request.headers.get("Accept-Language"), offered)
    stamp = guard.stamp(request.app[page.VAULT])
    return Form(newsletter, ready[chosen], tuple(ready), stamp, posed)


async def puzzle(conn: Connection, request: web.Request, *, flooded: bool) -> str | None:
    """One to be solved, if a flood is on or the visitor's network has sent several forms."""
    keys = request.app[page.VAULT]
    if flooded:
        return puzzles.pose(keys, puzzles.NUMBERS_IN_FLOODS)
    if await requests.weight(conn, guard.key(keys, guard.visitor(request))) >= requests.SEVERAL:
        return puzzles.pose(keys, puzzles.NUMBERS)
    return None


def show(
    request: web.Request, shown: Form, given: Filled, faults: Faults, status: int
) -> web.Response:
    speak = shown.notice.language
    spoken = page.language(request, speak)
    return page.answer(
        request,
        "public/form.html",
        status=status,
        speak=speak,
        headers=page.SCRIPTED if shown.puzzle else page.FRAMED,
        form=shown,
        newsletter=shown.newsletter,
        notice=shown.notice,
        given=given,
        # Ticked again only by who ticked it, under the very words that stand beside it now.
        ticked=given.consent and given.notice == shown.notice.id,
        faults={field: render.refusal(fault, spoken) for field, fault in faults.items()},
    )


# POST /subscribe


async def subscribe(request: web.Request) -> web.Response:
    """The same answer, after the same work, whoever the address is."""
    given = forms.filled(await forms.read(request))
    faults: Faults = forms.faults(given)
    if not faults:
        found = guard.visitor(request)
        outcome = await door.leave(request, given, found, evidence(request, found))
        refused = outcome.refused
        if isinstance(refused, TooMany):
            return page.refused(request, refused, headers=page.FRAMED, speak=given.language)
        if refused is None:
            meant = lookalikes.meant(given.email)
            return thanks(request, given.language, meant, outcome.puzzle)
        faults = {refused.field or "form": refused}
    return await again(request, given, faults)


def evidence(request: web.Request, found: guard.IP | None) -> dict[str, str]:
    """How it was asked, as far as it may be kept."""
    allowed = request.app[page.SETTINGS].consent_ip
    known = {"origin": guard.origin(request), "ip": guard.kept(found, allowed)}
    return {name: value for name, value in known.items() if value is not None}


async def solution(request: web.Request) -> web.Response:
    """POST /subscribe/solution: of the puzzle that a form was answered with while a flood is on.

    The same answer whatever it solves, and whether that still waits.
    """
    given = forms.filled(await forms.read(request))
    solved = puzzles.solved(request.app[page.VAULT], given.puzzle)
    if solved is not None:
        async with request.app[page.POOL].acquire() as conn, conn.transaction():
            await requests.solve(conn, solved)
    return thanks(request, given.language, was_meant(request))


def thanks(
    request: web.Request, speak: str, meant: str | None, puzzle: str | None = None
) -> web.Response:
    """`meant`: the domain that was probably meant, if it looks mistyped; who typed it decides."""
    if page.wants_json(request):
        asked = {"did_you_mean": meant} if meant else {}
        posed = {"puzzle": json.loads(puzzle)} if puzzle else {}
        return web.json_response({"status": "check_inbox", **asked, **posed}, status=202)
    if "inline" in request.query:  # a script, which could not read what it is redirected to
        return inbox_page(request, speak, meant, puzzle)
    query = {
        "lang": page.language(request, speak),
        **({"meant": meant} if meant else {}),
        **({"puzzle": puzzles.packed(puzzle)} if puzzle else {}),
    }
    answer = page.see_other(request, "/check-inbox", **query)
    answer.headers.update(page.FRAMED)
    return answer


async def again(request: web.Request, given: Filled, faults: Faults) -> web.Response:
    """The form once more with what was filled in, and what to mend."""
    spoken = page.language(request, given.language)
    if page.wants_json(request):
        said = {field: render.refusal(fault, spoken) for field, fault in faults.items()}
        return web.json_response({"errors": said}, status=422)
    try:
        slug = given.newsletters[0] if given.newsletters else ""
        shown = await prepare(request, slug, given.language)
    except Refusal:  # no newsletter, no form: what was wrong is all that can be said
        first = next(iter(faults.values()))
        return page.refused(request, first, 422, page.FRAMED, given.language)
    cadence = given.cadence or shown.newsletter.cadences[0]
    version = given.form if given.form in VERSIONS else FORM_VERSION
    # Who has to mend something is not new to the form.
    known = guard.age(request.app[page.VAULT], given.stamp) is not None
    shown = replace(shown, version=version, stamp=given.stamp if known else shown.stamp)
    return show(request, shown, replace(given, cadence=cadence), faults, 422)


async def preflight(request: web.Request) -> web.Response:
    """OPTIONS /subscribe: any site may send the form; none may send our visitors' cookies."""
    return web.Response(status=204, headers=PREFLIGHT)


async def share(request: web.Request, response: web.StreamResponse) -> None:
    """Let scripts of other sites read what is answered to their form, errors too."""
    if request.path in ("/subscribe", "/subscribe/solution"):
        response.headers.update({**CORS, "Vary": "Accept, Accept-Language"})


async def check_inbox(request: web.Request) -> web.Response:
    """GET /check-inbox"""
    puzzle = puzzles.unpacked(request.app[page.VAULT], request.query.get("puzzle", ""))
    return inbox_page(request, None, was_meant(request), puzzle)


def was_meant(request: web.Request) -> str | None:
    """The domain that a page of ours said was probably meant."""
    asked = request.query.get("meant")
    return asked if asked in lookalikes.KNOWN else None


def inbox_page(
    request: web.Request, speak: str | None, meant: str | None, puzzle: str | None
) -> web.Response:
    return page.answer(
        request,
        "public/check_inbox.html",
        speak=speak,
        headers=page.SCRIPTED if puzzle else page.FRAMED,
        hours=request.app[page.SETTINGS].confirm_hours,
        meant=meant,
        puzzle=puzzle,
    )


async def notice(request: web.Request) -> web.Response:
    """GET /notice/ID: one version of the words, for ever."""
    try:
        async with request.app[page.POOL].acquire() as conn:
            shown = await notices.find(conn, request.match_info["id"])
            about = [n for n in await newsletters.all_(conn) if is_about(shown, n)]
    except Unknown:  # its own sentence speaks of a form
        raise Unknown("There is no notice with this number.") from None
    return page.answer(
        request,
        "public/notice.html",
        speak=shown.language,
        headers=page.PUBLIC,
        notice=shown,
        about=about,
    )


def is_about(shown: Notice, newsletter: Newsletter) -> bool:
    return shown.covers(newsletter.id) and shown.language in newsletter.languages


async def notice_versions(request: web.Request) -> web.Response:
    """GET /notices/SLUG?lang=xx&old=ID&new=ID: every version, and what two of them differ in.

    Unless two are named, each is shown beside the one before it.
    """
    async with request.app[page.POOL].acquire() as conn:
        newsletter = await newsletters.find(conn, request.match_info["slug"])
        spoken = newsletter.offered(page.language(request, newsletter.fallback))
        found = await notices.versions(conn, newsletter.id, spoken)
        current = await notices.current(conn, newsletter.id, spoken)
    by_id = {version.id: version for version in found}
    old, new = (by_id.get(request.query.get(name, "")) for name in ("old", "new"))
    return page.answer(
        request,
        "public/notices.html",
        speak=newsletter.fallback,
        headers=page.PUBLIC,
        newsletter=newsletter,
        current=current.id if current else None,
        versions=[
            Version(n, notices.difference(before, n) if before else None)
            for n, before in zip(found, [*found[1:], None], strict=False)
        ],
        compared=Compared(old, new, notices.difference(old, new)) if old and new else None,
    )
