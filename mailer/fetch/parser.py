"""What a feed's bytes say: RSS 0.9x to 2.0, RDF and Atom by feedparser, JSON Feed by ourselves.

feedparser sanitises and resolves links too; both are switched off, since `articles.clean` does them
once and by our lists. It would also make ids absolute by the feed's address: ids stay as they are.
"""

import calendar
import html
import io
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import wraps
from typing import Any

import feedparser  # type: ignore[import-untyped]  # it has no types
import feedparser.mixin  # type: ignore[import-untyped]  # likewise

from mailer.articles import Draft, Enclosed
from mailer.articles.cleaning import (
    address,
    clean,
    cut,
    cut_markup,
    heading,
    language,
    plain,
    words,
)
from mailer.articles.draft import MOST_ATTACHMENTS, MOST_TITLE
from mailer.feeds import Document
from mailer.fetch import jsonfeed, pace
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

REFERENCE = re.compile(rb"&#(?:x([0-9a-fA-F]{1,8})|([0-9]{1,8}));")
DECLARED = re.compile(rb"""^\s*<\?xml[^>]*\bencoding\s*=\s*["'][A-Za-z]""")

UTF16LE = (b"\xff\xfe", b"<\0")
UTF16BE = (b"\xfe\xff", b"\0<")

Handler = Callable[..., Any]


def forgiving(handler: Handler) -> Handler:
    """An element that feedparser stumbles over (a width without a number, say) is passed over."""

    @wraps(handler)
    def passed_over(*arguments: Any) -> Any:
        try:
            return handler(*arguments)
        except (LookupError, TypeError, ValueError):
            return None

    return passed_over


Mixin: Any = feedparser.mixin._FeedParserMixin
Mixin.unknown_starttag = forgiving(Mixin.unknown_starttag)
Mixin.unknown_endtag = forgiving(Mixin.unknown_endtag)
Mixin.can_be_relative_uri.discard("id")


def begin_caption(parser: Any, attributes: Any) -> None:
    parser.push_content("media_description", attributes, "text/html", 1)


def end_caption(parser: Any) -> None:
    parser.pop_content("media_description")


# What is said of a picture is no summary of the item: feedparser would let it take its place.
Mixin._start_media_description = begin_caption
Mixin._end_media_description = end_caption
pace.teach(Mixin)


def read(body: bytes, source: Source) -> Document:
    """Raises Unreadable."""
    if body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return jsonfeed.read(body, source)
    parsed = feedparser.parse(
        io.BytesIO(REFERENCE.sub(legal, body)),
        response_headers={
            "content-type": content_type(body, source.content_type),
            "content-location": source.url,
        },
        resolve_relative_uris=False,
        sanitize_html=False,
    )
    if not parsed.get("version") and not parsed.entries:
        page = b"<html" in body[:2000].lower()
        raise Unreadable(
            "The address leads to a web page: give that of its feed."
            if page
            else "What the server sent is not a feed."
        )
    few(parsed.entries)
    exact = parsed.version.startswith("atom")
    own = language(parsed.feed.get("language"))
    return Document(
        title=title(parsed.feed, exact=exact) or None,
        language=own,
        drafts=tuple(draft(entry, source, own, exact=exact) for entry in parsed.entries),
        ttl=pace.pause(parsed.feed),
        skip_hours=pace.hours(parsed.feed),
        skip_days=pace.days(parsed.feed),
    )


def legal(reference: "re.Match[bytes]") -> bytes:
    """A character reference, unless it is one no document may hold (feedparser stumbles)."""
    code = int(reference[1], 16) if reference[1] else int(reference[2])
    allowed = code in (9, 10, 13) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0x10FFFF
    return reference[0] if allowed else b"\xef\xbf\xbd"


def content_type(body: bytes, said: str) -> str:
    """The charset to believe: what the bytes are, then the document's word, then the server's."""
    kind, _, parameters = (said or "application/xml").partition(";")
    if known := charset(body):
        return f"{kind}; charset={known}"
    return kind if DECLARED.search(body[:500]) or not parameters else f"{kind};{parameters}"


