"""How a file is to be read: its first lines, which column is what, and what was wrong in it."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from aiohttp import web

from mailer import address, imports, newsletters, render
from mailer.db import Connection
from mailer.errors import Invalid, Refusal
from mailer.imports import COLUMNS, Line, Manner, Reading, files
from mailer.newsletters import Newsletter
from mailer.web import desk, forms, page
from mailer.web.desk import Who
from mailer.web.forms import Fields
from mailer.web.lists import named
from mailer.web.lists.named import Seen

SHOWN = 5
FAULTS_SHOWN = 50
ENCODINGS = ("utf-8", "utf-16", "windows-1251", "windows-1252", "koi8-r", "iso-8859-1")
DELIMITERS: Mapping[str, str] = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}


@dataclass(frozen=True)
class Told:
    """What somebody chose: see `Manner`. `language`: None, the newsletter's fallback."""

    manner: Manner
    language: str | None = None
    documented: bool = False


@dataclass(frozen=True)
class Sample:
    """The first lines of a file as it would be read; addresses masked."""

    names: Sequence[str]
    places: Mapping[str, int]
    encoding: str
    delimiter: str
    lines: Sequence[Line]


async def show(request: web.Request, who: Who) -> web.StreamResponse:
    """GET /staff/import/NUMBER: whatever comes next for it"""
    async with request.app[page.POOL].acquire() as conn:
        seen = await named.seen(conn, request)
    fault = seen.file.why if seen.file else None
    return await shown(request, who, seen, Told(Manner()), fault)


async def shown(
    request: web.Request, who: Who, seen: Seen, told: Told, fault: Refusal | None
) -> web.StreamResponse:
    status = page.STATUS[type(fault)] if fault and request.method == "POST" else 200
    return desk.answer(
        request,
        who,
        "staff/import.html",
        status=status,
        brought=seen.brought,
        file=seen.file,
        phase=seen.phase,
        chosen=told,
        told=named.far(seen, spoken(request, who)),
        **await details(request, who, seen, told, fault),
    )


async def details(
    request: web.Request, who: Who, seen: Seen, told: Told, fault: Refusal | None
) -> dict[str, Any]:
    """What the page shows besides, by how far it has come."""
    found: dict[str, Any] = {"columns": COLUMNS, "encodings": ENCODINGS,
                                "delimiters": DELIMITERS, "sample": None}  # fmt: skip
    async with request.app[page.POOL].acquire() as conn:
        found["newsletter"] = await newsletters.find(conn, seen.brought.newsletter)
        if seen.phase == "uploaded":
            try:
                found["sample"] = await sampled(conn, request, told.manner)
            except Invalid as broken:
                fault = fault or broken
        if seen.phase == "read":
            found["outlook"] = await imports.outlook(conn, seen.brought.id)
            found["before"] = await imports.went_before(conn, seen.brought.id)
        wrong = await files.faults(conn, seen.brought.id, FAULTS_SHOWN)
    found["wrong"] = [(each.line, render.refusal(each.why, spoken(request, who))) for each in wrong]
    found["faults"] = desk.refused(request, who, fault) if fault else {}
    return found


def spoken(request: web.Request, who: Who) -> str:
    return page.language(request, who.account.language)


async def sampled(conn: Connection, request: web.Request, manner: Manner) -> Sample:
    """From its first piece. Raises Invalid if it can't be read so."""
    house = await files.house(conn, request.app[page.VAULT])
    piece = await files.piece(conn, house, named.number(request), 0)
    reading = Reading(io.BytesIO(piece), manner)
    lines = [masked(line) for line in islice(reading, SHOWN) if isinstance(line, Line)]
    at = reading.layout
    return Sample(at.names, at.places, at.encoding, at.delimiter, lines)


def masked(line: Line) -> Line:
    """As it is shown: whose list it is knows who is on it, and nobody else need see."""
    email = line.cells.get("email", "")
    hidden = address.masked(email) if "@" in email else "…"
    return Line(line.number, {**line.cells, "email": hidden})


async def read(request: web.Request, who: Who) -> web.StreamResponse:
    """POST /staff/import/NUMBER: `look` again, told how; or have it read"""
    sent = await forms.read(request)
    told, fault = Told(Manner()), None
    async with request.app[page.POOL].acquire() as conn:
        seen = await named.seen(conn, request)
        newsletter = await newsletters.find(conn, seen.brought.newsletter)
    try:
        told = as_told(sent, newsletter)
        if not forms.one(sent, "look"):
            async with request.app[page.POOL].acquire() as conn, conn.transaction():
                await checked(conn, request, told)
                await files.tell(conn, seen.brought.id, told.manner, told.language,
                                 documented=told.documented)  # fmt: skip
            return desk.see_other(request, named.path(request))
    except Refusal as refused:
        fault = refused
    return await shown(request, who, seen, told, fault)


async def checked(conn: Connection, request: web.Request, told: Told) -> None:
    """Raises Invalid if the file can't be read so, as far as its beginning shows."""
    await sampled(conn, request, told.manner)


def as_told(sent: Fields, newsletter: Newsletter) -> Told:
    """Raises Invalid."""
    columns = {what: desk.text(sent, f"column-{what}", required=False)
               for what in COLUMNS if f"column-{what}" in sent}  # fmt: skip
    encoding = forms.one(sent, "encoding") or None
    delimiter = forms.one(sent, "delimiter")
    language = forms.one(sent, "language") or None
    if encoding is not None and encoding not in ENCODINGS:
        raise Invalid("Choose an encoding.", field="encoding")
    if delimiter and delimiter not in DELIMITERS:
        raise Invalid("Choose what parts the cells.", field="delimiter")
    if language is not None and language not in newsletter.languages:
        raise Invalid("This newsletter does not come in that language.", field="language")
    return Told(
        Manner(columns, encoding, DELIMITERS.get(delimiter)),
        language,
        forms.one(sent, "documented") == "yes",
    )


async def faults(request: web.Request, who: Who) -> web.StreamResponse:
    """GET /staff/import/NUMBER/wrong.csv: the lines that were left out, and why"""
    async with request.app[page.POOL].acquire() as conn:
        seen = await named.seen(conn, request)
        wrong = await files.faults(conn, seen.brought.id)
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(("line", "what"))
    language = spoken(request, who)
    writer.writerows((each.line, render.refusal(each.why, language)) for each in wrong)
    name = f"import-{seen.brought.id}-wrong.csv"
    return web.Response(
        text=out.getvalue(),
        content_type="text/csv",
        charset="utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
