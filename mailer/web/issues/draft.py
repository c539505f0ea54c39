"""A digest's page: while it is a draft, what it holds and says; later, how it goes.

Whoever changes a draft sends along the version they saw. If somebody else changed it since, nothing
of theirs is overwritten, and what was typed here stands in the form again.
"""

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
    return desk.answer(request, who, template, status=status, headers=None, **values)


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
        "editions": await digests.editions(conn, digest.id),
    }


# POST


async def edit(request: web.Request, who: Who) -> web.StreamResponse:
    """POST /staff/digests/SLUG/NUMBER: one change, named by the button (`do`)."""
    sent = await forms.read(request)
    try:
        async with request.app[page.POOL].acquire() as conn, conn.transaction():
            digest = await named.found(conn, request)
            await change(conn, digest, sent)
    except Refusal as fault:
        typed = {
            name.removeprefix("introduction-"): values[0]
            for name, values in sent.items()
            if name.startswith("introduction-") and values
        }
        faults = desk.refused(request, who, fault)
        return await shown(request, who, typed, faults, page.STATUS[type(fault)])
    return desk.see_other(request, named.own_path(request), "saved")


async def change(conn: Connection, digest: Digest, sent: Fields) -> None:
    """Raises Invalid, Unknown, or Conflict if it is not the version that was seen."""
    verb, _, what = forms.one(sent, "do").partition(" ")
    version = number(forms.one(sent, "version"))
    match verb:
        case "introduce":
            newsletter = await newsletters.get(conn, digest.newsletter)
            await digests.introduce(conn, digest, introduction(newsletter, sent), version)
        case "order":
            order = [number(part) for part in forms.one(sent, "order").split(",")]
            await digests.reorder(conn, digest, order, version)
        case "up" | "down":
            await move(conn, digest, number(what), -1 if verb == "up" else 1, version)
        case "pick":
            await digests.pick(conn, digest, number(what), version)
        case "skip":
            await digests.skip(conn, digest, number(what), version)
        case "later":
            await digests.put_back(conn, digest, number(what), version)
        case "pin" | "unpin":
            await digests.pin(conn, digest, number(what), version, pinned=verb == "pin")
        case _:
            raise Invalid("Choose what to do with it.")


def number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= NUMBER_DIGITS):
        raise Invalid("Choose what to do with it.")
    return int(text)


async def move(conn: Connection, digest: Digest, article: int, places: int, version: int) -> None:
    """Up or down by one among its like: those pinned stay first."""
    listed = works(await digests.contents(conn, digest))
    order = [work.id for work in listed]
    if article in order:
        at = order.index(article)
        to = max(0, min(len(order) - 1, at + places))
        order.insert(to, order.pop(at))
    await digests.reorder(conn, digest, order, version)


def introduction(newsletter: Newsletter, sent: Fields) -> dict[str, str]:
    """By language; what is empty is left out. Raises Invalid."""
    found = {}
    for language in newsletter.languages:
        field = f"introduction-{language}"
        text = forms.one(sent, field).replace("\r\n", "\n").strip()
        if len(text) > digests.MOST_INTRODUCTION:
            raise Invalid(
                "This is too long: {most} characters at most.",
                field=field,
                most=digests.MOST_INTRODUCTION,
            )
        if forms.UNSEEN.search(text.replace("\n", " ").replace("\t", " ")):
            raise Invalid(
                "This has invisible characters in it: type it instead of pasting.", field=field
            )
        if text:
            found[language] = text
    return found
