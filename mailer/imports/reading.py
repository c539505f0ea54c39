"""Lists of people as files: what they are written in, and what stands in each line.

CSV as it is met: with commas, semicolons or tabs, any line ends, quotes or none; in UTF-8,
UTF-16 or an older encoding that somebody names, never one that is guessed. Memory stays the same
however long a file is, and however long its lines are.
"""

import codecs
import csv
import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from mailer import exports
from mailer.errors import Invalid

COLUMNS = (
    "email",
    "language",
    "cadence",
    "newsletter",
    "state",
    "agreed_at",
    "agreed_how",
    "agreed_words",
    "agreed_source",
)
"""What is understood of a list; other columns are passed over."""

ALIASES: Mapping[str, Sequence[str]] = {
    "email": (
        "e-mail",
        "mail",
        "email address",
        "e-mail address",
        "почта",
        "эл. почта",
        "электронная почта",
    ),
    "language": ("lang", "язык"),
    "agreed_at": ("confirmed_at",),
}

SAMPLE_BYTES = 1 << 16
LINE_CHARACTERS = 20_000
DELIMITERS = (",", ";", "\t")
SEPARATOR = re.compile(r"sep=(?P<delimiter>.)\s*", re.IGNORECASE)
"""What Excel writes into a first line of its own."""

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
NOT_TEXT = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"%PDF", b"\x1f\x8b")
"""How workbooks, PDF and compressed files begin."""


@dataclass(frozen=True)
class Manner:
    """How somebody says a file is to be read; what they don't say is found out.

    `columns`: by what is understood, the name that the file has for it; "": not to be read.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    encoding: str | None = None
    delimiter: str | None = None


@dataclass(frozen=True)
class Layout:
    """How a file is read. `places`: the columns understood, by their place in `names`."""

    encoding: str
    delimiter: str
    names: Sequence[str]
    places: Mapping[str, int]


@dataclass(frozen=True)
class Line:
    """`cells`: by what is understood; `number`: the first line of the file that it stands in."""

    number: int
    cells: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Wrong:
    """A line that can't be used, and why; the sentence repeats nothing of it."""

    number: int
    error: Invalid


Read: TypeAlias = Line | Wrong


class Bytes(Protocol):
    """A file, as far as it is read: b"" at its end."""

    def read(self, size: int, /) -> bytes: ...


class Source(io.RawIOBase):
    """Bytes of a file on their way; `sample`: its first. How many came, and their hash."""

    def __init__(self, file: Bytes) -> None:
        self.file = file
        self.sample = b""
        while len(self.sample) < SAMPLE_BYTES and (more := file.read(SAMPLE_BYTES)):
            self.sample += more
        self.ahead = self.sample
        self.digest = hashlib.sha256()
        self.position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]  # what BufferedReader hands over
        taken = self.ahead[: len(buffer)] or self.file.read(len(buffer))
        self.ahead = self.ahead[len(taken) :]
        buffer[: len(taken)] = taken
        self.digest.update(taken)
        self.position += len(taken)
        return len(taken)


class Reading:
    """A file opened: its `layout`, and its lines. Raises Invalid if it can't be read at all."""

    def __init__(self, file: Bytes, manner: Manner) -> None:
        self.source = Source(file)
        encoding = encoding_of(self.source.sample, manner.encoding)
        text = io.TextIOWrapper(io.BufferedReader(self.source), encoding, newline="")
        self.text = Text(text, encoding)
        first = next(self.text, "")
        if said := SEPARATOR.fullmatch(first):
            first = next(self.text, "")
        delimiter = manner.delimiter or (said["delimiter"] if said else delimiter_of(first))
        self.records = csv.reader(chained(first, self.text), delimiter=delimiter, strict=True)
        names = self.header()
        self.layout = Layout(encoding, delimiter, names, places(names, manner.columns))
        self.skipped = 1 if said else 0

    @property
    def sha256(self) -> bytes:
        """Of all that was read; of the whole file, once there are no more lines."""
        return self.source.digest.digest()

    def header(self) -> list[str]:
        try:
            names = [name.strip() for name in next(self.records, [])]
        except csv.Error:
            raise unclosed(1) from None
        if not any(names):
            raise Invalid("The file is empty: its first line must name the columns.", field="file")
        if any("@" in name for name in names):
            raise Invalid(
                "The first line must name the columns, and it has an address in it: put a line "
                "such as email,language before it.",
                field="file",
            )
        return names

    def __iter__(self) -> Iterator[Read]:
        while True:
            number = self.records.line_num + self.skipped + 1
            try:
                cells = next(self.records)
            except StopIteration:
                return
            except csv.Error as error:
                if "expected after" not in str(error):  # the quote swallows all that follows
                    raise unclosed(number) from None
                yield Wrong(number, Invalid("A quote ends in the middle of a cell."))
                continue
            if any(cell.strip() for cell in cells):
                yield self.line(number, cells)

    def line(self, number: int, cells: list[str]) -> Read:
        expected = len(self.layout.names)
        while len(cells) > expected and not cells[-1].strip():
            cells.pop()  # spreadsheets fill up
        if len(cells) != expected:
            return Wrong(
                number,
                Invalid(
                    "This line has {count} cells; the first line names {expected}.",
                    count=len(cells),
                    expected=expected,
                ),
            )
        found = {name: bare(cells[place]) for name, place in self.layout.places.items()}
        return Line(number, found)


