"""Words that others wrote, fitted into a letter: clean HTML, shortened or as plain text."""

import html
import itertools
import re
import textwrap
import unicodedata
from collections.abc import Iterator
from html.parser import HTMLParser

import nh3

WIDTH = 72

BLOCK = "blockquote dd dl dt li ol p pre ul"
INLINE = "a abbr b br cite code del em i ins kbd q s samp small strong sub sup u var"
TAGS = {*BLOCK.split(), *INLINE.split()}
PIECES = re.compile(r"<[^>]*>|&[^;\s<&]{1,32};|[^<&]+|[<&]")
HEADING = re.compile(r"<(/?)h[1-6]\b([^>]*)>")
BLOCKS = {"blockquote", "dd", "dl", "dt", "ol", "p", "pre", "ul"}
MARK = re.compile(r"(\*|\d+\.) ")
BEGUN = re.compile(r"(?:^|\n)(?:\*|\d+\.) $")
"""An item of a list without words yet: a paragraph in it begins there."""


def fitted(markup: str, most: int) -> str:
    """Clean HTML for the inside of a letter, of at most that many characters to read."""
    flat = HEADING.sub(lambda h: "</strong></p>" if h[1] else f"<p{h[2]}><strong>", markup)
    flat = flat.replace("</tr>", "<br>").replace("</td>", "</td> ").replace("</th>", "</th> ")
    return tidied(shortened(flat, most)).strip()


def tidied(markup: str) -> str:
    """Only what a letter takes; tags that were left open are closed."""
    return nh3.clean(
        markup,
        tags=TAGS,
        attributes={"a": {"href"}, "*": {"lang", "dir"}},
        url_schemes={"http", "https", "mailto"},
        link_rel=None,
    )


def shortened(markup: str, most: int) -> str:
    """Up to `most` characters of what is read, at the end of a word and with … after it."""
    kept: list[str] = []
    for piece in PIECES.findall(markup):
        length = 0 if piece.startswith("<") else len(html.unescape(piece))
        if length > most:
            return "".join(kept) + ending(piece, most) + "…"
        kept.append(piece)
        most -= length
    return "".join(kept)


def ending(piece: str, most: int) -> str:
    if piece.startswith("&"):
        return ""
    cut = piece[:most]
    return cut if piece[most].isspace() else cut.rpartition(" ")[0] or ""


def line(text: str, most: int) -> str:
    """One line of at most that many characters, at the end of a word."""
    flat = " ".join(text.split())
    return flat if len(flat) <= most else ending(flat, most - 1).rstrip(" ,;:–—-") + "…"


def leaning(text: str) -> str:
    """The direction of a text whose language nobody said: of its first letter that has one."""
    for character in text:
        kind = unicodedata.bidirectional(character)
        if kind in ("L", "R", "AL"):
            return "ltr" if kind == "L" else "rtl"
    return "ltr"


# plain text


def plain(markup: str) -> str:
    """HTML as text in paragraphs, with the addresses of its links below, numbered."""
    reader = Reader()
    reader.feed(markup)
    reader.close()
    said = "\n\n".join(p for p in map(squeezed, reader.blocks) if p)
    notes = "\n".join(f"[{number}] {url}" for number, url in enumerate(reader.links, 1))
    return f"{said}\n\n{notes}" if notes else said


def squeezed(block: str) -> str:
    return "\n".join(" ".join(row.split()) for row in block.split("\n")).strip()


class Reader(HTMLParser):
    """Reads blocks and links out of clean HTML."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks = [""]
        self.links: list[str] = []
        self.open: tuple[str, int] | None = None
        self.lists: list[Iterator[int] | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in BLOCKS and not BEGUN.search(self.blocks[-1]):
            self.blocks.append("")
        if tag in ("ol", "ul"):
            start = dict(attrs).get("start") or "1"
            first = int(start) if start.isdecimal() else 1
            self.lists.append(itertools.count(first) if tag == "ol" else None)
        elif tag == "br":
            self.blocks[-1] += "\n"
        elif tag == "li":
            numbers = self.lists[-1] if self.lists else None
            self.blocks[-1] += f"\n{next(numbers)}. " if numbers else "\n* "
        elif tag == "a" and (url := dict(attrs).get("href")):
            self.open = (url, len(self.blocks[-1]))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("ol", "ul") and self.lists:
            self.lists.pop()
        if tag in BLOCKS:
            self.blocks.append("")
        elif tag == "a" and self.open:
            url, start = self.open
            if self.blocks[-1][start:].strip() != url:
                self.blocks[-1] += f" [{self.number(url)}]"
            self.open = None

    def handle_data(self, data: str) -> None:
        self.blocks[-1] += re.sub(r"\s+", " ", data)

    def number(self, url: str) -> int:
        if url not in self.links:
            self.links.append(url)
        return self.links.index(url) + 1


def wrapped(text: str) -> str:
    """Lines of at most 72 characters, as far as addresses allow; never two empty ones together."""
    rows = []
    for row in text.split("\n"):
        body = row.lstrip(" ")
        indent = " " * (len(row) - len(body))
        mark = MARK.match(body)
        hanging = " " * len(mark[0]) if mark else ""
        rows += textwrap.wrap(
            body.rstrip(),
            WIDTH,
            initial_indent=indent,
            subsequent_indent=indent + hanging,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(rows)).strip("\n") + "\n"
