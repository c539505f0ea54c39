"""A backup brings back every row, is worth nothing without its key, and undoes nobody's no."""

import asyncio
import gzip
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer import address, backups, db, digests, editions, migrate, subjects, subscribers
from mailer.backups import Contents
from mailer.config import Settings
from mailer.db import Connection, Pool
from mailer.errors import Conflict, Invalid
from mailer.vault import Vault, new_master
from tests import commands, desk, site, world
from tests.test_erasures import erase, verified
from tests.test_whole_road import publish
from tests.test_withdrawals import leave, state
from tests.world import ANNA, BORIS, VERA


@pytest.fixture
async def empty(database_url: str) -> AsyncIterator[str]:
    """The URL of a database with nothing in it."""
    name = f"{database_url.partition('?')[0].rpartition('/')[2]}_empty"
    async with backups.scratch(database_url, name) as url:
        yield url


async def written(conn: Connection) -> tuple[Contents, bytes]:
    out = io.BytesIO()
    return await backups.write(conn, out.write), out.getvalue()


async def restored(url: str, stream: bytes) -> Contents:
    async with db.connection(url) as conn:
        return await backups.restore(conn, io.BytesIO(stream))


async def lived_in(conn: Connection, vault: Vault, settings: Settings) -> None:
    """A house with something in most of its rooms."""
    weekly = await world.make(conn, vault)
    for email in (ANNA, BORIS, VERA):
        await world.confirmed(conn, vault, weekly.wish(email))
    await erase(conn, vault, VERA, never_again=True)
    await publish(conn, weekly, "Order 660 was published")
    async with conn.transaction():
        digest = await digests.create(conn, weekly.newsletter, "weekly", by="staff:anna")
        await editions.approve(conn, settings, digest, by="staff:anna", despite_warnings=True)
        await editions.begin(conn, settings, digest)


async def test_every_row_comes_back_but_nobody_is_signed_in_and_everything_verifies(
    conn: Connection, pool: Pool, vault: Vault, settings: Settings, empty: str
) -> None:
    await lived_in(conn, vault, settings)
    async with desk.signed_in(pool, vault, "viewer"):
        made, stream = await written(conn)
        await conn.execute("delete from session")
    assert made.rows["subscription"] == 2
    before = await site.content(conn)
    contents = await restored(empty, stream)
    assert contents == made
    async with db.connection(empty) as there:
        await migrate.check(there)
        after = await site.content(there)
        assert {name for name in before if before[name] != after[name]} <= {"migration", "worker"}
        await verified(there, vault)
        assert await subscribers.by_address(there, vault, address.parse(ANNA)) is not None


async def test_numbers_are_not_given_out_twice_after_a_restore(
    conn: Connection, vault: Vault, settings: Settings, empty: str
) -> None:
    await lived_in(conn, vault, settings)
    last = await conn.fetchval("insert into batch (mails) values (1) returning id")
    await conn.execute("delete from batch where id = $1", last)
    _, stream = await written(conn)
    await restored(empty, stream)
    async with db.connection(empty) as there:
        assert await there.fetchval("insert into batch (mails) values (1) returning id") == last + 1


async def test_it_is_of_one_moment_whatever_happens_meanwhile(
    conn: Connection, pool: Pool, vault: Vault, empty: str
) -> None:
    weekly = await world.make(conn, vault)
    stop = asyncio.Event()

    async def busy() -> int:
        number = 0
        async with pool.acquire() as other:
            while not stop.is_set():
                number += 1
                wish = weekly.wish(f"reader{number}@example.org")
                async with other.transaction():  # as the service does it
                    await world.confirmed(other, vault, wish)
        return number

    working = asyncio.create_task(busy())
    streams = [(await written(conn))[1] for _ in range(3)]
    stop.set()
    assert await working > 0
    await restored(empty, streams[-1])
    async with db.connection(empty) as there:
        await verified(there, vault)


async def test_only_an_empty_database_is_filled(conn: Connection, vault: Vault) -> None:
    _, stream = await written(conn)
    with pytest.raises(Conflict, match="not empty"):
        await backups.restore(conn, io.BytesIO(stream))