def charset(body: bytes) -> str | None:
    """What the bytes can't be otherwise."""
    for name, starts in (("utf-16le", UTF16LE), ("utf-16be", UTF16BE)):
        if body.startswith(starts):
            return name
    return None if body.isascii() or not is_utf8(body) else "utf-8"


def is_utf8(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


# an entry of feedparser's


def draft(entry: Any, source: Source, feed_language: str | None, *, exact: bool) -> Draft:
    url = page(entry, source.url)
    summary = text(entry, source.url)
    attached = tuple(first_of_each(enclosed(entry, base(entry, source))))[:MOST_ATTACHMENTS]
    name = title(entry, exact=exact)
    return Draft(
        external_id=identity(entry.get("id"), url, f"{name}\n{summary}", source.host),
        title=name or untitled(summary, url),
        language=own_language(entry, feed_language),
        url=url,
        summary=summary,
        published_at=time(entry),
        attachments=attached,
        categories=named(tag.get("label") or tag.get("term") for tag in entry.get("tags") or ()),
        image=picture(
            (seen.get("url") for seen in entry.get("media_thumbnail") or ()), base(entry, source)
        ),
    )


def base(entry: Any, source: Source) -> str:
    """What addresses in it are relative to: feedparser keeps xml:base beside texts only."""
    return (entry.get("title_detail") or {}).get("base") or source.url


def title(holder: Any, *, exact: bool) -> str:
    """One line of text. Atom says `exact`ly whether it is HTML; elsewhere it has to be guessed."""
    value = holder.get("title") or ""
    if (holder.get("title_detail") or {}).get("type", "text/plain") != "text/plain":
        return cut(words(value), MOST_TITLE)
    return cut(plain(value) if exact else heading(value), MOST_TITLE)


def text(entry: Any, base: str) -> str:
    """The summary, else the content, else what is said of its media, as clean HTML."""
    details = [
        entry.get("summary_detail"),
        *(entry.get("content") or ()),
        entry.get("media_description_detail"),
    ]
    found = next((d for d in details if d and (d.get("value") or "").strip()), None)
    if found is None:
        value = entry.get("summary") or ""
        return cut_markup(clean(value, base))
    value = found["value"]
    if found.get("type") == "text/plain":
        value = html.escape(value, quote=False)
    return cut_markup(clean(value, found.get("base") or base))


def page(entry: Any, base: str) -> str | None:
    """The address of the article itself, not of a counter before it."""
    links = [x.get("href") for x in entry.get("links") or () if x.get("rel") == "alternate"]
    link = entry.get("link")
    if link == entry.get("id") and link not in links and "://" not in (link or ""):
        link = None  # feedparser takes any id for a link where there is none
    candidates = [entry.get("feedburner_origlink"), link, *links]
    return next((found for c in candidates if c and (found := address(c, base))), None)


def own_language(entry: Any, feed_language: str | None) -> str | None:
    """What the item says of itself; a language inherited from the feed is the feed's."""
    details = [entry.get(name) or {} for name in ("title_detail", "summary_detail")]
    said = [entry.get("language"), *(detail.get("language") for detail in details)]
    found = next((tag for s in said if s and (tag := language(s))), None)
    return found if found != feed_language else None


def time(entry: Any) -> datetime | None:
    for name in ("published_parsed", "updated_parsed", "created_parsed"):
        given = dict.get(entry, name)  # as it is: its own `get` answers with other names' values
        if given:
            try:
                return sensible(datetime.fromtimestamp(calendar.timegm(given), UTC))
            except (ValueError, OverflowError, OSError):
                return None
    return None


def enclosed(entry: Any, base: str) -> Iterator[Enclosed]:
    for link in entry.get("links") or ():
        if link.get("rel") == "enclosure":
            # feedparser calls an Atom link without a type text/html: nobody said so.
            type_ = link.get("type")
            yield from one(link, "href", type_ if type_ != "text/html" else None, "length", base)
    for media in entry.get("media_content") or ():
        yield from one(media, "url", media.get("type"), "filesize", base)
