"""Drafts: articles as they come in, clean; and the JSON in which people give them."""

import json
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mailer.articles.cleaning import (
    MOST_SUMMARY,
    MOST_URL,
    address,
    clean,
    cut_markup,
    heading,
    language,
    media_type,
    plain,
)
from mailer.errors import Invalid

MOST_TITLE = 500
MOST_ID = 500  # an index entry must fit a third of a page, whatever the alphabet
MOST_NAME = 200
MOST_ATTACHMENTS = 100
MOST_BYTES = 2**63 - 1

FIELDS = ["external_id", "language", "title", "url", "summary", "published_at", "attachments"]
FILE_FIELDS = ["name", "url", "type", "size", "language"]
EXAMPLE = (
    '{"external_id": "2026-17", "language": "en", "title": "…", '
    '"url": "https://example.org/2026/17"}'
)


@dataclass(frozen=True)
class Enclosed:
    """A file attached to a draft; type, size (bytes) and language are None when nobody said."""

    name: str
    url: str
    type: str | None = None
    size: int | None = None
    language: str | None = None


@dataclass(frozen=True)
class Draft:
    """An article as it came in, clean. `summary`: HTML that has passed `clean`."""

    external_id: str
    title: str
    language: str | None
    url: str | None = None
    summary: str = ""
    published_at: datetime | None = None
    attachments: tuple[Enclosed, ...] = ()


def from_json(source: str | bytes) -> Draft:
    """What `mailer article add` and the API take. Raises Invalid, naming the field."""
    try:
        given = json.loads(source)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise Invalid("Give the article as one JSON object, such as {example}.", example=EXAMPLE)
    only(given, FIELDS)
    url = said_address(given, "url") if given.get("url") is not None else None
    return Draft(
        external_id=said_id(given),
        title=said_title(given),
        language=said_language(given, "language", required=True),
        url=url,
        summary=said_summary(given, url),
        published_at=said_time(given, "published_at"),
        attachments=said_files(given),
    )


def only(given: Mapping[str, Any], fields: Iterable[str], prefix: str = "") -> None:
    for name in given:
        if name not in fields:
            raise Invalid(
                "There is no field {name}; there are {known}.",
                field=prefix + name,
                name=prefix + name,
                known=", ".join(fields),
            )


def said(given: Mapping[str, Any], name: str, most: int, prefix: str = "") -> str:
    """A text that must be there."""
    value = given.get(name)
    field = prefix + name
    if not isinstance(value, str) or not value.strip():
        raise Invalid("{name} is missing: give it as a text.", field=field, name=field)
    if len(value) > most:
        raise Invalid(
            "{name} is too long: shorten it to {most} characters.",
            field=field,
            name=field,
            most=most,
        )
    return value


def said_id(given: Mapping[str, Any]) -> str:
    value = said(given, "external_id", MOST_ID).strip()
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in value):
        raise Invalid("external_id must be in visible characters.", field="external_id")
    return value


def said_title(given: Mapping[str, Any]) -> str:
    value = said(given, "title", MOST_TITLE)
    title = heading(value)
    if not title:
        raise Invalid("The title has no text in it: give one.", field="title")
    return title


def said_summary(given: Mapping[str, Any], base: str | None) -> str:
    if given.get("summary") in (None, ""):
        return ""
    summary = clean(said(given, "summary", MOST_SUMMARY), base)
    return summary if len(summary) <= MOST_SUMMARY else cut_markup(summary)


def said_address(given: Mapping[str, Any], name: str, prefix: str = "") -> str:
    found = address(said(given, name, MOST_URL, prefix))
    if found is None:
        raise Invalid(
            "{name} must be a web address such as https://example.org/page.",
            field=prefix + name,
            name=prefix + name,
        )
    return found


def said_language(
    given: Mapping[str, Any], name: str, prefix: str = "", *, required: bool = False
) -> str | None:
    value = given.get(name)
    if value is None and not required:
        return None
    found = language(value) if isinstance(value, str) else None
    if found is None:
        raise Invalid(
            "{name} must be a language such as en or pt-BR.",
            field=prefix + name,
            name=prefix + name,
        )
    return found


def said_time(given: Mapping[str, Any], name: str) -> datetime | None:
    value = given.get(name)
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        found = None
    if found is None or found.tzinfo is None or not 1900 <= found.year <= 2200:
        raise Invalid(
            "{name} must be a time with its zone, such as 2026-03-01T12:00:00+03:00.",
            field=name,
            name=name,
        )
    return found.astimezone(UTC)


def said_files(given: Mapping[str, Any]) -> tuple[Enclosed, ...]:
    files = given.get("attachments") or []
    if not isinstance(files, list) or not all(isinstance(file, dict) for file in files):
        raise Invalid(
            'attachments must be a list such as [{{"name": "…", "url": "https://…"}}].',
            field="attachments",
        )
    if len(files) > MOST_ATTACHMENTS:
        raise Invalid(
            "There are too many attachments: give {most} at most.",
            field="attachments",
            most=MOST_ATTACHMENTS,
        )
    return tuple(said_file(file, f"attachments[{i}].") for i, file in enumerate(files))


def said_file(given: Mapping[str, Any], prefix: str) -> Enclosed:
    only(given, FILE_FIELDS, prefix)
    name = plain(said(given, "name", MOST_NAME, prefix))
    if not name:
        raise Invalid("{name} has no visible characters.", field=f"{prefix}name", name="name")
    type_, size = given.get("type"), given.get("size")
    if type_ is not None and (not isinstance(type_, str) or media_type(type_) is None):
        raise Invalid(
            "{name} must be a media type such as application/pdf.",
            field=f"{prefix}type",
            name=f"{prefix}type",
        )
    if size is not None and (type(size) is not int or not 0 <= size <= MOST_BYTES):
        raise Invalid(
            "{name} must be a whole number of bytes; leave it out if unknown.",
            field=f"{prefix}size",
            name=f"{prefix}size",
        )
    return Enclosed(
        name,
        said_address(given, "url", prefix),
        media_type(type_),
        size,
        said_language(given, "language", prefix),
    )
