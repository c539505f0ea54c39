"""Digests through the API while they are drafts: made, filled, put in order, introduced."""

from collections.abc import Mapping

from mailer import digests, newsletters
from mailer.db import Connection
from mailer.errors import Invalid
from mailer.newsletters import CADENCES, Newsletter
from mailer.web.api.digests import AS_IT_IS, ONE, PATH, as_json, unchanged
from mailer.web.api.lists import NEWSLETTER
from mailer.web.api.operation import Answer, Call, Operation
from mailer.web.api.reach import reached
from mailer.web.api.shapes import (
    ByLanguage,
    Listed,
    OneOf,
    Schema,
    Text,
    Thing,
    Whole,
    ref,
)

MOST_IDS = 200


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


SCHEMAS: Mapping[str, Schema] = {}
IDS = Listed(Whole(), MOST_IDS)
INTRODUCTION = ByLanguage(
    Text(digests.MOST_INTRODUCTION, 0, lines=True),
    0,
    "What is said first, instead of what was: Markdown, of which paragraphs, *emphasis*, "
    "**strong emphasis**, [links](https://example.org) and lists are read.",
)
OPERATIONS = (
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
)
