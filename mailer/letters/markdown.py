"""Introductions: what editors write, in a few of Markdown's marks and none of the others.

    an empty line            a new paragraph
    *word*, **word**         emphasis, strong emphasis
    [words](address)         a link, as is <address>: to the web or to a mailbox
    - item, 1. item          a list, at the beginning of a line
    \\*                       a mark that is none

As CommonMark has it (0.31.2). Whatever else there is (headings, HTML, entities, quotations, code)
stays on the page as it was typed, and so does a link to anything but http, https and mailto; of an
image, a link to it is left.
"""

from collections.abc import Iterable, Iterator

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup, escape

from mailer.articles import cleaning

RULES = ("list", "newline", "escape", "emphasis", "link", "autolink")
"""Beside paragraphs and text."""

TAGS = {
    "paragraph": "p",
    "bullet_list": "ul",
    "ordered_list": "ol",
    "list_item": "li",
    "em": "em",
    "strong": "strong",
}


class Few(MarkdownIt):
    """A parser of these marks alone."""

    def __init__(self) -> None:
        super().__init__("zero")
        self.enable(RULES)

    def normalizeLink(self, url: str) -> str:  # noqa: N802  # its name there
        """Where a link leads; nothing if it must not lead there."""
        return cleaning.link(url, None) or ""

    def validateLink(self, url: str) -> bool:  # noqa: N802  # its name there
        return bool(url)


FEW = Few()


def html(text: str) -> Markup:
    """As HTML of TAGS and `a`, well-formed also as XML; `href` and the `start` of a list are all
    the attributes there are."""
    return Markup("").join(pieces(FEW.parse(text)))


def pieces(tokens: Iterable[Token]) -> Iterator[Markup]:
    leads = False
    for token in tokens:
        kind = token.type.removesuffix("_open").removesuffix("_close")
        match kind:
            case "inline":
                yield from pieces(token.children or ())
            case "softbreak" | "hardbreak":
                yield Markup("\n")
            case "link" if token.nesting > 0:
                href = str(token.attrGet("href") or "")
                leads = bool(href)
                yield Markup('<a href="{}">').format(href) if leads else Markup()
            case "link":
                yield Markup("</a>") if leads else Markup()
            case _ if kind in TAGS:
                yield Markup() if token.hidden else tag(token, TAGS[kind])
            case _:
                yield escape(cleaning.visible(token.content))


def tag(token: Token, name: str) -> Markup:
    if token.nesting < 0:
        return Markup("</{}>").format(name)
    start = token.attrGet("start")
    return Markup("<{}>").format(name) if start is None else Markup('<ol start="{}">').format(start)
