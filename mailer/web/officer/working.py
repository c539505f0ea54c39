"""Long work that an officer sets going and a worker does: how it goes, and what came of it."""

from collections.abc import Mapping
from uuid import UUID

from aiohttp import web
from babel.numbers import format_decimal

from mailer import acts, extracts, jobs, staff
from mailer.db import Connection
from mailer.errors import Conflict, NotAllowed, Unknown
from mailer.jobs import Job
from mailer.vault import Subject
from mailer.web import desk, page
from mailer.web.desk import Who

OVER = ("done", "failed")
TYPES = {"csv": "text/csv", "jsonl": "application/jsonl"}
BYTES = "application/octet-stream"


def place(id_: UUID) -> str:
    return f"/staff/consent/jobs/{id_}"


def named(request: web.Request) -> UUID:
    return UUID(request.match_info["id"])


async def verify(request: web.Request, who: Who) -> web.Response:
    """POST /staff/consent/verify: set it going; or on to the one that goes on already."""
    keys, pool = request.app[page.VAULT], request.app[page.POOL]
    try:
        async with pool.acquire() as conn, conn.transaction():
            id_ = await jobs.ask(conn, keys, "verification", {}, actor=who.actor)
            await acts.record(conn, keys, who.actor, "record.verified")
    except Conflict:
        async with pool.acquire() as conn:
            id_ = (await jobs.latest(conn, "verification", 1))[0].id
    return desk.see_other(request, place(id_))


async def show(request: web.Request, who: Who) -> web.Response:
    """GET /staff/consent/jobs/ID"""
    keys = request.app[page.VAULT]
    async with request.app[page.POOL].acquire() as conn:
        job = await jobs.get(conn, named(request))
        names = await staff.names(conn, keys)
    return desk.answer(
        request,
        who,
        "staff/job.html",
        job=job,
        told=told(job, page.language(request, who.account.language)),
        names=names,
        own=job.asked_by == who.actor,
        order=extracts.ordered(job.asked(keys)) if job.kind == "extract" else None,
    )


def told(job: Job, language: str) -> Mapping[str, object]:
    """How far it is, for the page and for its script."""
    done, total = (format_decimal(each or 0, locale=language) for each in (job.done, job.total))
    said = f"{done} / {total}" if job.total else ""
    return {"state": job.state, "done": job.done, "total": job.total, "said": said}


async def live(request: web.Request, who: Who) -> web.StreamResponse:
    """GET /staff/consent/jobs/ID/live: how far it is"""
    language = page.language(request, who.account.language)

    async def look(conn: Connection) -> desk.Standing:
        job = await jobs.get(conn, named(request))
        return told(job, language), job.state not in OVER

    return await desk.live(request, look)


async def looked(request: web.Request) -> Job:
    async with request.app[page.POOL].acquire() as conn:
        return await jobs.get(conn, named(request))


# files


async def file(request: web.Request, who: Who) -> web.StreamResponse:
    """GET /staff/consent/jobs/ID/file: piece by piece; that it was made is on record."""
    job = await own(request, who)
    if job.kind != "extract" or job.state != "done":
        raise Unknown("There is no file here.")
    subject, number = job.subject(request.app[page.VAULT]), 0
    response = web.StreamResponse(
        headers={"Content-Disposition": f'attachment; filename="{job.came["file"]}"'}
    )
    response.content_type = TYPES.get(job.came["file"].rpartition(".")[2], BYTES)
    response.content_length = job.came["bytes"]
    await response.prepare(request)
    while piece := await fetched(request, subject, number):
        await response.write(piece)
        number += 1
    await response.write_eof()
    return response


async def fetched(request: web.Request, subject: Subject, number: int) -> bytes | None:
    """No connection is held while a slow line takes what was fetched."""
    async with request.app[page.POOL].acquire() as conn:
        return await jobs.piece(conn, subject, number)


async def remove(request: web.Request, who: Who) -> web.Response:
    """POST /staff/consent/jobs/ID/remove: the file is not wanted any more."""
    job = await own(request, who)
    async with request.app[page.POOL].acquire() as conn, conn.transaction():
        if job.kind == "extract":
            await jobs.remove(conn, job.id)
    return desk.see_other(request, "/staff/consent", done="removed")


async def own(request: web.Request, who: Who) -> Job:
    """Raises NotAllowed: a file is for whoever said why they need it."""
    job = await looked(request)
    if job.asked_by != who.actor:
        raise NotAllowed("Somebody else asked for this file. Ask for one yourself, and say why.")
    return job
