"""Feeds at the staff's desk: whether they are well, and what they brought.

Nothing here asks another server for anything: who wants a feed read now makes it due, and the
worker reads it.
"""

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from mailer import acts, articles, feeds, newsletters
from mailer.db import Connection
from mailer.errors import Conflict, Refusal
from mailer.feeds import Feed, Standing
from mailer.web import desk, forms, page
from mailer.web.desk import Who
from mailer.web.forms import Fields

LATEST = 20
PATH = "/staff/feeds"
NEW = ("newsletter", "url", "language")
URL_CHARACTERS = 2000


async def listing(request: web.Request, who: Who) -> web.StreamResponse:
    """GET /staff/feeds"""
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
        every = await feeds.all_(conn)
        offered = await newsletters.all_(conn)
    return desk.answer(
        request, who, "staff/feeds.html", status=status, every=every, given=given, faults=faults,
        newsletters={each.id: each for each in offered},
    )  # fmt: skip


async def add(request: web.Request, who: Who) -> web.StreamResponse:
    """POST /staff/feeds"""
    sent = await forms.read(request)
    try:
        slug = desk.text(sent, "newsletter")
        url = desk.text(sent, "url", most=URL_CHARACTERS)
        language = desk.text(sent, "language", required=False)
        async with request.app[page.POOL].acquire() as conn, conn.transaction():
            newsletter = await newsletters.find(conn, slug)
            added = await feeds.add(conn, newsletter.id, url, language or None)
            await note(conn, request, who, "feed.added", added)
    except Refusal as fault:
        given = {name: forms.one(sent, name) for name in NEW}
        faults = desk.refused(request, who, fault)
        return await listed(request, who, given, faults, page.STATUS[type(fault)])
    return desk.see_other(request, f"{PATH}/{added.id}", "added")


async def note(
    conn: Connection, request: web.Request, who: Who, act: str, feed: Feed, **details: object
) -> None:
    """By its number: addresses of feeds may have a password in them."""
    newsletter = await newsletters.get(conn, feed.newsletter)
    what = f"{newsletter.slug}/{feed.id}"
    await acts.record(conn, request.app[page.VAULT], who.actor, act, what, **details)


# one


async def show(request: web.Request, who: Who) -> web.StreamResponse:
    """GET /staff/feeds/ID"""
    return await shown(request, who, {}, 200)


async def shown(
    request: web.Request, who: Who, faults: Mapping[str, str], status: int
) -> web.StreamResponse:
    async with request.app[page.POOL].acquire() as conn:
        feed = await standing(conn, request)
        newsletter = await newsletters.get(conn, feed.newsletter)
        held = await articles.held(conn, feed.id)
        latest = await articles.latest(conn, feed.id, LATEST)
    return desk.answer(
        request, who, "staff/feed.html", status=status, feed=feed, newsletter=newsletter,
        held=held, seen=seen([article.id for article in held]), latest=latest, faults=faults,
    )  # fmt: skip


async def found(conn: Connection, request: web.Request) -> Feed:
    """Raises Unknown."""
    return await feeds.find(conn, int(request.match_info["id"]))


async def standing(conn: Connection, request: web.Request) -> Standing:
    """Raises Unknown."""
    feed = await found(conn, request)
    return next(each for each in await feeds.all_(conn) if each.id == feed.id)


async def remove_page(request: web.Request, who: Who) -> web.StreamResponse:
    """GET /staff/feeds/ID/remove: what it means, and a button"""
    async with request.app[page.POOL].acquire() as conn:
        feed = await standing(conn, request)
        newsletter = await newsletters.get(conn, feed.newsletter)
    return desk.answer(
        request, who, "staff/feed_remove.html", feed=feed, newsletter=newsletter, faults={}
    )


async def remove(request: web.Request, who: Who) -> web.StreamResponse:
    """POST /staff/feeds/ID/remove"""
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        feed = await found(conn, request)
        await feeds.remove(conn, feed)
        await note(conn, request, who, "feed.removed", feed)
    return desk.see_other(request, PATH, "removed")


async def poll(request: web.Request, who: Who) -> web.StreamResponse:
    """POST /staff/feeds/ID/poll: the worker reads it next."""
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        feed = await found(conn, request)
        await feeds.hasten(conn, feed)
        await note(conn, request, who, "feed.hastened", feed)
    return desk.see_other(request, f"{PATH}/{feed.id}", "hastened")


Verdict = Callable[[Connection, Feed], Awaitable[int]]


def deciding(verdict: Verdict, act: str, done: str) -> desk.Handler:
    """A handler of POST that says `verdict` of what waits."""

    async def handle(request: web.Request, who: Who) -> web.StreamResponse:
        sent = await forms.read(request)
        try:
            async with request.app[page.POOL].acquire() as conn, conn.transaction():
                feed = await found(conn, request)
                waiting = await articles.held(conn, feed.id)
                many = await verdict(conn, feed)
                check_seen(sent, [article.id for article in waiting], many)
                await note(conn, request, who, act, feed, rows=many)
        except Refusal as fault:
            faults = desk.refused(request, who, fault)
            return await shown(request, who, faults, page.STATUS[type(fault)])
        return desk.see_other(request, f"{PATH}/{feed.id}", done)

    return handle


def check_seen(sent: Fields, waiting: list[int], many: int) -> None:
    """Nothing is decided that was not on the page. Raises Conflict, after the fact: the
    transaction takes it back."""
    if forms.one(sent, "seen") != seen(waiting) or many != len(waiting):
        raise Conflict("More has come since you opened this page: look again, then decide.")


def seen(waiting: list[int]) -> str:
    """Of what waits: how many, and the last."""
    return f"{len(waiting)}/{waiting[-1] if waiting else 0}"


release = deciding(feeds.release, "feed.released", "released")
dismiss = deciding(feeds.dismiss, "feed.dismissed", "dismissed")
