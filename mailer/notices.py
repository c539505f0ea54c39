"""Notices: immutable versions of the words people consent to, addressed by their content.

What is shown to a person is kept word for word, because consent must be demonstrable with the very
words agreed to (GDPR, Articles 7(1) and 13; EDPB guidelines 05/2020, 104-108).
"""

import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher
from typing import Literal, TypeAlias

from mailer import consent, db
from mailer.consent import Actor, Finding
from mailer.db import Connection
from mailer.errors import Invalid, Unknown
from mailer.vault import Subject

SQL = db.statements("notices")

ID_LENGTH = 32


@dataclass(frozen=True)
class Words:
    """What a person reads before agreeing. `newsletter`: its id, None for every newsletter."""

    newsletter: int | None
    language: str
    wording: str
    controller: str
    purposes: Sequence[str]
    recipients: str
    retention: str
    withdrawal: str


@dataclass(frozen=True)
class Notice(Words):
    """A published version; `sha256` is over the RFC 8785 form of its words."""

    id: str
    sha256: bytes
    valid_from: datetime

    def covers(self, newsletter: int) -> bool:
        return self.newsletter is None or self.newsletter == newsletter


async def publish(conn: Connection, house: Subject, words: Words, *, actor: Actor) -> Notice:
    """Publish a version; the same words again are the same notice. Raises Invalid."""
    check(words)
    digest = hashlib.sha256(form(words)).digest()
    added = await db.first(
        conn,
        Notice,
        SQL.add,
        digest.hex()[:ID_LENGTH],
        digest,
        words.newsletter,
        words.language,
        words.wording,
        words.controller,
        list(words.purposes),
        words.recipients,
        words.retention,
        words.withdrawal,
    )
    if added is None:
        return await find(conn, digest.hex()[:ID_LENGTH])
    await consent.record(
        conn,
        house,
        "notice.published",
        actor=actor,
        notice=added,
        language=added.language,
        evidence={"valid_from": consent.timestamp(added.valid_from)},
    )
    return added


def check(words: Words) -> None:
    for field in ("wording", "controller", "recipients", "retention", "withdrawal"):
        if not getattr(words, field).strip():
            raise Invalid("The notice needs its {part}.", field=field, part=field)
    if not words.purposes or not all(purpose.strip() for purpose in words.purposes):
        raise Invalid("The notice needs at least one purpose.", field="purposes")


def form(words: Words) -> bytes:
    """The exact bytes that a notice's id and hash stand for."""
    return consent.canonical(content(words))


def content(words: Words) -> dict[str, object]:
    """Everything a notice says, as the JSON object whose RFC 8785 form is hashed."""
    return {
        "v": 1,
        "newsletter": words.newsletter,
        "language": words.language,
        "wording": words.wording,
        "controller": words.controller,
        "purposes": list(words.purposes),
        "recipients": words.recipients,
        "retention": words.retention,
        "withdrawal": words.withdrawal,
    }


async def named(conn: Connection, ids: Sequence[str]) -> dict[str, Notice]:
    """Those that events name, by id; notices are never deleted."""
    return {notice.id: notice for notice in await db.fetch(conn, Notice, SQL.named, list(ids))}


async def all_(conn: Connection) -> list[Notice]:
    return await db.fetch(conn, Notice, SQL.all)


# versions beside one another


Kind: TypeAlias = Literal["kept", "gone", "new"]
PARTS = ("language", "wording", "controller", "purposes", "recipients", "retention", "withdrawal")
WORDS = re.compile(r"\s+|\w+|[^\w\s]")


@dataclass(frozen=True)
class Piece:
    """Some words in a row that two versions share, or only one of them has."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class Change:
    """One part of a notice in two versions; read without what is `new` it is the old one."""

    part: str
    pieces: Sequence[Piece]

    @property
    def old(self) -> str:
        return "".join(piece.text for piece in self.pieces if piece.kind != "new")

    @property
    def new(self) -> str:
        return "".join(piece.text for piece in self.pieces if piece.kind != "gone")


def difference(old: Words, new: Words) -> list[Change]:
    """The parts that differ, word by word, in the order in which a notice has them."""
    before, after = said(old), said(new)
    return [
        Change(part, compared(before[part], after[part]))
        for part in PARTS
        if before[part] != after[part]
    ]


def said(words: Words) -> dict[str, str]:
    """Every part as text; purposes a line each."""
    return {**{part: getattr(words, part) for part in PARTS}, "purposes": "\n".join(words.purposes)}


def compared(old: str, new: str) -> list[Piece]:
    """Between words that differ, a space that both have keeps nothing together: it goes along."""
    before, after = WORDS.findall(old), WORDS.findall(new)
    pieces: list[Piece] = []
    gone = added = ""
    for tag, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        was, became = "".join(before[a:b]), "".join(after[c:d])
        if tag == "equal" and (was.strip() or not gone + added):
            pieces += [*changed(gone, added), Piece("kept", was)]
            gone = added = ""
        else:
            gone, added = gone + was, added + became
    return [*pieces, *changed(gone, added)]


def changed(gone: str, added: str) -> list[Piece]:
    return [piece for piece in (Piece("gone", gone), Piece("new", added)) if piece.text]


@dataclass(frozen=True)
class Standing:
    """Which versions there are and who is subscribed under each, in numbers; `newsletter`: slug."""

    id: str
    language: str
    newsletter: str | None
    valid_from: datetime
    current: bool
    pending: int
    confirmed: int
    left: int
    wording: str


async def standings(conn: Connection, id_: str | None = None) -> list[Standing]:
    """Of every version, oldest first; or of one."""
    return await db.fetch(conn, Standing, SQL.standings, id_)


async def current(conn: Connection, newsletter: int, language: str) -> Notice | None:
    """The newest in that language; one of the newsletter's own goes before one for all."""
    return await db.first(conn, Notice, SQL.current, newsletter, language)


async def versions(conn: Connection, newsletter: int, language: str) -> list[Notice]:
    """All that its readers of a language were ever shown, newest first."""
    return await db.fetch(conn, Notice, SQL.versions, newsletter, language)


async def count_behind(conn: Connection, newsletter: int) -> int:
    """Confirmed readers who agreed to other words than the current ones of their language."""
    counted: int = await conn.fetchval(SQL.count_behind, newsletter)
    return counted


async def find(conn: Connection, id_: str) -> Notice:
    """Raises Unknown."""
    found = await db.first(conn, Notice, SQL.find, id_)
    if found is None:
        raise Unknown(
            "The form showed an old or unknown notice: load the page again.", field="notice"
        )
    return found


async def verify(conn: Connection, house: Subject) -> AsyncIterator[Finding]:
    """Whether each notice is, to the byte, the one that was published under its id."""
    published = {
        event.content["notice"]["id"]: event.content["evidence"]["valid_from"]
        for event in await consent.of_type(conn, house, "notice.published")
    }
    for notice in await all_(conn):
        digest = hashlib.sha256(form(notice)).digest()
        if notice.sha256 != digest or notice.id != digest.hex()[:ID_LENGTH]:
            yield Finding(None, None, None, f"the words of notice {notice.id} were changed")
        elif published.pop(notice.id, None) != consent.timestamp(notice.valid_from):
            what = f"notice {notice.id} was not published, or at another time"
            yield Finding(None, None, None, what)
    for id_ in published:
        yield Finding(None, None, None, f"notice {id_} is missing", missing=True)
