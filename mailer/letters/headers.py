"""Who writes, and how it is announced to machines."""

from email.utils import parseaddr

from mailer.config import Settings
from mailer.digests import Digest
from mailer.newsletters import Newsletter
from mailer.tokens import SLOTS


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
