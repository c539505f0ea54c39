"""Mail as bytes: our own serialisation, compiled once for all readers of a text.

`mould` does the work that is the same for everyone; `Mould.cast` joins in what differs: the
reader's address and tokens, the Message-ID, the date. In the text, `tokens.SLOTS` stand where
tokens go; both have one length, so a line keeps its breaks.

What it promises: CRLF only; lines of the body within 76 characters, none of which begins with a
dot, with "From " or ends in a space; structured header fields as given, on one line each.
"""

import base64
import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cached_property, lru_cache
from typing import Protocol, TypeAlias
from uuid import UUID

from mailer import address, tokens
from mailer.errors import Invalid
from mailer.tokens import SLOTS, Purpose

Slot: TypeAlias = str
"""A purpose of `tokens`, or one of: to, message, date."""

Part: TypeAlias = bytes | Slot
"""Bytes as they go, or a slot."""

LINE = 76
LINE_MOST = 998
WORD_BYTES = 45
"""Of text in one encoded word: 60 characters of base64, 72 with its frame (RFC 2047: 75)."""

SLOT = re.compile("|".join(map(re.escape, SLOTS.values())))
PURPOSES: Mapping[str, Purpose] = {slot: purpose for purpose, slot in SLOTS.items()}
ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+( [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
QUOTABLE = re.compile(r"[!-~]+( [!-~]+)*")
BREAKS = ("Cc", "Cs", "Zl", "Zp")
"""Kinds of characters that no header takes: controls, halves of characters, line separators."""


class Written(Protocol):
    """What a letter says, to whomever: see `letters.Letter`."""

    @property
    def subject(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def html(self) -> str | None: ...
    @property
    def sender(self) -> str: ...
    @property
    def sender_name(self) -> str: ...
    @property
    def headers(self) -> Sequence[tuple[str, str]]: ...


class Filling:
    """What one reader's slots hold."""

    __slots__ = ("texts",)

    def __init__(self, texts: Mapping[Slot, bytes]) -> None:
        self.texts = texts

    def join(self, parts: Sequence[Part]) -> bytes:
        texts = self.texts
        return b"".join([p if isinstance(p, bytes) else texts[p] for p in parts])


@dataclass(frozen=True)
class Mould:
    """A mail with slots: `parts` are bytes as they go and, between them, the names of slots."""

    parts: Sequence[Part]
    domain: str

    def message_id(self, message: UUID) -> str:
        return f"<{message}@{self.domain}>"

    def cast(self, to: str, message: UUID, filling: Mapping[Purpose, str], date: datetime) -> bytes:
        """The mail to one reader. `to`: the address in wire form (`address.wire`).

        `filling`: the text of a token for each purpose the mail needs; others are left.
        """
        return self.fill(to, message, filling, date).join(self.parts)

    def fill(
        self, to: str, message: UUID, filling: Mapping[Purpose, str], date: datetime
    ) -> Filling:
        texts: dict[Slot, bytes] = {
            "to": recipient(to),
            "message": str(message).encode(),
            "date": dated(date.replace(microsecond=0)),
        }
        for purpose, token in filling.items():
            if len(token) != tokens.LENGTH or not (token.isascii() and token.isprintable()):
                raise ValueError(f"a slot takes {tokens.LENGTH} characters")
            texts[purpose] = token.encode()
        return Filling(texts)

    @cached_property
    def sha256(self) -> bytes:
        """Of the mail with the slots' names in place of what fills them."""
        whole = (p if isinstance(p, bytes) else f"{{{p}}}".encode() for p in self.parts)
        return hashlib.sha256(b"".join(whole)).digest()


def recipient(wired: str) -> bytes:
    """Raises Invalid."""
    if not (wired.isascii() and wired.isprintable()):
        plain(wired)
        if not wired.rpartition("@")[2].isascii():
            raise Invalid("In a mail the domain of an address goes in ASCII (xn--…).")
    return wired.encode()


@lru_cache(maxsize=4)
def dated(second: datetime) -> bytes:
    """As Date has it; a worker asks for the same second again and again."""
    return format_datetime(second.astimezone(UTC)).encode()


def mould(letter: Written, domain: str) -> Mould:
    """Compile a letter; `domain`: the right side of its Message-ID. Raises Invalid."""
    parts = [*head(letter, domain), *body(letter)]
    joined: list[Part] = []
    for part in parts:
        if isinstance(part, bytes) and joined and isinstance(joined[-1], bytes):
            joined[-1] += part
        else:
            joined.append(part)
    return sound(Mould(joined, domain))


def sound(made: Mould) -> Mould:
    """What SMTP relies on and nobody looks for again: ASCII, CRLF, no dot begins a line."""
    whole = b"".join(p if isinstance(p, bytes) else b"slot" for p in made.parts)
    breaks = whole.count(b"\r\n")
    assert whole.count(b"\n") == whole.count(b"\r") == breaks, "a mail's lines end in CRLF"
    assert b"\r\n." not in whole, "no line of a mail begins with a dot"
    assert whole.endswith(b"\r\n")
    assert whole.isascii()
    assert b"\0" not in whole
    return made


# header fields


def head(letter: Written, domain: str) -> list[Part]:
    sender = [*phrase(letter.sender_name), f"<{plain(address.wire(letter.sender))}>"]
    return [
        f"From: {fold(sender, len('From: '))}\r\n".encode(),
        b"To: <", "to", b">\r\n",
        f"Subject: {unstructured(letter.subject)}\r\n".encode(),
        b"Date: ", "date", b"\r\n",
        b"Message-ID: <", "message", f"@{domain}>\r\n".encode(),
        *(part for name, value in letter.headers for part in slotted(name, value)),
        b"MIME-Version: 1.0\r\n",
    ]  # fmt: skip


def slotted(name: str, value: str) -> list[Part]:
    """A structured field: as given, on one line, with slots."""
    line = f"{plain(name)}: {plain(value)}"
    if not line.isascii() or len(line) > LINE_MOST:
        raise Invalid("The header field {name} must be short and ASCII.", name=name)
    return [
        PURPOSES.get(piece) or piece.encode()
        for piece in re.split(f"({SLOT.pattern})", line)
        if piece
    ] + [b"\r\n"]


def plain(text: str) -> str:
    """The text itself, if nothing in it could end a line. Raises Invalid."""
    if any(unicodedata.category(character) in BREAKS for character in text):
        raise Invalid("A mail header can't hold line breaks or control characters.")
    return text


def unstructured(subject: str) -> str:
    plain(subject)
    used = len("Subject: ")
    if QUOTABLE.fullmatch(subject) and "=?" not in subject:
        folded = fold(subject.split(" "), used)
        if all(len(line) <= LINE for line in f"{' ' * used}{folded}".split("\r\n")):
            return folded
    return fold(encoded_words(subject, used), used)


def phrase(name: str) -> list[str]:
    """A display name in words: bare, quoted or encoded, as it needs."""
    plain(name)
    used = len("From: ")
    if len(name) <= LINE - used and "=?" not in name:
        if ATOMS.fullmatch(name) or not name:
            return [name] if name else []
        if QUOTABLE.fullmatch(name):
            return ['"{}"'.format(name.replace("\\", "\\\\").replace('"', '\\"'))]
    return encoded_words(name, used)


def encoded_words(text: str, used: int) -> list[str]:
    """RFC 2047 words of at most 75 characters, the first shorter by what is used of its line.

    No character is divided between two.
    """
    chunks, room = [b""], (LINE - used - len("=?utf-8?b??=")) // 4 * 3
    for character in text:
        raw = character.encode()
        if len(chunks[-1]) + len(raw) > room:
            chunks.append(b"")
            room = WORD_BYTES
        chunks[-1] += raw
    return [f"=?utf-8?b?{base64.b64encode(chunk).decode()}?=" for chunk in chunks if chunk] or [""]


def fold(words: Sequence[str], used: int) -> str:
    """Words with spaces between them, and a line break before one that would go beyond 76."""
    folded, width = words[0], used + len(words[0])
    for word in words[1:]:
        breaks = width + 1 + len(word) > LINE
        folded += f"\r\n {word}" if breaks else f" {word}"
        width = 1 + len(word) + (0 if breaks else width)
    return folded


# the body


def body(letter: Written) -> list[Part]:
    if letter.html is None:
        return part("text/plain", letter.text)
    seam = boundary(letter)
    return [
        f'Content-Type: multipart/alternative; boundary="{seam}"\r\n\r\n--{seam}\r\n'.encode(),
        *part("text/plain", letter.text),
        f"\r\n--{seam}\r\n".encode(),
        *part("text/html", letter.html),
        f"\r\n--{seam}--\r\n".encode(),
    ]


def boundary(letter: Written) -> str:
    """The same for the same text, and in no body: quoted-printable never has `=_`."""
    said = f"{letter.text}\0{letter.html}".encode()
    return f"=_{hashlib.sha256(said).hexdigest()[:32]}"


def part(kind: str, text: str) -> list[Part]:
    return [
        f"Content-Type: {kind}; charset=utf-8\r\n".encode(),
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n",
        *quoted_printable(text),
    ]


def quoted_printable(text: str) -> list[Part]:
    """RFC 2045, 6.7, ending in a line break. Neither a slot nor a character is divided."""
    encoded: list[Part] = []
    for line in re.sub("\r\n?", "\n", text).removesuffix("\n").split("\n"):
        encoded += broken(units(line))
    return encoded


def units(line: str) -> list[str]:
    """What a soft break may stand between: characters, encoded where they must be, and slots."""
    found: list[str] = []
    for piece in re.split(f"({SLOT.pattern})", line):
        found += [piece] if piece in PURPOSES else [QUOTED.get(c) or quote(c) for c in piece]
    if found and found[-1] in (" ", "\t"):
        found[-1] = quote(found[-1])
    return found


def quote(character: str) -> str:
    return "".join(f"={byte:02X}" for byte in character.encode("utf-8", "replace"))


QUOTED: Mapping[str, str] = {c: c for c in map(chr, range(32, 127)) if c != "="} | {"\t": "\t"}


def broken(found: Sequence[str]) -> list[Part]:
    """One line of text as lines of at most 76 characters, with its line break."""
    lines: list[Part] = []
    row, width = "", 0
    for place, unit in enumerate(found):
        room = LINE if place == len(found) - 1 else LINE - 1  # for the `=` of a soft break
        if width + len(unit) > room:
            lines.append(f"{row}=\r\n".encode())
            row, width = "", 0
        if unit in PURPOSES:
            lines += [row.encode(), PURPOSES[unit]]
            row = ""
        else:
            row += unit if width else first(found[place : place + 5])
        width += len(unit) if width else max(len(unit), len(row))
    lines.append(f"{row}\r\n".encode())
    return lines


def first(found: Sequence[str]) -> str:
    """How a line may begin: SMTP doubles a dot, and some stores of mail alter "From "."""
    return quote(found[0]) if found[0] == "." or "".join(found) == "From " else found[0]
