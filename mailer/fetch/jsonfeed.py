"""JSON Feed 1.0 and 1.1."""

import html
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from mailer.articles import Draft, Enclosed
from mailer.articles.cleaning import (
    address,
    clean,
    cut,
    cut_markup,
    language,
    plain,
)
from mailer.articles.draft import MOST_ATTACHMENTS, MOST_TITLE
from mailer.feeds import Document
from mailer.fetch.items import (
    Source,
    Unreadable,
    few,
    first_of_each,
    identity,
    named,
    one,
    picture,
    sensible,
    untitled,
)


def read(body: bytes, source: Source) -> Document:
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise Unreadable("What the server sent is broken JSON.") from None
    items = given.get("items")
    if "jsonfeed.org" not in str(given.get("version")) or not isinstance(items, list):
        raise Unreadable("What the server sent is JSON, but not a JSON Feed.")
    few(items)
    return Document(
        title=cut(plain(string(given, "title")), MOST_TITLE) or None,
        language=language(string(given, "language")),
        drafts=tuple(draft(item, source) for item in items if isinstance(item, dict)),
    )


def string(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name)
    return value if isinstance(value, str) else ""


def draft(item: Mapping[str, Any], source: Source) -> Draft:
    candidates = (string(item, "url"), string(item, "external_url"))
    url = next((found for c in candidates if (found := address(c, source.url))), None)
    told = [string(item, name) for name in ("summary", "content_text")]
    written = next((html.escape(t, quote=False) for t in told if t.strip()), "")
    summary = cut_markup(clean(written or string(item, "content_html"), url or source.url))
    heading = cut(plain(string(item, "title")), MOST_TITLE)
    id_ = item.get("id")
    return Draft(
        external_id=identity(
            str(id_) if isinstance(id_, str | int | float) else None,
            url,
            f"{heading}\n{summary}",
            source.host,
        ),
        title=heading or untitled(summary, url),
        language=language(string(item, "language")),
        url=url,
        summary=summary,
        published_at=time(string(item, "date_published") or string(item, "date_modified")),
        attachments=tuple(first_of_each(files(item, url or source.url)))[:MOST_ATTACHMENTS],
        categories=named(listed(item, "tags")),
        image=picture((item.get("image"), item.get("banner_image")), url or source.url),
    )


def listed(given: Mapping[str, Any], name: str) -> list[Any]:
    value = given.get(name)
    return value if isinstance(value, list) else []


def time(said: str) -> datetime | None:
    try:
        when = datetime.fromisoformat(said)
    except ValueError:
        return None
    try:
        return sensible(when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC))
    except OverflowError:
        return None


def files(item: Mapping[str, Any], base: str) -> Iterator[Enclosed]:
    for file in listed(item, "attachments"):
        if isinstance(file, dict):
            texts = {name: string(file, name) for name in ("url", "title", "mime_type")}
            size = file.get("size_in_bytes")
            yield from one({**texts, "size": size}, "url", texts["mime_type"], "size", base)
