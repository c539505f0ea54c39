"""`/api/v1`: what other programs may do, with a token of theirs. Refusals are problem details.

OPERATIONS is the whole of it: routes, checks and description are made of each declaration there.
"""

from collections.abc import Mapping, Sequence

from aiohttp import web

from mailer.web import page
from mailer.web.api import (
    articles,
    digests,
    document,
    drafts,
    extracts,
    newsletters,
    notices,
    sending,
    subscribers,
)
from mailer.web.api.answering import handler, say_limits
from mailer.web.api.operation import ROOT, Operation
from mailer.web.api.shapes import Schema

__all__ = ["OPERATIONS", "SCHEMAS", "routes", "say_limits", "specification"]


async def describe(request: web.Request) -> web.Response:
    return web.json_response(specification(request.app[page.SETTINGS].base_url))


NOUNS = (newsletters, notices, articles, digests, drafts, sending, subscribers, extracts)
SCHEMAS: Mapping[str, Schema] = {
    name: schema for noun in NOUNS for name, schema in noun.SCHEMAS.items()
}
OPERATIONS: Sequence[Operation] = (
    *(operation for noun in NOUNS for operation in noun.OPERATIONS),
    Operation(
        "GET",
        "/openapi.json",
        "describe",
        "This document.",
        None,
        {200: ("OpenAPI 3.1.", {"type": "object"})},
        serve=describe,
    ),
)


def specification(base_url: str) -> Schema:
    """The API in OpenAPI 3.1, for a service at `base_url`."""
    return document.document(base_url, OPERATIONS, SCHEMAS)


def routes() -> list[web.RouteDef]:
    """One for each operation, and OPTIONS for each path."""
    allowed: dict[str, list[str]] = {}
    for each in OPERATIONS:
        more = ["GET", "HEAD"] if each.method == "GET" else [each.method]
        allowed.setdefault(each.route, []).extend(more)
    return [
        *(web.route(each.method, each.route, each.serve or handler(each)) for each in OPERATIONS),
        *(web.head(each.route, each.serve or handler(each))
          for each in OPERATIONS if each.method == "GET"),
        *(web.options(path, options(methods)) for path, methods in allowed.items()),
    ]  # fmt: skip


def options(methods: Sequence[str]) -> page.Handler:
    """What can be done there; nobody needs a token to know."""
    allow = ", ".join([*methods, "OPTIONS"])

    async def handle(request: web.Request) -> web.StreamResponse:
        return web.Response(status=204, headers={"Allow": allow})

    return handle


assert ROOT.startswith(page.API), "so that refusals there are problems"
