"""Staff: accounts, sealed like everybody's data."""

import json

import pytest
from argon2 import PasswordHasher

from mailer import acts, staff, subjects
from mailer.config import Settings
from mailer.db import Connection
from mailer.errors import Conflict, Invalid
from mailer.vault import Vault, new_master
from tests import commands

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


async def test_the_commands_look_after_accounts_and_leave_a_record(
    conn: Connection, settings: Settings
) -> None:
    key = new_master()
    keys = await subjects.open_vault(conn, key)

    async def run(*args: str) -> str:
        return await commands.done(settings, key, "staff", *args)

    async def refused(*args: str) -> str:
        finished = await commands.run(settings, key, "staff", *args)
        assert finished.returncode == 1
        return finished.stderr

    await run("add", "owner@example.org", "--role", "owner", "--password", PASSWORD)
    await run("add", EDITOR, "--role", "editor", "--language", "ru", "--invite")
    editor = await staff.find(conn, keys, EDITOR)
    assert (editor.password, editor.language) == (None, "ru")
    assert await conn.fetchval("select kind from outbox") == "invitation"
    await run("password", EDITOR, "--password", PASSWORD, "--reason", "the letter was lost")
    assert staff.matches((await staff.find(conn, keys, EDITOR)).password, PASSWORD)
    await conn.execute("update staff set totp = 'x' where id = $1", editor.id)
    await run("reset-factor", EDITOR, "--reason", "the phone was lost")
    assert not (await staff.find(conn, keys, EDITOR)).has_factor
    await run("disable", EDITOR)
    assert "already" in await refused("disable", EDITOR)
    await run("enable", EDITOR)
    assert "Somebody must stay owner" in await refused("disable", "owner@example.org")
    assert "no account" in await refused("disable", "nobody@example.org")
    listed = json.loads(await run("list", "--json"))
    assert [(a["email"], a["role"], a["disabled"]) for a in listed] == [
        ("owner@example.org", "owner", False), (EDITOR, "editor", False),
    ]  # fmt: skip
    done = await acts.listed(conn, keys, acts.Filter(), before=None, most=50)
    assert [(act.evidence["act"], act.reason) for act in reversed(done)] == [
        ("account.added", ""), ("account.added", ""), ("password.set", "the letter was lost"),
        ("factor.reset", "the phone was lost"), ("account.disabled", ""), ("account.enabled", ""),
    ]  # fmt: skip
