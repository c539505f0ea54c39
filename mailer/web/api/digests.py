"""Digests through the API: an editor's whole road, from a draft to the last mail."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, get_args

from mailer import digests, editions, newsletters, render, staff
from mailer.db import Connection
from mailer.digests import Digest, Item, Status
from mailer.digests.rows import State
from mailer.editions import Finding
from mailer.errors import Invalid, Unknown
from mailer.newsletters import CADENCES, Newsletter
from mailer.outbox import STATES
from mailer.web import page
from mailer.web.api.answering import seen
from mailer.web.api.lists import LIMIT, NEWSLETTER, limit, part
from mailer.web.api.operation import Answer, Call, Operation
from mailer.web.api.reach import named, only, reached
from mailer.web.api.shapes import (
    BY_LANGUAGE,
    LANGUAGE,
    NUMBER,
    TIME,
    WORD,
    YES_NO,
    ByLanguage,
    Flag,
    Listed,
    Moment,
    OneOf,
    Schema,
    Text,
    Thing,
    Whole,
    exactly,
    list_of,
    page_of,
    ref,
    some,
)

PATH = "/digests"
ONE = f"{PATH}/{{newsletter}}/{{number}}"
MOST_IDS = 200


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


async def create(call: Call, conn: Connection) -> Answer:
    newsletter = await reached(conn, call.token, call.body["newsletter"])
    cadence = call.body.get("cadence", newsletter.cadences[0])
    digest = await digests.create(conn, newsletter, cadence, by=call.actor)
    if "introduction" in call.body:
        said = introduction(newsletter, call.body["introduction"])
        await digests.introduce(conn, digest, said)
    name = f"{newsletter.slug}/{digest.number}"
    where = {"Location": call.url(f"{PATH}/{name}")}
    return Answer(await as_json(conn, digest), 201, where, name)


def introduction(newsletter: Newsletter, given: Mapping[str, str]) -> Mapping[str, str]:
    if not set(given) <= set(newsletter.languages):
        raise Invalid(
            "{name} must be one of {known}.",
            field="introduction",
            name="introduction",
            known=", ".join(newsletter.languages),
        )
    return given


async def get(call: Call, conn: Connection) -> Answer:
    return Answer(await as_json(conn, await found(call, conn)))


async def edit(call: Call, conn: Connection) -> Answer:
    """An article's id means its translations, too."""
    digest = await unchanged(call, conn)
    given = call.body
    await digests.edit(conn, digest, digest.version)
    for id_ in given.get("pick", ()):
        await digests.pick(conn, digest, id_)
    for id_ in given.get("skip", ()):
        await digests.skip(conn, digest, id_)
    for id_ in given.get("later", ()):
        await digests.put_back(conn, digest, id_)
    for id_ in given.get("pin", ()):
        await digests.pin(conn, digest, id_)
    for id_ in given.get("unpin", ()):
        await digests.pin(conn, digest, id_, pinned=False)
    if "order" in given:
        await digests.reorder(conn, digest, given["order"])
    if "introduction" in given:
        newsletter = await newsletters.get(conn, digest.newsletter)
        await digests.introduce(conn, digest, introduction(newsletter, given["introduction"]))
    return Answer(await as_json(conn, digest))


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


async def test(call: Call, conn: Connection) -> Answer:
    """To the staff alone: whoever holds a token can have nobody else written to."""
    digest = await found(call, conn)
    to = await staff.by_address(conn, call.keys, call.body["to"])
    if to is None or to.disabled_at is not None:
        raise Invalid("Test mails go to the staff: nobody of them has this address.", field="to")
    newsletter, composed = await editions.compose(conn, call.settings, digest)
    editions.in_language(newsletter, composed, call.body.get("language"))
    language = newsletter.offered(call.body.get("language") or newsletter.fallback)
    await digests.try_out(conn, digest, language, to.id)
    return Answer({"status": "waiting"})


async def approve(call: Call, conn: Connection) -> Answer:
    digest = await unchanged(call, conn)
    at: datetime | None = call.body.get("at")
    if at is not None and at <= datetime.now(UTC):
        raise Invalid("That time is over: give one to come.", field="at")
    findings = await editions.approve(
        conn,
        call.settings,
        digest,
        by=call.actor,
        at=at,
        despite_warnings=call.body.get("despite_warnings", False),
    )
    if at is None:
        await editions.begin(conn, call.settings, digest)
    shown = await as_json(conn, digest)
    return Answer({"digest": shown, "findings": in_words(call, findings)})


