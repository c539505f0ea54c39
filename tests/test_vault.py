"""The vault: what is sealed opens for its owner, in its place, under the right key, or never."""

import hmac
from uuid import uuid4

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st

from mailer import subjects, vault
from mailer.db import Connection
from mailer.errors import Misconfigured
from mailer.vault import Subject, Vault

SUBJECT = Subject(uuid4(), b"k" * 32)
PLACE = "subscriber.address"


@given(st.binary(max_size=300))
def test_what_was_sealed_opens_again(value: bytes) -> None:
    assert vault.unseal(SUBJECT, PLACE, vault.seal(SUBJECT, PLACE, value)) == value


@given(st.binary(max_size=64), st.binary(max_size=300))
def test_a_mac_is_the_one_that_everybody_makes(key: bytes, text: bytes) -> None:
    mac = vault.Mac(key)
    assert [mac.digest(text) for _ in range(2)] == [hmac.digest(key, text, "sha256")] * 2


@given(st.binary(max_size=100), st.integers(min_value=0), st.integers(1, 255))
def test_a_changed_byte_anywhere_opens_nothing(value: bytes, place: int, change: int) -> None:
    sealed = bytearray(vault.seal(SUBJECT, PLACE, value))
    sealed[place % len(sealed)] ^= change
    with pytest.raises(InvalidTag):
        vault.unseal(SUBJECT, PLACE, bytes(sealed))


def test_what_was_moved_to_another_place_or_person_opens_nothing() -> None:
    sealed = vault.seal(SUBJECT, PLACE, b"anna@example.org")
    for subject, place in (
        (SUBJECT, "staff.address"),
        (Subject(uuid4(), SUBJECT.dek), PLACE),
        (Subject(SUBJECT.id, b"x" * 32), PLACE),
    ):
        with pytest.raises(InvalidTag):
            vault.unseal(subject, place, sealed)


def test_short_values_are_of_one_length_and_never_the_same_twice() -> None:
    sealed = [vault.seal(SUBJECT, PLACE, b"a" * n) for n in (0, 1, 30, 60, 60)]
    assert len({len(each) for each in sealed}) == 1
    assert len(set(sealed)) == 5


@pytest.mark.parametrize("setting", ["short", "A" * 42, "not base64 at all!"])
def test_a_weak_or_malformed_secret_key_is_refused_by_its_name(setting: str) -> None:
    with pytest.raises(Misconfigured, match="MAILER_SECRET_KEY"):
        vault.masters(setting)


def test_a_secret_key_may_be_base64_or_hexadecimal_and_several() -> None:
    assert vault.masters(f"{'ab' * 32} {vault.new_master()}")[0] == b"\xab" * 32
    assert len(vault.masters(f"{vault.new_master()} {vault.new_master()}")) == 2


async def test_another_secret_key_opens_nothing_and_a_new_one_before_the_old_does(
    conn: Connection,
) -> None:
    old, new = vault.new_master(), vault.new_master()
    first = await subjects.open_vault(conn, old)
    with pytest.raises(Misconfigured, match="MAILER_SECRET_KEY"):
        await subjects.open_vault(conn, new)
    both = await subjects.open_vault(conn, f"{new} {old}")
    assert both.lookup("anna@example.org") == first.lookup("anna@example.org")


async def test_indexes_of_one_address_have_nothing_in_common(
    conn: Connection, vault: Vault
) -> None:
    found = {
        vault.lookup("anna@example.org"),
        vault.suppression("anna@example.org"),
        vault.network("anna@example.org"),
        vault.form("anna@example.org"),
    }
    assert len(found) == 4
    assert {len(each) for each in found} == {32}


def test_what_holds_a_key_does_not_show_it() -> None:
    assert "kkkk" not in repr(SUBJECT)
