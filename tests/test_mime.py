import base64
import email
import email.policy
import quopri
import re
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailer import config, letters, mime, tokens
from mailer.config import Source
from mailer.errors import Invalid
from mailer.tokens import SLOTS

ANNA = "anna@example.org"
MESSAGE = UUID("0190b5a4-7a7e-7c3c-9a50-1f2c4d7e8a9b")
AT = datetime(2026, 3, 3, 21, 5, tzinfo=UTC)
TOKEN = str(tokens.Token(-7, bytes(range(16))))
OTHER = str(tokens.Token(7, bytes(range(16, 32))))

characters = st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"])
lines = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"))


@dataclass(frozen=True)
class Letter:
    subject: str = "News"
    text: str = f"Hello\nhttps://example.org/u/{SLOTS['leave']}\n"
    html: str | None = f'<p>Hello <a href="https://example.org/u/{SLOTS["leave"]}">leave</a></p>'
    sender: str = "news@example.org"
    sender_name: str = ""
    headers: tuple[tuple[str, str], ...] = (("List-Id", "<weekly.example.org>"),)


def cast(letter: Letter, to: str = ANNA, **filling: str) -> bytes:
    filled = {"leave": TOKEN, **filling}
    return mime.mould(letter, "example.org").cast(to, MESSAGE, filled, AT)  # type: ignore[arg-type]  # keys are purposes


def read(raw: bytes) -> EmailMessage:
    found = email.message_from_bytes(raw, policy=email.policy.SMTPUTF8)
    assert isinstance(found, EmailMessage)
    assert not found.defects
    return found


def bodies(raw: bytes) -> list[str]:
    parts = [p for p in read(raw).walk() if not p.is_multipart()]
    return [p.get_content().replace("\r\n", "\n") for p in parts]


def body(text: str) -> bytes:
    """A text as it goes, with slots filled."""
    parts = mime.quoted_printable(text)
    return b"".join(p if isinstance(p, bytes) else TOKEN.encode() for p in parts)


def test_a_mail_is_read_as_it_was_written() -> None:
    raw = cast(Letter())
    found = read(raw)
    assert found["From"] == "news@example.org"
    assert found["To"] == ANNA
    assert found["Subject"] == "News"
    assert found["Date"].datetime == AT
    assert found["Message-ID"] == f"<{MESSAGE}@example.org>"
    assert found["List-Id"] == "<weekly.example.org>"
    assert found["MIME-Version"] == "1.0"
    assert found.get_content_type() == "multipart/alternative"
    assert [p.get_content_type() for p in found.iter_parts()] == ["text/plain", "text/html"]
    assert bodies(raw) == [
        f"Hello\nhttps://example.org/u/{TOKEN}\n",
        f'<p>Hello <a href="https://example.org/u/{TOKEN}">leave</a></p>\n',
    ]


def test_a_letter_without_html_is_plain_text() -> None:
    found = read(cast(Letter(html=None)))
    assert found.get_content_type() == "text/plain"
    assert found["Content-Transfer-Encoding"] == "quoted-printable"


@given(st.text(characters))
@example("a" * 300)
@example(" ".join(["word"] * 60))
@example("Приказ №660 " * 20)
@example("=?utf-8?q?not_encoded?= really")
@example("  two  spaces  ")
@example("🏳️‍🌈" * 40)
def test_any_subject_comes_back_as_it_was(subject: str) -> None:
    raw = cast(Letter(subject=subject))
    assert read(raw)["Subject"] == subject
    head = raw.partition(b"MIME-Version")[0]
    assert head.isascii()
    assert all(len(line) <= 76 for line in head.split(b"\r\n"))
    assert b"\n" not in head.replace(b"\r\n", b"")


def test_encoded_words_keep_the_limits_and_divide_no_character() -> None:
    head = cast(Letter(subject="Приказ №660 о 🏳️‍🌈 " * 12)).partition(b"Date:")[0].decode()
    words = re.findall(r"=\?utf-8\?b\?([^?]*)\?=", head)
    assert len(words) > 5
    assert all(len(word) + len("=?utf-8?b??=") <= 75 for word in words)
    for word in words:
        base64.b64decode(word).decode()


@given(st.text(characters, min_size=1).filter(lambda name: name.strip()))
@example('Anna "the editor" \\ O\'Neil')
@example("Комитет, который следит за соблюдением прав человека во всех странах мира")
@example("a@b.example, c")
@example("Example")
@example("=?x?=")
def test_any_display_name_comes_back_as_it_was(name: str) -> None:
    raw = email.message_from_bytes(cast(Letter(sender_name=name)), policy=email.policy.compat32)
    # The new policy of Python 3.11 puts spaces between encoded words of a phrase.
    said, sender = parseaddr(str(raw["From"]))
    assert sender == "news@example.org"
    assert str(make_header(decode_header(said))) == name
    assert len(read(cast(Letter(sender_name=name)))["From"].addresses) == 1


