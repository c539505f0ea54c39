"""What a mail that came back says: every shape, every class, and any bytes at all."""

import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bench import bounces as bench
from mailer.bounces.reading import MOST_BYTES, read
from mailer.bounces.reasons import KINDS, WORDS, judge, reply
from mailer.tokens import Token
from tests.conftest import times

CORPUS = Path(os.environ.get("MAILER_CORPUS", "../shared/corpus")) / "bounces"
TOKEN = str(Token(1234567, bytes(range(16))))
ORIGINAL = f"""\
Return-Path: <b+{TOKEN}@bounces.example.org>
Message-ID: <0b9f1f36-6d0c-4a7c-8f3e-2d1c0b9a8f7e@news.example.org>
List-Unsubscribe: <https://news.example.org/u/{TOKEN}>
Subject: Rights Weekly
"""


def dsn(diagnostic: str, status: str, *, action: str = "failed", human: str = "Sorry.") -> bytes:
    return f"""\
From: MAILER-DAEMON@mx.example.net
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=edge

--edge
Content-Type: text/plain

{human}

--edge
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; anna@example.org
Action: {action}
Status: {status}
Diagnostic-Code: smtp; {diagnostic}

--edge
Content-Type: text/rfc822-headers

{ORIGINAL}
--edge--
""".encode()


def arf(kind: str) -> bytes:
    return f"""\
From: feedback@provider.example.net
Subject: complaint
Content-Type: multipart/report; report-type=feedback-report; boundary=edge

--edge
Content-Type: text/plain

A report.

--edge
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: Example/1
Version: 1

--edge
Content-Type: message/rfc822

{ORIGINAL}
Hello

--edge--
""".encode()


def plain(subject: str, body: str, sender: str = "MAILER-DAEMON@mx.example.net") -> bytes:
    return f"From: {sender}\nSubject: {subject}\n\n{body}\n".encode()


# classes


@pytest.mark.parametrize(
    ("diagnostic", "status", "reason"),
    [
        ("550 5.1.1 <anna@example.org>: Recipient address rejected: User unknown", "5.1.1",
         "no-mailbox"),
        ("550 5.1.2 Host unknown", "5.1.2", "no-domain"),
        ("556 5.1.10 Recipient address has null MX", "5.1.10", "no-mail"),
        ("550 5.4.1 Recipient address rejected: Access denied", "5.4.1", "no-mailbox"),
        ("550 5.2.1 The email account that you tried to reach is disabled", "5.2.1", "disabled"),
        ("552 5.2.2 over quota", "5.2.2", "full"),
        ("550 5.1.1 User unknown; account suspended", "5.1.1", "disabled"),
        ("450 4.1.1 User unknown in virtual mailbox table", "4.1.1", "trouble"),
        ("550 5.7.1 Client host blocked using zen.spamhaus.org", "5.1.1", "blocked"),
        ("550 5.7.26 Unauthenticated email is not accepted due to DMARC policy", "5.7.26",
         "authentication"),
        ("554 5.7.1 Message rejected as spam", "5.7.1", "spam"),
        ("452 4.7.0 Too many messages from your network", "4.7.0", "rate"),
        ("552 5.3.4 Message too large", "5.3.4", "size"),
        ("554 5.7.1 Relay access denied", "5.7.1", "setup"),
        ("connect to mx.example.org[192.0.2.1]:25: Connection timed out", "4.4.1", "late"),
        ("550 Такого пользователя нет: пользователь не найден", "5.1.1", "no-mailbox"),
        ("", "5.1.1", "no-mailbox"),
        ("", "4.4.7", "late"),
        ("", "5.0.0", "unsaid"),
    ],
)  # fmt: skip
def test_a_delivery_report_is_read_by_its_words_and_then_by_its_codes(
    diagnostic: str, status: str, reason: str
) -> None:
    assert read(dsn(diagnostic, status)).reason == reason


