"""Extracts through the API: the consent record, or who subscribed, streamed line by line.

Before the first line leaves, it is on record that an extract has begun; when it has ended, or broke
off, how many lines left and the hash of them.
"""

import hashlib
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from aiohttp import web

from mailer import consent, extracts
from mailer.consent import Filter
from mailer.errors import NotAllowed
from mailer.extracts import What
from mailer.subscriptions import State, Wanted
from mailer.web import page
from mailer.web.api.lists import NEWSLETTER
from mailer.web.api.operation import PARTS, Call, Operation
from mailer.web.api.reach import only
from mailer.web.api.shapes import (
    LANGUAGE,
    WORD,
    Flag,
    Moment,
    OneOf,
    Schema,
    Shape,
    Text,
    Thing,
)

log = logging.getLogger(__name__)

KINDS = {"csv": "text/csv", "jsonl": "application/x-ndjson"}
PIECE_CHARACTERS = 1 << 16


async def events(call: Call) -> web.StreamResponse:
    names = ("newsletter", "type", "notice", "since", "until")
    return await stream(call, "consent", await wanted(call, Filter, names))


async def people(call: Call) -> web.StreamResponse:
    names = ("newsletter", "state", "language", "since")
    return await stream(call, "subscribers", await wanted(call, Wanted, names))


async def wanted(call: Call, kind: Any, names: tuple[str, ...]) -> Any:
    """Raises Invalid, Unknown or NotAllowed."""
    chosen = {name: call.body.get(name) for name in names}
    async with call.request.app[page.POOL].acquire() as conn:
        chosen["newsletter"] = await only(conn, call.token, chosen["newsletter"])
        found = kind(**chosen)
        await extracts.check(conn, found)
    return found


async def stream(call: Call, what: What, chosen: Filter | Wanted) -> web.StreamResponse:
    with_addresses = call.body.get("with_addresses", False)
    if with_addresses and "addresses:export" not in call.token.scopes:
        raise NotAllowed("This token lacks the scope {scope}.", scope="addresses:export")
    format_ = call.body["format"]
    about = {"what": what, "reason": call.body["reason"]}
    said = {**about, **extracts.said(format_, chosen, with_addresses=with_addresses)}
    await record(call, {**said, "stage": "begun"})
    flow = Flow(web.StreamResponse(headers={"Content-Type": f"{KINDS[format_]}; charset=utf-8"}))
    await flow.response.prepare(call.request)
    try:
        async with (
            call.request.app[page.POOL].acquire() as conn,
            conn.transaction(isolation="repeatable_read", readonly=True),
        ):
            lines = extracts.lines(conn, call.keys, format_, chosen, with_addresses=with_addresses)
            await flow.send(lines)
    except Exception as error:
        log.warning("an extract broke off: %s", type(error).__name__)
    finally:
        await record(call, {**said, **flow.outcome()})
    if flow.ended:
        await flow.response.write_eof()
    elif call.request.transport is not None:
        call.request.transport.abort()  # the answer has begun: cut off, it shows
    return flow.response


@dataclass
class Flow:
    """Lines on their way to a client, and how many of them left. The header is none."""

    response: web.StreamResponse
    digest: Any = field(default_factory=hashlib.sha256)
    rows: int = -1
    ended: bool = False

    async def send(self, lines: AsyncIterator[str]) -> None:
        """In pieces of some size: a packet a line would be slow."""
        piece, size = [], 0
        async for line in lines:
            piece.append(line)
            size += len(line)
            if size >= PIECE_CHARACTERS:
                await self.write(piece)
                piece, size = [], 0
        await self.write(piece)
        self.ended = True

    async def write(self, piece: Sequence[str]) -> None:
        data = "".join(piece).encode()
        await self.response.write(data)
        self.digest.update(data)
        self.rows += len(piece)

    def outcome(self) -> Mapping[str, object]:
        stage = "ended" if self.ended else "broken off"
        return {"stage": stage, "rows": max(self.rows, 0), "sha256": self.digest.hexdigest()}


async def record(call: Call, evidence: Mapping[str, object]) -> None:
    async with call.request.app[page.POOL].acquire() as conn, conn.transaction():
        await extracts.record(conn, call.keys, evidence, actor=call.actor)


SCHEMAS: Mapping[str, Schema] = {}
COMMON: Mapping[str, Shape] = {
    "format": OneOf(tuple(KINDS)),
    "reason": Text(500, description="What it is for; it is recorded."),
    "with_addresses": Flag("Needs the scope addresses:export, too."),
    "newsletter": NEWSLETTER,
    "since": Moment(),
}
LINES = {200: ("Lines, as docs/records.md tells.", dict.fromkeys(KINDS.values(), WORD))}

OPERATIONS = (
    Operation(
        "POST",
        "/consent/export",
        "exportConsent",
        "The consent record, streamed. That it was taken out is recorded.",
        "consent:export",
        LINES,
        beside=events,
        body=Thing(
            {
                **COMMON,
                "until": Moment("Not included."),
                "type": OneOf(tuple(dict.fromkeys(consent.TYPES))),
                "notice": PARTS["notice"].shape,
            },
            ("format", "reason"),
        ),
        refuses=(404,),
    ),
    Operation(
        "POST",
        "/subscribers/export",
        "exportSubscribers",
        "A line a subscription, streamed. That it was taken out is recorded.",
        "subscribers:export",
        LINES,
        beside=people,
        body=Thing(
            {
                **COMMON,
                "state": OneOf(get_args(State)),
                "language": Text(35, pattern=f"^{LANGUAGE}$"),
            },
            ("format", "reason"),
        ),
        refuses=(404,),
    ),
)
