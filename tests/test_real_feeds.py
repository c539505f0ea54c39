"""Real feeds lose nothing: what we read of them, beside another reading of the same bytes.

The other reading is the standard library's: ElementTree for the elements, html.parser for the
markup in them. It knows none of our code, and nothing of feedparser.
"""

import html
import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote, urljoin
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest

from mailer import feeds, newsletters
from mailer.articles.cleaning import language, media_type
from mailer.db import Connection
from mailer.feeds import Document, Feed, Stored
from mailer.fetch.items import Source
from mailer.fetch.parser import read

CORPUS = Path(os.environ.get("MAILER_CORPUS", Path(__file__).parents[2] / "shared" / "corpus"))
FEEDS = sorted((CORPUS / "feeds").glob("*")) if CORPUS.is_dir() else []
HERE = "https://example.org/news/feed.xml"

ATOM = "{http://www.w3.org/2005/Atom}"
RDF = ("{http://purl.org/rss/1.0/}", "{http://my.netscape.com/rdf/simple/0.9/}")
DC = "{http://purl.org/dc/elements/1.1/}"
MEDIA = "{http://search.yahoo.com/mrss/}"
CONTENT = "{http://purl.org/rss/1.0/modules/content/}"
FEEDBURNER = "{http://rssnamespace.org/feedburner/ext/1.0}"
RDF_ABOUT = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}about"
XML = "{http://www.w3.org/XML/1998/namespace}"


File: TypeAlias = tuple[str, str | None, int | None]
"""Address, type, bytes."""


@dataclass(frozen=True)
class Item:
    """An item as the other reading has it."""

    id: str | None
    title: str
    link: str | None
    dated: datetime | None
    language: str | None
    words: str
    files: tuple[File, ...]
    categories: tuple[str, ...]


