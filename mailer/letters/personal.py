"""Letters to one person."""

from datetime import datetime
from urllib.parse import urlsplit

from mailer import render
from mailer.config import Settings
from mailer.letters.composing import Letter, composed
from mailer.letters.headers import leaving, single
from mailer.newsletters import Newsletter
from mailer.notices import Notice

MOST_HOST = 100


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


def to_staff(letter: str, settings: Settings, language: str, **values: object) -> Letter:
    """To one of those who run the service. `desk`: where their pages are."""
    desk = f"{settings.base_url}/staff"
    return composed(
        letter, settings, settings.domain, language, single(language), desk=desk, **values
    )


def host(origin: str | None) -> str | None:
    """The site of a page, to be shown, not followed; None if it is no site's name."""
    try:
        found = urlsplit(origin or "").hostname or ""
    except ValueError:
        return None
    good = found.isascii() and found.replace(".", "").replace("-", "").isalnum()
    return found if good and len(found) <= MOST_HOST else None