@pytest.mark.parametrize(
    "odd", ["\r\nBcc: boris@example.org", "\n", "\0", "\x85", "\u2028", "\ud800"]
)
@pytest.mark.parametrize("place", ["subject", "sender_name", "to", "header"])
def test_nothing_that_could_end_a_line_gets_into_a_header(place: str, odd: str) -> None:
    letters = {
        "subject": Letter(subject=f"a{odd}"),
        "sender_name": Letter(sender_name=f"a{odd}"),
        "header": Letter(headers=(("List-Id", f"<a{odd}>"),)),
    }
    to = f"anna{odd}@example.org" if place == "to" else ANNA
    with pytest.raises(Invalid):
        cast(letters.get(place, Letter()), to=to)


def test_long_structured_fields_stay_on_one_line() -> None:
    link = f"<https://example.org/{'a' * 80}/u/{SLOTS['leave']}>, <mailto:u@example.org>"
    raw = cast(Letter(headers=(("List-Unsubscribe", link),)))
    line = f"List-Unsubscribe: {link.replace(SLOTS['leave'], TOKEN)}\r\n"
    assert line.encode() in raw


def test_international_domains_go_in_ascii_and_local_parts_as_they_are() -> None:
    raw = cast(replace(Letter(), sender="news@пример.рф"), to="анна@xn--bcher-kva.example")
    assert "To: <анна@xn--bcher-kva.example>\r\n".encode() in raw
    assert b"From: <news@xn--e1afmkfd.xn--p1ai>\r\n" in raw


@given(lines)
@example(".\n..\nFrom me\n>From\n" + "x" * 75 + ".y\n" + "x" * 75 + "From here")
@example("trailing \ntab\t\n \n")
@example("a" * 75 + "=\n" + "é" * 40 + "\n" + "🏳️‍🌈" * 20)
@example("a" * 75 + " b\n" + "a" * 76 + "\n" + "a" * 77)
@example("\0\x0c\x1c\x85\u2028")
def test_any_text_comes_back_as_it_was(text: str) -> None:
    raw = body(text)
    assert quopri.decodestring(raw).decode().replace("\r\n", "\n").removesuffix("\n") == (
        text.removesuffix("\n")
    )
    assert raw.isascii()
    for line in raw.removesuffix(b"\r\n").split(b"\r\n"):
        assert b"\r" not in line
        assert b"\n" not in line
        assert len(line) <= 76
        assert not line.endswith((b" ", b"\t"))
        assert not line.startswith((b".", b"From "))


@given(st.lists(st.one_of(st.just(SLOTS["leave"]), st.text("a =é\n.", max_size=80))))
def test_slots_are_never_divided_and_lines_keep_their_breaks(pieces: list[str]) -> None:
    text = "".join(pieces)
    raw = body(text)
    assert raw.count(TOKEN.encode()) == text.count(SLOTS["leave"])
    assert all(len(line) <= 76 for line in raw.split(b"\r\n"))


@pytest.mark.parametrize("before", range(120))
def test_a_link_at_any_place_of_a_line_is_whole(before: int) -> None:
    raw = body("a" * before + SLOTS["leave"] + "b" * 60)
    assert TOKEN.encode() in raw
    assert all(len(line) <= 76 for line in raw.split(b"\r\n"))


def test_a_slot_is_no_token() -> None:
    for slot in SLOTS.values():
        assert tokens.PATTERN.fullmatch(slot)
        assert tokens.parse(slot) is None
    assert len(set(SLOTS.values())) == len(SLOTS)


def test_a_slot_in_the_subject_or_a_name_stays_what_it_is() -> None:
    raw = cast(Letter(subject=SLOTS["leave"], sender_name=SLOTS["manage"], html=None, text="x"))
    assert TOKEN.encode() not in raw


def test_what_should_fill_a_slot_must_be_there_and_fit() -> None:
    made = mime.mould(Letter(), "example.org")
    with pytest.raises(KeyError):
        made.cast(ANNA, MESSAGE, {}, AT)
    with pytest.raises(ValueError, match="27"):
        made.cast(ANNA, MESSAGE, {"leave": TOKEN + "\r\n"}, AT)


def test_the_same_letter_makes_the_same_bytes_and_fingerprint() -> None:
    first, second = (mime.mould(Letter(), "example.org") for _ in range(2))
    assert first.cast(ANNA, MESSAGE, {"leave": TOKEN}, AT) == second.cast(
        ANNA, MESSAGE, {"leave": TOKEN}, AT
    )
    assert first.sha256 == second.sha256
    assert first.sha256 != mime.mould(Letter(subject="Else"), "example.org").sha256
    assert first.message_id(MESSAGE) == f"<{MESSAGE}@example.org>"


def test_two_readers_differ_only_where_they_should() -> None:
    raw = cast(Letter())
    other = cast(Letter(), to="vera@example.org", leave=OTHER)
    assert other == raw.replace(ANNA.encode(), b"vera@example.org").replace(
        TOKEN.encode(), OTHER.encode()
    )


