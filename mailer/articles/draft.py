"""Drafts: articles as they come in, clean, wherever from."""

from dataclasses import dataclass
from datetime import datetime

MOST_TITLE = 500
MOST_ID = 500  # an index entry must fit a third of a page, whatever the alphabet
MOST_NAME = 200
MOST_ALT = 1_000
MOST_ATTACHMENTS = 100
MOST_CATEGORIES = 50
MOST_CATEGORY = 100
MOST_RELATED = 20
MOST_BYTES = 2**63 - 1


@dataclass(frozen=True)
class Enclosed:
    """A file attached to a draft; type, size (bytes) and language are None when nobody said."""

    name: str
    url: str
    type: str | None = None
    size: int | None = None
    language: str | None = None


@dataclass(frozen=True)
class Image:
    """`alt`: what it shows, in words; empty if it only decorates."""

    url: str
    alt: str = ""


@dataclass(frozen=True)
class Bundle:
    """Everything attached, in one file; type and size (bytes) are None when nobody said."""

    url: str
    type: str | None = None
    size: int | None = None


@dataclass(frozen=True)
class Related:
    """Another story, to read on."""

    title: str
    url: str


@dataclass(frozen=True)
class Draft:
    """An article as it came in, clean. `summary`: HTML that has passed `clean`.

    `work`: a key that all translations of one article share. `withdrawn`: whether it is taken back;
    None leaves that as it is.
    """

    external_id: str
    title: str
    language: str | None
    url: str | None = None
    summary: str = ""
    published_at: datetime | None = None
    attachments: tuple[Enclosed, ...] = ()
    work: str | None = None
    image: Image | None = None
    bundle: Bundle | None = None
    categories: tuple[str, ...] = ()
    related: tuple[Related, ...] = ()
    withdrawn: bool | None = None
