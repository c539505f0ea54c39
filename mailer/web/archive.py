"""Sent digests, for everybody: what was mailed, without what was a reader's own."""

import re
from collections.abc import Mapping

from aiohttp import web

from mailer import digests, newsletters, render, tokens
from mailer.db import Connection
from mailer.digests import Digest, Edition
from mailer.errors import Unknown
from mailer.letters import markdown
from mailer.newsletters import Newsletter
from mailer.web import page

OWN_LINK = re.compile(
    r"<a\b[^>]*(?:{})[^>]*>.*?</a>".format("|".join(tokens.SLOTS.values())), re.DOTALL
)
OWN_WORDS = re.compile(r'<(div|span) class="mine".*?</\1>', re.DOTALL)
BODY = re.compile(r"<body\b[^>]*>")
IMAGE = re.compile(r"<img\b[^>]*>")
LISTED_MOST = 500
FEED_MOST = 30


async def everything(request: web.Request) -> web.Response:
    """GET /archive"""
    async with request.app[page.POOL].acquire() as conn:
        archived = [
            newsletter for newsletter in await newsletters.all_(conn) if newsletter.archived
        ]
    return page.answer(request, "public/archive.html", headers=page.PUBLIC, archived=archived)


async def series(request: web.Request) -> web.Response:
    """GET /archive/SLUG"""
    async with request.app[page.POOL].acquire() as conn:
        newsletter = await find(conn, request.match_info["slug"])
        sent = await digests.sent(conn, newsletter.id, LISTED_MOST)
        editions = await digests.headlines(conn, sent)
    issues = [(digest, editions[digest.id]) for digest in sent]
    return page.answer(
        request, "public/series.html", headers=page.PUBLIC, newsletter=newsletter, issues=issues
    )


async def feed(request: web.Request) -> web.Response:
    """GET /archive/SLUG/feed.xml?lang=xx, in Atom (RFC 4287)"""
    async with request.app[page.POOL].acquire() as conn:
        newsletter = await find(conn, request.match_info["slug"])
        language = newsletter.offered(request.query.get("lang", ""))
        sent = await digests.sent(conn, newsletter.id, FEED_MOST)
        editions = await digests.headlines(conn, sent)
        spoken = [(d, e) for d in sent for e in editions[d.id] if e.language == language]
        ids = {id_ for _, edition in spoken for id_ in edition.articles}
        shown = {a.id: a for a in await digests.articles_of(conn, sorted(ids))}
    entries = [
        (
            digest,
            edition,
            markdown.html(digest.introduction.get(language, "")),
            [shown[id_] for id_ in edition.articles if id_ in shown],
        )
        for digest, edition in spoken
    ]
    text = render.page(
        "public/feed.xml",
        language,
        base=request.app[page.SETTINGS].base_url,
        newsletter=newsletter,
        entries=entries,
        began=newsletter.created_at,
    )
    headers = {**page.PUBLIC, "Content-Language": language}
    return web.Response(text=text, content_type="application/atom+xml", headers=headers)


async def issue(request: web.Request) -> web.Response:
    """GET /archive/SLUG/N?lang=xx; from the first mail on, which leads here."""
    async with request.app[page.POOL].acquire() as conn:
        newsletter = await find(conn, request.match_info["slug"])
        digest = await digests.find(conn, newsletter.slug, int(request.match_info["number"]))
        editions = {e.language: e for e in await digests.editions(conn, digest.id)}
    if digest.state not in ("sending", "paused", "sent") or not editions:
        raise page.REFUSALS[404]
    offered = sorted(editions, key=lambda code: code != newsletter.fallback)
    accepted = request.headers.get("Accept-Language")
    edition = editions[render.best(request.query.get("lang"), accepted, offered)]
    text = public(edition, bar(request, newsletter, digest, edition, editions))
    headers = {**page.PUBLIC, **page.MAIL_ALONE, "Content-Language": edition.language}
    return web.Response(text=text, content_type="text/html", headers=headers)


async def find(conn: Connection, slug: str) -> Newsletter:
    """Raises Unknown, also for one that is not shown in public."""
    newsletter = await newsletters.find(conn, slug)
    if not newsletter.archived:
        raise Unknown("There is no newsletter {slug}.", field="newsletter", slug=slug)
    return newsletter


def bar(
    request: web.Request,
    newsletter: Newsletter,
    digest: Digest,
    edition: Edition,
    editions: Mapping[str, Edition],
) -> str:
    return render.page(
        "public/archive_bar.html",
        page.language(request, edition.language),
        root=page.root(request),
        newsletter=newsletter,
        digest=digest,
        edition=edition,
        editions=editions,
    )


def public(edition: Edition, above: str) -> str:
    """The mail with a bar above it, without what speaks to its reader alone, and without images:
    no page of ours asks a third party for anything."""
    text = IMAGE.sub("", OWN_LINK.sub("", OWN_WORDS.sub("", edition.html)))
    for slot in tokens.SLOTS.values():
        text = text.replace(slot, "")
    before, end, after = text.rpartition("</body>")
    whole = BODY.sub(lambda body: f"{body[0]}{above}<main>", before, count=1)
    return f"{whole}</main>{end}{after}"
