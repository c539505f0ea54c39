"""A person's record: every event in plain words, the notices as they were shown, downloads."""

import io
import zipfile
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from mailer import newsletters, receipts, render, subscriptions
from mailer.consent import SUBJECT
from mailer.db import Connection
from mailer.receipts import Record
from mailer.web import page


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
        record=[receipts.told(record, event) for event in record.events],
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


# downloads


async def linked(request: web.Request) -> web.Response:
    """GET /me/TOKEN/record.jsonld"""
    async with request.app[page.POOL].acquire() as conn:
        record = await find(conn, request)
    if record is None:
        return unknown(request)
    return download(receipts.linked.records(record), "consent-record.jsonld", "application/ld+json")


async def receipt(request: web.Request) -> web.Response:
    """GET /me/TOKEN/receipt/SLUG.json"""
    slug = request.match_info["slug"]
    async with request.app[page.POOL].acquire() as conn:
        record = await find(conn, request)
    if record is None or slug not in record.agreements():
        return unknown(request)
    return download(
        receipts.kantara.receipt(record, slug), f"receipt-{slug}.json", "application/json"
    )


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
        record=[receipts.told(record, event) for event in record.events],
        titles=record.titles,
    )


def zipped(files: Mapping[str, str]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text.encode())
    return whole.getvalue()
