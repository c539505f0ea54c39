"""From a request to an operation and back: who asks, how often, for what; read, done, answered.

In this order, so that whoever has no token learns nothing but that: token, rate, scope, query,
body, Idempotency-Key, If-Match. What is refused is a problem (RFC 9457).
"""

import hashlib
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from mailer import access, acts, answers, limits
from mailer.access import Scope, Token
from mailer.answers import Asked
from mailer.db import Connection
from mailer.errors import (
    Changed,
    Invalid,
    NotAllowed,
    Several,
    TooMany,
    Unauthenticated,
    Unseen,
)
from mailer.web import page
from mailer.web.api.operation import PARTS, Answer, Call, Operation
from mailer.web.api.shapes import Text

log = logging.getLogger(__name__)

BODY_BYTES = 1_000_000
REQUESTS = 600
WINDOW_SECONDS = 60
"""A token may ask REQUESTS times in a window."""

KEY = Text(255, pattern="^[!-~]+$", description="The same again is answered the same, for a day.")
SPENT = web.RequestKey("spent", int)
"""How often this request's token has asked in the present window."""


def handler(operation: Operation) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        token = await admitted(request, operation.scope)
        call = await received(operation, request, token)
        if operation.handle is None:
            assert operation.beside is not None, "an operation does something"
            return await beside(operation, call)
        async with request.app[page.POOL].acquire() as conn:
            asked = once(operation, call)
            kept = await answers.before(conn, asked) if asked else None
            if kept is not None:
                return respond(kept.status, {**kept.headers, "Idempotency-Replayed": "true"},
                               kept.body)  # fmt: skip
            async with conn.transaction():
                answer = await operation.handle(call, conn)
                await on_record(operation, call, conn, answer)
                return await finished(operation, call, conn, answer, asked)

    return handle


async def beside(operation: Operation, call: Call) -> web.StreamResponse:
    """What no transaction may wait for; the key is held by a connection that has none open."""
    assert operation.beside is not None, "the caller looked"
    if not operation.once:
        streamed = await operation.beside(call)
        assert isinstance(streamed, web.StreamResponse), "what does not stream may come again"
        return streamed
    asked = once(operation, call)
    async with call.request.app[page.POOL].acquire() as conn:
        kept = await answers.before(conn, asked) if asked else None
        if kept is not None:
            return respond(kept.status, {**kept.headers, "Idempotency-Replayed": "true"}, kept.body)
        answer = await operation.beside(call)
        assert isinstance(answer, Answer), "what streams takes no Idempotency-Key"
        async with conn.transaction():
            await on_record(operation, call, conn, answer)
            return await finished(operation, call, conn, answer, asked)


async def on_record(operation: Operation, call: Call, conn: Connection, answer: Answer) -> None:
    """In the transaction of what was done."""
    if operation.act is not None:
        on = answer.on or "/".join(map(str, call.path.values()))
        await acts.record(conn, call.keys, call.actor, operation.act, on)


async def finished(
    operation: Operation, call: Call, conn: Connection, answer: Answer, asked: Asked | None
) -> web.Response:
    body, headers = text(answer), dict(answer.headers)
    if operation.tagged:
        headers["ETag"] = tag(answer.body)
        if call.request.method in ("GET", "HEAD") and matches(call, "If-None-Match", answer.body):
            return web.Response(status=304, headers=headers)
    if asked is not None:
        await answers.keep(conn, asked, answer.status, headers, body)
    return respond(answer.status, headers, body)


def respond(status: int, headers: Mapping[str, str], body: str) -> web.Response:
    return web.Response(text=body, status=status, headers=headers, content_type="application/json")


def text(answer: Answer) -> str:
    return json.dumps(answer.body, ensure_ascii=False)


# who asks, and how often


