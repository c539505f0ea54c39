"""The consent record as a file: written beside, put on record, and only then sent."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import get_args

from aiohttp import web

from mailer import consent, extracts, newsletters
from mailer.consent import Filter
from mailer.errors import Conflict, Invalid, NotAllowed, Refusal, Unknown
from mailer.exports import Format
from mailer.outfiles import Outfile
from mailer.web import desk, forms, page
from mailer.web.desk import Who
from mailer.web.forms import Fields

ONE: web.AppKey[asyncio.Semaphore] = web.AppKey("extracting")
"""Whoever writes one has the disk and a connection for minutes: one at a time."""

LINES = 1000
"""Written at once, in a thread."""

TYPES = {"csv": "text/csv", "jsonl": "application/jsonl"}
BYTES = "application/octet-stream"
FORMATS: tuple[Format, ...] = get_args(Format)


@dataclass(frozen=True)
class Order:
    """What somebody wants to take out, and why."""

    wanted: Filter
    format: Format
    with_addresses: bool
    recipient: str | None
    reason: str


async def consent_page(request: web.Request, who: Who) -> web.Response:
    """GET /staff/consent"""
    return await choosing(request, who, None, {})


async def choosing(
    request: web.Request, who: Who, fault: Refusal | None, sent: Fields
) -> web.Response:
    async with request.app[page.POOL].acquire() as conn:
        known = await newsletters.all_(conn)
    return desk.answer(
        request,
        who,
        "staff/consent.html",
        status=page.STATUS[type(fault)] if fault else 200,
        faults=desk.refused(request, who, fault) if fault else {},
        newsletters=known,
        types=consent.TYPES,
        given={name: forms.one(sent, name) for name in sent},
        may_see=may_see(who),
    )


def may_see(who: Who) -> bool:
    """Addresses by the thousand are for those who answer for them."""
    return who.role == "privacy"


async def extract(request: web.Request, who: Who) -> web.StreamResponse:
    """POST /staff/consent"""
    sent = await forms.read(request)
    try:
        order = ordered(sent, who)
        if request.app[ONE].locked():
            raise Conflict("Another extract is being written: try again when it is done.")
        async with request.app[ONE]:
            return await hand_over(request, who, order)
    except (Invalid, Conflict, Unknown) as fault:
        return await choosing(request, who, fault, sent)


async def hand_over(request: web.Request, who: Who, order: Order) -> web.StreamResponse:
    with Outfile(None, order.recipient) as file:
        rows = await write(request, order, file)
        await record(request, who, order, file, rows)
        return await send(request, order, file)


def ordered(sent: Fields, who: Who) -> Order:
    """Raises Invalid or NotAllowed."""
    with_addresses = forms.one(sent, "addresses") == "yes"
    if with_addresses and not may_see(who):
        raise NotAllowed("Addresses are for those who answer for privacy.")
    format_, type_ = forms.one(sent, "format"), forms.one(sent, "type")
    if format_ not in FORMATS:
        raise Invalid("Choose a format.", field="format")
    if type_ and type_ not in consent.TYPES:
        raise Invalid("Choose a type.", field="type")
    wanted = Filter(
        desk.text(sent, "newsletter", required=False) or None,
        type_ or None,
        None,
        day(sent, "since"),
        day(sent, "until"),
    )
    recipient = desk.text(sent, "encrypt-to", required=False) or None
    return Order(wanted, format_, with_addresses, recipient, desk.text(sent, "reason"))


def day(sent: Fields, name: str) -> datetime | None:
    """The beginning of a day, UTC. Raises Invalid."""
    given = forms.one(sent, name)
    try:
        found = datetime.strptime(given, "%Y-%m-%d").date() if given else None
    except ValueError:
        raise Invalid("Give the day as 2026-12-31.", field=name) from None
    return datetime.combine(found, time(), UTC) if found else None


async def write(request: web.Request, order: Order, file: Outfile) -> int:
    """All of it, some lines at a time and elsewhere than where others are answered; how many."""
    keys, rows = request.app[page.VAULT], -1  # the header
    async with (
        request.app[page.POOL].acquire() as conn,
        conn.transaction(isolation="repeatable_read", readonly=True),
    ):
        await extracts.check(conn, order.wanted)
        lines = extracts.lines(
            conn, keys, order.format, order.wanted, with_addresses=order.with_addresses
        )
        with file.writing() as put:
            async for batch in batched(lines):
                await asyncio.to_thread(put, "".join(batch))
                rows += len(batch)
    return rows


async def batched(lines: AsyncIterator[str]) -> AsyncIterator[list[str]]:
    batch: list[str] = []
    async for line in lines:
        batch.append(line)
        if len(batch) == LINES:
            yield batch
            batch = []
    if batch:
        yield batch


async def record(request: web.Request, who: Who, order: Order, file: Outfile, rows: int) -> None:
    said = {
        "what": "consent",
        "rows": rows,
        "sha256": file.sha256,
        "reason": order.reason,
        **extracts.said(order.format, order.wanted, with_addresses=order.with_addresses),
        "encrypted": order.recipient is not None,
    }
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        await extracts.record(conn, request.app[page.VAULT], said, actor=who.actor)


async def send(request: web.Request, order: Order, file: Outfile) -> web.StreamResponse:
    name = f"consent.{order.format}" + (".age" if order.recipient else "")
    response = web.StreamResponse(headers={"Content-Disposition": f'attachment; filename="{name}"'})
    response.content_type = TYPES[order.format] if not order.recipient else BYTES
    await response.prepare(request)
    pieces = file.pieces()
    while piece := await asyncio.to_thread(next, pieces, b""):
        await response.write(piece)
    await response.write_eof()
    return response