class Text(HTMLParser):
    """The words of some markup."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.said: list[str] = []
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.silent += tag in ("script", "style")
        self.said.append("" if tag in INLINE else " ")

    def handle_endtag(self, tag: str) -> None:
        self.silent -= tag in ("script", "style")
        self.said.append("" if tag in INLINE else " ")

    def handle_data(self, data: str) -> None:
        if self.silent <= 0:
            self.said.append(data)


INLINE = {"a", "b", "i", "em", "strong", "span", "sub", "sup", "code", "q", "cite", "u", "font"}


def words(markup: str) -> str:
    reader = Text()
    reader.feed(markup)
    reader.close()
    return squeezed("".join(reader.said))


def squeezed(text: str) -> str:
    return " ".join(text.split())


def letters(text: str) -> str:
    """Only what is written: where words are set apart is a matter of taste."""
    return "".join(c for c in text if c.isalnum())


# the other reading


def tree(body: bytes) -> Element | None:
    """None: it is not well-formed, or in a charset that expat does not have."""
    try:
        return ElementTree.fromstring(body)
    except (ElementTree.ParseError, ValueError, LookupError):
        return None


def items_of(root: Element) -> list[Item]:
    if root.tag == f"{ATOM}feed":
        return [atom_item(entry, root) for entry in root.findall(f"{ATOM}entry")]
    spaces = (space for space in RDF if root.find(f"{space}item") is not None)
    space = next(spaces, "")
    return [rss_item(item, space) for item in root.iter(f"{space}item")]


def rss_item(item: Element, space: str) -> Item:
    guid = text_of(item, f"{space}guid") or item.get(RDF_ABOUT)
    told = text_of(item, f"{space}description") or text_of(item, f"{CONTENT}encoded")
    return Item(
        id=guid,
        title=words(text_of(item, f"{space}title") or ""),
        link=text_of(item, f"{FEEDBURNER}origLink") or text_of(item, f"{space}link"),
        dated=date(text_of(item, f"{space}pubDate") or text_of(item, f"{DC}date")),
        language=text_of(item, f"{DC}language"),
        words=words(told or ""),
        files=tuple(rss_files(item, space)),
        categories=tuple(texts(item, f"{space}category", f"{DC}subject")),
    )


def rss_files(item: Element, space: str) -> Iterator[File]:
    for found in item.iter(f"{space}enclosure"):
        yield found.get("url") or "", found.get("type"), number(found.get("length"))
    yield from media(item)


def media(item: Element) -> Iterator[File]:
    for found in item.iter(f"{MEDIA}content"):
        yield found.get("url") or "", found.get("type"), number(found.get("fileSize"))


def caption(item: Element) -> str:
    found = next(item.iter(f"{MEDIA}description"), None)
    return (found.text or "") if found is not None else ""


def atom_item(entry: Element, root: Element) -> Item:
    links = entry.findall(f"{ATOM}link")
    alternate = [x.get("href") for x in links if x.get("rel", "alternate") == "alternate"]
    base = entry.get(f"{XML}base") or root.get(f"{XML}base") or HERE
    parts = (entry.find(f"{ATOM}summary"), entry.find(f"{ATOM}content"))
    told = next((p for p in parts if p is not None and "".join(p.itertext()).strip()), None)
    return Item(
        id=text_of(entry, f"{ATOM}id"),
        title=atom_words(entry.find(f"{ATOM}title")),
        link=text_of(entry, f"{FEEDBURNER}origLink")
        or (urljoin(base, alternate[0] or "") if alternate else None),
        dated=date(text_of(entry, f"{ATOM}published") or text_of(entry, f"{ATOM}updated")),
        language=entry.get(f"{XML}lang"),
        words=atom_words(told) or words(caption(entry)),
        files=(
            *(
                (x.get("href") or "", x.get("type"), number(x.get("length")))
                for x in links
                if x.get("rel") == "enclosure"
            ),
            *media(entry),
        ),
        categories=tuple(
            x.get("label") or x.get("term") or "" for x in entry.findall(f"{ATOM}category")
        ),
    )


def atom_words(element: Element | None) -> str:
    if element is None:
        return ""
    kind = element.get("type", "text")
    if kind == "xhtml":
        return squeezed("".join(element.itertext()))
    return (
        words(element.text or "") if kind in ("html", "text/html") else squeezed(element.text or "")
    )


def text_of(item: Element, tag: str) -> str | None:
    found = item.find(tag)
    said = squeezed("".join(found.itertext())) if found is not None else ""
    return said or None


def texts(item: Element, *tags: str) -> Iterator[str]:
    for tag in tags:
        for found in item.findall(tag):
            yield squeezed(found.text or "")


def number(said: str | None) -> int | None:
    return int(said) if said and said.isdigit() and int(said) else None


def date(said: str | None) -> datetime | None:
    if not said or " 0001 " in said:  # what some programs print for "never"
        return None
    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            found = parse(said).replace(microsecond=0)
        except (TypeError, ValueError):
            continue
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    return None


def language_of(root: Element) -> str | None:
    """The feed's own."""
    channel = root.find("channel")
    return root.get(f"{XML}lang") or (text_of(channel, "language") if channel is not None else None)


# both, side by side


def ours(body: bytes) -> Document:
    return read(body, Source(HERE, "example.org", "application/xml"))


def same_address(found: str | None) -> str:
    """However its characters are escaped; relative ones from here."""
    return unquote(urljoin(HERE, html.unescape(found or "")))


