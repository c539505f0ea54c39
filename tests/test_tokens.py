"""Tokens: one spelling, one purpose, nothing to be read from them."""

from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from mailer import tokens, vault
from mailer.tokens import LENGTH, SLOTS, Token
from mailer.vault import Subject

handles = st.integers(-(2**31), 2**31 - 1)
proofs = st.binary(min_size=16, max_size=16)


@given(handles, proofs)
def test_a_token_is_read_back_from_its_text_of_fixed_length(handle: int, proof: bytes) -> None:
    token = Token(handle, proof)
    assert len(str(token)) == LENGTH
    assert tokens.parse(str(token)) == token


@given(st.text(max_size=40))
def test_whatever_is_no_token_is_none(text: str) -> None:
    found = tokens.parse(text)
    assert found is None or str(found) == text


@given(handles, proofs)
def test_a_token_has_one_spelling(handle: int, proof: bytes) -> None:
    text = str(Token(handle, proof))
    others = {text[:-1] + last for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghij-_0189"} - {text}
    assert all(found is None or found.proof != proof for found in map(tokens.parse, others))


def test_a_proof_is_bound_to_purpose_row_and_person() -> None:
    anna, boris = Subject(uuid4(), b"a" * 32), Subject(uuid4(), b"b" * 32)
    made = {
        vault.proof(anna, "leave", "1"),
        vault.proof(anna, "confirm", "1"),
        vault.proof(anna, "leave", "2"),
        vault.proof(boris, "leave", "1"),
    }
    assert len(made) == 4
    assert Token(1, vault.proof(anna, "leave", "1")).proven_by(vault.proof(anna, "leave", "1"))


def test_what_stands_in_for_a_token_is_never_one() -> None:
    assert {len(slot) for slot in SLOTS.values()} == {LENGTH}
    assert all(tokens.parse(slot) is None for slot in SLOTS.values())
