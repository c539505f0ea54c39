"""Editions: a digest rendered in each language of its newsletter, to look at or to approve."""

from mailer import digests, letters, newsletters
from mailer.config import Settings
from mailer.db import Connection
from mailer.digests import Digest, Edition
from mailer.letters import Letter
from mailer.newsletters import Newsletter


async def compose(
    conn: Connection, settings: Settings, digest: Digest
) -> tuple[Newsletter, list[tuple[Edition, Letter]]]:
    """Its newsletter, and an edition for each of its languages beside the letter it came from."""
    newsletter = await newsletters.get(conn, digest.newsletter)
    items = await digests.contents(conn, digest)
    composed = []
    for language in newsletter.languages:
        shown = digests.in_language(items, language, newsletter)
        letter = letters.digest(settings, newsletter, digest, shown, language)
        assert letter.html is not None, "a digest has both parts"
        edition = Edition(digest.id, language, letter.subject, letter.html, letter.text)
        composed.append((edition, letter))
    return newsletter, composed