async def test_what_is_cut_off_or_changed_is_refused_as_a_whole(
    conn: Connection, vault: Vault, empty: str
) -> None:
    await world.make(conn, vault)
    _, stream = await written(conn)
    plain = gzip.decompress(stream)
    middle = len(plain) // 2
    flipped = plain[:middle] + bytes([plain[middle] ^ 1]) + plain[middle + 1 :]
    longer = gzip.compress(plain + b"H\0\0\0\2{}")
    for wrong in (stream[:-200], gzip.compress(flipped), longer, b"", gzip.compress(b"")):
        with pytest.raises(Invalid, match="not a whole backup"):
            await restored(empty, wrong)
        async with db.connection(empty) as there:
            assert await there.fetchval(backups.SQL.is_empty)


@given(st.binary(max_size=300))
def test_rubbish_is_refused_and_not_read_for_ever(rubbish: bytes) -> None:
    for stream in (rubbish, gzip.compress(rubbish)):
        with pytest.raises(Invalid):
            list(backups.frames(io.BytesIO(stream)))


async def test_a_backup_of_another_program_s_schema_is_refused(
    conn: Connection, vault: Vault, empty: str
) -> None:
    _, stream = await written(conn)
    plain = gzip.decompress(stream)
    length = int.from_bytes(plain[1:5], "big")
    head = json.loads(plain[5 : 5 + length])
    head["migrations"].append({"number": 9999, "name": "9999_later", "sha256": "0" * 64})
    out = io.BytesIO()
    frames = backups.Frames(out.write, lambda _: None)
    frames.put_json(b"H", head)
    frames.end({})
    with pytest.raises(Conflict, match="9999_later"):
        await restored(empty, out.getvalue())


# by command


@pytest.fixture
def key() -> str:
    return new_master()


async def test_by_command_a_backup_is_made_checked_and_restored(
    conn: Connection, settings: Settings, empty: str, key: str, tmp_path: Path
) -> None:
    vault = await subjects.open_vault(conn, key)
    await lived_in(conn, vault, settings)
    recipient = (await commands.done(settings, key, "keys", "age", "--out", "identity")).strip()
    assert (tmp_path / "identity").stat().st_mode & 0o777 == 0o600
    done = await commands.done(
        settings, key, "backup", "--out", "house.age", "--encrypt-to", recipient
    )
    assert "rows of" in done
    assert b"consent" not in (tmp_path / "house.age").read_bytes()
    given = ("restore", "house.age", "--identity", "identity")
    assert "The consent record holds." in await commands.done(settings, key, *given, "--check")

    gone = await erase(conn, vault, ANNA)
    (tmp_path / "erased").write_text(f"{gone}\n")
    await leave(conn, vault, BORIS)
    held = await world.found(conn, vault, BORIS)
    left_at = await conn.fetchval("select left_at from subscription where state = 'left'")
    (tmp_path / "left").write_text(f"{held.subject.id} weekly {left_at.isoformat()}\n")
    finished = await commands.run(settings, key, *given, MAILER_DATABASE_URL=empty)
    assert finished.returncode == 0, finished.stderr
    assert "1 erased again" in finished.stdout
    assert "1 ended again" in finished.stdout
    assert "Digest weekly 1 was being sent and is paused" in finished.stdout
    async with db.connection(empty) as there:
        assert await subscribers.by_address(there, vault, address.parse(ANNA)) is None
        assert await state(there, vault, BORIS) == "left"
        assert await there.fetchval("select state from digest") == "paused"
        await verified(there, vault)
    left_over = await conn.fetchval(
        "select count(*) from pg_database where datname ~ '^mailer_check'"
    )
    assert left_over == 0


async def test_the_wrong_key_opens_nothing(
    conn: Connection, settings: Settings, empty: str, key: str, tmp_path: Path
) -> None:
    await world.make(conn, await subjects.open_vault(conn, key))
    recipient = (await commands.done(settings, key, "keys", "age", "--out", "identity")).strip()
    await commands.done(settings, key, "keys", "age", "--out", "other")
    await commands.done(settings, key, "backup", "--out", "house.age", "--encrypt-to", recipient)
    finished = await commands.run(
        settings, key, "restore", "house.age", "--identity", "other", MAILER_DATABASE_URL=empty
    )
    assert finished.returncode == 1
    assert "This key does not open the backup" in finished.stderr
    again = await commands.run(settings, key, "keys", "age", "--out", "other")
    assert again.returncode == 1


async def test_an_old_backup_is_told_of_once_there_was_one(conn: Connection) -> None:
    assert await backups.overdue(conn) is None
    await backups.note(conn)
    assert await backups.overdue(conn) is None
    await conn.execute("update backup_made set at = at - interval '9 days'")
    assert await backups.overdue(conn) is not None
    await backups.note(conn)
    assert await backups.overdue(conn) is None