class Text:
    """The lines of a text, none of them longer than a list's can be. Raises Invalid."""

    def __init__(self, text: io.TextIOWrapper, encoding: str) -> None:
        self.text, self.encoding = text, encoding
        self.number = 0

    def __iter__(self) -> "Text":
        return self

    def __next__(self) -> str:
        try:
            line = self.text.readline(LINE_CHARACTERS + 1)
        except UnicodeError:
            raise Invalid(
                "After line {number} the file is not in {encoding} any more: save it as CSV in "
                "UTF-8.",
                field="file",
                number=self.number,
                encoding=shown(self.encoding),
            ) from None
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) > LINE_CHARACTERS:
            raise Invalid(
                "Line {number} is longer than {most} characters: this is no list of people.",
                field="file",
                number=self.number,
                most=LINE_CHARACTERS,
            )
        return line


def chained(first: str, rest: Iterable[str]) -> Iterator[str]:
    yield first
    yield from rest


def unclosed(number: int) -> Invalid:
    return Invalid(
        "The quote that line {number} opens is never closed.", field="file", number=number
    )


def bare(cell: str) -> str:
    """Without the ' that exports put before what a spreadsheet would run."""
    return exports.unguarded(cell.strip())


# what it is written in


def encoding_of(sample: bytes, named: str | None) -> str:
    """Raises Invalid for what is not text, or in an encoding that nobody named."""
    if sample.startswith(NOT_TEXT):
        raise Invalid("This is not a text file: save the list as CSV in UTF-8.", field="file")
    marked = next((encoding for mark, encoding in MARKS if sample.startswith(mark)), None)
    if marked is not None:
        return marked
    if named is not None:
        return known(named)
    if b"\0" in sample:
        even, odd = sample[::2].count(0), sample[1::2].count(0)
        return "utf-16-le" if odd > even else "utf-16-be"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        raise Invalid(
            "The file is not in UTF-8; it looks like {guess}. Say so if it is, or save it as CSV "
            "in UTF-8.",
            field="encoding",
            guess=guess(sample),
        ) from None
    return "utf-8"


def known(name: str) -> str:
    """An encoding of texts, as Python names it. Raises Invalid."""
    try:
        found = codecs.lookup(name)
        "e".encode(found.name)
    except (LookupError, ValueError):
        raise Invalid(
            "{name} is no encoding: it may be utf-8, utf-16, windows-1251 or windows-1252.",
            field="encoding",
            name=name[:40],
        ) from None
    return "utf-8-sig" if found.name == "utf-8" else found.name


def guess(sample: bytes) -> str:
    """Which of the two commonest: in Cyrillic texts most letters are beyond ASCII."""
    beyond = sum(byte >= 0xC0 for byte in sample)
    letters = sum(chr(byte).isalpha() for byte in sample if byte < 0x80)
    runs = len(re.findall(rb"[\xc0-\xff]{3,}", sample))
    return (
        "windows-1251" if runs and (beyond * 8 > letters or runs * 4 > beyond) else "windows-1252"
    )


def shown(encoding: str) -> str:
    return encoding.upper().removesuffix("-SIG")


def delimiter_of(first: str) -> str:
    """What parts the names of the columns; a comma where nothing does."""
    return max(DELIMITERS, key=lambda each: len(next(csv.reader([first], delimiter=each), ())))


# which column is what


def places(names: Sequence[str], columns: Mapping[str, str]) -> Mapping[str, int]:
    """Where what is understood stands: as somebody says, else by its name. Raises Invalid."""
    if unknown := [each for each in columns if each not in COLUMNS]:
        raise Invalid(
            "{name} is not understood of a list; {known} are.",
            field="map",
            name=unknown[0][:40],
            known=", ".join(COLUMNS),
        )
    at = {name.casefold(): place for place, name in reversed(list(enumerate(names)))}
    found = {column: at.get(columns[column].casefold()) for column in columns if columns[column]}
    if missing := [column for column, place in found.items() if place is None]:
        raise Invalid(
            "The file has no column {name}; it has {known}.",
            field="map",
            name=columns[missing[0]][:40],
            known=", ".join(names)[:400],
        )
    for column in COLUMNS:
        for name in () if column in columns else (column, *ALIASES.get(column, ())):
            if name in at:
                found.setdefault(column, at[name])
    if "email" not in found:
        raise Invalid(
            "The file has no column email; it has {known}. Say which of them holds the addresses.",
            field="map",
            known=", ".join(names)[:400],
        )
    return {column: place for column in COLUMNS if (place := found.get(column)) is not None}
