"""`/api/v1`: what other programs may do, with a token of theirs. Refusals are problem details."""

import json
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from mailer import access, articles, limits, newsletters
from mailer.access import Scope, Token
from mailer.articles import Article
from mailer.articles.draft import MOST_ID
from mailer.db import Connection
from mailer.errors import Invalid, NotAllowed, TooMany, Unauthenticated, Unknown
from mailer.newsletters import Newsletter
from mailer.web import openapi, page

BODY_BYTES = 1_000_000
REQUESTS = 600
WINDOW_SECONDS = 60
"""A token may ask REQUESTS times in a window."""

LISTED = 50
PATH = "/api/v1/articles"


async def describe(request: web.Request) -> web.Response:
    return web.json_response(openapi.document(request.app[page.SETTINGS].base_url))


# articles


async def post(request: web.Request) -> web.Response:
    """201 for a new one, 200 for one that was there: sending it twice is harmless."""
    token = await admitted(request, "articles:write")
    given = await body(request)
    slug = given.pop("newsletter", None)
    draft = articles.from_object(given)
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        newsletter = await reached(conn, token, slug)
        added = await articles.add(conn, newsletter.id, draft)
        (shown,) = await as_json(conn, [await articles.find(conn, added.id)])
    where = f"{request.app[page.SETTINGS].base_url}{PATH}/{added.id}"
    status, headers = (201, {"Location": where}) if added.new else (200, {})
    return web.json_response(shown, status=status, headers=headers)


async def get(request: web.Request) -> web.Response:
    token = await admitted(request, "articles:read")
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        (shown,) = await as_json(conn, [await found(conn, token, request)])
    return web.json_response(shown)


async def withdraw(request: web.Request) -> web.Response:
    token = await admitted(request, "articles:write")
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        article = await found(conn, token, request)
        await articles.withdraw(conn, article.id)
        (shown,) = await as_json(conn, [await articles.find(conn, article.id)])
    return web.json_response(shown)


async def listing(request: web.Request) -> web.Response:
    token = await admitted(request, "articles:read")
    slug, id_ = request.query.get("newsletter"), asked_id(request)
    before = asked(request, "before", 10**18 - 1)
    limit = asked(request, "limit", openapi.MOST_LISTED) or LISTED
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        only = (await reached(conn, token, slug)).id if slug is not None else token.newsletter
        page_ = await articles.listed(
            conn, newsletter=only, external_id=id_, before=before, limit=limit + 1
        )
        shown = await as_json(conn, page_[:limit])
    rest = {**request.query, "before": str(page_[limit - 1].id)} if len(page_) > limit else None
    after = rest and f"{request.app[page.SETTINGS].base_url}{PATH}?{urlencode(rest)}"
    return web.json_response({"articles": shown, "next": after})


# who asks, and for what


async def admitted(request: web.Request, scope: Scope) -> Token:
    """The token that was shown. Raises Unauthenticated, NotAllowed or TooMany."""
    kind, _, words = request.headers.get("Authorization", "").partition(" ")
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        token = await access.admit(conn, words.strip()) if kind.lower() == "bearer" else None
        asked_before = await counted(conn, token) if token else 0
    if token is None:
        raise Unauthenticated(
            "Show a token that holds, as Authorization: Bearer …; `mailer token add` makes one."
        )
    if asked_before > REQUESTS:
        raise TooMany(
            "This token has asked too often: wait a moment.",
            retry_after=WINDOW_SECONDS - int(time.time()) % WINDOW_SECONDS,
        )
    if scope not in token.scopes:
        raise NotAllowed("This token lacks the scope {scope}.", scope=scope)
    return token


async def counted(conn: Connection, token: Token) -> int:
    return await limits.count(conn, f"api {token.id}".encode(), WINDOW_SECONDS)


async def reached(conn: Connection, token: Token, slug: object) -> Newsletter:
    """The newsletter named, if the token is for it. Raises Invalid or NotAllowed."""
    if not isinstance(slug, str):
        raise Invalid("newsletter is missing: give its slug.", field="newsletter")
    try:
        newsletter = await newsletters.find(conn, slug)
    except Unknown:
        raise Invalid("There is no newsletter {slug}.", field="newsletter", slug=slug) from None
    if token.newsletter not in (None, newsletter.id):
        raise NotAllowed("This token is for another newsletter.", field="newsletter")
    return newsletter


async def found(conn: Connection, token: Token, request: web.Request) -> Article:
    """Of a newsletter that the token is not for, there is none. Raises Unknown."""
    article = await articles.find(conn, int(request.match_info["id"]))
    if token.newsletter not in (None, article.newsletter):
        raise Unknown("There is no article {id}.", field="id", id=article.id)
    return article


async def body(request: web.Request) -> dict[str, Any]:
    """The JSON object sent."""
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType
    read = bytearray()
    async for chunk in request.content.iter_any():
        read += chunk
        if len(read) > BODY_BYTES:
            raise web.HTTPRequestEntityTooLarge(BODY_BYTES, len(read))
    try:
        given = json.loads(read)
    except (ValueError, RecursionError):
        raise web.HTTPBadRequest from None
    if not isinstance(given, dict):
        raise web.HTTPBadRequest
    return given


def asked(request: web.Request, name: str, most: int) -> int | None:
    value = request.query.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) < 20 and 1 <= int(value) <= most):
        raise Invalid("{name} must be a number from 1 to {most}.", field=name, name=name, most=most)
    return int(value)


def asked_id(request: web.Request) -> str | None:
    value = request.query.get("external_id")
    if value is not None and (len(value) > MOST_ID or not value.isprintable()):
        raise Invalid(
            "{name} must be in visible characters.", field="external_id", name="external_id"
        )
    return value


# what is answered


async def as_json(conn: Connection, shown: Sequence[Article]) -> list[Mapping[str, object]]:
    ids = [article.id for article in shown]
    files = await articles.attachments_of(conn, ids)
    others = await articles.translations(conn, ids)
    slugs = {each.id: each.slug for each in await newsletters.all_(conn)}
    return [
        {
            "id": article.id,
            "newsletter": slugs[article.newsletter],
            "external_id": article.external_id,
            "language": article.language,
            "title": article.title,
            "url": article.url,
            "summary": article.summary,
            "published_at": at(article.published_at),
            "attachments": [
                {name: getattr(file, name) for name in ("name", "url", "type", "size", "language")}
                for file in files.get(article.id, ())
            ],
            "work": article.work,
            "image": article.image_url and {"url": article.image_url, "alt": article.image_alt},
            "download_all": article.bundle_url
            and {
                "url": article.bundle_url,
                "type": article.bundle_type,
                "size": article.bundle_size,
            },
            "categories": article.categories,
            "related": article.related,
            "translations": others.get(article.id, {}),
            "seen_at": at(article.seen_at),
            "revised_at": at(article.revised_at),
            "withdrawn_at": at(article.withdrawn_at),
            "held": article.held,
        }
        for article in shown
    ]


def at(when: datetime | None) -> str | None:
    return when.isoformat() if when else None
