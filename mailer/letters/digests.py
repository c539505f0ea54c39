"""The letter to many: a digest in one language, as long as mail programs show it whole."""

from collections.abc import Sequence
from dataclasses import replace

from mailer.articles import cleaning
from mailer.config import Settings
from mailer.digests import Digest, Edition, Item
from mailer.letters import markdown, prose
from mailer.letters.composing import Letter, composed
from mailer.letters.headers import listed, sent_by
from mailer.letters.items import Room, shown
from mailer.newsletters import Newsletter

MOST_BYTES = 80_000
"""Of HTML: Gmail cuts off what is beyond about 102 KB."""

ROOMS = (
    *(Room(s, f, r, 1000) for s, f, r in
      ((1200, 20, 10), (600, 10, 3), (300, 5, 1), (150, 3, 0), (0, 1, 0))),
    *(Room(0, 0, 0, items) for items in (1000, 25, 12, 6, 3, 1)),
)  # fmt: skip
"""From generous to sparse: the first that fits is taken."""

TABLE_OF_CONTENTS = 5
"""Articles from which on a digest begins with their titles."""


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