def test_the_seam_between_the_parts_is_in_neither() -> None:
    letter = Letter(text="--=_" + "a" * 32, html="--=_")
    raw = cast(replace(letter, text=f"--{mime.boundary(letter)}--"))
    assert bodies(raw)[1] == "--=_\n"


def test_a_reader_costs_a_join_of_bytes() -> None:
    paragraph = "<p>Приказ №660 о правах человека, and a line in English.</p>\n"
    made = mime.mould(Letter(html=paragraph * 300), "example.org")
    started = time.perf_counter()
    for _ in range(100):
        made.cast(ANNA, MESSAGE, {"leave": TOKEN}, AT)
    assert (time.perf_counter() - started) / 100 < 0.001


# a digest as it goes, byte by byte


SUBJECTS = {
    "english": "Rights Weekly",
    "cyrillic": "Приказ №660: что изменилось для тех, кто ждёт решения суда, и куда теперь писать",
    "arabic": "حقوق الإنسان هذا الأسبوع: قرار المحكمة رقم ٦٦٠ وما يعنيه لمن ينتظر",
    "long": "word " * 40,
}


def digest(subject: str) -> bytes:
    """With the longest links that a newsletter is likely to have."""
    base = f"https://news.{'long-' * 10}name.example.org"
    settings = config.read(
        Source({"MAILER_BASE_URL": base, "MAILER_BOUNCE_DOMAIN": "bounces.example.org",
                "MAILER_FROM": "Вестник <news@пример.рф>"}),
        Path("/nowhere"),
        dev=False,
    )  # fmt: skip
    newsletter: Any = SimpleNamespace(
        slug="weekly", archived=True, fallback="en", title=lambda language: "Rights Weekly"
    )
    issue: Any = SimpleNamespace(number=3)
    links = "".join(f"{'x' * n} {base}/u/{SLOTS['leave']} {base}/me/{SLOTS['manage']}\n"
                    for n in range(80))  # fmt: skip
    fields = letters.listed(settings, newsletter, issue, "en")
    name, sender = letters.sent_by(settings, newsletter.title("en"))
    return cast(Letter(subject, links, f"<p>{links}</p>", sender, name, fields), manage=OTHER)


@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS)
def test_a_digest_has_every_field_as_large_providers_want_it(subject: str) -> None:
    raw = digest(subject)
    found = read(raw)
    assert found["Subject"] == subject
    base = f"https://news.{'long-' * 10}name.example.org"
    host = base.removeprefix("https://")
    leave = f"<{base}/u/{TOKEN}>, <mailto:u+{TOKEN}@bounces.example.org?subject=unsubscribe>"
    head = raw.partition(b"\r\n\r\n")[0].decode()
    for line in (
        f"To: <{ANNA}>",
        "Date: Tue, 03 Mar 2026 21:05:00 +0000",
        f"Message-ID: <{MESSAGE}@example.org>",
        f"List-Id: <weekly.{host}>",
        f"List-Unsubscribe: {leave}",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        f"List-Help: <{base}/me/{OTHER}>",
        f"List-Archive: <{base}/archive/weekly>",
        f"Feedback-ID: 3:weekly:digest:{host}",
        "Precedence: bulk",
        "Content-Language: en",
        "Auto-Submitted: auto-generated",
        "X-Auto-Response-Suppress: All",
        "MIME-Version: 1.0",
    ):
        assert head.split("\r\n").count(line) == 1, line
    assert len(leave) > 150
    names = [line.partition(":")[0] for line in head.split("\r\n") if line[:1] not in " \t"]
    assert len(names) == len(set(names)) == 17
    assert found["From"].addresses[0].addr_spec == "news@xn--e1afmkfd.xn--p1ai"
    assert head.isascii()


@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS)
def test_every_token_of_a_digest_is_whole_and_every_line_short(subject: str) -> None:
    raw = digest(subject)
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert b"\r" not in raw.replace(b"\r\n", b"")
    head, _, content = raw.partition(b"\r\n\r\n")
    assert all(len(line) <= 76 for line in content.split(b"\r\n"))
    free = (b"List-", b"Message-ID", b"Feedback-ID", b"Content-Type")
    assert all(len(line) <= 76 for line in head.split(b"\r\n") if not line.startswith(free))
    assert all(len(line) <= 998 for line in head.split(b"\r\n"))
    assert content.count(TOKEN.encode()) == content.count(OTHER.encode()) == 160
    text, html = bodies(raw)
    assert text.count(f"/u/{TOKEN} ") == html.count(f"/u/{TOKEN} ") == 80


def test_what_smtp_relies_on_is_looked_at_when_a_mould_is_made() -> None:
    for odd in (b"a\nb\r\n", b"a\r\n.b\r\n", b"a", b"\0\r\n"):
        with pytest.raises(AssertionError):
            mime.sound(mime.Mould([odd], "example.org"))


def test_an_address_goes_in_the_form_that_was_checked() -> None:
    with pytest.raises(Invalid, match="ASCII"):
        cast(Letter(), to="anna@пример.рф")
