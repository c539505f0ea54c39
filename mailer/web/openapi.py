"""What the API serves, in OpenAPI 3.1; lengths are those that the code keeps to."""

from collections.abc import Mapping
from typing import Any

from mailer import __version__
from mailer.access import SCOPES
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

Schema = dict[str, Any]

MOST_LISTED = 100
PROBLEM = "application/problem+json"


def document(base_url: str) -> Schema:
    """The whole of it, for a service at `base_url`."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mailer",
            "version": __version__,
            "description": "Refusals are problem details (RFC 9457); `errors` names each field.",
        },
        "servers": [{"url": f"{base_url}/api/v1"}],
        "security": [{"token": []}],
        "paths": {
            "/articles": {"get": listing(), "post": posting()},
            "/articles/{id}": {"parameters": [ID], "get": getting(), "delete": withdrawing()},
            "/openapi.json": {"get": describing()},
        },
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": f"Of `mailer token add`; its scopes: {', '.join(SCOPES)}.",
                }
            },
            "schemas": {
                "Given": GIVEN,
                "Article": ARTICLE,
                "Articles": ARTICLES,
                "File": FILE,
                "Bundle": BUNDLE,
                "Image": IMAGE,
                "Related": RELATED,
                "Problem": A_PROBLEM,
            },
        },
    }


# parts


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def text(most: int, **more: object) -> Schema:
    return {"type": "string", "maxLength": most, **more}


def some(schema: Schema) -> Schema:
    """Or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def thing(required: list[str], properties: Mapping[str, Schema]) -> Schema:
    return {
        "type": "object",
        "required": required,
        "properties": dict(properties),
        "additionalProperties": False,
    }


def listed(schema: Schema, most: int) -> Schema:
    return {"type": "array", "items": schema, "maxItems": most}


def exactly(kind: Mapping[str, Schema]) -> Schema:
    """An answer: every property is there."""
    return thing(list(kind), kind)


WRITTEN = {"minLength": 1, "pattern": r"\S"}
TAG: Schema = {"type": "string", "pattern": f"^{LANGUAGE.pattern}$", "examples": ["en", "pt-BR"]}
URL = text(MOST_URL, format="uri", pattern="^https?://")
TIME: Schema = {"type": "string", "format": "date-time"}
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
        "held": {"type": "boolean", "description": "It waits for an editor."},
    }
)
ARTICLES = exactly({"articles": listed(ref("Article"), MOST_LISTED), "next": some(text(4_000))})
A_PROBLEM: Schema = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"const": "about:blank"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": exactly({"field": {"type": "string"}, "detail": {"type": "string"}}),
        },
    },
    "additionalProperties": False,
}
ID: Schema = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "integer", "minimum": 1, "maximum": 10**18 - 1},
}


# operations


def answers(*refusals: int, **good: tuple[str, Schema]) -> Schema:
    """`good`: by status (`s200`), what it means and holds. Some refusals may meet anybody."""
    found: Schema = {
        status[1:]: {"description": meaning, "content": {"application/json": {"schema": schema}}}
        for status, (meaning, schema) in good.items()
    }
    problem = {"content": {PROBLEM: {"schema": ref("Problem")}}}
    for status in sorted({*refusals, 400, 500, 503}):
        found[str(status)] = {"description": REFUSED[status], **problem}
    return found


REFUSED = {
    400: "What was sent can't be read.",
    401: "No token, or one that does not hold (any more).",
    403: "The token has not this scope, or is for another newsletter.",
    404: "There is no such article.",
    409: "The work has another article in this language.",
    413: "The body is too large.",
    415: "The body is not application/json.",
    422: "Fields are missing or malformed; `errors` names each.",
    429: "Too many requests with this token: wait as long as Retry-After says.",
    500: "Something went wrong here; nothing was stored.",
    503: "The database does not answer.",
}


def query(name: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": "query", "schema": schema, "description": description}


def listing() -> Schema:
    return {
        "operationId": "listArticles",
        "summary": "Articles, newest first (articles:read).",
        "parameters": [
            query("newsletter", text(63), "The slug of the only newsletter to list."),
            query("external_id", text(MOST_ID), "Only the article with this id of yours."),
            query(
                "before",
                {"type": "integer", "minimum": 1, "maximum": 10**18 - 1},
                "Only articles seen before that with this id: `next` has it.",
            ),
            query(
                "limit",
                {"type": "integer", "minimum": 1, "maximum": MOST_LISTED, "default": 50},
                "How many.",
            ),
        ],
        "responses": answers(401, 403, 422, 429, s200=("A page of them.", ref("Articles"))),
    }


def posting() -> Schema:
    return {
        "operationId": "postArticle",
        "summary": "Add an article, or bring it up to date (articles:write).",
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": ref("Given")}},
        },
        "responses": answers(
            *(401, 403, 409, 413, 415, 422, 429),
            s200=("It was there, and says this now.", ref("Article")),
            s201=("It is new.", ref("Article")),
        ),
    }


def getting() -> Schema:
    return {
        "operationId": "getArticle",
        "summary": "One article (articles:read).",
        "responses": answers(401, 403, 404, 429, s200=("The article.", ref("Article"))),
    }


def withdrawing() -> Schema:
    return {
        "operationId": "withdrawArticle",
        "summary": "Take an article back: it is in no digest from now on (articles:write).",
        "responses": answers(401, 403, 404, 429, s200=("It is withdrawn.", ref("Article"))),
    }


def describing() -> Schema:
    return {
        "operationId": "describe",
        "summary": "This document.",
        "security": [],
        "responses": answers(s200=("OpenAPI 3.1.", {"type": "object"})),
    }
