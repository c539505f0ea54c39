"""Staff: accounts, sealed like everybody's data."""

import pytest
from argon2 import PasswordHasher

from mailer import staff
from mailer.db import Connection
from mailer.errors import Conflict, Invalid
from mailer.vault import Vault

EDITOR = "editor@example.org"
PASSWORD = "correct horse battery"


async def test_an_account_is_listed_and_its_address_is_sealed(
    conn: Connection, vault: Vault
) -> None:
    await staff.add(conn, vault, EDITOR, "editor", staff.hash_password(PASSWORD))
    (account,) = await staff.all_(conn)
    assert account.email(vault) == EDITOR
    assert account.role == "editor"
    assert EDITOR.encode() not in account.address


async def test_one_address_has_one_account_however_it_is_spelt(
    conn: Connection, vault: Vault
) -> None:
    hashed = staff.hash_password(PASSWORD)
    await staff.add(conn, vault, EDITOR, "editor", hashed)
    with pytest.raises(Conflict, match="already"):
        await staff.add(conn, vault, EDITOR.upper(), "owner", hashed)


def test_a_password_is_kept_as_argon2id_and_a_short_one_refused() -> None:
    hashed = staff.hash_password(PASSWORD)
    assert hashed.startswith("$argon2id$")
    assert PasswordHasher().verify(hashed, PASSWORD)
    with pytest.raises(Invalid, match="at least 12"):
        staff.hash_password("short")
