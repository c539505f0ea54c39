"""Every letter with something in each of its places: to try out templates before anybody is
written to."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import get_args

from mailer import letters, troubles
from mailer.articles import Article, Attachment
from mailer.config import Settings
from mailer.digests import Digest, Item
from mailer.letters import Letter
from mailer.newsletters import Newsletter
from mailer.notices import Notice
from mailer.pictures import Frame
from mailer.troubles import Trouble

AT = datetime(2026, 3, 1, 9, tzinfo=UTC)
PAGE = "https://example.org/660"
ORDER = Attachment(1, 1, "Order 660.pdf", PAGE, "application/pdf", 311_296, "ru")


def newsletter(language: str) -> Newsletter:
    titles = {language: "Example Weekly", "en": "Example Weekly"}
    return Newsletter(
        1, "example", titles, list(titles), language, ["weekly"], "UTC", True, images=True
    )


def article(id_: int, language: str, **more: object) -> Article:
    given: dict[str, object] = {
        "url": PAGE,
        "summary": '<p>It says <a href="https://example.org">this</a>.</p>',
        "published_at": AT,
        "seen_at": AT,
        "known": False,
        **more,
    }
    title = f"Order 660, part {id_}"
    return Article(id_, 1, None, str(id_), language, title, **given)  # type: ignore[arg-type]  # a specimen


def full(language: str) -> list[Item]:
    """Articles of which each has something that the others have not."""
    told = [
        article(
            1,
            language,
            image_url="https://example.org/660.png",
            image_alt="Its first page",
            bundle_url="https://example.org/660.zip",
            bundle_type="application/zip",
            bundle_size=2_000_000,
            related=[{"title": "Order 659", "url": "https://example.org/659"}],
        ),
        article(2, "ar", summary=""),
        article(3, language, url=None, published_at=None),
        *(article(id_, language) for id_ in range(4, 60)),
    ]
    first, *others = told
    picture = Frame(PAGE, bytes(32), 1200, 800)
    return [Item(first, [ORDER] * 30, picture=picture), *(Item(each, ()) for each in others)]


def wrong(about: Newsletter) -> Iterator[Trouble]:
    """One of each kind."""
    for kind in get_args(troubles.Kind):
        yield Trouble(kind, "1", about, ["mailer feed list"], "Example feed", said="Why.")
        yield Trouble(kind, "2", about, [], digest=2, since=AT)


def notice(language: str) -> Notice:
    return Notice(
        None, language, "Yes, write to me.", "Example Organisation", ["the digest"], "nobody",
        "until you leave", "with one click", "0" * 32, bytes(32), AT,
    )  # fmt: skip


def every(settings: Settings, language: str) -> Iterator[Letter]:
    """Raises BadTemplate for the first that can't be made."""
    about = newsletter(language)
    issue = Digest(
        1, 1, 1, "weekly", "draft", {language: "Hello.\n\nThis week:"}, "system", AT,
        None, None, None,
    )  # fmt: skip
    for origin in ("https://example.org", None):
        yield letters.confirm(settings, about, notice(language), language, origin)
    yield letters.confirm(settings, about, notice(language), language, None, imported=True)
    yield letters.already(settings, about, language)
    yield letters.address(settings, about, language)
    yield letters.renew(settings, about, notice(language), language, AT)
    for kind in ("invitation", "password"):
        yield letters.to_staff(kind, settings, language, hours=2)
    yield letters.to_staff("trouble", settings, language, troubles=list(wrong(about)))
    items = full(language)
    for shown in (items, items[:1]):
        yield letters.digest(settings, about, issue, shown, language)
