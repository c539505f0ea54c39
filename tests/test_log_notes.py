"""Signed notes, checkpoints and proofs as text: what is read is what was signed, or nothing is."""

import base64
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer import consent, vault
from mailer.errors import Invalid
from mailer.log import notes
from mailer.log.notes import Key, Proof
from mailer.vault import Vault

CORPUS = Path(os.environ.get("MAILER_CORPUS", Path(__file__).parents[2] / "shared" / "corpus"))
ORIGIN = "mailer/6a1f0b0e-0000-4000-8000-000000000000"


def signer() -> Vault:
    keys = Vault([b"m" * 32])
    keys.take_key("log", keys.new_key("log"))
    return keys


KEYS = signer()
KEY = Key(ORIGIN, KEYS.verifier)
CHECKPOINT = notes.sign_checkpoint(KEYS, ORIGIN, 7, b"r" * 32)


def test_a_checkpoint_is_three_lines_and_a_signature() -> None:
    origin, size, root, blank, signature, end = CHECKPOINT.note.split("\n")
    assert (origin, size, blank, end) == (ORIGIN, "7", "", "")
    assert base64.b64decode(root) == b"r" * 32
    dash, name, data = signature.split(" ")
    assert (dash, name) == ("—", ORIGIN)
    signed = base64.b64decode(data)
    assert signed[:4] == KEY.id
    assert vault.signed_by(KEY.public, signed[4:], f"{origin}\n{size}\n{root}\n".encode())
    assert notes.open_checkpoint(CHECKPOINT.note, KEY) == CHECKPOINT


def test_a_key_reads_as_it_is_printed() -> None:
    assert notes.parse_key(str(KEY)) == KEY
    name, id_, data = str(KEY).split("+", maxsplit=2)
    assert (name, id_) == (ORIGIN, KEY.id.hex())
    assert base64.b64decode(data) == b"\x01" + KEY.public


@pytest.mark.parametrize("wrong", ["", "name", "name+00000000+AAAA", "x{key}", "{key}A"])
def test_what_is_no_verifier_key_is_refused(wrong: str) -> None:
    with pytest.raises(Invalid, match="NAME"):
        notes.parse_key(wrong.format(key=KEY))


@given(st.data())
def test_a_note_with_any_one_byte_changed_is_refused(data: st.DataObject) -> None:
    whole = bytearray(CHECKPOINT.note.encode())
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    changed = whole.decode("utf-8", "surrogateescape")
    with pytest.raises((Invalid, UnicodeEncodeError)):
        notes.open_checkpoint(changed, KEY)


def test_signatures_of_others_are_let_pass_and_a_false_one_of_ours_is_not() -> None:
    other = f"— witness.example.org/w {base64.b64encode(b'x' * 76).decode()}\n"
    assert notes.open_checkpoint(CHECKPOINT.note + other, KEY).size == 7
    false = f"— {ORIGIN} {base64.b64encode(KEY.id + bytes(64)).decode()}\n"
    with pytest.raises(Invalid, match="not signed"):
        notes.open_checkpoint(CHECKPOINT.note + false, KEY)
    text = CHECKPOINT.note.split("\n\n", maxsplit=1)[0]
    with pytest.raises(Invalid, match="not signed"):
        notes.open_checkpoint(f"{text}\n\n{other}", KEY)


@pytest.mark.parametrize(
    "text",
    [
        "another/log\n7\n{root}\n",
        f"{ORIGIN}\n07\n{{root}}\n",
        f"{ORIGIN}\n-7\n{{root}}\n",
        f"{ORIGIN}\n7\n{{root}}=\n",
        f"{ORIGIN}\n7\nAAAA\n",
        f"{ORIGIN}\n7\n",
        f"{ORIGIN}\n7\n{{root}}\n\nmore\n",
    ],
)
def test_what_is_signed_but_no_checkpoint_of_this_log_is_refused(text: str) -> None:
    made = notes.sign(KEYS, ORIGIN, text.format(root=notes.encoded(b"r" * 32)))
    with pytest.raises(Invalid, match="no checkpoint"):
        notes.open_checkpoint(made, KEY)


@pytest.mark.parametrize("path", [[], [b"a" * 32], [b"a" * 32, b"b" * 32]])
def test_a_proof_is_its_index_its_path_and_the_checkpoint(path: list[bytes]) -> None:
    head, _, note = str(Proof(3, path, CHECKPOINT)).partition("\n\n")
    version, index, *lines = head.split("\n")
    assert (version, index) == ("c2sp.org/tlog-proof@v1", "index 3")
    assert [base64.b64decode(line) for line in lines] == path
    assert notes.open_checkpoint(note, KEY) == CHECKPOINT


def test_a_checkpoint_of_another_log_is_refused() -> None:
    with pytest.raises(Invalid, match="not signed"):
        notes.open_checkpoint(CHECKPOINT.note, replace(KEY, name="mailer/another"))


# what others publish


@pytest.mark.skipif(not CORPUS.is_dir(), reason="no corpus: set MAILER_CORPUS")
def test_a_note_that_others_signed_is_read_with_their_key() -> None:
    given_ = json.loads((CORPUS / "consent" / "signed-note.json").read_text("utf-8"))
    key = notes.parse_key(given_["verifier_key"])
    assert str(key) == given_["verifier_key"]
    assert notes.open_note(given_["note"], key) == "This is an example message.\n"
    with pytest.raises(Invalid, match="not signed"):
        notes.open_note(given_["note"].replace("example message", "other message"), key)


JCS = sorted((CORPUS / "consent" / "jcs" / "input").glob("*.json"))


@pytest.mark.skipif(not CORPUS.is_dir(), reason="no corpus: set MAILER_CORPUS")
def test_the_canonical_form_is_that_of_others() -> None:
    assert JCS
    for path in JCS:
        wanted = (path.parents[1] / "output" / path.name).read_bytes()
        assert consent.canonical(json.loads(path.read_text("utf-8"))) == wanted, path.name


def test_the_canonical_form_sorts_keys_as_utf_16_and_writes_no_blank() -> None:
    content = {"\U0001f600": 1, "\ufb33": [True, None, "\u0007é\\"], "a": {"b": "", "A": -5}}
    written = '{"a":{"A":-5,"b":""},"\U0001f600":1,"\ufb33":[true,null,"\\u0007é\\\\"]}'
    assert consent.canonical(content) == written.encode()
