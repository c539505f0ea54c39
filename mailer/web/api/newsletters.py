"""Newsletters through the API: everything that `mailer newsletter` can."""

from collections.abc import Mapping
from typing import Any

from mailer import digests, newsletters, schedules
from mailer.db import Connection
from mailer.newsletters import CADENCES, MOST_ARTICLES, Newsletter
from mailer.web.api.answering import seen
from mailer.web.api.lists import LIMIT, NEWSLETTER, behind, limit, part
from mailer.web.api.operation import Answer, Call, Operation
from mailer.web.api.reach import allowed, everything, named
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
    OneOf,
    Schema,
    Shape,
    Some,
    Text,
    Thing,
    Whole,
    exactly,
    list_of,
    page_of,
    ref,
    some,
)

PATH = "/newsletters"
AUTOMATIC = "as published"


async def listing(call: Call, conn: Connection) -> Answer:
    every = [each for each in await newsletters.all_(conn) if allowed(call.token, each.id)]
    some_, rest = behind(every, lambda each: each.slug, call.query.get("after"), limit(call))
    shown = [await as_json(conn, each) for each in some_]
    return part(call, PATH, "newsletters", shown, "after", rest)


async def get(call: Call, conn: Connection) -> Answer:
    return Answer(await as_json(conn, await named(conn, call.token, call.path["newsletter"])))


async def add(call: Call, conn: Connection) -> Answer:
    everything(call.token)
    given = dict(call.body)
    titles = given.pop("titles")
    added = await newsletters.add(
        conn,
        given.pop("slug"),
        titles,
        fallback=given.pop("fallback", next(iter(titles))),
        cadences=given.pop("cadences", ["weekly"]),
        timezone=given.pop("timezone", "UTC"),
        archived=given.pop("archived", True),
    )
    changed = await change_settings(conn, added, given)
    where = call.url(f"{PATH}/{added.slug}")
    return Answer(await as_json(conn, changed), 201, {"Location": where}, added.slug)


async def change(call: Call, conn: Connection) -> Answer:
    newsletter = await named(conn, call.token, call.path["newsletter"])
    await digests.lock(conn, newsletter.id)
    newsletter = await newsletters.get(conn, newsletter.id)
    seen(call, await as_json(conn, newsletter))
    return Answer(await as_json(conn, await change_settings(conn, newsletter, dict(call.body))))


async def change_settings(
    conn: Connection, newsletter: Newsletter, given: dict[str, Any]
) -> Newsletter:
    scheduled = given.pop("schedule", {})
    changed = await newsletters.change(conn, newsletter, **given) if given else newsletter
    await schedules.fit(conn, changed)
    for cadence, cron in scheduled.items():
        if cron is None:
            await schedules.remove(conn, changed, cadence)
        else:
            await schedules.put(conn, changed, cadence, None if cron == AUTOMATIC else cron)
    return changed


async def as_json(conn: Connection, newsletter: Newsletter) -> Mapping[str, Any]:
    due = await schedules.of(conn, newsletter)
    return {
        **{name: getattr(newsletter, name) for name in SAME},
        "languages": list(newsletter.languages),
        "cadences": list(newsletter.cadences),
        "titles": dict(newsletter.titles),
        "created_at": newsletter.created_at.isoformat(),
        "schedule": {each.cadence: each.cron or AUTOMATIC for each in due},
        "due": {each.cadence: each.due_at.isoformat() for each in due},
    }


SAME = (
    "slug",
    "fallback",
    "timezone",
    "archived",
    "untranslated",
    "approval",
    "images",
    "fewest",
    "most",
)
FIELDS: Mapping[str, Shape] = {
    "titles": ByLanguage(Text(200), description="Its languages are those it has a title in."),
    "fallback": Text(35, pattern=f"^{LANGUAGE}$", description="For readers of other languages."),
    "cadences": Listed(OneOf(CADENCES), len(CADENCES), 1),
    "timezone": Text(64, description="Such as Europe/Berlin."),
    "archived": Flag("Sent digests are shown in public."),
    "untranslated": OneOf(
        ("shown", "omitted"), "What becomes of articles that are not in a reader's language."
    ),
    "approval": OneOf(
        ("editor", "automatic"), "Whether digests made by a schedule wait for an editor."
    ),
    "images": Flag("Its mails show images."),
    "fewest": Whole(MOST_ARTICLES, description="Articles without which a schedule makes none."),
    "most": Whole(MOST_ARTICLES, description="Articles in one digest; the rest comes next time."),
    "schedule": Thing(
        {
            each: Some(Text(100, description=f"In cron's form; for published: {AUTOMATIC}."))
            for each in CADENCES
        }
    ),
}
SHOWN: Schema = exactly(
    {
        "slug": WORD,
        "fallback": WORD,
        "timezone": WORD,
        "archived": YES_NO,
        "untranslated": {"enum": ["shown", "omitted"]},
        "approval": {"enum": ["editor", "automatic"]},
        "images": YES_NO,
        "fewest": NUMBER,
        "most": NUMBER,
        "languages": list_of(WORD),
        "cadences": list_of({"enum": list(CADENCES)}),
        "titles": BY_LANGUAGE,
        "created_at": TIME,
        "schedule": {"type": "object", "additionalProperties": WORD},
        "due": {"type": "object", "additionalProperties": some(TIME)},
    }
)
SCHEMAS: Mapping[str, Schema] = {"Newsletter": SHOWN}

OPERATIONS = (
    Operation(
        "GET",
        PATH,
        "listNewsletters",
        "Newsletters, oldest first.",
        "newsletters:read",
        {200: ("Some of them.", page_of("newsletters", ref("Newsletter")))},
        listing,
        query={"after": NEWSLETTER, "limit": LIMIT},
    ),
    Operation(
        "POST",
        PATH,
        "addNewsletter",
        "Add a newsletter. Publish a notice in each of its languages next.",
        "newsletters:write",
        {201: ("It is there.", ref("Newsletter"))},
        add,
        body=Thing({"slug": NEWSLETTER, **FIELDS}, ("slug", "titles")),
        act="newsletter.added",
        once=True,
        tagged=True,
    ),
    Operation(
        "GET",
        f"{PATH}/{{newsletter}}",
        "getNewsletter",
        "One newsletter.",
        "newsletters:read",
        {200: ("The newsletter.", ref("Newsletter"))},
        get,
        tagged=True,
    ),
    Operation(
        "PATCH",
        f"{PATH}/{{newsletter}}",
        "changeNewsletter",
        "Change what is named; the rest stays, the slug for ever.",
        "newsletters:write",
        {200: ("As it is now.", ref("Newsletter"))},
        change,
        body=Thing(FIELDS, least=1),
        act="newsletter.changed",
        tagged=True,
        edits=True,
    ),
)
