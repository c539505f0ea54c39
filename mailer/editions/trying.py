"""A digest before it goes: to look at, with links that lead nowhere; and one mail of it, to try."""

from collections.abc import Sequence

from mailer import digests, staff
from mailer.config import Settings
from mailer.db import Connection
from mailer.digests import Digest
from mailer.editions.composing import Composed, compose
from mailer.errors import Invalid, Unknown
from mailer.letters import Letter
from mailer.newsletters import Newsletter
from mailer.tokens import LENGTH, SLOTS
from mailer.vault import Vault

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


async def try_out(
    conn: Connection,
    settings: Settings,
    keys: Vault,
    digest: Digest,
    email: str,
    language: str | None,
) -> None:
    """Send one edition to one of the staff: whoever may try a digest can have nobody else written
    to. Raises Invalid or Unknown."""
    to = await staff.by_address(conn, keys, email)
    if to is None or to.disabled_at is not None:
        raise Invalid("Test mails go to the staff: nobody of them has this address.", field="to")
    newsletter, composed = await compose(conn, settings, digest)
    in_language(newsletter, composed, language)
    spoken = newsletter.offered(language or newsletter.fallback)
    await digests.try_out(conn, digest, spoken, to.id)
