"""A person's record: every event in plain words, the notices as they were shown, downloads."""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiohttp import web

from mailer import newsletters, receipts, render, subscriptions
from mailer.consent import SUBJECT, Event, Pause, pause
from mailer.db import Connection
from mailer.notices import Notice
from mailer.receipts import Record
from mailer.web import page

FACTS = (
    "origin",
    "ip",
    "form",
    "cadence",
    "server",
    "reply",
    "message_id",
    "reason",
    "answer_by",
    "agreed_at",
    "agreed_how",
    "agreed_words",
    "agreed_source",
)
"""What of the evidence is shown in words; all of it is in the download."""


@dataclass(frozen=True)
class Entry:
    """One consent event as the page tells it; `facts`: evidence by name.

    `restricted`: what the use of the data became, if that changed; `pause`: likewise.
    """

    number: int
    type: str
    at: datetime
    actor: str
    newsletter: str | None
    channel: str | None
    restricted: bool | None
    pause: Pause | None
    notice: Notice | None
    facts: Mapping[str, str]
    commitment: str


async def show(request: web.Request) -> web.Response:
    """GET /me/TOKEN/record"""
    async with request.app[page.POOL].acquire() as conn:
        record = await find(conn, request)
    if record is None:
        return unknown(request)
    return page.answer(
        request,
        "public/record.html",
        speak=record.own.subscriber.language,
        token=token(request),
        record=[entry(record, event) for event in record.events],
        titles=record.titles,
        agreements=list(record.agreements()),
    )


async def find(conn: Connection, request: web.Request) -> Record | None:
    """What the holder of a manage link may see, with titles in the language of the page."""
    own = await subscriptions.manage(conn, request.app[page.VAULT], token(request))
    if own is None:
        return None
    spoken = page.language(request, own.subscriber.language)
    titles = {found.slug: found.title(spoken) for found in await newsletters.all_(conn)}
    return await receipts.gather(conn, own, titles, request.app[page.SETTINGS].base_url)


def token(request: web.Request) -> str:
    return request.match_info["token"]


def unknown(request: web.Request) -> web.Response:
    return page.answer(request, "public/unknown.html", status=404)


def entry(record: Record, event: Event) -> Entry:
    content = event.content
    evidence = content["evidence"]
    earlier = {f"agreed_{name}": said for name, said in evidence.get("agreed", {}).items()}
    told = {**evidence, **earlier}
    return Entry(
        content["seq"],
        content["type"],
        datetime.fromisoformat(content["at"]),
        content["actor"].partition(":")[0],
        content["newsletter"],
        evidence.get("channel"),
        evidence.get("to", {}).get("restricted"),
        pause(content),
        record.notices[content["notice"]["id"]] if content["notice"] else None,
        {name: str(told[name]) for name in FACTS if told.get(name)},
        event.commitment.hex(),
    )


# downloads


async def linked(request: web.Request) -> web.Response:
    """GET /me/TOKEN/record.jsonld"""
    async with request.app[page.POOL].acquire() as conn:
        record = await find(conn, request)
    if record is None:
        return unknown(request)
    return download(receipts.linked(record), "consent-record.jsonld", "application/ld+json")


async def receipt(request: web.Request) -> web.Response:
    """GET /me/TOKEN/receipt/SLUG.json"""
    slug = request.match_info["slug"]
    async with request.app[page.POOL].acquire() as conn:
        record = await find(conn, request)
    if record is None or slug not in record.agreements():
        return unknown(request)
    return download(receipts.kantara(record, slug), f"receipt-{slug}.json", "application/json")


def download(content: Mapping[str, Any], name: str, kind: str) -> web.Response:
    return web.Response(
        body=receipts.pretty(content).encode(), content_type=kind, headers=attached(name)
    )


def attached(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}


async def take_along(request: web.Request) -> web.Response:
    """POST /me/TOKEN/record: everything, in one file. It holds the address, so it is recorded."""
    keys = request.app[page.VAULT]
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        record = await find(conn, request)
        files = await receipts.files(conn, keys, record, actor=SUBJECT) if record else {}
    if record is None:
        return unknown(request)
    told = in_words(request, record)
    return web.Response(
        body=zipped({"my-record.html": told, **files}),
        content_type="application/zip",
        headers=attached("my-record.zip"),
    )


def in_words(request: web.Request, record: Record) -> str:
    """The record as a page that needs nothing else, to read or to print."""
    return render.page(
        "public/record_alone.html",
        page.language(request, record.own.subscriber.language),
        address=record.own.address.given,
        record=[entry(record, event) for event in record.events],
        titles=record.titles,
    )


def zipped(files: Mapping[str, str]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text.encode())
    return whole.getvalue()