def test_unknown_is_believed_only_in_answer_to_the_address_or_with_a_code_about_addresses() -> None:
    said = "550 no such user"
    assert read(dsn(f"{said} (in reply to RCPT TO command)", "5.0.0")).kind == "hard"
    assert read(dsn("550 5.1.1 no such user", "5.1.1")).kind == "hard"
    assert read(dsn(f"{said} (in reply to end of DATA command)", "5.0.0")).kind == "soft"
    assert read(dsn("550 5.1.0 user unknown (in reply to MAIL FROM)", "5.1.0")).kind == "policy"


def test_what_an_address_or_a_link_spells_is_not_taken_for_the_reason() -> None:
    spelt = "550 5.1.1 <mailbox-full@spam.example.org>: User unknown, see https://x.example/dmarc"
    assert read(dsn(spelt, "5.1.1")).reason == "no-mailbox"


def test_a_report_about_several_is_hard_only_if_all_of_them_are_dead() -> None:
    both = dsn("550 5.1.1 User unknown", "5.1.1").replace(
        b"--edge\nContent-Type: text/rfc822-headers",
        b"Final-Recipient: rfc822; boris@example.org\nAction: failed\nStatus: 5.2.2\n"
        b"Diagnostic-Code: smtp; 552 5.2.2 mailbox full\n\n"
        b"--edge\nContent-Type: text/rfc822-headers",
    )
    assert read(both).reason == "full"


def test_a_delay_and_a_note_of_delivery_are_no_failure() -> None:
    assert read(dsn("", "4.0.0", action="delayed")).reason == "delayed"
    assert read(dsn("250 2.1.5 Ok", "2.1.5", action="delivered")).kind == "auto-reply"


@pytest.mark.parametrize("kind", ["abuse", "fraud", "virus", "other", "opt-out", "never-seen"])
def test_a_feedback_report_is_a_complaint(kind: str) -> None:
    assert read(arf(kind)).kind == "complaint"


@pytest.mark.parametrize("kind", ["not-spam", "auth-failure"])
def test_unless_it_blames_nobody(kind: str) -> None:
    assert read(arf(kind)).reason == "no-complaint"


@pytest.mark.parametrize(
    "subject",
    ["Automatic reply: Rights Weekly", "Автоответ: в отпуске", "Out of office", "Auto: x",
     "Absent du bureau : Rights Weekly", "Fuera de la oficina", "Fuori sede", "Ausente: Hello",
     "Afwezig: Hello", "自動応答: Hello", "Abwesenheitsnotiz: Hello"],
)  # fmt: skip
def test_a_note_of_absence_is_an_answer_by_a_machine(subject: str) -> None:
    away = plain(subject, "The user is away; user unknown.", "Anna <anna@example.org>")
    assert read(away).reason == "absence"


def test_a_mail_that_asks_to_leave_is_seen_by_its_subject() -> None:
    asked = plain(f"unsubscribe {TOKEN}", "", "Anna <anna@example.org>")
    found = read(asked)
    assert found.kind == "unsubscribe"
    assert [(c.purpose, c.text) for c in found.claims] == [("leave", TOKEN)]


def test_a_letter_by_a_person_is_never_a_bounce() -> None:
    assert read(plain("Hello", "550 5.1.1 user unknown", "anna@example.org")).kind == "unknown"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("<anna@example.org>:\nSorry, no mailbox here by that name. (#5.1.1)", "no-mailbox"),
        ("The following address failed:\n  anna@example.org\n    Unrouteable address", "no-domain"),
        ("550-5.1.1 The email account that you tried to reach does not exist.", "no-mailbox"),
        ("SMTP error from remote mail server after RCPT TO:<anna@example.org>:\n"
         "550 unknown user", "no-mailbox"),
        ("because:\n User Anna not listed in Domino Directory", "no-mailbox"),
        ("Das Postfach ist voll: 552 Postfach voll", "full"),
        ("Your message could not be delivered.", "unsaid"),
    ],
)  # fmt: skip
def test_bounces_of_no_standard_form_are_read_as_well(body: str, reason: str) -> None:
    assert read(plain("failure notice", body)).reason == reason


