"""Lists as people really send them: whatever they are written in, they are read or refused."""

import codecs
import csv
import io
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.errors import Invalid
from mailer.imports import COLUMNS, Line, Manner, Reading, Wrong
from mailer.imports.reading import LINE_CHARACTERS, delimiter_of

NAMES = "email,language\n"


def read(data: bytes | str, manner: Manner | None = None) -> list[Line | Wrong]:
    raw = data.encode() if isinstance(data, str) else data
    return list(Reading(io.BytesIO(raw), manner or Manner()))


def emails(data: bytes | str, manner: Manner | None = None) -> list[str]:
    return [line.cells["email"] for line in read(data, manner) if isinstance(line, Line)]


def refusal(data: bytes | str, manner: Manner | None = None) -> Invalid:
    with pytest.raises(Invalid) as refused:
        read(data, manner)
    return refused.value


# what it is written in


@pytest.mark.parametrize(
    "data",
    [
        (NAMES + "вера@пример.рф,ru\n").encode(),
        codecs.BOM_UTF8 + (NAMES + "вера@пример.рф,ru\n").encode(),
        (NAMES + "вера@пример.рф,ru\n").encode("utf-16"),
        codecs.BOM_UTF16_BE + (NAMES + "вера@пример.рф,ru\n").encode("utf-16-be"),
        (NAMES + "вера@пример.рф,ru\n").encode("utf-16-le"),
        (NAMES + "вера@пример.рф,ru\n").encode("utf-16-be"),
    ],
)
def test_unicode_is_read_in_all_its_forms(data: bytes) -> None:
    assert emails(data) == ["вера@пример.рф"]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("email,имя\na@example.org,Вера Иванова\n", "windows-1251"),
        ("email,name\na@example.org,Zoë Müller\n", "windows-1252"),
    ],
)
def test_older_encodings_are_never_guessed_but_named(text: str, encoding: str) -> None:
    refused = refusal(text.encode(encoding))
    assert (refused.field, refused.values["guess"]) == ("encoding", encoding)
    assert emails(text.encode(encoding), Manner(encoding=encoding)) == ["a@example.org"]


def test_an_encoding_that_is_none_is_refused() -> None:
    for name in ("klingon", "base64", "x" * 100, "a\0b"):
        assert refusal(NAMES, Manner(encoding=name)).field == "encoding"


def test_a_file_that_changes_its_encoding_far_down_is_refused_whole() -> None:
    lines = "".join(f"a{n}@example.org,en\n" for n in range(20_000))
    refused = refusal((NAMES + lines).encode() + "вера@пример.рф,ru\n".encode("windows-1251"))
    assert "UTF-8 any more" in str(refused)


@pytest.mark.parametrize("data", [b"PK\x03\x04xlsx", b"\xd0\xcf\x11\xe0xls", b"\x1f\x8bgz"])
def test_workbooks_are_not_lists(data: bytes) -> None:
    assert "save the list as CSV" in str(refusal(data))


# lines and columns


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_delimiters_and_line_ends_are_found_out(delimiter: str, end: str) -> None:
    text = end.join(["name", "Anna"]) + end
    text = end.join(
        delimiter.join(cells) for cells in (["Name", "E-Mail", "Lang"], ["Anna", "a@b.org", "ru"])
    )
    (line,) = read(text)
    assert isinstance(line, Line)
    assert line.cells == {"email": "a@b.org", "language": "ru"}


def test_mixed_line_ends_and_quotes_count_lines_as_editors_do() -> None:
    text = 'email,name\r\na@b.org,"Anna\r\nof B"\nnot one\rb@b.org,"B; ""B"""\n\n\nc@b.org,C'
    numbers = [(line.number, type(line)) for line in read(text)]
    assert numbers == [(2, Line), (4, Wrong), (5, Line), (8, Line)]


def test_what_excel_puts_first_is_understood() -> None:
    (line,) = read("sep=;\r\nemail;language\r\na@b.org;ru\r\n")
    assert (line.number, isinstance(line, Line)) == (3, True)


def test_columns_are_mapped_as_somebody_says() -> None:
    text = "Kontakt,Sprache,email\nanna@example.org,de,old@example.org\n"
    manner = Manner({"email": "kontakt", "language": "Sprache"})
    (line,) = read(text, manner)
    assert isinstance(line, Line)
    assert line.cells == {"email": "anna@example.org", "language": "de"}
    (line,) = read(text, Manner({"language": ""}))
    assert isinstance(line, Line)
    assert line.cells == {"email": "old@example.org"}


