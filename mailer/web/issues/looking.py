"""What readers would see: previews, and test mails to staff."""

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from aiohttp import web

from mailer import digests, editions, newsletters, staff
from mailer.db import Connection
from mailer.digests import Digest, Edition
from mailer.errors import Conflict, Invalid, Refusal, Unknown
from mailer.web import desk, forms, page
from mailer.web.desk import Who
from mailer.web.issues import draft, named


async def preview(request: web.Request, who: Who) -> web.StreamResponse:
    """GET /staff/digests/SLUG/NUMBER/preview: an edition wide, on a phone, in the dark, as text"""
    async with request.app[page.POOL].acquire() as conn:
        digest = await named.found(conn, request)
        newsletter = await newsletters.get(conn, digest.newsletter)
        shown = await as_readers_get_it(conn, request, digest)
    chosen = request.query.get("language") or newsletter.fallback
    edition = shown.get(chosen) or next(iter(shown.values()), None)
    return desk.answer(
        request, who, "staff/digest_preview.html", headers=desk.FRAMING, digest=digest,
        newsletter=newsletter, edition=edition, of_languages=list(shown), faults={},
        text=editions.without_slots(edition.text) if edition else "",
    )  # fmt: skip


async def html(request: web.Request, who: Who) -> web.StreamResponse:
    """GET /staff/digests/SLUG/NUMBER/mail/LANGUAGE, for the frames of the preview"""
    async with request.app[page.POOL].acquire() as conn:
        digest = await named.found(conn, request)
        shown = await as_readers_get_it(conn, request, digest)
    edition = in_language(shown, request.match_info["language"])
    text = editions.without_slots(edition.html)
    return web.Response(text=text, content_type="text/html", headers=page.MAIL_TO_SEE)


async def as_typed(request: web.Request, who: Who) -> web.StreamResponse:
    """POST /staff/digests/SLUG/NUMBER/look: the mail with an introduction that is not stored, for
    the frame beside it."""
    sent = await forms.read(request)
    try:
        async with request.app[page.POOL].acquire() as conn:
            digest = await named.found(conn, request)
            newsletter = await newsletters.get(conn, digest.newsletter)
            typed = replace(digest, introduction=draft.introduction(newsletter, digest, sent))
            shown = await as_readers_get_it(conn, request, typed)
        edition = in_language(shown, forms.one(sent, "shown"))
    except Refusal as fault:
        text, status = (
            " ".join(desk.refused(request, who, fault).values()),
            page.STATUS[type(fault)],
        )
        return web.Response(text=text, status=status, headers=page.MAIL_TO_SEE)
    plain = forms.one(sent, "view") == "text"
    return web.Response(
        text=editions.without_slots(edition.text if plain else edition.html),
        content_type="text/plain" if plain else "text/html",
        headers=page.MAIL_TO_SEE,
    )


def in_language(shown: Mapping[str, Edition], language: str) -> Edition:
    """Raises Unknown."""
    if language not in shown:
        raise Unknown("There is no edition in {language}.", language=language)
    return shown[language]


async def as_readers_get_it(
    conn: Connection, request: web.Request, digest: Digest
) -> dict[str, Edition]:
    """By language: frozen, or as the draft is now."""
    if digest.state != "draft":
        return {each.language: each for each in await digests.editions(conn, digest.id)}
    _, composed = await editions.compose(conn, request.app[page.SETTINGS], digest)
    return {each.edition.language: each.edition for each in composed}


async def try_out(request: web.Request, who: Who) -> web.StreamResponse:
    """POST /staff/digests/SLUG/NUMBER/test: one edition to one of the staff."""
    sent = await forms.read(request)
    try:
        async with request.app[page.POOL].acquire() as conn, conn.transaction():
            digest = await named.found(conn, request)
            newsletter = await newsletters.get(conn, digest.newsletter)
            language = forms.one(sent, "language") or newsletter.fallback
            if digest.state == "draft":
                await draft.keep(conn, digest, sent)
            in_language(await as_readers_get_it(conn, request, digest), language)
            to = await colleague(conn, forms.one(sent, "to"), who)
            await digests.try_out(conn, digest, language, to)
            await named.note(conn, request, who, "digest.tried", language=language, to=str(to))
    except Refusal as fault:
        return await draft.again(request, who, sent, fault)
    return desk.see_other(request, named.own_path(request), "tried")


async def colleague(conn: Connection, id_: str, who: Who) -> UUID:
    """Whose address it is; one's own if nobody is named. Raises Invalid, Unknown or Conflict."""
    try:
        account = await staff.get(conn, UUID(id_)) if id_ else who.account
    except ValueError:
        raise Invalid("Choose one of the staff.", field="to") from None
    if account.disabled_at is not None:
        raise Conflict("This account is disabled.", field="to")
    return account.id
