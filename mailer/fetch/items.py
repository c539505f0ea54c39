"""What items of every format have: an identity, a time, files; and what makes them unreadable."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from mailer.articles import Enclosed, Image
from mailer.articles.cleaning import (
    address,
    cut,
    language,
    media_type,
    plain,
    words,
)
from mailer.articles.draft import MOST_BYTES, MOST_CATEGORIES, MOST_CATEGORY, MOST_NAME
from mailer.feeds import fitting

MOST_ITEMS = 10_000
EARLIEST = 1990
FUTURE = timedelta(days=2)


class Unreadable(Exception):
    """The bytes are no feed; the message is a sentence."""


@dataclass(frozen=True)
class Source:
    """Where the bytes came from: `url` after redirects; `host`: under which ids
    without a scheme are kept."""

    url: str
    host: str
    content_type: str


def few(items: list[Any]) -> None:
    if len(items) > MOST_ITEMS:
        raise Unreadable(f"The feed lists more than {MOST_ITEMS:,} items: it must list fewer.")


def untitled(summary: str, url: str | None) -> str:
    return cut(words(summary), 100) or cut(url or "…", 100)


def sensible(when: datetime) -> datetime | None:
    """A time at which something may have been published."""
    if when.year < EARLIEST or when > datetime.now(UTC) + FUTURE:
        return None
    return when


def one(
    given: Mapping[str, Any], url: str, type_: str | None, size: str, base: str
) -> Iterator[Enclosed]:
    found = address(given.get(url) or "", base)
    if found:
        yield Enclosed(
            name=file_name(given.get("title"), found),
            url=found,
            type=media_type(type_),
            size=bytes_(given.get(size)),
            language=language(given.get("hreflang") or given.get("lang")),
        )


def first_of_each(files: Iterable[Enclosed]) -> Iterator[Enclosed]:
    """The same file is often given twice, as enclosure and as media:content."""
    seen = set()
    for file in files:
        if file.url not in seen:
            seen.add(file.url)
            yield file


def named(texts: Iterable[object]) -> tuple[str, ...]:
    """Categories: each a line of text, once."""
    said = (cut(plain(text), MOST_CATEGORY) for text in texts if isinstance(text, str))
    return tuple(dict.fromkeys(filter(None, said)))[:MOST_CATEGORIES]


def picture(candidates: Iterable[object], base: str) -> Image | None:
    """The first that has an address. No format says in words what it shows."""
    found = (address(each, base) for each in candidates if isinstance(each, str))
    return next((Image(url) for url in found if url), None)


def file_name(said: str | None, url: str) -> str:
    """What the feed calls it, else the last part of its address."""
    name = plain(said or "") or plain(unquote(PurePosixPath(urlsplit(url).path).name))
    return cut(name or urlsplit(url).hostname or url, MOST_NAME)


def bytes_(said: object) -> int | None:
    """RSS says 0 for a size that nobody knows."""
    try:
        size = int(str(said).strip())
    except ValueError:
        return None
    return size if 0 < size <= MOST_BYTES else None


def identity(id_: str | None, url: str | None, content: str, host: str) -> str:
    """The item's own id, else its address, else a hash of what it says."""
    id_ = plain(id_ or "")
    if id_.startswith("http://"):
        id_ = f"https://{id_[7:]}"  # sites move to https, ids and all
    if id_ and ":" not in id_:
        id_ = f"{host} {id_}"  # numbers are unique to a site at best
    if not id_ and url:
        id_ = canonical(url)
    return fitting(id_ or f"sha256:{hashlib.sha256(content.encode()).hexdigest()}")


def canonical(url: str) -> str:
    """An address without what varies from reader to reader."""
    parts = urlsplit(url)
    query = [
        (k, v)
        for k, v in parse_qsl(parts.query, keep_blank_values=True)
        if not k.startswith("utm_")
    ]
    return urlunsplit(("https", parts.netloc.lower(), parts.path, urlencode(query), ""))