@pytest.mark.parametrize("path", FEEDS, ids=lambda path: path.name)
def test_each_item_is_read_as_the_standard_library_reads_it(path: Path) -> None:
    root = tree(path.read_bytes())
    if root is None:  # then at least nothing is passed over
        assert len(ours(path.read_bytes()).drafts) == len(Cut.of(path.read_bytes()).items)
        return
    document, expected = ours(path.read_bytes()), items_of(root)
    said = language(language_of(root))
    assert document.language == said
    assert len(document.drafts) == len(expected)
    for draft, item in zip(document.drafts, expected, strict=True):
        if item.title:
            assert letters(draft.title) == letters(item.title)
        if item.link:
            assert same_address(draft.url) == same_address(item.link)
        assert draft.published_at == item.dated
        assert (draft.language or said) == (language(item.language) or said)
        assert letters(words(draft.summary))[:4_000] == letters(item.words)[:4_000]
        assert set(draft.categories) == set(filter(None, item.categories))
        files = {
            same_address(url): (media_type(type_), size)
            for url, type_, size in reversed(item.files)
        }
        assert {unquote(a.url): (a.type, a.size) for a in draft.attachments} == files


# two versions of one feed, one after the other

ITEM = re.compile(rb"<((?:\w+:)?(?:item|entry))[\s>].*?</\1\s*>", re.DOTALL)
UNSEEN = re.compile(rb"<!--.*?-->", re.DOTALL)
ID = re.compile(rb"(<((?:\w+:)?(?:guid|id))\b[^>]*>)(.*?)(</\2>)", re.DOTALL)
DATE = re.compile(
    rb"<((?:\w+:)?(?:pubDate|date|published|updated|modified|issued|created))\b[^>]*>.*?</\1>",
    re.DOTALL,
)
TITLE = re.compile(rb"<title\b[^>]*>.*?</title>", re.DOTALL)


@dataclass(frozen=True)
class Cut:
    """A feed's bytes, cut into what stands before its items, them, and what stands after."""

    before: bytes
    items: tuple[bytes, ...]
    after: bytes

    @classmethod
    def of(cls, body: bytes) -> "Cut":
        seen = UNSEEN.sub(b"", body)
        found = list(ITEM.finditer(seen))
        return cls(seen[: found[0].start()], tuple(m[0] for m in found), seen[found[-1].end() :])

    def __bytes__(self) -> bytes:
        return b"\n".join((self.before, *self.items, self.after))

    def with_items(self, change: Callable[[Sequence[bytes]], Iterable[bytes]]) -> "Cut":
        return replace(self, items=tuple(change(self.items)))


Fault = Callable[[Cut, int], Cut]
"""Does to a version of a feed what careless software does; the number is that of the version."""


def https(feed: Cut, version: int) -> Cut:
    """The site moves to https, ids and all."""
    if version == 1:
        return feed
    return feed.with_items(lambda items: [i.replace(b"http://", b"https://") for i in items])


def random_ids(feed: Cut, version: int) -> Cut:
    """Each item gets a new id each time."""
    numbers = itertools.count()

    def renamed(item: bytes) -> bytes:
        return ID.sub(lambda m: b"%sv%d-%d%s" % (m[1], version, next(numbers), m[4]), item, count=1)

    return feed.with_items(lambda items: map(renamed, items))


def one_id_for_all(feed: Cut, version: int) -> Cut:
    return feed.with_items(
        lambda items: [ID.sub(rb"\g<1>the-same\g<4>", item, count=1) for item in items]
    )


def no_dates(feed: Cut, version: int) -> Cut:
    return feed.with_items(lambda items: [DATE.sub(b"", item) for item in items])


def dates_lost(feed: Cut, version: int) -> Cut:
    return no_dates(feed, version) if version == 2 else feed


def far_future(feed: Cut, version: int) -> Cut:
    def later(date: "re.Match[bytes]") -> bytes:
        return re.sub(rb"\b(?:19|20)\d\d\b", b"2999", date[0])

    return feed.with_items(lambda items: [DATE.sub(later, item) for item in items])


def turned_round(feed: Cut, version: int) -> Cut:
    return feed.with_items(lambda items: items[::-1]) if version == 2 else feed


def everything_twice(feed: Cut, version: int) -> Cut:
    return feed.with_items(lambda items: [item for item in items for _ in range(2)])


