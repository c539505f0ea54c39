"""Newsletters at the staff's desk: their settings, and why readers left.

Whoever saves settings sends along a stamp of those they saw. If somebody else changed them since,
nothing is overwritten: what was typed stands in the form again, beside what is there now.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping

from aiohttp import web

from mailer import acts, consent, digests, newsletters, schedules, subscriptions
from mailer.articles import cleaning
from mailer.db import Connection
from mailer.errors import Changed, Invalid, Refusal
from mailer.newsletters import CADENCES, Newsletter
from mailer.web import desk, forms, page
from mailer.web.desk import Who
from mailer.web.forms import Fields

MOST_LANGUAGES = 30
SPARE = 2
"""Empty lines for titles, below those that are filled in."""

CRON_CHARACTERS = 100
NUMBER_DIGITS = 4

PATH = "/staff/newsletters"
NEW = ("slug", "language", "title")


async def listing(request: web.Request, who: Who) -> web.StreamResponse:
    """GET /staff/newsletters"""
    return await listed(request, who, dict.fromkeys(NEW, ""), {}, 200)


async def listed(
    request: web.Request,
    who: Who,
    given: Mapping[str, str],
    faults: Mapping[str, str],
    status: int,
) -> web.StreamResponse:
    """`given`: a new one that was not added."""
    async with request.app[page.POOL].acquire() as conn:
        every = await newsletters.all_(conn)
        readers = await counted(conn)
    return desk.answer(
        request, who, "staff/newsletters.html", status=status, every=every, readers=readers,
        given=given, faults=faults,
    )  # fmt: skip


async def counted(conn: Connection) -> Counter[tuple[str, str]]:
    """Readers by newsletter and state."""
    found = Counter[tuple[str, str]]()
    for each in await subscriptions.counts(conn):
        found[each.newsletter, each.state] += each.count
    return found


async def add(request: web.Request, who: Who) -> web.StreamResponse:
    """POST /staff/newsletters: one with a single language; the rest is set on its page."""
    sent = await forms.read(request)
    try:
        slug, title = desk.text(sent, "slug"), desk.text(sent, "title")
        language = tag(desk.text(sent, "language"), "language")
        async with request.app[page.POOL].acquire() as conn, conn.transaction():
            added = await newsletters.add(conn, slug, {language: title}, fallback=language)
            keys = request.app[page.VAULT]
            await acts.record(conn, keys, who.actor, "newsletter.added", added.slug)
    except Refusal as fault:
        given = {name: forms.one(sent, name) for name in NEW}
        faults = desk.refused(request, who, fault)
        return await listed(request, who, given, faults, page.STATUS[type(fault)])
    return desk.see_other(request, f"{PATH}/{added.slug}", "added")


def tag(text: str, field: str) -> str:
    """Raises Invalid for what names no language."""
    found = cleaning.language(text)
    if found is None:
        raise Invalid("The language must be one such as en or pt-BR.", field=field)
    return found


# one


async def show(request: web.Request, who: Who) -> web.StreamResponse:
    """GET /staff/newsletters/SLUG"""
    return await shown(request, who, None, {}, 200)


async def shown(
    request: web.Request,
    who: Who,
    given: Mapping[str, str] | None,
    faults: Mapping[str, str],
    status: int,
    *,
    overtaken: bool = False,
) -> web.StreamResponse:
    """`given`: settings that were not saved; `overtaken`: as somebody else changed them."""
    async with request.app[page.POOL].acquire() as conn:
        newsletter = await newsletters.find(conn, request.match_info["slug"])
        stored = await settings(conn, newsletter)
        readers = await counted(conn)
        reasons = await subscriptions.reasons(conn, newsletter.id)
        due = await schedules.of(conn, newsletter)
    differing = {
        name: stored.get(name, "")
        for name in {**stored, **(given or {})}
        if overtaken and given is not None and stored.get(name, "") != given.get(name, "")
    }
    return desk.answer(
        request, who, "staff/newsletter.html", status=status, newsletter=newsletter,
        given=stored if given is None else given, differing=differing, seen=stamp(stored),
        lines=min(len(newsletter.languages) + SPARE, MOST_LANGUAGES), cadences=CADENCES,
        usual=schedules.USUAL, readers=readers, reasons=reasons,
        due={each.cadence: each for each in due}, faults=faults,
    )  # fmt: skip


async def settings(conn: Connection, newsletter: Newsletter) -> dict[str, str]:
    """What the form says when nobody has touched it: by field, what isn't set is left out."""
    found = {
        "fallback": newsletter.fallback,
        "timezone": newsletter.timezone,
        "approval": newsletter.approval,
        "untranslated": newsletter.untranslated,
        "fewest": str(newsletter.fewest),
        "most": str(newsletter.most),
        "images": "yes" if newsletter.images else "",
        "archived": "yes" if newsletter.archived else "",
    }
    for line, language in enumerate(newsletter.languages):
        found[f"language-{line}"] = language
        found[f"title-{line}"] = newsletter.titles[language]
    for cadence in newsletter.cadences:
        found[f"cadence-{cadence}"] = "yes"
    for schedule in await schedules.of(conn, newsletter):
        found[f"schedule-{schedule.cadence}"] = schedule.cron or "yes"
    return {name: text for name, text in found.items() if text}


