"""What an editor should know before a digest goes.

`refused`: it can't go. `warning`: it goes only if whoever approves it puts the warning aside.
`note`: so that nobody is surprised.
"""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from html import unescape
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from mailer import digests, letters, newsletters, notices, render
from mailer.config import Settings
from mailer.db import Connection
from mailer.digests import Digest
from mailer.editions.composing import Composed
from mailer.errors import Unknown
from mailer.newsletters import Newsletter
from mailer.tokens import SLOTS

Level: TypeAlias = Literal["refused", "warning", "note"]

LINK = re.compile(r'\bhref="([^"]*)"')
LOADED = re.compile(
    r"""(?:src=["']?|background=["']?|url\(\s*["']?|@import\s+["'])(https?://[^"'\s)]+)"""
)
SLOT = re.compile("|".join(map(re.escape, SLOTS.values())))


@dataclass(frozen=True)
class Finding:
    """`sentence`: a template in English, the key of its translation, like that of a refusal.

    `of_language`: it is about a language that has less than the others, as may happen any day.
    """

    level: Level
    sentence: str
    values: dict[str, object] = field(default_factory=dict)
    of_language: bool = False

    def __str__(self) -> str:
        return self.sentence.format(**self.values)

    def said(self, language: str) -> str:
        """Translated first and then filled in, never the other way round."""
        return render.translate(self.sentence, language).format(**self.values)


def refused(sentence: str, **values: object) -> Finding:
    return Finding("refused", sentence, values)


def warning(sentence: str, *, of_language: bool = False, **values: object) -> Finding:
    return Finding("warning", sentence, values, of_language)


def note(sentence: str, **values: object) -> Finding:
    return Finding("note", sentence, values)


async def findings(
    conn: Connection,
    settings: Settings,
    digest: Digest,
    newsletter: Newsletter,
    composed: Sequence[Composed],
) -> list[Finding]:
    """The worst first."""
    found = [
        *emptiness(newsletter, digest, composed),
        *size(composed),
        *text(composed),
        *foreign(settings, composed),
        *pictures(newsletter, composed),
        *[f async for f in links(conn, settings, digest, composed)],
        *untranslated(composed),
        *[f async for f in old_notices(conn, newsletter)],
    ]
    rank = {"refused": 0, "warning": 1, "note": 2}
    return sorted(found, key=lambda finding: rank[finding.level])


def emptiness(
    newsletter: Newsletter, digest: Digest, composed: Sequence[Composed]
) -> list[Finding]:
    if not composed:
        return [refused("There is nothing to read in it: pick an article, or cancel it.")]
    found = []
    shown = {c.edition.language for c in composed}
    said = {lang for lang, words in digest.introduction.items() if words.strip()}
    for language in newsletter.languages:
        if language not in shown:
            found.append(
                warning(
                    "No article is in {language}: its readers get nothing.",
                    of_language=True,
                    language=language,
                )
            )
        elif said and language not in said:
            found.append(
                warning(
                    "The introduction is missing in {language}.",
                    of_language=True,
                    language=language,
                )
            )
    return found


def size(composed: Sequence[Composed]) -> list[Finding]:
    """Gmail hides the end of what is longer, and there is the way to unsubscribe."""
    found = []
    for each in composed:
        bytes_ = len(each.edition.html.encode())
        if bytes_ > letters.MOST_BYTES:
            found.append(
                refused(
                    "The edition in {language} has {size} KB, and {most} is the most: "
                    "shorten the introduction.",
                    language=each.edition.language,
                    size=bytes_ // 1000,
                    most=letters.MOST_BYTES // 1000,
                )
            )
        elif each.letter.shortened:
            found.append(
                note(
                    "Articles are shortened in {language} to fit a mail.",
                    language=each.edition.language,
                )
            )
    return found


def text(composed: Sequence[Composed]) -> list[Finding]:
    bare = {
        item.article.title: None
        for each in composed
        for item in each.items
        if not (item.article.summary or item.article.url or item.attachments)
    }
    return [warning("“{title}” has no text, no link and no file.", title=title) for title in bare]


def foreign(settings: Settings, composed: Sequence[Composed]) -> list[Finding]:
    """What a mail would load as it is opened, and so tell somebody who reads it and when. Pictures
    that the newsletter wants come from us."""
    loaded = [u for c in composed for u in LOADED.findall(unescape(c.edition.html))]
    own = f"{settings.base_url}/"
    hosts = {urlsplit(u).netloc: None for u in loaded if not u.startswith(own)}
    return [
        warning("The mail would load something from {host}: a template does that.", host=host)
        for host in hosts
    ]


def pictures(newsletter: Newsletter, composed: Sequence[Composed]) -> list[Finding]:
    if not newsletter.images:
        return []
    items = {item.article.id: item for each in composed for item in each.items}
    missing = [i for i in items.values() if i.article.image_url and i.picture is None]
    if not missing:
        return []
    return [
        note(
            "Pictures that are not here, and so not in the mail: {count}. They are brought from "
            "the site within minutes, if it gives them.",
            count=len(missing),
        )
    ]


async def links(
    conn: Connection, settings: Settings, digest: Digest, composed: Sequence[Composed]
) -> AsyncIterator[Finding]:
    """Of our own pages, those that are not there; nobody else is asked for theirs."""
    urls = {unescape(u): None for each in composed for u in LINK.findall(each.edition.html)}
    base = settings.base_url
    for url in urls:
        path = url.removeprefix(base).partition("?")[0].partition("#")[0]
        if url.startswith(base) and not SLOT.search(url) and not await there(conn, path, digest):
            yield warning("A link leads to {url}, where there is nothing.", url=url)


async def there(conn: Connection, path: str, digest: Digest) -> bool:
    """Whether one of our public pages answers, or will once this digest is being sent."""
    try:
        match path.strip("/").split("/"):
            case [""] | ["form"] | ["archive"]:
                found = True
            case ["notice", id_]:
                found = bool(await notices.find(conn, id_))
            case ["archive", slug] | ["archive", slug, "feed.xml"]:
                found = (await newsletters.find(conn, slug)).archived
            case ["archive", slug, number]:
                issue = await digests.find(conn, slug, int(number))
                began = issue.id == digest.id or issue.issued is not None
                found = began and (await newsletters.find(conn, slug)).archived
            case _:
                found = False
    except (Unknown, ValueError):
        return False
    return found


def untranslated(composed: Sequence[Composed]) -> list[Finding]:
    found = []
    for each in composed:
        language = each.edition.language
        foreign = [i for i in each.items if i.article.language != language]
        if foreign:
            found.append(
                note(
                    "{count} of {all} articles are not in {language}: its readers get them in "
                    "another language, which is named.",
                    count=len(foreign),
                    all=len(each.items),
                    language=language,
                )
            )
    return found


async def old_notices(conn: Connection, newsletter: Newsletter) -> AsyncIterator[Finding]:
    for language in newsletter.languages:
        if await notices.current(conn, newsletter.id, language) is None:
            yield note(
                "There is no notice in {language}: nobody can subscribe in it.", language=language
            )
    if behind := await notices.count_behind(conn, newsletter.id):
        yield note("{count} readers agreed to a notice that is out of date.", count=behind)
