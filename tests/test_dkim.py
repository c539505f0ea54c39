"""DKIM: what we sign, somebody else verifies."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes
from pathlib import Path
from uuid import UUID

import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from mailer import config, dkim, mime, tokens
from mailer.config import Settings, Source
from mailer.dkim import Key, Signer
from mailer.errors import Misconfigured
from mailer.tokens import SLOTS
from tests.test_mime import Letter

ANNA = "anna@example.org"
MESSAGE = UUID("0190b5a4-7a7e-7c3c-9a50-1f2c4d7e8a9b")
AT = datetime(2026, 3, 3, 21, 5, tzinfo=UTC)
FILLING = {purpose: str(tokens.Token(n, bytes(16))) for n, purpose in enumerate(SLOTS)}

RSA, ED25519 = dkim.make("rsa"), dkim.make("ed25519")
SIGNERS = (Signer("example.org", "one", RSA), Signer("example.org", "two", ED25519))

LONG = f"<https://example.org/{'a' * 80}/u/{SLOTS['leave']}>, <mailto:u@example.org>"
LISTED = (
    ("List-Id", "<weekly.example.org>"),
    ("List-Unsubscribe", LONG),
    ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    ("List-Help", f"<https://example.org/me/{SLOTS['manage']}>"),
    ("Feedback-ID", "7:weekly:digest:example.org"),
    ("Auto-Submitted", "auto-generated"),
)
LETTERS = {
    "plain": Letter(html=None),
    "confirmation": Letter(headers=(("Auto-Submitted", "auto-generated"),)),
    "digest": Letter(headers=LISTED),
    "cyrillic": Letter("Приказ №660 " * 9, "Привет\n" * 40, sender_name="Комитет " * 9),
    "arabic": Letter("حقوق الإنسان " * 9, "مرحبا\n" * 40, headers=LISTED),
    "empty": Letter(subject="", text="", html=None),
    "empty lines": Letter(text="\n\n\n", html=None),
    "empty lines at the end": Letter(text="Hello\n\n\n\n", html=None),
    "spaces": Letter("a   b  ", "a   b  \n \t \n", None, sender_name="  c   d  "),
    "a slot first": Letter(text=SLOTS["leave"], html=None),
    "international": Letter(sender="news@пример.рф"),
}


def cast(letter: Letter, signers: Sequence[Signer] = SIGNERS, to: str = ANNA) -> bytes:
    mould = dkim.signed(mime.mould(letter, "example.org"), signers)
    return mould.cast(to, MESSAGE, FILLING, AT)


def verified(mail: bytes, signers: Sequence[Signer] = SIGNERS) -> list[bool]:
    """By dkimpy, of each signature in the mail."""
    records = {f"{signer.name}.": signer.record().encode() for signer in signers}

    def answer(name: bytes, timeout: int = 5) -> bytes:
        return records[name.decode()]

    def holds(place: int) -> bool:
        try:
            return bool(dkimpy.DKIM(mail).verify(place, dnsfunc=answer))
        except dkimpy.ValidationError:  # of the body; of the head it says False
            return False

    return [holds(place) for place in range(mail.count(b"DKIM-Signature:"))]


@pytest.mark.parametrize("letter", LETTERS.values(), ids=LETTERS)
def test_all_kinds_of_mail_verify(letter: Letter) -> None:
    assert verified(cast(letter)) == [True, True]


def test_a_reader_whose_address_is_beyond_ascii_gets_a_mail_that_verifies() -> None:
    assert verified(cast(LETTERS["digest"], to="вера@xn--e1afmkfd.xn--p1ai")) == [True, True]


@given(st.text(), st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"])))
def test_any_text_verifies(text: str, subject: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    assert verified(cast(Letter(subject, text, None), SIGNERS[:1])) == [True]


def test_a_mail_is_the_unsigned_one_with_signatures_above() -> None:
    letter = LETTERS["digest"]
    mail, bare = cast(letter), cast(letter, ())
    assert mail.endswith(bare)
    above = mail.removesuffix(bare)
    assert above.count(b"DKIM-Signature: ") == 2
    assert all(len(line) <= 76 for line in above.split(b"\r\n"))
    assert b"\n" not in above.replace(b"\r\n", b"")


def test_it_says_what_it_signed() -> None:
    found = message_from_bytes(cast(LETTERS["digest"], SIGNERS[:1]))["DKIM-Signature"]
    tags = dict(tag.strip().split("=", 1) for tag in "".join(found.split()).split(";"))
    assert (tags["v"], tags["a"], tags["c"]) == ("1", "rsa-sha256", "relaxed/simple")
    assert (tags["d"], tags["s"]) == ("example.org", "one")
    assert "l" not in tags
    assert tags["h"].split(":") == [
        *("from", "from", "subject", "subject", "date", "date", "to", "message-id"),
        *("mime-version", "content-type", "list-id", "list-unsubscribe", "list-unsubscribe"),
        *("list-unsubscribe-post", "list-help", "feedback-id", "auto-submitted"),
    ]


@pytest.mark.parametrize(
    "added", [b"From: x@example.net", b"Subject: x", b"Date: x", b"List-Unsubscribe: <x>"]
)
@pytest.mark.parametrize("letter", ["digest", "confirmation"])
def test_what_is_put_in_above_breaks_the_signature(letter: str, added: bytes) -> None:
    mail = cast(LETTERS[letter])
    assert verified(added + b"\r\n" + mail) == [False, False]
    assert verified(b"X-Seen: 1\r\n" + mail) == [True, True]


@pytest.mark.parametrize("place", [b"Hello", b"anna@", b"weekly.example", b"/u/AAAA"])
def test_what_is_altered_does_not_verify(place: bytes) -> None:
    mail = cast(LETTERS["digest"])
    assert place in mail
    assert verified(mail.replace(place, place.swapcase())) == [False, False]


def test_the_fingerprint_and_message_id_are_the_moulds() -> None:
    mould = mime.mould(Letter(), "example.org")
    signed = dkim.signed(mould, SIGNERS)
    assert signed.sha256 == mould.sha256
    assert signed.message_id(MESSAGE) == mould.message_id(MESSAGE)
    assert dkim.signed(mould, ()) is mould


def test_a_signer_does_not_show_its_key() -> None:
    assert "key" not in repr(SIGNERS[0])


# keys and settings


def settings(**given: str) -> Settings:
    named = {"MAILER_DKIM_SELECTOR": "one", "MAILER_DKIM_DOMAIN": "example.org"}
    return config.read(Source({**named, **given}), Path("/nowhere"), dev=False)


def pem(key: Key) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def same(left: Key, right: Key) -> bool:
    return dkim.written(left) == dkim.written(right)


@pytest.mark.parametrize("key", [RSA, ED25519])
def test_a_key_is_read_in_each_form(key: Key) -> None:
    escaped = pem(key).replace("\n", "\\n")
    for text in (dkim.written(key), pem(key), escaped):
        (signer,) = dkim.signers(settings(MAILER_DKIM_KEY=text))
        assert same(signer.key, key)
        assert signer.name == "one._domainkey.example.org"


def test_a_key_in_the_older_form_of_openssl_is_read_too() -> None:
    assert isinstance(RSA, rsa.RSAPrivateKey)
    raw = RSA.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    (signer,) = dkim.signers(settings(MAILER_DKIM_KEY=raw.decode()))
    assert same(signer.key, RSA)


@pytest.mark.parametrize("form", [pem, dkim.written])
def test_two_keys_are_read_in_their_order(form: object, tmp_path: Path) -> None:
    assert callable(form)
    file = tmp_path / "keys"
    file.write_text(f"{form(RSA)}\n{form(ED25519)}\n")
    given = settings(MAILER_DKIM_KEY_FILE=str(file), MAILER_DKIM_SELECTOR="one two")
    first, second = dkim.signers(given)
    assert (first.selector, first.algorithm) == ("one", "rsa-sha256")
    assert (second.selector, second.algorithm) == ("two", "ed25519-sha256")


def test_without_a_key_nothing_is_signed() -> None:
    assert dkim.signers(settings()) == ()


def test_the_domain_is_that_of_the_sender_if_none_is_given() -> None:
    given = settings(
        MAILER_DKIM_KEY=dkim.written(RSA),
        MAILER_DKIM_DOMAIN="",
        MAILER_FROM="Новости <news@пример.рф>",
    )
    assert dkim.signers(given)[0].domain == "xn--e1afmkfd.xn--p1ai"


@pytest.mark.parametrize(
    ("sender", "domain", "aligned"),
    [
        ("news@example.org", "example.org", True),
        ("news@mail.example.org", "example.org", True),
        ("news@example.org", "mail.example.org", False),
        ("news@badexample.org", "example.org", False),
    ],
)
def test_a_signature_counts_for_senders_of_its_domain_and_below(
    sender: str, domain: str, aligned: bool
) -> None:
    assert dkim.aligned(settings(MAILER_FROM=sender), domain) is aligned


SHORT = rsa.generate_private_key(65537, 1024)
CURVE = ec.generate_private_key(ec.SECP256R1())
LOCKED = ED25519.private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
).decode()


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"MAILER_DKIM_KEY": "nonsense"}, "MAILER_DKIM_KEY"),
        ({"MAILER_DKIM_KEY": "-----BEGIN PRIVATE KEY-----"}, "MAILER_DKIM_KEY"),
        ({"MAILER_DKIM_KEY": LOCKED}, "MAILER_DKIM_KEY"),
        ({"MAILER_DKIM_KEY": dkim.written(SHORT)}, "MAILER_DKIM_KEY"),
        ({"MAILER_DKIM_KEY": dkim.written(CURVE)}, "MAILER_DKIM_KEY"),  # type: ignore[arg-type]  # no key that signs mail
        ({"MAILER_DKIM_KEY": f"{pem(RSA)}{pem(RSA)}"}, "MAILER_DKIM_KEY"),
        ({"MAILER_DKIM_KEY": pem(RSA), "MAILER_DKIM_SELECTOR": ""}, "MAILER_DKIM_SELECTOR"),
        ({"MAILER_DKIM_KEY": pem(RSA), "MAILER_DKIM_SELECTOR": "a b"}, "MAILER_DKIM_SELECTOR"),
        ({"MAILER_DKIM_KEY": pem(RSA), "MAILER_DKIM_SELECTOR": "a;b"}, "MAILER_DKIM_SELECTOR"),
        ({"MAILER_DKIM_KEY": f"{pem(RSA)}{pem(ED25519)}"}, "MAILER_DKIM_SELECTOR"),
        ({"MAILER_DKIM_KEY": pem(RSA), "MAILER_DKIM_DOMAIN": ""}, "MAILER_DKIM_DOMAIN"),
        ({"MAILER_DKIM_KEY": pem(RSA), "MAILER_DKIM_DOMAIN": "пример.рф"}, "MAILER_DKIM_DOMAIN"),
    ],
)
def test_what_is_malformed_is_named(given: dict[str, str], named: str) -> None:
    with pytest.raises(Misconfigured, match=f"^{named} must") as caught:
        dkim.signers(settings(**given))
    for text in given.values():
        assert len(text) < 10 or text not in str(caught.value)


@pytest.mark.parametrize("key", [RSA, ED25519])
def test_a_record_fits_into_strings_of_a_txt_record(key: Key) -> None:
    record = Signer("example.org", "one", key).record()
    strings = dkim.strings(record)
    assert "".join(strings) == record
    assert all(len(text) <= 255 for text in strings)


def test_a_filled_slot_is_hashed_like_any_text() -> None:
    letter = replace(LETTERS["digest"], html=None, text=f"{SLOTS['leave']}\n{SLOTS['manage']}\n")
    assert verified(cast(letter)) == [True, True]
