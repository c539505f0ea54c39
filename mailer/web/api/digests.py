"""Digests through the API: listed, read, looked at. `drafts` and `sending` change them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, get_args

from mailer import digests, editions, render
from mailer.db import Connection
from mailer.digests import Digest, Item, Status
from mailer.digests.rows import State
from mailer.editions import Finding
from mailer.errors import Unknown
from mailer.newsletters import CADENCES
from mailer.outbox import STATES
from mailer.web import page
from mailer.web.api.answering import seen
from mailer.web.api.lists import LIMIT, NEWSLETTER, limit, part
from mailer.web.api.operation import Answer, Call, Operation
from mailer.web.api.reach import named, only
from mailer.web.api.shapes import (
    BY_LANGUAGE,
    NUMBER,
    TIME,
    WORD,
    YES_NO,
    OneOf,
    Schema,
    Whole,
    exactly,
    list_of,
    page_of,
    ref,
    some,
)

PATH = "/digests"
ONE = f"{PATH}/{{newsletter}}/{{number}}"


async def listing(call: Call, conn: Connection) -> Answer:
    slug, most = await only(conn, call.token, call.query.get("newsletter")), limit(call)
    listed = await digests.page(
        conn,
        slug=slug,
        state=call.query.get("state"),
        before=call.query.get("before"),
        most=most + 1,
    )
    shown = [outline(each) for each in await digests.statuses(conn, listed[:most])]
    rest = str(listed[most - 1].id) if len(listed) > most else None
    return part(call, PATH, "digests", shown, "before", rest)


async def get(call: Call, conn: Connection) -> Answer:
    return Answer(await as_json(conn, await found(call, conn)))


async def preview(call: Call, conn: Connection) -> Answer:
    digest = await found(call, conn)
    newsletter, composed = await editions.compose(conn, call.settings, digest)
    findings = await editions.findings(conn, call.settings, digest, newsletter, composed)
    shown = [
        {
            "language": each.edition.language,
            "subject": each.edition.subject,
            "html": editions.without_slots(each.edition.html),
            "text": editions.without_slots(each.edition.text),
        }
        for each in composed
    ]
    return Answer({"editions": shown, "findings": in_words(call, findings)})


async def found(call: Call, conn: Connection) -> Digest:
    """Of a newsletter that the token is not for, there is none. Raises Unknown."""
    slug, number = call.path["newsletter"], call.path["number"]
    newsletter = await named(conn, call.token, slug)
    if number > MOST_NUMBER:
        raise Unknown("{slug} has no digest number {number}.", slug=slug, number=number)
    return await digests.find(conn, newsletter.slug, number)


MOST_NUMBER = 2**31 - 1


async def unchanged(call: Call, conn: Connection) -> Digest:
    """As the caller has seen it, and nobody else changes it until this transaction ends."""
    digest = await found(call, conn)
    await digests.lock(conn, digest.newsletter)
    digest = await digests.get(conn, digest.id)
    seen(call, await as_json(conn, digest))
    return digest


async def as_json(conn: Connection, digest: Digest) -> Mapping[str, Any]:
    status = await digests.status(conn, digest)
    items = await digests.contents(conn, status.digest)
    return {**outline(status), "articles": [line(item) for item in items]}


def outline(status: Status) -> Mapping[str, Any]:
    digest = status.digest
    return {
        "newsletter": status.newsletter,
        **{name: getattr(digest, name) for name in SAME},
        "introduction": dict(digest.introduction),
        **{name: at(getattr(digest, name)) for name in TIMES},
        "works": status.articles,
        "mails": dict(status.mails),
    }


SAME = ("number", "cadence", "state", "version", "created_by", "approved_by", "problem")
TIMES = ("created_at", "approved_at", "send_at", "finished_at")


def at(when: datetime | None) -> str | None:
    return when.isoformat() if when else None


def line(item: Item) -> Mapping[str, Any]:
    article = item.article
    return {
        "id": article.id,
        "language": article.language,
        "title": article.title,
        "work": article.work,
        "pinned": item.pinned,
        "files": len(item.attachments),
    }


def in_words(call: Call, findings: Sequence[Finding]) -> list[Mapping[str, str]]:
    spoken = page.language(call.request)
    return [
        {
            "level": each.level,
            "sentence": render.translate(each.sentence, spoken).format(**each.values),
        }
        for each in findings
    ]


OUTLINE: Mapping[str, Schema] = {
    "newsletter": WORD,
    "number": NUMBER,
    "cadence": {"enum": list(CADENCES)},
    "state": {"enum": list(get_args(State))},
    "version": NUMBER,
    "created_by": WORD,
    "approved_by": some(WORD),
    "problem": some(WORD),
    "introduction": BY_LANGUAGE,
    "created_at": TIME,
    "approved_at": some(TIME),
    "send_at": some(TIME),
    "finished_at": some(TIME),
    "works": NUMBER,
    "mails": exactly(dict.fromkeys(STATES, NUMBER)),
}
FINDINGS = list_of(exactly({"level": {"enum": ["refused", "warning", "note"]}, "sentence": WORD}))
SCHEMAS: Mapping[str, Schema] = {
    "DigestOutline": exactly(OUTLINE),
    "Digest": exactly(
        {
            **OUTLINE,
            "articles": list_of(
                exactly(
                    {
                        "id": NUMBER,
                        "language": WORD,
                        "title": WORD,
                        "work": some(WORD),
                        "pinned": YES_NO,
                        "files": NUMBER,
                    }
                )
            ),
        }
    ),
    "Edition": exactly({"language": WORD, "subject": WORD, "html": WORD, "text": WORD}),
}
AS_IT_IS = {200: ("As it is now.", ref("Digest"))}


OPERATIONS = (
    Operation(
        "GET",
        PATH,
        "listDigests",
        "Digests, newest first.",
        "digests:read",
        {200: ("Some of them.", page_of("digests", ref("DigestOutline")))},
        listing,
        query={
            "newsletter": NEWSLETTER,
            "state": OneOf(get_args(State)),
            "before": Whole(MOST_NUMBER, description="Only older ones: `next` has it."),
            "limit": LIMIT,
        },
    ),
    Operation(
        "GET",
        ONE,
        "getDigest",
        "One digest: its articles in their order, and what became of its mails.",
        "digests:read",
        {200: ("The digest.", ref("Digest"))},
        get,
        tagged=True,
    ),
    Operation(
        "GET",
        f"{ONE}/preview",
        "previewDigest",
        "Each edition as HTML and as text, and what is wrong with them. Its personal links lead "
        "nowhere.",
        "digests:read",
        {
            200: (
                "Every edition.",
                exactly({"editions": list_of(ref("Edition")), "findings": FINDINGS}),
            )
        },
        preview,
    ),
)
