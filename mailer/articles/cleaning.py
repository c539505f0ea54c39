"""Words and links that others wrote, made safe to keep, to show and to mail."""

import html
import re
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

import idna
import nh3

MOST_URL = 2_000
MOST_SUMMARY = 20_000

LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")
MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,62}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
BREAKS = re.compile(r"<(?=(?:br|/?p|/?div|/?li|/?td|/?h[1-6])\b)", re.IGNORECASE)

# Nothing that styles, embeds, asks or runs; images wait until they can be served by ourselves.
BLOCKS = "blockquote br dd div dl dt h1 h2 h3 h4 h5 h6 hr li ol p pre table tbody td th thead tr ul"
INLINE = "a abbr b cite code del dfn em i ins kbd q s samp small strong sub sup u var"
TAGS = {*BLOCKS.split(), *INLINE.split()}
HIDDEN = "head iframe math noscript object script select style svg template textarea title"
SILENT = set(HIDDEN.split())
OTHERS = "article aside button center figure font footer form header img input section span"
# What tells HTML from text: a tag of it, so that Vec<T> stays, or an entity.
MARKUP = re.compile(
    rf"</?(?:{'|'.join([*TAGS, *SILENT, *OTHERS.split()])})\b[^<>]*>"
    r"|&(?:#\d+|#[xX][0-9A-Fa-f]+|[A-Za-z]\w+);",
    re.IGNORECASE,
)
ATTRIBUTES = {"a": {"href"}, "*": {"lang", "dir"}}
SCHEMES = {"http", "https", "mailto"}

# Embeddings, overrides and isolates can make words around them read otherwise than written.
# The marks that right-to-left texts need (200E, 200F, 061C) stay.
TURNING = "\u202a-\u202e\u2066-\u2069"
BANNED = re.compile(
    f"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff{TURNING}]"
)


def visible(text: str) -> str:
    """Without what can't be seen or stored, or would turn the direction of what follows."""
    return BANNED.sub("", text)


def heading(text: str) -> str:
    """A title that may or may not be HTML, as one line of text."""
    return words(text) if MARKUP.search(text) else plain(text)


def plain(text: str) -> str:
    """One line of text."""
    return " ".join(visible(text.translate(LINE_ENDS)).split())


LINE_ENDS = dict.fromkeys(map(ord, "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85"), " ")


def words(markup: str) -> str:
    """The text of some HTML in one line: tags gone, entities decoded once."""
    apart = BREAKS.sub(" <", markup)
    return plain(html.unescape(nh3.clean(apart, tags=set(), clean_content_tags=SILENT)))


def clean(markup: str, base: str | None) -> str:
    """HTML safe to show and to mail: a few tags, absolute links, nothing fetched or run."""

    def keep(tag: str, name: str, value: str) -> str | None:
        return link(value, base) if name == "href" else value

    cleaned = nh3.clean(
        visible(markup),
        tags=TAGS,
        clean_content_tags=SILENT,
        attributes=ATTRIBUTES,
        attribute_filter=keep,
        url_schemes=SCHEMES,
        link_rel=None,
    )
    return visible(cleaned).strip()  # once more: references have become characters


def link(url: str, base: str | None) -> str | None:
    """A web or mail address that may stand in a mail, absolute; else None."""
    if url.strip().lower().startswith("mailto:"):
        return quote(visible(url.strip()), safe="%:@?&=+$,.;!~*'()/-_")[:MOST_URL]
    return address(url, base)


def address(url: str, base: str | None = None) -> str | None:
    """An http(s) address, absolute and in ASCII; None if it is none or longer than we keep."""
    # Browsers read a backslash as a slash, and pass over line ends and tabs.
    url = visible(re.sub(r"[\t\r\n]", "", url)).strip().replace("\\", "/")
    if not url:
        return None
    try:
        parts = urlsplit(urljoin(base or "", url))
        netloc = authority(parts.hostname or "", parts.port)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not netloc:
        return None
    path, query, fragment = (quote(part, safe="%/:=&?~#+!$,;'@()*[]|^") for part in parts[2:])
    whole = urlunsplit((parts.scheme, netloc, path, query, fragment))
    return whole if len(whole) <= MOST_URL else None


def authority(host: str, port: int | None) -> str:
    """Host and port; a name and password before them are nobody's business in a link."""
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode()
        except idna.IDNAError as error:
            raise ValueError from error
    if ":" in host:
        host = f"[{host}]"
    return host if port is None else f"{host}:{port}"


def language(tag: str | None) -> str | None:
    """A BCP 47 tag in its usual spelling, such as en or pt-BR; None if it is none."""
    tag = (tag or "").strip().replace("_", "-")
    if not LANGUAGE.fullmatch(tag):
        return None
    first, *rest = tag.lower().split("-")
    return "-".join([first, *(part.upper() if len(part) == 2 else part for part in rest)])


def media_type(text: str | None) -> str | None:
    """`application/pdf`, without parameters; None if it is none."""
    text = (text or "").partition(";")[0].strip().lower()
    return text if MEDIA_TYPE.fullmatch(text) else None


# cutting to fit: for feeds, whose authors can't be asked


def cut(text: str, most: int) -> str:
    """At most that many characters, ending in … where something is missing."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def cut_markup(markup: str) -> str:
    """Clean HTML of at most MOST_SUMMARY characters, its tags closed."""
    if len(markup) <= MOST_SUMMARY:
        return markup
    # Half is room enough for the closing tags; what the cut leaves open, cleaning closes.
    part = markup[: MOST_SUMMARY // 2]
    for opening, closing in (("<", ">"), ("&", ";")):
        if part.rfind(opening) > part.rfind(closing):
            part = part[: part.rfind(opening)]
    closed = clean(part + "…", None)
    return closed if len(closed) <= MOST_SUMMARY else f"<p>{html.escape(words(part))}…</p>"