async def recall(call: Call, conn: Connection) -> Answer:
    return await step(call, conn, digests.recall)


async def pause(call: Call, conn: Connection) -> Answer:
    return await step(call, conn, digests.pause)


async def resume(call: Call, conn: Connection) -> Answer:
    return await step(call, conn, digests.resume)


async def cancel(call: Call, conn: Connection) -> Answer:
    return await step(call, conn, digests.cancel)


async def step(call: Call, conn: Connection, verb: Any) -> Answer:
    digest = await found(call, conn)
    await verb(conn, digest)
    return Answer(await as_json(conn, digest))


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
IDS = Listed(Whole(), MOST_IDS)
INTRODUCTION = ByLanguage(
    Text(digests.MOST_INTRODUCTION, 0, lines=True),
    0,
    "What is said first, instead of what was: Markdown, of which paragraphs, *emphasis*, "
    "**strong emphasis**, [links](https://example.org) and lists are read.",
)
AS_IT_IS = {200: ("As it is now.", ref("Digest"))}


def verb(name: str, act: str, summary: str, handle: Any) -> Operation:
    """Something that needs no more than to be said."""
    return Operation(
        "POST",
        f"{ONE}/{name}",
        f"{name}Digest",
        summary,
        "digests:send",
        AS_IT_IS,
        handle,
        refuses=(409,),
        once=True,
        act=act,
    )


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
        "POST",
        PATH,
        "createDigest",
        "Make a draft of what was published since the last one.",
        "digests:write",
        {201: ("The draft.", ref("Digest"))},
        create,
        act="digest.created",
        body=Thing(
            {
                "newsletter": NEWSLETTER,
                "cadence": OneOf(CADENCES, "The newsletter's first, if not given."),
                "introduction": INTRODUCTION,
            },
            ("newsletter",),
        ),
        once=True,
        tagged=True,
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
        "PATCH",
        ONE,
        "editDigest",
        "Change a draft. An article's id means its translations, too.",
        "digests:write",
        AS_IT_IS,
        edit,
        act="digest.edited",
        body=Thing(
            {
                "pick": Listed(Whole(), MOST_IDS, description="Put in."),
                "skip": Listed(Whole(), MOST_IDS, description="Leave out for good."),
                "later": Listed(Whole(), MOST_IDS, description="Leave for the next digest."),
                "pin": Listed(Whole(), MOST_IDS, description="Keep at the top."),
                "unpin": IDS,
                "order": Listed(Whole(), MOST_IDS, description="These first, in this order."),
                "introduction": INTRODUCTION,
            },
            least=1,
        ),
        tagged=True,
        edits=True,
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
    Operation(
        "POST",
        f"{ONE}/test",
        "testDigest",
        "Send one edition to one of the staff, to look at. Its personal links lead nowhere.",
        "digests:send",
        {200: ("It waits in the outbox.", exactly({"status": {"const": "waiting"}}))},
        test,
        act="digest.tested",
        body=Thing(
            {
                "to": Text(320),
                "language": Text(35, pattern=f"^{LANGUAGE}$"),
            },
            ("to",),
        ),
        once=True,
    ),
    Operation(
        "POST",
        f"{ONE}/approve",
        "approveDigest",
        "Freeze its text and begin to send it, at once or at a time.",
        "digests:send",
        {
            200: (
                "It goes, or will.",
                exactly({"digest": ref("Digest"), "findings": FINDINGS}),
            )
        },
        approve,
        act="digest.approved",
        body=Thing(
            {
                "at": Moment("When to begin; else at once."),
                "despite_warnings": Flag("Put aside what was found in it."),
            }
        ),
        edits=True,
        once=True,
    ),
    verb(
        "recall",
        "digest.recalled",
        "Make an approved digest that has not begun a draft again.",
        recall,
    ),
    verb("pause", "digest.paused", "Send no more of it for the present.", pause),
    verb("resume", "digest.resumed", "Go on sending it.", resume),
    verb(
        "cancel",
        "digest.cancelled",
        "Send no more of it, ever. Before it began, its articles come again.",
        cancel,
    ),
)
