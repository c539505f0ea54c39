"""Letters: what is mailed, composed for a newsletter and language. Pure functions.

A letter is the same for all its readers. Where a reader's own link goes, it has the slot of that
purpose (`tokens.SLOTS`). While a letter is composed, random marks nobody can guess stand there;
slots spelt in words that others wrote are struck out before marks become slots. So a slot in a
letter, or in an edition kept in the database, is always one of ours.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import parseaddr
from urllib.parse import urlsplit

from markupsafe import Markup

from mailer import render
from mailer.articles import Article, Attachment, cleaning
from mailer.config import Settings
from mailer.digests import Digest, Edition, Item
from mailer.letters import markdown, prose
from mailer.newsletters import Newsletter
from mailer.notices import Notice
from mailer.pictures import Frame
from mailer.tokens import LENGTH, SLOTS, Purpose

PATHS: Mapping[Purpose, str] = {
    "confirm": "confirm",
    "refuse": "refuse",
    "leave": "u",
    "manage": "me",
    "address": "address",
    "renew": "renew",
    "desk": "staff/come",
}
MOST_SUBJECT = 140
MOST_HOST = 100
MOST_WIDTH = 536
"""Of a picture: a mail's column, 600 pixels, less its padding."""

MOST_BYTES = 80_000
"""Of HTML: Gmail cuts off what is beyond about 102 KB."""


@dataclass(frozen=True)
class Letter:
    """`headers`: structured fields, beside those that every mail has; `sender`: an address.

    `shortened`: its HTML has less than there was to say.
    """

    subject: str
    text: str
    html: str | None
    sender: str
    sender_name: str
    headers: tuple[tuple[str, str], ...]
    shortened: bool = False


@dataclass(frozen=True)
class Room:
    """How much of each article a digest shows: characters, files, related stories, articles."""

    summary: int
    files: int
    related: int
    items: int


ROOMS = (
    *(Room(s, f, r, 1000) for s, f, r in
      ((1200, 20, 10), (600, 10, 3), (300, 5, 1), (150, 3, 0), (0, 1, 0))),
    *(Room(0, 0, 0, items) for items in (1000, 25, 12, 6, 3, 1)),
)  # fmt: skip
"""From generous to sparse: the first that fits is taken."""

TABLE_OF_CONTENTS = 5
"""Articles from which on a digest begins with their titles."""


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
    image: "Image | None"
    files: Sequence["File"]
    more_files: int
    bundle: "File | None"
    related: Sequence["Story"]


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


# the letters


def confirm(
    settings: Settings,
    newsletter: Newsletter,
    notice: Notice,
    language: str,
    origin: str | None,
    *,
    imported: bool = False,
) -> Letter:
    """Asks whether it was them, or, of somebody on another list, whether they wish to come along;
    the only mail before a consent."""
    return composed(
        "confirm",
        settings,
        newsletter.title(language),
        language,
        single(language),
        notice=notice,
        notice_url=f"{settings.base_url}/notice/{notice.id}",
        host=host(origin),
        imported=imported,
        hours=settings.confirm_hours,
    )


def already(settings: Settings, newsletter: Newsletter, language: str) -> Letter:
    """To somebody who asked for what they have."""
    return composed("already", settings, newsletter.title(language), language, single(language))


def address(settings: Settings, newsletter: Newsletter, language: str) -> Letter:
    """Asks at a new address whether it is theirs."""
    return composed(
        "address",
        settings,
        newsletter.title(language),
        language,
        single(language),
        hours=settings.confirm_hours,
    )


def renew(
    settings: Settings, newsletter: Newsletter, notice: Notice, language: str, until: datetime
) -> Letter:
    """Asks somebody who agreed to older words to agree to these, until a day."""
    return composed(
        "renew",
        settings,
        newsletter.title(language),
        language,
        (*leaving(settings), *single(language)),
        notice=notice,
        notice_url=f"{settings.base_url}/notice/{notice.id}",
        until=render.date(until, language, newsletter.zone),
    )


def digest(
    settings: Settings,
    newsletter: Newsletter,
    digest: Digest,
    items: Sequence[Item],
    language: str,
) -> Letter:
    """One edition, as short as its HTML must be to be shown whole."""
    assert items, "a digest has articles"
    for room in ROOMS:
        letter = in_room(settings, newsletter, digest, items, language, room)
        assert letter.html is not None
        if len(letter.html.encode()) <= MOST_BYTES:
            break
    return replace(letter, shortened=room != ROOMS[0])


def in_room(
    settings: Settings,
    newsletter: Newsletter,
    digest: Digest,
    items: Sequence[Item],
    language: str,
    room: Room,
) -> Letter:
    archive = f"{settings.base_url}/archive/{newsletter.slug}/{digest.number}?lang={language}"
    every = [shown(settings, item, language, newsletter, ROOMS[0]) for item in items]
    introduction = markdown.html(digest.introduction.get(language, ""))
    return composed(
        "digest",
        settings,
        newsletter.title(language),
        language,
        listed(settings, newsletter, digest, language),
        number=digest.number,
        introduction=introduction,
        opening=cleaning.words(introduction),
        foreword=prose.plain(introduction),
        items=[shown(settings, item, language, newsletter, room) for item in items[: room.items]],
        every=every,
        contents=every[: room.items] if len(every) >= TABLE_OF_CONTENTS else [],
        more=max(0, len(items) - room.items),
        shortened=room != ROOMS[0],
        archive=archive if newsletter.archived else None,
    )


