"""A digest's page: while it is a draft, what it holds and says; later, how it goes.

A draft is one form: whichever of its buttons is pressed, what was typed is kept. Whoever changes it
sends along the version they saw, and a stamp of each introduction. If somebody else changed it
since, nothing of theirs is overwritten, and what was typed here stands in the form again.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from mailer import digests, editions, newsletters, render, staff
from mailer.bounces import health
from mailer.db import Connection
from mailer.digests import Digest, Item
from mailer.editions import Finding
from mailer.errors import Invalid, Misconfigured, Refusal
from mailer.newsletters import Newsletter
from mailer.web import desk, forms, page
from mailer.web.desk import Who
from mailer.web.forms import Fields
from mailer.web.issues import named

ON_OFFER = 50
NUMBER_DIGITS = 18


@dataclass(frozen=True)
class Work:
    """An article with its translations, as a line of the list; `id` stands for all of them."""

    id: int
    title: str
    language: str
    languages: Sequence[str]
    files: int
    pinned: bool


async def show(request: web.Request, who: Who) -> web.StreamResponse:
    """GET /staff/digests/SLUG/NUMBER"""
    return await shown(request, who, {}, {}, 200)


async def shown(
    request: web.Request,
    who: Who,
    typed: Mapping[str, str],
    faults: Mapping[str, str],
    status: int,
) -> web.StreamResponse:
    """`typed`: an introduction by language that is not stored."""
    async with request.app[page.POOL].acquire() as conn:
        digest = await named.found(conn, request)
        newsletter = await newsletters.get(conn, digest.newsletter)
        values: dict[str, object] = {
            "digest": digest,
            "newsletter": newsletter,
            "names": await staff.names(conn, request.app[page.VAULT]),
        }
        if digest.state == "draft":
            template, tell = "staff/digest.html", drafted
        else:
            template, tell = "staff/digest_going.html", going
        values |= await tell(conn, request, who, newsletter, digest)
    values |= {"typed": typed, "faults": faults}
    return desk.answer(request, who, template, status=status, headers=desk.FRAMING, **values)


async def drafted(
    conn: Connection, request: web.Request, who: Who, newsletter: Newsletter, digest: Digest
) -> Mapping[str, object]:
    items = await digests.contents(conn, digest)
    settings, findings, broken = request.app[page.SETTINGS], list[Finding](), None
    try:
        _, composed = await editions.compose(conn, settings, digest)
        findings = await editions.findings(conn, settings, digest, newsletter, composed)
    except Misconfigured as error:  # a template of the operator's own
        broken = desk.refused(request, who, error)[""]
    colleagues = [a for a in await staff.all_(conn) if a.disabled_at is None]
    return {
        "works": works(items),
        "offers": await digests.on_offer(conn, digest, ON_OFFER),
        "findings": findings,
        "broken": broken,
        "editions_of": [(code, render.own_name(code)) for code in newsletter.languages],
        "seen": {code: stamp(digest.introduction.get(code, "")) for code in newsletter.languages},
        "most": digests.MOST_INTRODUCTION,
        "at": request.query.get("at", ""),
        "colleagues": [(str(a.id), a.email(request.app[page.VAULT])) for a in colleagues],
    }


def works(items: Sequence[Item]) -> list[Work]:
    """In the order of the digest, translations together."""
    together: dict[str, list[Item]] = {}
    for item in items:
        together.setdefault(item.work, []).append(item)
    return [
        Work(
            versions[0].article.id,
            versions[0].article.title,
            versions[0].article.language,
            [item.article.language for item in versions],
            sum(len(item.attachments) for item in versions),
            versions[0].pinned,
        )
        for versions in together.values()
    ]


async def going(
    conn: Connection, request: web.Request, who: Who, newsletter: Newsletter, digest: Digest
) -> Mapping[str, object]:
    return {
        "progress": await digests.status(conn, digest),
        "fared": await health.fared(conn, newsletter.slug, digest.number),
    }


# POST

ONWARD = ("preview", "approve")
"""Pages that buttons of the draft lead to."""


async def edit(request: web.Request, who: Who) -> web.StreamResponse:
    """POST /staff/digests/SLUG/NUMBER: keep what was typed, and do what the button (`do`) says."""
    sent = await forms.read(request)
    verb, _, what = forms.one(sent, "do").partition(" ")
    changes = verb not in ("introduce", *ONWARD)
    try:
        async with request.app[page.POOL].acquire() as conn, conn.transaction():
            digest = await named.found(conn, request)
            await keep(conn, digest, sent, changes=changes)
            if changes:
                await change(conn, digest, verb, what, sent)
    except Refusal as fault:
        return await again(request, who, sent, fault)
    if verb in ONWARD:
        return page.see_other(request, f"{named.own_path(request)}/{verb}")
    return page.see_other(request, named.own_path(request), done="saved", at=f"{verb} {what}")


async def again(request: web.Request, who: Who, sent: Fields, fault: Refusal) -> web.StreamResponse:
    """The page with what was typed in it, if it was typed here."""
    typed = {
        name.removeprefix("introduction-"): values[0]
        for name, values in sent.items()
        if name.startswith("introduction-") and values and touched(sent, name, values[0])
    }
    faults = desk.refused(request, who, fault)
    return await shown(request, who, typed, faults, page.STATUS[type(fault)])


async def keep(conn: Connection, digest: Digest, sent: Fields, *, changes: bool = False) -> None:
    """The introductions that were typed. Raises Invalid, or Conflict if it is not the version that
    was seen and something `changes`."""
    newsletter = await newsletters.get(conn, digest.newsletter)
    said = introduction(newsletter, digest, sent)
    typed = said != digest.introduction
    if typed or changes:
        await digests.edit(conn, digest, number(forms.one(sent, "version")))
    if typed:
        await digests.introduce(conn, digest, said)


async def change(conn: Connection, digest: Digest, verb: str, what: str, sent: Fields) -> None:
    """Of the version that was seen. Raises Invalid or Unknown."""
    match verb:
        case "order":
            order = [number(part) for part in forms.one(sent, "order").split(",")]
            await digests.reorder(conn, digest, order)
        case "up" | "down":
            await move(conn, digest, number(what), -1 if verb == "up" else 1)
        case "pick":
            await digests.pick(conn, digest, number(what))
        case "skip":
            await digests.skip(conn, digest, number(what))
        case "later":
            await digests.put_back(conn, digest, number(what))
        case "pin" | "unpin":
            await digests.pin(conn, digest, number(what), pinned=verb == "pin")
        case _:
            raise Invalid("Choose what to do with it.")


def number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= NUMBER_DIGITS):
        raise Invalid("Choose what to do with it.")
    return int(text)


async def move(conn: Connection, digest: Digest, article: int, places: int) -> None:
    """Up or down by one among its like: those pinned stay first."""
    listed = works(await digests.contents(conn, digest))
    order = [work.id for work in listed]
    if article in order:
        at = order.index(article)
        to = max(0, min(len(order) - 1, at + places))
        order.insert(to, order.pop(at))
    await digests.reorder(conn, digest, order)


def introduction(newsletter: Newsletter, digest: Digest, sent: Fields) -> dict[str, str]:
    """By language: as it was typed, or as it is where nobody typed. Raises Invalid."""
    found = dict(digest.introduction)
    for language in newsletter.languages:
        field = f"introduction-{language}"
        if field not in sent or not touched(sent, field, forms.one(sent, field)):
            continue
        text = plain(forms.one(sent, field))
        desk.check_lines(text, field, digests.MOST_INTRODUCTION)
        found.pop(language, None)
        if text:
            found[language] = text
    return found


def touched(sent: Fields, field: str, text: str) -> bool:
    """Whether it is another than the page had in it."""
    return stamp(text) != forms.one(sent, f"seen-{field}")


def stamp(text: str) -> str:
    return hashlib.sha256(plain(text).encode()).hexdigest()[:16]


def plain(text: str) -> str:
    """As it is kept: browsers send lines that end in CR LF."""
    return text.replace("\r\n", "\n").strip()
