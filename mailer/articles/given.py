"""The JSON in which people and content management systems give an article.

Every field is looked at, so that all that is wrong is said at once; each sentence names its field.
"""

import json
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

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
    Bundle,
    Draft,
    Enclosed,
    Image,
    Related,
)
from mailer.errors import Invalid, Several

Kind = TypeVar("Kind")
Given = Mapping[str, Any]

FIELDS = (
    "external_id", "language", "title", "url", "summary", "published_at", "attachments",
    "work", "image", "download_all", "categories", "related", "withdrawn",
)  # fmt: skip
FILE_FIELDS = ("name", "url", "type", "size", "language")
IMAGE_FIELDS = ("url", "alt")
BUNDLE_FIELDS = ("url", "type", "size")
RELATED_FIELDS = ("title", "url")
EXAMPLE = (
    '{"external_id": "2026-17", "language": "en", "title": "…", '
    '"url": "https://example.org/2026/17"}'
)


def from_json(source: str | bytes) -> Draft:
    """What `mailer article add` takes. Raises Invalid, or Several of them."""
    try:
        given = json.loads(source)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise Invalid("Give the article as one JSON object, such as {example}.", example=EXAMPLE)
    return from_object(given)


def from_object(given: Given) -> Draft:
    """The same, of JSON that is read already."""
    found = Findings()
    found.of(lambda: only(given, FIELDS))
    url = found.of(lambda: said_address(given, "url") if given.get("url") is not None else None)
    id_ = found.of(lambda: said_id(given, "external_id"))
    title = found.of(lambda: said_title(given))
    draft = Draft(
        external_id=id_ or "",
        language=found.of(lambda: said_language(given, "language", required=True)),
        title=title or "",
        url=url,
        summary=found.of(lambda: said_summary(given, url)) or "",
        published_at=found.of(lambda: said_time(given, "published_at")),
        attachments=found.all(given, "attachments", MOST_ATTACHMENTS, said_file, FILE_SHAPE),
        work=found.of(lambda: said_id(given, "work") if given.get("work") is not None else None),
        image=found.of(lambda: said_image(given)),
        bundle=found.of(lambda: said_bundle(given)),
        categories=unique(
            found.all(given, "categories", MOST_CATEGORIES, said_category, CATEGORY_SHAPE)
        ),
        related=found.all(given, "related", MOST_RELATED, said_related, RELATED_SHAPE),
        withdrawn=found.of(lambda: said_flag(given, "withdrawn")),
    )
    found.end()
    return draft


class Findings:
    """What is wrong so far."""

    def __init__(self) -> None:
        self.wrong: list[Invalid] = []

    def of(self, read: Callable[[], Kind]) -> Kind | None:
        """What `read` returns; None, and one more thing is wrong, if it can't be had."""
        try:
            return read()
        except Invalid as invalid:
            self.wrong.append(invalid)
            return None

    def all(
        self,
        given: Given,
        name: str,
        most: int,
        read: Callable[[Any, str], Kind],
        shape: str,
    ) -> tuple[Kind, ...]:
        """Each of a list, in its order."""
        listed = self.of(lambda: said_list(given, name, most, shape)) or ()
        each = [self.of(lambda i=i, v=v: read(v, f"{name}[{i}]")) for i, v in enumerate(listed)]  # type: ignore[misc]  # mypy can't type a lambda with defaults
        return tuple(value for value in each if value is not None)

    def end(self) -> None:
        if len(self.wrong) == 1:
            raise self.wrong[0]
        if self.wrong:
            raise Several(self.wrong)


FILE_SHAPE = '[{"name": "…", "url": "https://…"}]'
RELATED_SHAPE = '[{"title": "…", "url": "https://…"}]'
CATEGORY_SHAPE = '["courts", "prisons"]'
IMAGE_SHAPE = '{"url": "https://…", "alt": "…"}'
BUNDLE_SHAPE = '{"url": "https://…"}'


def unique(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))


def only(given: Given, fields: Iterable[str], prefix: str = "") -> None:
    for name in given:
        if name not in fields:
            raise Invalid(
                "There is no field {name}; there are {known}.",
                field=prefix + name,
                name=prefix + name,
                known=", ".join(fields),
            )


def said(given: Given, name: str, most: int, prefix: str = "") -> str:
    """A text that must be there."""
    value = given.get(name)
    field = prefix + name
    if not isinstance(value, str) or not value.strip():
        raise Invalid("{name} is missing: give it as a text.", field=field, name=field)
    return short(value, most, field)


def short(value: str, most: int, field: str) -> str:
    if len(value) > most:
        raise Invalid(
            "{name} is too long: shorten it to {most} characters.",
            field=field,
            name=field,
            most=most,
        )
    return value