def test_what_the_returned_mail_says_is_not_read() -> None:
    body = "The mailbox is full.\n--- Below this line is a copy of the message.\n550 user unknown"
    assert read(plain("failure notice", body)).reason == "full"


# whose it was


def test_tokens_and_ids_are_found_where_a_provider_leaves_them() -> None:
    for raw in (dsn("550 5.1.1 x", "5.1.1"), arf("abuse")):
        found = read(raw)
        assert [(c.purpose, c.text) for c in found.claims] == [("bounce", TOKEN), ("leave", TOKEN)]
        assert [str(each) for each in found.messages] == ["0b9f1f36-6d0c-4a7c-8f3e-2d1c0b9a8f7e"]


# anything at all


@pytest.mark.fuzzed
@given(st.binary(max_size=3000))
@example(b"")
@example(b"Content-Type: multipart/report; boundary=\xff\n\n--\xff\n")
@example(b"Subject: =?x-none?q?a?=\nFrom: MAILER-DAEMON\nContent-Type: text/plain; charset=q\n\na")
@example(b"Content-Type: text/plain; charset*=a'b'%ff\nContent-Transfer-Encoding: base64\n\n!")
@hypothesis_settings(max_examples=times(300))
def test_any_bytes_have_a_class(raw: bytes) -> None:
    assert read(raw).reason in KINDS


@pytest.mark.fuzzed
@given(st.binary(max_size=60), st.integers(0, 2000), st.integers(0, 60))
@hypothesis_settings(max_examples=times(300))
def test_so_does_a_report_with_bytes_changed(noise: bytes, at: int, gone: int) -> None:
    for raw in (dsn("550 5.1.1 User unknown", "5.1.1"), arf("abuse")):
        assert read(raw[:at] + noise + raw[at + gone :]).reason in KINDS


@given(st.text(max_size=300))
def test_any_answer_has_a_reason(text: str) -> None:
    assert judge(reply(text)) in KINDS


HEAD = b"From: MAILER-DAEMON@example.net\nSubject: failure\nContent-Type: %s\n\n"


@pytest.mark.parametrize("kind", [b"text/plain", b"text/html", b"message/delivery-status"])
@pytest.mark.parametrize(
    "unit", [b"a", b"\n", b" ", b"-", b"<", b"a@", b"a.", b"> ", b"user ", b"\n \n", b"b+",
             b"status: ", b"5.1.", b"550 5.1.1 a\n\n", b'{"notificationType":', b"a\n\n"],
)  # fmt: skip
def test_ten_megabytes_of_anything_take_no_longer_than_reading_a_few_letters(
    kind: bytes, unit: bytes
) -> None:
    """Whatever is in them: 1,000 bytes of it and 10 MB are not far apart (a square would be)."""
    started = time.process_time()
    read(HEAD % kind + unit * (10_000_000 // len(unit)))
    assert time.process_time() - started < 20, "30 ms are usual"


def test_what_is_read_of_a_mail_is_bounded() -> None:
    late = plain("failure notice", "x" * MOST_BYTES + " mailbox is full")
    assert read(late).reason == "unsaid"


def test_each_reason_has_a_class_and_plain_words() -> None:
    assert set(KINDS) == set(WORDS)
    assert all(words[0].islower() and not words.endswith(".") for words in WORDS.values())


# the real ones


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not on this machine")
def test_real_bounces_are_read_as_well_as_we_promise(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.score(CORPUS), capsys.readouterr().out


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not on this machine")
def test_no_real_bounce_is_taken_for_an_answer_or_a_wish_to_leave() -> None:
    verdicts = json.loads((CORPUS / "verdicts.json").read_text("utf-8"))
    for name, said in verdicts.items():
        kind = read((CORPUS / name).read_bytes()).kind
        if said[0]["reason"] not in ("vacation", "delivered", "feedback"):
            assert kind in ("hard", "soft", "policy"), name
