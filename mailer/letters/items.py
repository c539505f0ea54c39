"""Items: an article as a digest shows it, with its files, its picture and related stories."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from mailer import render
from mailer.articles import Article, Attachment
from mailer.config import Settings
from mailer.digests import Item
from mailer.letters import prose
from mailer.newsletters import Newsletter
from mailer.pictures import Frame

MOST_WIDTH = 536
"""Of a picture: a mail's column, 600 pixels, less its padding."""


@dataclass(frozen=True)
class Room:
    """How much of each article a digest shows: characters, files, related stories, articles."""

    summary: int
    files: int
    related: int
    items: int


@dataclass(frozen=True)
class File:
    """An attachment; `kind`: such as PDF; `size` in words; `dir`: of its name."""

    name: str
    url: str
    kind: str | None
    size: str
    language: str | None
    dir: str


@dataclass(frozen=True)
class Image:
    """With us. `alt`: what it shows; empty if it only decorates; `width`: in the mail, pixels."""

    url: str
    alt: str
    width: int


@dataclass(frozen=True)
class Story:
    """Another article of the site; `dir`: of its title."""

    title: str
    url: str
    dir: str


@dataclass(frozen=True)
class Shown:
    """An article as a digest shows it: `lang` and `dir` are its own.

    `language`: its code if it isn't the digest's, else None. `bundle`: everything at once.
    """

    lang: str
    dir: str
    title: str
    url: str | None
    date: str | None
    language: str | None
    summary: Markup
    plain: str
    image: Image | None
    files: Sequence[File]
    more_files: int
    bundle: File | None
    related: Sequence[Story]


def shown(
    settings: Settings, item: Item, language: str, newsletter: Newsletter, room: Room
) -> Shown:
    article, zone = item.article, newsletter.zone
    summary = prose.fitted(article.summary, room.summary) if room.summary else ""
    files = [file(attachment, language) for attachment in item.attachments]
    frame = item.picture if newsletter.images and room.summary else None
    return Shown(
        lang=article.language,
        dir=render.direction(article.language),
        title=article.title,
        url=article.url,
        date=render.date(article.published_at, language, zone) if article.published_at else None,
        language=article.language if article.language != language else None,
        summary=Markup(summary),  # noqa: S704  # cleaned when it came in and again by `fitted`
        plain=prose.plain(summary),
        image=image(settings, frame, article) if frame else None,
        files=files[: room.files],
        more_files=max(0, len(files) - room.files),
        bundle=bundle(article, language) if room.files else None,
        related=[story(each) for each in article.related[: room.related]],
    )


def image(settings: Settings, frame: Frame, article: Article) -> Image:
    url = f"{settings.base_url}{frame.path}"
    return Image(url, article.image_alt or "", min(frame.width, MOST_WIDTH))


def bundle(article: Article, language: str) -> File | None:
    """What `download all` leads to."""
    if article.bundle_url is None:
        return None
    kind = KINDS.get(article.bundle_type or "") or subtype(article.bundle_type) or None
    size = render.size(article.bundle_size, language)
    return File("", article.bundle_url, kind, size, None, render.direction(language))


def story(related: Mapping[str, str]) -> Story:
    return Story(related["title"], related["url"], prose.leaning(related["title"]))


# files

KINDS = {
    "application/msword": "DOC",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "DOCX",
    "application/vnd.ms-excel": "XLS",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "XLSX",
    "application/vnd.ms-powerpoint": "PPT",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "PPTX",
    "application/vnd.oasis.opendocument.text": "ODT",
    "audio/mpeg": "MP3",
    "image/jpeg": "JPG",
    "application/gzip": "GZ",
    "text/plain": "TXT",
}


def file(attachment: Attachment, language: str) -> File:
    stem, dot, extension = attachment.name.rpartition(".")
    named = extension.upper() if dot and stem and extension.isalnum() and len(extension) < 6 else ""
    kind = KINDS.get(attachment.type or "") or subtype(attachment.type) or named
    return File(
        name=stem if named and kind == named else attachment.name,
        url=attachment.url,
        kind=kind or None,
        size=render.size(attachment.size, language),
        language=attachment.language,
        dir=prose.leaning(attachment.name),
    )


def subtype(kind: str | None) -> str:
    """PDF of application/pdf; nothing where the name would not help anybody."""
    short = (kind or "").rpartition("/")[2].upper()
    return short if short.isalnum() and len(short) < 6 else ""
