"""A digest before it goes: to look at, with links that lead nowhere; and one mail of it, to try."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import uuid4

from mailer import address, dkim, letters, mime, smtp
from mailer.address import Address
from mailer.config import Settings
from mailer.editions.composing import Composed
from mailer.errors import Conflict, Unavailable, Unknown
from mailer.letters import Letter
from mailer.newsletters import Newsletter
from mailer.tokens import LENGTH, SLOTS

DEAD_LINK = "x" * LENGTH
"""In place of a reader's own: a token that opens nothing."""


def without_slots(content: str) -> str:
    """With links that lead nowhere, where a reader's own would be."""
    for slot in SLOTS.values():
        content = content.replace(slot, DEAD_LINK)
    return content


def in_language(
    newsletter: Newsletter, composed: Sequence[Composed], language: str | None
) -> Letter:
    """The edition that a reader of it would get. Raises Unknown."""
    offered = newsletter.offered(language or newsletter.fallback)
    for each in composed:
        if each.edition.language == offered:
            return each.letter
    raise Unknown("There is no edition in {language}.", language=offered)


async def post(settings: Settings, letter: Letter, to: Address) -> None:
    """Send it to one address, at once. Raises Conflict or Unavailable."""
    if not settings.smtp:
        raise Unavailable("There is no mail server to send it with: set MAILER_SMTP_URL.")
    mould = dkim.signed(mime.mould(letter, settings.domain), dkim.signers(settings))
    mail = mould.cast(
        address.wire(to.given), uuid4(), dict.fromkeys(SLOTS, DEAD_LINK), datetime.now(UTC)
    )
    async with smtp.Road(settings.smtp, 1) as road:
        verdict = await road.send(mail, letters.return_path(settings, DEAD_LINK), to.given)
    if verdict.kind != "sent":
        raise Conflict(
            "The mail server did not take it: {reply}",
            reply=address.scrubbed(verdict.reply, to.given),
        )