async def admitted(request: web.Request, scope: Scope | None) -> Token:
    """The token that was shown. Raises Unauthenticated, TooMany or NotAllowed."""
    kind, _, words = request.headers.get("Authorization", "").partition(" ")
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        token = await access.admit(conn, words.strip()) if kind.lower() == "bearer" else None
        if token is not None:
            request[SPENT] = await limits.count(conn, f"api {token.id}".encode(), WINDOW_SECONDS)
    if token is None:
        raise Unauthenticated(
            "Show a token that holds, as Authorization: Bearer …; `mailer token add` makes one."
        )
    if request[SPENT] > REQUESTS:
        raise TooMany("This token has asked too often: wait a moment.", retry_after=left())
    if scope is not None and scope not in token.scopes:
        raise NotAllowed("This token lacks the scope {scope}.", scope=scope)
    return token


def left() -> int:
    """Seconds until the present window ends."""
    return WINDOW_SECONDS - int(time.time()) % WINDOW_SECONDS


async def say_limits(request: web.Request, response: web.StreamResponse) -> None:
    """How much of its rate a token has left (draft-ietf-httpapi-ratelimit-headers)."""
    if (spent := request.get(SPENT)) is not None:
        response.headers["RateLimit-Policy"] = f'"token";q={REQUESTS};w={WINDOW_SECONDS}'
        response.headers["RateLimit"] = f'"token";r={max(REQUESTS - spent, 0)};t={left()}'


# what is asked


async def received(operation: Operation, request: web.Request, token: Token) -> Call:
    """Raises Invalid or Several; HTTP's 400, 413 and 415 for a body that can't be read."""
    path = {
        part: PARTS[part].shape.read(request.match_info[part], part) for part in operation.parts
    }
    query = asked(operation, request)
    body = None
    if operation.body is not None:
        body = operation.body.read(await read(request), "")
    return Call(request, token, path, query, body)


def asked(operation: Operation, request: web.Request) -> Mapping[str, Any]:
    """The query, each of its names once. What is not understood is said, not passed over."""
    found, faults = {}, []
    for name in dict.fromkeys(request.query):
        try:
            if name not in operation.query:
                raise Invalid(
                    "{name} is not known here; {known} are.",
                    field=name[:80],
                    name=name[:80],
                    known=", ".join(operation.query) or "none",
                )
            found[name] = operation.query[name].read(request.query[name], name)
        except Invalid as fault:
            faults.append(fault)
    if faults:
        raise Several(faults)
    return found


async def read(request: web.Request) -> Any:
    """The JSON that was sent."""
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType
    given = bytearray()
    async for chunk in request.content.iter_any():
        given += chunk
        if len(given) > BODY_BYTES:
            raise web.HTTPRequestEntityTooLarge(BODY_BYTES, len(given))
    try:
        found = json.loads(given)
    except (ValueError, RecursionError):
        raise web.HTTPBadRequest from None
    if not isinstance(found, dict):
        raise web.HTTPBadRequest
    return found


def once(operation: Operation, call: Call) -> Asked | None:
    """Which earlier request this may be. None: it has no Idempotency-Key, or needs none."""
    key = call.request.headers.get("Idempotency-Key")
    if key is None or not operation.once:
        return None
    key = KEY.read(key, "Idempotency-Key")
    method, path = call.request.method, call.request.path_qs
    return answers.asked(call.keys, call.token.id, key, method, path, call.body)


# versions


def tag(body: Any) -> str:
    """An ETag: the same for the same content."""
    whole = json.dumps(body, sort_keys=True, ensure_ascii=False)
    return f'"{hashlib.sha256(whole.encode()).hexdigest()[:32]}"'


def seen(call: Call, body: Any) -> None:
    """What is to be changed must be as it was when it was read, so that nobody overwrites what they
    have not seen. `body`: what it is now. Raises Unseen or Changed."""
    if "If-Match" not in call.request.headers:
        raise Unseen("Say in If-Match which version you have seen: its ETag.", field="If-Match")
    if not matches(call, "If-Match", body):
        raise Changed("It was changed since you read it: look at it, then decide again.")


def matches(call: Call, header: str, body: Any) -> bool:
    given = [each.strip() for each in call.request.headers.get(header, "").split(",")]
    weak = [each.removeprefix("W/") for each in given] if header == "If-None-Match" else given
    return "*" in given or tag(body) in weak