def edition(settings: Settings, newsletter: Newsletter, digest: Digest, edition: Edition) -> Letter:
    """A frozen edition as the letter it was."""
    name, sender = sent_by(settings, newsletter.title(edition.language))
    headers = listed(settings, newsletter, digest, edition.language)
    return Letter(edition.subject, edition.text, edition.html, sender, name, headers)


def to_staff(letter: str, settings: Settings, language: str, **values: object) -> Letter:
    """To one of those who run the service. `desk`: where their pages are."""
    desk = f"{settings.base_url}/staff"
    return composed(
        letter, settings, settings.domain, language, single(language), desk=desk, **values
    )


def composed(
    letter: str,
    settings: Settings,
    title: str,
    language: str,
    headers: tuple[tuple[str, str], ...],
    **values: object,
) -> Letter:
    """Render the three templates of a letter; only here do slots come in."""
    marks = {purpose: secrets.token_urlsafe(LENGTH)[:LENGTH] for purpose in PATHS}
    links = {p: f"{settings.base_url}/{path}/{marks[p]}" for p, path in PATHS.items()}
    name, sender = sent_by(settings, title)
    given = {"title": title, "links": links, "controller": controller(settings, title), **values}
    said = prose.line(render.text(f"mail/{letter}/subject.txt", language, **given), MOST_SUBJECT)
    text = prose.wrapped(render.text(f"mail/{letter}/body.txt", language, **given))
    html = render.mjml(f"mail/{letter}/body.mjml", language, subject=said, **given)
    return Letter(said, slotted(text, marks), slotted(html, marks), sender, name, headers)


def slotted(text: str, marks: Mapping[Purpose, str]) -> str:
    for slot in SLOTS.values():
        text = text.replace(slot, "…")
    for purpose, mark in marks.items():
        text = text.replace(mark, SLOTS[purpose])
    return text


# who writes, and how it is announced to machines


def sent_by(settings: Settings, title: str) -> tuple[str, str]:
    """Name and address in From: MAILER_FROM, and what it leaves out from the newsletter."""
    name, sender = parseaddr(settings.sender or "")
    return name or title, sender or f"newsletter@{settings.domain}"


def return_path(settings: Settings, token: str | None) -> str:
    """The envelope's sender, to which bounces go; the token (purpose bounce) names a reader's
    mail, and a letter to staff has none."""
    if settings.bounce_domain and token:
        return f"b+{token}@{settings.bounce_domain}"
    return sent_by(settings, "")[1]


def single(language: str) -> tuple[tuple[str, str], ...]:
    """For a letter to one person."""
    return (
        ("Content-Language", language),
        ("Auto-Submitted", "auto-generated"),
        ("X-Auto-Response-Suppress", "All"),
    )


def listed(
    settings: Settings, newsletter: Newsletter, digest: Digest, language: str
) -> tuple[tuple[str, str], ...]:
    """For a letter to many: RFC 2919, 2369, 8058 and what large providers want."""
    base, slug, domain = settings.base_url, newsletter.slug, settings.domain
    archive = (("List-Archive", f"<{base}/archive/{slug}>"),) if newsletter.archived else ()
    return (
        ("List-Id", f"<{slug}.{domain}>"),
        *leaving(settings),
        ("List-Help", f"<{base}/me/{SLOTS['manage']}>"),
        *archive,
        ("Feedback-ID", f"{digest.number}:{slug}:digest:{domain}"),
        ("Precedence", "bulk"),
        *single(language),
    )


def leaving(settings: Settings) -> tuple[tuple[str, str], ...]:
    """What mail programs make a button of (RFC 2369, RFC 8058)."""
    page = f"{settings.base_url}/u/{SLOTS['leave']}"
    return (
        ("List-Unsubscribe", f"<{page}>, <{by_mail(settings)}>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    )


def by_mail(settings: Settings) -> str:
    """Where a mail that asks to leave goes; the token is what it is known by."""
    if settings.bounce_domain:
        return f"mailto:u+{SLOTS['leave']}@{settings.bounce_domain}?subject=unsubscribe"
    sender = sent_by(settings, "")[1]
    return f"mailto:{sender}?subject=unsubscribe%20{SLOTS['leave']}"


# what the templates are given


def controller(settings: Settings, title: str) -> list[str]:
    """Who is responsible, in lines: the postal address that every digest must carry."""
    given = (settings.controller or f"{title}\n{settings.domain}").replace("\\n", "\n")
    return list(dict.fromkeys(said for row in given.split("\n") if (said := row.strip())))


def host(origin: str | None) -> str | None:
    """The site of a page, to be shown, not followed; None if it is no site's name."""
    try:
        found = urlsplit(origin or "").hostname or ""
    except ValueError:
        return None
    good = found.isascii() and found.replace(".", "").replace("-", "").isalnum()
    return found if good and len(found) <= MOST_HOST else None


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
