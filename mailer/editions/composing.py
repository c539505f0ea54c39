"""A digest in each language that has something to show."""

from collections.abc import Sequence
from dataclasses import dataclass

from mailer import digests, letters, newsletters
from mailer.config import Settings
from mailer.db import Connection
from mailer.digests import Digest, Edition, Item
from mailer.errors import Misconfigured
from mailer.letters import Letter
from mailer.newsletters import Newsletter
from mailer.render.shelf import BadTemplate


@dataclass(frozen=True)
class Composed:
    """An edition, the letter it came from, and what it shows."""

    edition: Edition
    letter: Letter
    items: Sequence[Item]


async def compose(
    conn: Connection, settings: Settings, digest: Digest
) -> tuple[Newsletter, list[Composed]]:
    """Its newsletter, and an edition for each of its languages in which there is anything."""
    newsletter = await newsletters.get(conn, digest.newsletter)
    items = await digests.contents(conn, digest)
    had = await digests.had(conn, digest)
    composed = []
    for language in newsletter.languages:
        shown = digests.in_language(items, language, newsletter, had.get(language, ()))
        if shown:
            composed.append(one(settings, newsletter, digest, shown, language))
    return newsletter, composed


def one(
    settings: Settings,
    newsletter: Newsletter,
    digest: Digest,
    items: Sequence[Item],
    language: str,
    *,
    main: bool = True,
) -> Composed:
    try:
        letter = letters.digest(settings, newsletter, digest, items, language)
    except BadTemplate as error:
        raise Misconfigured("A template is wrong: {what}.", what=error) from error
    assert letter.html is not None, "a digest has both parts"
    shown = [item.article.id for item in items]
    edition = Edition(
        digest.id, language, letter.subject, letter.html, letter.text, shown, main=main
    )
    return Composed(edition, letter, items)
