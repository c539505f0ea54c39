"""What the API serves, in OpenAPI 3.1: made of the operations that serve it."""

from collections.abc import Iterable, Mapping
from typing import Any

from mailer import __version__
from mailer.access import SCOPES
from mailer.web.api.answering import BODY_BYTES, KEY, REQUESTS, WINDOW_SECONDS
from mailer.web.api.operation import PARTS, ROOT, Good, Operation
from mailer.web.api.shapes import Schema, exactly, list_of, ref

PROBLEM = "application/problem+json"
JSON = "application/json"

A_PROBLEM: Schema = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"const": "about:blank"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": list_of(exactly({"field": {"type": "string"}, "detail": {"type": "string"}})),
    },
    "additionalProperties": False,
}
REFUSED = {
    400: "What was sent can't be read.",
    401: "No token, or one that does not hold (any more).",
    403: "The token has not this scope, or is for another newsletter.",
    404: "There is no such thing.",
    409: "It can't be done as things stand; or the same Idempotency-Key is being answered.",
    412: "It was changed since it was read: If-Match names an older version.",
    413: "The body is too large.",
    415: "The body is not application/json.",
    422: "Fields are missing or malformed; `errors` names each.",
    428: "If-Match is missing: say which version was seen.",
    429: "Too many requests with this token: wait as long as Retry-After says.",
    500: "Something went wrong here; nothing was stored.",
    503: "The database, or a mail server, does not answer.",
}
DESCRIPTION = f"""Refusals are problem details (RFC 9457); `errors` names each field.
Lists come in parts: `next`, and the Link header, say where the rest is.
A token may ask {REQUESTS} times in {WINDOW_SECONDS} seconds; RateLimit says how much is left.
Bodies are JSON of at most {BODY_BYTES} bytes. HEAD answers as GET does, without the body."""


def document(
    base_url: str, operations: Iterable[Operation], schemas: Mapping[str, Schema]
) -> Schema:
    """The whole of it, for a service at `base_url`; `schemas`: those that others refer to."""
    paths: dict[str, Any] = {}
    for operation in operations:
        found = paths.setdefault(operation.path, parameters(operation))
        found[operation.method.lower()] = described(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "mailer", "version": __version__, "description": DESCRIPTION},
        "servers": [{"url": f"{base_url}{ROOT}"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": f"Of `mailer token add`; its scopes: {', '.join(SCOPES)}.",
                }
            },
            "schemas": {**schemas, "Problem": A_PROBLEM},
        },
    }


def parameters(operation: Operation) -> Schema:
    """What every operation on a path has."""
    if not operation.parts:
        return {}
    return {
        "parameters": [
            {"name": part, "in": "path", "required": True, "schema": PARTS[part].shape.schema}
            for part in operation.parts
        ]
    }


def described(operation: Operation) -> Schema:
    scoped = f" Scope: {operation.scope}." if operation.scope else ""
    found: Schema = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": f"{operation.summary}{scoped}",
        "responses": responses(operation),
    }
    if given := [*queries(operation), *headers(operation)]:
        found["parameters"] = given
    if operation.body is not None:
        found["requestBody"] = {
            "required": True,
            "content": {JSON: {"schema": operation.body.schema}},
        }
    if operation.scope is None:
        found["security"] = []
    return found


def queries(operation: Operation) -> list[Schema]:
    return [
        {"name": name, "in": "query", "schema": shape.schema}
        for name, shape in operation.query.items()
    ]


def headers(operation: Operation) -> list[Schema]:
    found: list[Schema] = []
    if operation.once:
        found.append({"name": "Idempotency-Key", "in": "header", "schema": KEY.schema})
    if operation.edits:
        tag: Schema = {"type": "string", "pattern": '^("[!#-~]*"|\\*)$', "description": "Its ETag."}
        found.append({"name": "If-Match", "in": "header", "required": True, "schema": tag})
    return found


def responses(operation: Operation) -> Schema:
    found = {str(status): good(operation, each) for status, each in operation.good.items()}
    if operation.tagged and operation.method == "GET":
        found["304"] = {"description": "As If-None-Match says.", "headers": named("ETag")}
    for status in sorted(refusals(operation)):
        found[str(status)] = refusal(operation, status)
    return found


def good(operation: Operation, each: Good) -> Schema:
    meaning, schema = each
    typed = "application/json" if "type" in schema or "$ref" in schema else None
    content = {typed: {"schema": schema}} if typed else {
        kind: {"schema": kinds} for kind, kinds in schema.items()
    }  # fmt: skip
    found: Schema = {"description": meaning, "content": content}
    sent = [*RATE, *(["ETag"] if operation.tagged else [])] if operation.scope else []
    return {**found, "headers": named(*sent)} if sent else found


RATE = ("RateLimit", "RateLimit-Policy")


def named(*headers: str) -> Schema:
    return {name: {"required": True, "schema": {"type": "string"}} for name in headers}


def refusals(operation: Operation) -> set[int]:
    """Those named, and those that follow from what it is."""
    found = {*operation.refuses, 400, 500, 503}
    if operation.scope is not None:
        found |= {401, 403, 429, 422}
    if operation.parts:
        found |= {404}
    if operation.body is not None:
        found |= {413, 415, 422}
    if operation.once:
        found |= {409}
    if operation.edits:
        found |= {409, 412, 428}
    return found


def refusal(operation: Operation, status: int) -> Schema:
    found: Schema = {
        "description": REFUSED[status],
        "content": {PROBLEM: {"schema": ref("Problem")}},
    }
    sent = {401: ("WWW-Authenticate",), 429: ("Retry-After", *RATE)}.get(status, ())
    return {**found, "headers": named(*sent)} if sent else found
