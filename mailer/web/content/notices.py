"""Notices at the staff's desk: the versions, what changed between them, publishing another.

Publishing takes two steps: the first shows the words as readers will see them and what they change;
the second publishes the very words that were shown, or none.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from aiohttp import web

from mailer import acts, newsletters, notices, renewals, staff, subjects
from mailer.articles import cleaning
from mailer.db import Connection
from mailer.errors import Changed, Invalid, Refusal, Unknown
from mailer.newsletters import Newsletter
from mailer.notices import Change, Notice, Words
from mailer.web import desk, forms, page
from mailer.web.desk import Who
from mailer.web.forms import Fields

PATH = "/staff/notices"
LINES = ("wording", "controller", "purposes", "recipients", "retention", "withdrawal")
GIVEN = ("newsletter", "language", *LINES)
MOST_CHARACTERS = 20_000
MOST_PURPOSES = 20
MOST_ASKED = 30
"""Renewals that the list shows."""

LATEST_YEAR = 2200


async def listing(request: web.Request, who: Who) -> web.StreamResponse:
    """GET /staff/notices"""
    async with request.app[page.POOL].acquire() as conn:
        offered = await newsletters.all_(conn)
        versions = await notices.standings(conn)
        asked = await renewals.summaries(conn)
        behind = {each.slug: await notices.count_behind(conn, each.id) for each in offered}
        names = await staff.names(conn, request.app[page.VAULT])
    return desk.answer(
        request, who, "staff/notices.html", versions=versions[::-1], asked=asked[:MOST_ASKED],
        running={each.newsletter for each in asked if each.ended_at is None}, behind=behind,
        newsletters={each.slug: each for each in offered}, names=names, faults={},
    )  # fmt: skip


async def show(request: web.Request, who: Who) -> web.StreamResponse:
    """GET /staff/notices/ID?old=ID: what it says, and how it differs from an older version."""
    async with request.app[page.POOL].acquire() as conn:
        notice = await found(conn, request.match_info["id"])
        standing = (await notices.standings(conn, notice.id))[0]
        older = await before(conn, notice)
        newsletter = await about(conn, notice)
    old = next((n for n in older if n.id == request.query.get("old")), next(iter(older), None))
    return desk.answer(
        request, who, "staff/notice.html", notice=notice, standing=standing, older=older, old=old,
        newsletter=newsletter, changes=notices.difference(old, notice) if old else [], faults={},
    )  # fmt: skip


async def found(conn: Connection, id_: str) -> Notice:
    """Raises Unknown."""
    try:
        return await notices.find(conn, id_)
    except Unknown:  # its own sentence speaks of a form of readers
        raise Unknown("There is no notice with this number.") from None


async def about(conn: Connection, words: Words) -> Newsletter | None:
    """The newsletter that it is for; None: for all."""
    return None if words.newsletter is None else await newsletters.get(conn, words.newsletter)


async def before(conn: Connection, notice: Notice) -> list[Notice]:
    """Earlier versions of the same, newest first."""
    return [n for n in await alike(conn, notice) if n.valid_from < notice.valid_from]


async def alike(conn: Connection, words: Words) -> list[Notice]:
    """For the same newsletter, or all, in the same language; newest first."""
    every = [
        each
        for each in await notices.all_(conn)
        if (each.newsletter, each.language) == (words.newsletter, words.language)
    ]
    return sorted(every, key=lambda each: each.valid_from, reverse=True)


# publishing


@dataclass(frozen=True)
class Preview:
    """What would be published; `old`: the version it follows, with `confirmed` readers."""

    words: Words
    newsletter: Newsletter | None
    old: Notice | None
    changes: Sequence[Change]
    confirmed: int
    stamp: str


async def new_page(request: web.Request, who: Who) -> web.StreamResponse:
    """GET /staff/notices/new?like=ID: an empty form, or one with the words of a version"""
    given = dict.fromkeys(GIVEN, "")
    given["controller"] = request.app[page.SETTINGS].controller or ""
    if "like" in request.query:
        async with request.app[page.POOL].acquire() as conn:
            notice = await found(conn, request.query["like"])
            newsletter = await about(conn, notice)
        given = {**notices.said(notice), "newsletter": newsletter.slug if newsletter else ""}
    return await written(request, who, given, {}, 200)


async def written(
    request: web.Request,
    who: Who,
    given: Mapping[str, str],
    faults: Mapping[str, str],
    status: int,
) -> web.StreamResponse:
    async with request.app[page.POOL].acquire() as conn:
        offered = await newsletters.all_(conn)
    return desk.answer(
        request, who, "staff/notice_new.html", status=status, given=given, newsletters=offered,
        faults=faults,
    )  # fmt: skip


async def publish(request: web.Request, who: Who) -> web.StreamResponse:
    """POST /staff/notices/new: back to the form, the words as they would be, or published."""
    sent = await forms.read(request)
    given = {name: forms.one(sent, name).replace("\r\n", "\n") for name in GIVEN}
    if forms.one(sent, "do") == "edit":
        return await written(request, who, given, {}, 200)
    try:
        async with request.app[page.POOL].acquire() as conn, conn.transaction():
            seen = await preview(conn, await worded(conn, given))
            if forms.one(sent, "do") != "publish":
                return previewed(request, who, given, seen, {}, 200)
            check_shown(sent, seen)
            house = await subjects.house(conn, request.app[page.VAULT])
            added = await notices.publish(conn, house, seen.words, actor=who.actor)
    except Changed as fault:
        faults = desk.refused(request, who, fault)
        return previewed(request, who, given, seen, faults, page.STATUS[Changed])
    except Refusal as fault:
        faults = desk.refused(request, who, fault)
        return await written(request, who, given, faults, page.STATUS[type(fault)])
    return desk.see_other(request, f"{PATH}/{added.id}", "published")


def previewed(
    request: web.Request,
    who: Who,
    given: Mapping[str, str],
    seen: Preview,
    faults: Mapping[str, str],
    status: int,
) -> web.StreamResponse:
    return desk.answer(
        request, who, "staff/notice_preview.html", status=status, given=given, preview=seen,
        faults=faults,
    )  # fmt: skip


async def worded(conn: Connection, given: Mapping[str, str]) -> Words:
    """Raises Invalid, Unknown."""
    for name in LINES:
        desk.check_lines(given[name], name, MOST_CHARACTERS)
    slug = given["newsletter"]
    newsletter = await newsletters.find(conn, slug) if slug else None
    language = cleaning.language(given["language"])
    if language is None:
        raise Invalid("The language must be one such as en or pt-BR.", field="language")
    purposes = tuple(filter(None, map(str.strip, given["purposes"].split("\n"))))
    words = Words(
        newsletter=newsletter.id if newsletter else None,
        language=language,
        wording=given["wording"].strip(),
        controller=given["controller"].strip(),
        purposes=purposes[:MOST_PURPOSES],
        recipients=given["recipients"].strip(),
        retention=given["retention"].strip(),
        withdrawal=given["withdrawal"].strip(),
    )
    notices.check(words)
    if len(purposes) > MOST_PURPOSES:
        raise Invalid("Give at most {most} purposes.", field="purposes", most=MOST_PURPOSES)
    return words


async def preview(conn: Connection, words: Words) -> Preview:
    old = next(iter(await alike(conn, words)), None)
    confirmed = (await notices.standings(conn, old.id))[0].confirmed if old else 0
    said = notices.form(words) + (old.id if old else "").encode()
    return Preview(
        words=words,
        newsletter=await about(conn, words),
        old=old,
        changes=notices.difference(old, words) if old else [],
        confirmed=confirmed,
        stamp=hashlib.sha256(said).hexdigest(),
    )


def check_shown(sent: Fields, seen: Preview) -> None:
    """Raises Changed unless those words were shown, after that version."""
    if forms.one(sent, "shown") != seen.stamp:
        raise Changed(
            "These are not the words that were shown, or somebody else has published others since: "
            "read them again, then publish."
        )


# renewals


async def renew_page(request: web.Request, who: Who) -> web.StreamResponse:
    """GET /staff/notices/renew/SLUG: what it would mean, and a button"""
    return await asked(request, who, "", {}, 200)


async def asked(
    request: web.Request, who: Who, until: str, faults: Mapping[str, str], status: int
) -> web.StreamResponse:
    async with request.app[page.POOL].acquire() as conn:
        newsletter = await newsletters.find(conn, request.match_info["slug"])
        behind = await notices.count_behind(conn, newsletter.id)
    return desk.answer(
        request, who, "staff/renewal.html", status=status, newsletter=newsletter, behind=behind,
        until=until, least=renewals.LEAST.days, faults=faults,
    )  # fmt: skip


async def renew(request: web.Request, who: Who) -> web.StreamResponse:
    """POST /staff/notices/renew/SLUG"""
    sent = await forms.read(request)
    try:
        day = day_of(forms.one(sent, "until"))
        async with request.app[page.POOL].acquire() as conn, conn.transaction():
            newsletter = await newsletters.find(conn, request.match_info["slug"])
            answer_by = renewals.end_of_day(day, newsletter.zone)
            _, readers = await renewals.begin(conn, newsletter, answer_by, by=who.actor)
            await acts.record(
                conn, request.app[page.VAULT], who.actor, "renewal.begun", newsletter.slug,
                until=day.isoformat(), rows=readers,
            )  # fmt: skip
    except Refusal as fault:
        faults = desk.refused(request, who, fault)
        return await asked(request, who, forms.one(sent, "until"), faults, page.STATUS[type(fault)])
    return desk.see_other(request, PATH, "renewing")


def day_of(text: str) -> date:
    """Raises Invalid."""
    try:
        found = date.fromisoformat(text.strip())
    except ValueError:
        raise Invalid("Give the day as 2026-03-01.", field="until") from None
    if found.year > LATEST_YEAR:
        raise Invalid("Give the day as 2026-03-01.", field="until")
    return found


async def stop_page(request: web.Request, who: Who) -> web.StreamResponse:
    """GET /staff/notices/renew/SLUG/stop: what it means, and a button"""
    return await stopping(request, who, {}, 200)


async def stopping(
    request: web.Request, who: Who, faults: Mapping[str, str], status: int
) -> web.StreamResponse:
    async with request.app[page.POOL].acquire() as conn:
        newsletter = await newsletters.find(conn, request.match_info["slug"])
    return desk.answer(
        request, who, "staff/renewal_stop.html", status=status, newsletter=newsletter,
        faults=faults,
    )  # fmt: skip


async def stop(request: web.Request, who: Who) -> web.StreamResponse:
    """POST /staff/notices/renew/SLUG/stop"""
    try:
        async with request.app[page.POOL].acquire() as conn, conn.transaction():
            newsletter = await newsletters.find(conn, request.match_info["slug"])
            await renewals.stop(conn, newsletter)
            keys = request.app[page.VAULT]
            await acts.record(conn, keys, who.actor, "renewal.stopped", newsletter.slug)
    except Refusal as fault:
        faults = desk.refused(request, who, fault)
        return await stopping(request, who, faults, page.STATUS[type(fault)])
    return desk.see_other(request, PATH, "stopped")
