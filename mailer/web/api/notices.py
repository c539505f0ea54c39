"""Notices through the API: published once, never changed."""

from collections.abc import Mapping
from typing import Any

from mailer import newsletters, notices, subjects
from mailer.db import Connection
from mailer.errors import Invalid, Unknown
from mailer.notices import Notice, Words
from mailer.web.api.lists import LIMIT, NEWSLETTER, behind, limit, part
from mailer.web.api.operation import PARTS, Answer, Call, Operation
from mailer.web.api.reach import allowed, everything, only, reached
from mailer.web.api.shapes import (
    LANGUAGE,
    TIME,
    WORD,
    Listed,
    Schema,
    Text,
    Thing,
    exactly,
    list_of,
    page_of,
    ref,
    some,
)

PATH = "/notices"
MOST_WORDS = 20_000
TAG = Text(35, pattern=f"^{LANGUAGE}$")


async def listing(call: Call, conn: Connection) -> Answer:
    slug = await only(conn, call.token, call.query.get("newsletter"))
    about = (await newsletters.find(conn, slug)).id if slug else None
    every = [
        each
        for each in reversed(await notices.all_(conn))
        if (about is None or each.covers(about))
        and call.query.get("language") in (None, each.language)
    ]
    some_, rest = behind(every, lambda each: each.id, call.query.get("after"), limit(call))
    slugs = {each.id: each.slug for each in await newsletters.all_(conn)}
    shown = [as_json(each, slugs) for each in some_]
    return part(call, PATH, "notices", shown, "after", rest)


async def get(call: Call, conn: Connection) -> Answer:
    unknown = Unknown("There is no notice with this number.")
    try:
        notice = await notices.find(conn, call.path["notice"])
    except Unknown:  # its own sentence speaks of a form
        raise unknown from None
    if notice.newsletter is not None and not allowed(call.token, notice.newsletter):
        raise unknown
    slugs = {each.id: each.slug for each in await newsletters.all_(conn)}
    return Answer(as_json(notice, slugs))


async def publish(call: Call, conn: Connection) -> Answer:
    """201; also for the same words again, which are the same notice."""
    given = dict(call.body)
    slug = given.pop("newsletter", None)
    about = await reached(conn, call.token, slug) if slug is not None else None
    if about is None:
        everything(call.token)
    controller = given.pop("controller", None) or call.settings.controller
    if not controller:
        raise Invalid("controller is missing: who is responsible.", field="controller")
    words = Words(newsletter=about.id if about else None, controller=controller, **given)
    house = await subjects.house(conn, call.keys)
    published = await notices.publish(conn, house, words, actor=call.actor)
    slugs = {about.id: about.slug} if about else {}
    where = call.url(f"{PATH}/{published.id}")
    return Answer(as_json(published, slugs), 201, {"Location": where})


def as_json(notice: Notice, slugs: Mapping[int, str]) -> Mapping[str, Any]:
    return {
        "id": notice.id,
        "sha256": notice.sha256.hex(),
        **{name: getattr(notice, name) for name in WORDS},
        "purposes": list(notice.purposes),
        "newsletter": slugs[notice.newsletter] if notice.newsletter is not None else None,
        "valid_from": notice.valid_from.isoformat(),
    }


WORDS = ("language", "wording", "controller", "recipients", "retention", "withdrawal")
SCHEMAS: Mapping[str, Schema] = {
    "Notice": exactly(
        {
            "id": WORD,
            "sha256": WORD,
            **dict.fromkeys(WORDS, WORD),
            "purposes": list_of(WORD),
            "newsletter": some(WORD),
            "valid_from": TIME,
        }
    )
}
LONG = Text(MOST_WORDS, lines=True)
GIVEN = Thing(
    {
        "newsletter": NEWSLETTER,
        "language": TAG,
        "wording": LONG,
        "controller": LONG,
        "purposes": Listed(Text(2000), 20, 1),
        "recipients": LONG,
        "retention": LONG,
        "withdrawal": LONG,
    },
    ("language", "wording", "purposes", "recipients", "retention", "withdrawal"),
)

OPERATIONS = (
    Operation(
        "GET",
        PATH,
        "listNotices",
        "Versions of the words that people agree to, newest first.",
        "notices:read",
        {200: ("Some of them.", page_of("notices", ref("Notice")))},
        listing,
        query={
            "newsletter": NEWSLETTER,
            "language": TAG,
            "after": PARTS["notice"].shape,
            "limit": LIMIT,
        },
    ),
    Operation(
        "POST",
        PATH,
        "publishNotice",
        "Publish a version; the same words again are the same notice. Without a newsletter it is "
        "for all of them, without a controller it names that of the service.",
        "notices:write",
        {201: ("It is in force.", ref("Notice"))},
        publish,
        body=GIVEN,
        once=True,
    ),
    Operation(
        "GET",
        f"{PATH}/{{notice}}",
        "getNotice",
        "One version, whole.",
        "notices:read",
        {200: ("The notice.", ref("Notice"))},
        get,
    ),
)
