"""Notices: immutable versions of the words people agree to."""

import hashlib
from dataclasses import replace

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer import consent, notices, subjects
from mailer.db import Connection
from mailer.errors import Invalid, Unknown
from mailer.notices import Notice
from mailer.vault import Vault
from tests import world


async def publish(conn: Connection, vault: Vault, **more: object) -> Notice:
    house = await subjects.house(conn, vault)
    return await notices.publish(conn, house, world.words("en", **more), actor="staff:anna")


async def test_its_id_and_hash_stand_for_its_exact_words(conn: Connection, vault: Vault) -> None:
    notice = await publish(conn, vault)
    assert notice.sha256 == hashlib.sha256(notices.form(notice)).digest()
    assert notice.id == notice.sha256.hex()[:32]
    other = await publish(conn, vault, wording=world.WORDING["en"] + " ")
    assert other.id != notice.id


async def test_the_same_words_again_are_the_same_notice_and_no_event(
    conn: Connection, vault: Vault
) -> None:
    first = await publish(conn, vault)
    assert await publish(conn, vault) == first
    events = await consent.of(conn, await subjects.house(conn, vault))
    assert [e.content["type"] for e in events] == ["notice.published"]
    assert events[0].content["notice"] == {"id": first.id, "sha256": first.sha256.hex()}


async def test_a_new_version_is_current_and_the_old_one_stays(
    conn: Connection, vault: Vault
) -> None:
    weekly = (await world.make(conn, vault)).newsletter
    old = await notices.current(conn, weekly.id, "en")
    new = await publish(conn, vault, wording="Yes, every week.")
    assert old is not None
    assert await notices.current(conn, weekly.id, "en") == new
    assert await notices.find(conn, old.id) == old


async def test_a_newsletters_own_notice_goes_before_one_for_all(
    conn: Connection, vault: Vault
) -> None:
    weekly = (await world.make(conn, vault)).newsletter
    own = await publish(conn, vault, newsletter=weekly.id)
    await publish(conn, vault, wording="For all, and newer.")
    assert await notices.current(conn, weekly.id, "en") == own
    assert own.covers(weekly.id)
    assert not own.covers(weekly.id + 1)


@pytest.mark.parametrize(
    "field", ["wording", "controller", "recipients", "retention", "withdrawal", "purposes"]
)
async def test_every_part_is_needed(conn: Connection, vault: Vault, field: str) -> None:
    for empty in ((), ("",)) if field == "purposes" else ("", " \n"):
        with pytest.raises(Invalid) as refused:
            await publish(conn, vault, **{field: empty})
        assert refused.value.field == field


@pytest.mark.parametrize(
    "change",
    ["update notice set wording = 'other'", "delete from notice", "truncate notice cascade"],
)
async def test_the_database_itself_refuses_changes(
    conn: Connection, vault: Vault, change: str
) -> None:
    await publish(conn, vault)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await conn.execute(change)


async def test_an_unknown_one_is_said_to_be(conn: Connection) -> None:
    with pytest.raises(Unknown, match="old or unknown notice"):
        await notices.find(conn, "0" * 32)


# versions beside one another


def test_what_changed_is_told_word_by_word() -> None:
    old = world.words("en", purposes=("the digest",))
    new = replace(old, wording="Yes, send me the daily digest. I agree that my address is "
                  "stored for it.", purposes=("the digest", "appeals"))  # fmt: skip
    wording, purposes = notices.difference(old, new)
    assert (wording.part, purposes.part) == ("wording", "purposes")
    assert [(piece.kind, piece.text) for piece in wording.pieces] == [
        ("kept", "Yes, send me the "),
        ("gone", "weekly"),
        ("new", "daily"),
        ("kept", " digest. I agree that my address is stored for it."),
    ]
    assert [(piece.kind, piece.text) for piece in purposes.pieces] == [
        ("kept", "the digest"),
        ("new", "\nappeals"),
    ]
    assert notices.difference(old, old) == []


def test_words_of_which_nothing_is_left_are_told_in_one_piece() -> None:
    old = world.words("en", wording="one two three.")
    (change,) = notices.difference(old, replace(old, wording="four five six."))
    assert [(piece.kind, piece.text) for piece in change.pieces] == [
        ("gone", "one two three"),
        ("new", "four five six"),
        ("kept", "."),
    ]


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_difference_holds_both_versions_whole(before: str, after: str) -> None:
    old, new = world.words("en", wording=before), world.words("en", wording=after)
    for change in notices.difference(old, new):
        assert (change.old, change.new) == (before, after)
        assert all(piece.text for piece in change.pieces)


async def test_it_is_known_how_many_agreed_to_which_version(conn: Connection, vault: Vault) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(world.ANNA))
    await world.ask(conn, vault, weekly.wish(world.BORIS))
    new = await publish(conn, vault, wording="Yes, every week.")
    old, _, newest = await notices.standings(conn)
    assert (old.id, old.pending, old.confirmed, old.left) == (weekly.notices["en"].id, 1, 1, 0)
    assert (newest.id, newest.confirmed) == (new.id, 0)
    assert [each.current for each in await notices.standings(conn)] == [False, True, True]
    assert await notices.standings(conn, new.id) == [newest]
