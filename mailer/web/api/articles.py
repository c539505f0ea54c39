"""Articles through the API: added, read, withdrawn."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from mailer import articles, newsletters
from mailer.articles import Article
from mailer.articles.cleaning import LANGUAGE, MOST_SUMMARY, MOST_URL
from mailer.articles.draft import (
    MOST_ALT,
    MOST_ATTACHMENTS,
    MOST_BYTES,
    MOST_CATEGORIES,
    MOST_CATEGORY,
    MOST_ID,
    MOST_NAME,
    MOST_RELATED,
    MOST_TITLE,
)
from mailer.db import Connection
from mailer.errors import Unknown
from mailer.web.api.lists import AFTER, LIMIT, NEWSLETTER, limit, part
from mailer.web.api.operation import Answer, Call, Operation
from mailer.web.api.reach import allowed, reached
from mailer.web.api.shapes import (
    TIME,
    YES_NO,
    Given,
    Schema,
    Text,
    exactly,
    list_of,
    page_of,
    ref,
    some,
)

PATH = "/articles"


async def post(call: Call, conn: Connection) -> Answer:
    """201 for a new one, 200 for one that was there: sending it twice is harmless."""
    given = dict(call.body)
    newsletter = await reached(conn, call.token, given.pop("newsletter", None))
    draft = articles.from_object(given)
    added = await articles.add(conn, newsletter.id, draft)
    (shown,) = await as_json(conn, [await articles.find(conn, added.id)])
    if not added.new:
        return Answer(shown)
    return Answer(shown, 201, {"Location": call.url(f"{PATH}/{added.id}")})


async def get(call: Call, conn: Connection) -> Answer:
    (shown,) = await as_json(conn, [await found(call, conn)])
    return Answer(shown)


async def withdraw(call: Call, conn: Connection) -> Answer:
    article = await found(call, conn)
    await articles.withdraw(conn, article.id)
    (shown,) = await as_json(conn, [await articles.find(conn, article.id)])
    return Answer(shown)


async def listing(call: Call, conn: Connection) -> Answer:
    slug, most = call.query.get("newsletter"), limit(call)
    listed = await articles.listed(
        conn,
        newsletter=(await reached(conn, call.token, slug)).id if slug else call.token.newsletter,
        external_id=call.query.get("external_id"),
        before=call.query.get("before"),
        limit=most + 1,
    )
    shown = await as_json(conn, listed[:most])
    rest = str(listed[most - 1].id) if len(listed) > most else None
    return part(call, PATH, "articles", shown, "before", rest)


async def found(call: Call, conn: Connection) -> Article:
    """Of a newsletter that the token is not for, there is none. Raises Unknown."""
    article = await articles.find(conn, call.path["id"])
    if not allowed(call.token, article.newsletter):
        raise Unknown("There is no article {id}.", field="id", id=article.id)
    return article


async def as_json(conn: Connection, shown: Sequence[Article]) -> list[Mapping[str, object]]:
    ids = [article.id for article in shown]
    files = await articles.attachments_of(conn, ids)
    others = await articles.translations(conn, ids)
    slugs = {each.id: each.slug for each in await newsletters.all_(conn)}
    return [
        {
            "id": article.id,
            "newsletter": slugs[article.newsletter],
            "external_id": article.external_id,
            "language": article.language,
            "title": article.title,
            "url": article.url,
            "summary": article.summary,
            "published_at": at(article.published_at),
            "attachments": [
                {name: getattr(file, name) for name in ("name", "url", "type", "size", "language")}
                for file in files.get(article.id, ())
            ],
            "work": article.work,
            "image": article.image_url and {"url": article.image_url, "alt": article.image_alt},
            "download_all": article.bundle_url
            and {
                "url": article.bundle_url,
                "type": article.bundle_type,
                "size": article.bundle_size,
            },
            "categories": list(article.categories),
            "related": article.related,
            "translations": others.get(article.id, {}),
            "seen_at": at(article.seen_at),
            "revised_at": at(article.revised_at),
            "withdrawn_at": at(article.withdrawn_at),
            "held": article.held,
        }
        for article in shown
    ]


def at(when: datetime | None) -> str | None:
    return when.isoformat() if when else None


# what it takes and answers; lengths are those that the code keeps to


def text(most: int, **more: object) -> Schema:
    return {"type": "string", "maxLength": most, **more}


def thing(required: list[str], properties: Mapping[str, Schema]) -> Schema:
    return {
        "type": "object",
        "required": required,
        "properties": dict(properties),
        "additionalProperties": False,
    }


def listed(schema: Schema, most: int) -> Schema:
    return {**list_of(schema), "maxItems": most}


WRITTEN = {"minLength": 1, "pattern": r"\S"}
TAG: Schema = {"type": "string", "pattern": f"^{LANGUAGE.pattern}$", "examples": ["en", "pt-BR"]}
URL = text(MOST_URL, format="uri", pattern="^https?://")
TYPE: Schema = {"type": "string", "examples": ["application/pdf"]}
SIZE: Schema = {"type": "integer", "minimum": 0, "maximum": MOST_BYTES, "description": "Bytes."}
WORK = text(MOST_ID, description="The same in every translation of one article.", **WRITTEN)

FILE = thing(
    ["name", "url"],
    {
        "name": text(MOST_NAME, **WRITTEN),
        "url": URL,
        "type": some(TYPE),
        "size": some(SIZE),
        "language": some(TAG),
    },
)
BUNDLE = thing(["url"], {"url": URL, "type": some(TYPE), "size": some(SIZE)})
IMAGE = thing(
    ["url", "alt"],
    {"url": URL, "alt": text(MOST_ALT, description="What it shows; empty: it only decorates.")},
)
RELATED = thing(["title", "url"], {"title": text(MOST_TITLE, **WRITTEN), "url": URL})

SAID: Mapping[str, Schema] = {
    "newsletter": text(63, description="Its slug."),
    "external_id": text(MOST_ID, description="Yours: the same again is the same article."),
    "language": TAG,
    "title": text(MOST_TITLE),
    "url": some(URL),
    "summary": text(MOST_SUMMARY, description="HTML; what could run or fetch anything is dropped."),
    "published_at": some(TIME),
    "attachments": listed(ref("File"), MOST_ATTACHMENTS),
    "work": some(WORK),
    "image": some(ref("Image")),
    "download_all": some(ref("Bundle")),
    "categories": listed(text(MOST_CATEGORY, **WRITTEN), MOST_CATEGORIES),
    "related": listed(ref("Related"), MOST_RELATED),
}
OPTIONAL = ("summary", "attachments", "categories", "related")
GIVEN = thing(
    ["newsletter", "external_id", "language", "title"],
    {
        **SAID,
        **{name: some(SAID[name]) for name in OPTIONAL},
        "external_id": {**SAID["external_id"], **WRITTEN},
        "title": {**SAID["title"], **WRITTEN},
        "withdrawn": {
            "type": ["boolean", "null"],
            "description": "true takes the article back, false brings it back; else it stays as "
            "it was.",
        },
    },
)
ARTICLE = exactly(
    {
        "id": {"type": "integer"},
        **SAID,
        "translations": {
            "type": "object",
            "additionalProperties": {"type": "integer"},
            "description": "The other articles of the same work: id by language.",
        },
        "seen_at": TIME,
        "revised_at": some(TIME),
        "withdrawn_at": some(TIME),
        "held": {**YES_NO, "description": "It waits for an editor."},
    }
)
SCHEMAS: Mapping[str, Schema] = {
    "Given": GIVEN,
    "Article": ARTICLE,
    "File": FILE,
    "Bundle": BUNDLE,
    "Image": IMAGE,
    "Related": RELATED,
}
EXTERNAL_ID = Text(MOST_ID, description="Only the article with this id of yours.")
FILTERS: Mapping[str, Any] = {
    "newsletter": NEWSLETTER,
    "external_id": EXTERNAL_ID,
    "before": AFTER,
    "limit": LIMIT,
}

OPERATIONS = (
    Operation(
        "GET",
        PATH,
        "listArticles",
        "Articles, newest first.",
        "articles:read",
        {200: ("Some of them.", page_of("articles", ref("Article")))},
        listing,
        query=FILTERS,
    ),
    Operation(
        "POST",
        PATH,
        "postArticle",
        "Add an article, or bring it up to date.",
        "articles:write",
        {
            200: ("It was there, and says this now.", ref("Article")),
            201: ("It is new.", ref("Article")),
        },
        post,
        body=Given(ref("Given")),
        once=True,
    ),
    Operation(
        "GET",
        f"{PATH}/{{id}}",
        "getArticle",
        "One article.",
        "articles:read",
        {200: ("The article.", ref("Article"))},
        get,
    ),
    Operation(
        "DELETE",
        f"{PATH}/{{id}}",
        "withdrawArticle",
        "Take an article back: it is in no digest from now on.",
        "articles:write",
        {200: ("It is withdrawn.", ref("Article"))},
        withdraw,
    ),
)