def stamp(stored: Mapping[str, str]) -> str:
    return hashlib.sha256(consent.canonical(dict(stored))).hexdigest()


async def change(request: web.Request, who: Who) -> web.StreamResponse:
    """POST /staff/newsletters/SLUG: all its settings."""
    sent = await forms.read(request)
    try:
        async with request.app[page.POOL].acquire() as conn, conn.transaction():
            found = await newsletters.find(conn, request.match_info["slug"])
            await digests.lock(conn, found.id)
            newsletter = await newsletters.get(conn, found.id)
            before = await settings(conn, newsletter)
            if forms.one(sent, "seen") != stamp(before):
                raise Changed(
                    "Somebody else has changed this newsletter since you opened it. Nothing is "
                    "saved yet: what you typed is below, and what is there now beside it."
                )
            changed = await newsletters.change(conn, newsletter, **wanted(newsletter, sent))
            await schedules.fit(conn, changed)
            await schedule(conn, changed, sent)
            after = await settings(conn, changed)
            names = sorted(n for n in {**before, **after} if before.get(n) != after.get(n))
            if names:
                await acts.record(
                    conn, request.app[page.VAULT], who.actor, "newsletter.changed", changed.slug,
                    changed=names,
                )  # fmt: skip
    except Refusal as fault:
        given = {name: values[0] for name, values in sent.items() if values and values[0]}
        given.pop("seen", None)
        faults, status = desk.refused(request, who, fault), page.STATUS[type(fault)]
        overtaken = isinstance(fault, Changed)
        return await shown(request, who, given, faults, status, overtaken=overtaken)
    return desk.see_other(request, f"{PATH}/{changed.slug}", "saved")


def wanted(newsletter: Newsletter, sent: Fields) -> dict[str, object]:
    """As `newsletters.change` takes it; cadences that stay keep their order. Raises Invalid."""
    titles = titles_of(sent)
    cadences = dict.fromkeys([*newsletter.cadences, *CADENCES])
    return {
        "titles": titles,
        "fallback": tag(
            desk.text(sent, "fallback", required=False) or next(iter(titles)), "fallback"
        ),
        "cadences": [name for name in cadences if forms.one(sent, f"cadence-{name}") == "yes"],
        "timezone": desk.text(sent, "timezone"),
        "approval": forms.one(sent, "approval"),
        "untranslated": forms.one(sent, "untranslated"),
        "fewest": number(sent, "fewest"),
        "most": number(sent, "most"),
        "images": forms.one(sent, "images") == "yes",
        "archived": forms.one(sent, "archived") == "yes",
    }


def titles_of(sent: Fields) -> dict[str, str]:
    """By language, in the order of the lines; one without a language is none. Raises Invalid."""
    titles: dict[str, str] = {}
    for line in range(MOST_LANGUAGES):
        language = desk.text(sent, f"language-{line}", required=False)
        title = desk.text(sent, f"title-{line}", required=bool(language))
        if title:
            titles[tag(language, f"language-{line}")] = title
    if not titles:
        raise Invalid("Give a title for each language.", field="title-0")
    return titles


def number(sent: Fields, name: str) -> int:
    text = forms.one(sent, name).strip()
    if not (text.isascii() and text.isdigit() and len(text) <= NUMBER_DIGITS):
        raise Invalid("Give a whole number.", field=name)
    return int(text)


async def schedule(conn: Connection, newsletter: Newsletter, sent: Fields) -> None:
    """Cadences whose digests are made by themselves, and when; for others they are not."""
    for cadence in newsletter.cadences:
        field = f"schedule-{cadence}"
        at = desk.text(sent, field, most=CRON_CHARACTERS, required=False)
        if not at:
            await schedules.remove(conn, newsletter, cadence)
        elif cadence == "published":
            await schedules.put(conn, newsletter, cadence, None)
        else:
            await schedules.put(conn, newsletter, cadence, at)