def said_id(given: Given, name: str) -> str:
    value = said(given, name, MOST_ID).strip()
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in value):
        raise Invalid("{name} must be in visible characters.", field=name, name=name)
    return value


def said_title(given: Given) -> str:
    title = heading(said(given, "title", MOST_TITLE))
    if not title:
        raise Invalid("The title has no text in it: give one.", field="title")
    return title


def said_summary(given: Given, base: str | None) -> str:
    if given.get("summary") in (None, ""):
        return ""
    summary = clean(said(given, "summary", MOST_SUMMARY), base)
    return summary if len(summary) <= MOST_SUMMARY else cut_markup(summary)


def said_address(given: Given, name: str, prefix: str = "") -> str:
    found = address(said(given, name, MOST_URL, prefix))
    if found is None:
        raise Invalid(
            "{name} must be a web address such as https://example.org/page.",
            field=prefix + name,
            name=prefix + name,
        )
    return found


def said_language(
    given: Given, name: str, prefix: str = "", *, required: bool = False
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


def said_time(given: Given, name: str) -> datetime | None:
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


def said_flag(given: Given, name: str) -> bool | None:
    value = given.get(name)
    if value is not None and not isinstance(value, bool):
        raise Invalid("{name} must be true or false.", field=name, name=name)
    return value


# what is in a list, or an object of its own


def said_list(given: Given, name: str, most: int, shape: str) -> list[Any]:
    listed = given.get(name)
    if listed is None:
        return []
    if not isinstance(listed, list):
        raise Invalid("{name} must be a list such as {shape}.", field=name, name=name, shape=shape)
    if len(listed) > most:
        raise Invalid(
            "There are too many {name}: give {most} at most.", field=name, name=name, most=most
        )
    return listed


def an_object(value: object, field: str, fields: Iterable[str], shape: str) -> Given:
    if not isinstance(value, dict):
        raise Invalid(
            "{name} must be an object such as {shape}.", field=field, name=field, shape=shape
        )
    only(value, fields, f"{field}.")
    return value


def said_file(value: object, field: str) -> Enclosed:
    given, prefix = an_object(value, field, FILE_FIELDS, FILE_SHAPE.strip("[]")), f"{field}."
    return Enclosed(
        line(given, "name", MOST_NAME, prefix),
        said_address(given, "url", prefix),
        said_type(given, prefix),
        said_size(given, prefix),
        said_language(given, "language", prefix),
    )


def said_bundle(given: Given) -> Bundle | None:
    if given.get("download_all") is None:
        return None
    inside = an_object(given["download_all"], "download_all", BUNDLE_FIELDS, BUNDLE_SHAPE)
    prefix = "download_all."
    return Bundle(
        said_address(inside, "url", prefix), said_type(inside, prefix), said_size(inside, prefix)
    )


def said_image(given: Given) -> Image | None:
    if given.get("image") is None:
        return None
    inside = an_object(given["image"], "image", IMAGE_FIELDS, IMAGE_SHAPE)
    alt = inside.get("alt")
    if not isinstance(alt, str):
        raise Invalid(
            'image.alt is missing: say what the picture shows, or give "" if it only decorates.',
            field="image.alt",
        )
    return Image(said_address(inside, "url", "image."), plain(short(alt, MOST_ALT, "image.alt")))


def said_related(value: object, field: str) -> Related:
    given = an_object(value, field, RELATED_FIELDS, RELATED_SHAPE.strip("[]"))
    prefix = f"{field}."
    return Related(line(given, "title", MOST_TITLE, prefix), said_address(given, "url", prefix))


def said_category(value: object, field: str) -> str:
    return line({field: value}, field, MOST_CATEGORY)


def line(given: Given, name: str, most: int, prefix: str = "") -> str:
    """A text of one line, with something to see in it."""
    text = plain(said(given, name, most, prefix))
    if not text:
        field = prefix + name
        raise Invalid("{name} has no visible characters.", field=field, name=field)
    return text


def said_type(given: Given, prefix: str) -> str | None:
    value = given.get("type")
    if value is None:
        return None
    found = media_type(value) if isinstance(value, str) else None
    if found is None:
        raise Invalid(
            "{name} must be a media type such as application/pdf.",
            field=f"{prefix}type",
            name=f"{prefix}type",
        )
    return found


def said_size(given: Given, prefix: str) -> int | None:
    size = given.get("size")
    if size is None or (type(size) is int and 0 <= size <= MOST_BYTES):
        return size
    raise Invalid(
        "{name} must be a whole number of bytes; leave it out if unknown.",
        field=f"{prefix}size",
        name=f"{prefix}size",
    )