def none(feed: Cut, version: int) -> Cut:
    return feed


FAULTS = (
    none, https, random_ids, one_id_for_all, no_dates, dates_lost, far_future, turned_round,
    everything_twice,
)  # fmt: skip
MADE = {
    "rss": (
        '<rss version="2.0"><channel><title>News</title>{}</channel></rss>',
        "<item><title>Story {0}</title><link>http://example.org/{0}</link>"
        "<guid>http://example.org/?p={0}</guid><pubDate>0{0} Mar 2026 12:00 GMT</pubDate></item>",
    ),
    "atom": (
        '<feed xmlns="http://www.w3.org/2005/Atom"><title>News</title>{}</feed>',
        '<entry><title>Story {0}</title><link href="http://example.org/{0}"/>'
        "<id>tag:example.org,2026:{0}</id><published>2026-03-0{0}T12:00:00Z</published></entry>",
    ),
    "rdf": (
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
        'xmlns="http://purl.org/rss/1.0/"><channel><title>News</title></channel>{}</rdf:RDF>',
        '<item rdf:about="http://example.org/{0}"><title>Story {0}</title>'
        "<link>http://example.org/{0}</link></item>",
    ),
}


def made(kind: str) -> bytes:
    whole, item = MADE[kind]
    return whole.format("".join(item.format(n) for n in range(9, 0, -1))).encode()


BODIES = [
    *(pytest.param(made(kind), id=kind) for kind in MADE),
    *(pytest.param(path.read_bytes(), id=path.name) for path in FEEDS),
]


async def poll(conn: Connection, feed: Feed, version: Cut) -> Stored:
    return await feeds.store(conn, feed, ours(bytes(version)))


async def subscribed(conn: Connection, slug: str) -> Feed:
    newsletter = await newsletters.add(conn, slug, {"en": "Weekly"}, fallback="en")
    return await feeds.add(conn, newsletter.id, HERE)


async def titles(conn: Connection, feed: Feed, where: str) -> list[str]:
    rows = await conn.fetch(f"select title from article where feed = $1 and {where}", feed.id)
    return sorted(row["title"] for row in rows)


@pytest.mark.parametrize("body", BODIES)
async def test_two_versions_end_in_exactly_the_new_articles(conn: Connection, body: bytes) -> None:
    """Each fault in a newsletter of its own; of long feeds the latest items."""
    whole = Cut.of(body).with_items(lambda items: items[:10])
    new = min(2, len(whole.items) // 3)
    fresh = sorted(draft.title for draft in ours(bytes(whole)).drafts[:new])
    for number, fault in enumerate(FAULTS):
        feed = await subscribed(conn, f"n{number}")
        first = fault(whole.with_items(lambda items: items[new:]), 1)
        second = fault(
            whole.with_items(lambda items: items[: len(items) - new]), 2
        )  # some are gone
        name = fault.__name__

        assert await poll(conn, feed, first) == Stored(len(whole.items) - new), name
        assert (await poll(conn, feed, second)).new == new, name
        assert await titles(conn, feed, "not known and not held") == fresh, name
        assert await poll(conn, feed, second) == Stored(), name
        assert (await poll(conn, feed, fault(whole, 2))).new == 0, name  # what was gone is back
        assert len(await titles(conn, feed, "true")) == len(whole.items), name


@pytest.mark.parametrize("body", BODIES)
async def test_a_correction_is_a_correction(conn: Connection, body: bytes) -> None:
    feed, whole = await subscribed(conn, "weekly"), Cut.of(body)
    corrected = TITLE.sub(b"<title>Now it reads otherwise</title>", whole.items[0], count=1)
    await poll(conn, feed, whole)
    after = whole.with_items(lambda items: [corrected, *items[1:]])
    assert await poll(conn, feed, after) == Stored(new=0, updated=1)
    assert await titles(conn, feed, "revised_at is not null") == ["Now it reads otherwise"]