@pytest.mark.parametrize(
    ("text", "manner", "said"),
    [
        ("", Manner(), "The file is empty"),
        ("\n\n", Manner(), "The file is empty"),
        ("name,phone\n", Manner(), "no column email; it has name, phone"),
        ("name\n", Manner({"email": "Mail"}), "no column Mail"),
        (NAMES, Manner({"shoe": "email"}), "shoe is not understood"),
        ("anna@example.org,en\n", Manner(), "an address in it"),
        (NAMES + '"a@b.org,en\nb@b.org,en\n', Manner(), "line 2 opens is never closed"),
        ('"email\n', Manner(), "line 1 opens is never closed"),
        (NAMES + "x" * (LINE_CHARACTERS + 1), Manner(), "Line 2 is longer"),
    ],
)
def test_what_can_t_be_read_is_refused_with_what_to_do(
    text: str, manner: Manner, said: str
) -> None:
    refused = str(refusal(text, manner))
    assert said in refused
    assert "anna" not in refused


def test_cells_too_many_or_too_few_are_the_line_s_own_fault() -> None:
    found = read(NAMES + "a@b.org\na@b.org,en,x\nb@b.org,en,,,\nc@b.org,en\n")
    assert [type(line) for line in found] == [Wrong, Wrong, Line, Line]
    assert isinstance(found[0], Wrong)
    assert str(found[0].error) == "This line has 1 cells; the first line names 2."


def test_formulas_are_text_and_an_export_s_mark_comes_off() -> None:
    assert emails(NAMES + "'=x@example.org,\n'+y@example.org,\n=1+1,\n'z@example.org,\n") == [
        "=x@example.org",
        "+y@example.org",
        "=1+1",
        "'z@example.org",
    ]


def test_the_hash_is_of_the_whole_file() -> None:
    data = (NAMES + "a@b.org,en\n" * 30_000).encode()
    reading = Reading(io.BytesIO(data), Manner())
    assert len(list(reading)) == 30_000
    assert reading.source.position == len(data)
    import hashlib

    assert reading.sha256 == hashlib.sha256(data).digest()


class Endless(io.RawIOBase):
    """A list of so many lines, made as it is read."""

    def __init__(self, lines: int) -> None:
        self.lines: Iterator[bytes] = (b"reader%d@example.org,en\n" % n for n in range(lines))
        self.ahead = NAMES.encode()

    def read(self, size: int = -1) -> bytes:
        while len(self.ahead) < size and (line := next(self.lines, b"")):
            self.ahead += line
        taken, self.ahead = self.ahead[:size], self.ahead[size:]
        return taken


def test_memory_stays_the_same_however_long_a_file_is() -> None:
    peaks = []
    for lines in (5_000, 100_000):
        tracemalloc.start()
        assert sum(1 for _ in Reading(Endless(lines), Manner())) == lines
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


@given(st.binary(max_size=400), st.sampled_from([None, "utf-16", "windows-1251", "latin-1"]))
def test_whatever_the_bytes_there_are_lines_or_one_sentence(
    data: bytes, encoding: str | None
) -> None:
    for start in (b"", NAMES.encode()):
        try:
            found = read(start + data, Manner(encoding=encoding))
        except Invalid as error:
            said = str(error)
        else:
            said = ""
            assert all(isinstance(line, Line | Wrong) for line in found)
        assert not said or said.endswith(".")


# A bare CR outside of quotes, which Python's writer leaves there, ends a line on old Macs.
cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=20)


@given(
    st.lists(st.tuples(cells, cells), max_size=5),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\r\n", "\n"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_what_other_programs_write_is_read_as_it_was(
    rows: list[tuple[str, str]], delimiter: str, end: str, encoding: str
) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end)
    writer.writerow(("email", "agreed_how"))
    writer.writerows(rows)
    found = read(out.getvalue().encode(encoding))
    assert all(isinstance(line, Line) for line in found)
    wanted = [row for row in rows if any(cell.strip() for cell in row)]
    assert len(found) == len(wanted)


def test_a_delimiter_is_that_which_parts_most() -> None:
    assert delimiter_of('"a,b";c;d\n') == ";"
    assert delimiter_of("email\n") == ","


def test_the_columns_are_those_of_the_documents() -> None:
    from mailer import resources

    text = (resources("sql").parent / "docs" / "imports.md").read_text("utf-8")
    assert all(f"`{column}`" in text for column in COLUMNS)
