"""Migrations: forward, once, never past what this program knows, and past nobody who works."""

import asyncio
import shutil
from pathlib import Path

import pytest

from mailer import db, migrate, resources
from mailer.config import Settings
from mailer.db import Connection
from mailer.errors import Conflict, Unavailable
from mailer.vault import new_master
from tests import commands


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "0001_one", "create table one (id integer)")
    return tmp_path


def write(folder: Path, name: str, text: str) -> None:
    (folder / f"{name}.sql").write_text(text)


@pytest.fixture
async def empty(server: str, database_url: str, conn: Connection) -> Connection:
    """A database without a schema."""
    await conn.execute("drop schema public cascade; create schema public")
    return conn


async def test_what_is_missing_is_applied_in_order_and_once(
    empty: Connection, folder: Path
) -> None:
    assert await migrate.run(empty, folder) == ["0001_one"]
    write(folder, "0003_three", "alter table two add column three integer")
    write(folder, "0002_two", "create table two (id integer)")
    assert await migrate.run(empty, folder) == ["0002_two", "0003_three"]
    assert await migrate.run(empty, folder) == []
    await migrate.check(empty, folder)


async def test_one_that_fails_leaves_nothing_half_done_and_can_be_tried_again(
    empty: Connection, folder: Path
) -> None:
    write(folder, "0002_two", "create table two (id integer); select nonsense")
    with pytest.raises(Exception, match="nonsense"):
        await migrate.run(empty, folder)
    assert await empty.fetchval("select to_regclass('two')") is None
    write(folder, "0002_two", "create table two (id integer)")
    assert await migrate.run(empty, folder) == ["0002_two"]


async def test_two_at_once_apply_it_once(
    empty: Connection, folder: Path, database_url: str
) -> None:
    async def migrated() -> list[str]:
        async with db.connection(database_url) as conn:
            return await migrate.run(conn, folder)

    done = await asyncio.gather(*(migrated() for _ in range(4)))
    assert sorted(map(len, done)) == [0, 0, 0, 1]


async def test_a_file_edited_afterwards_is_refused(empty: Connection, folder: Path) -> None:
    await migrate.run(empty, folder)
    write(folder, "0001_one", "create table one (id bigint)")
    for refusing in (migrate.run, migrate.check):
        with pytest.raises(Conflict, match="0001_one was edited"):
            await refusing(empty, folder)


async def test_an_older_and_a_newer_schema_are_refused(empty: Connection, folder: Path) -> None:
    with pytest.raises(Conflict, match="older schema"):
        await migrate.check(empty, folder)
    write(folder, "0002_two", "create table two (id integer)")
    await migrate.run(empty, folder)
    (folder / "0002_two.sql").unlink()
    for refusing in (migrate.run, migrate.check):
        with pytest.raises(Conflict, match=r"newer schema \(0002_two\)"):
            await refusing(empty, folder)


async def test_what_a_file_says_in_its_first_line_decides_whether_others_may_go_on(
    empty: Connection, folder: Path
) -> None:
    write(folder, "0002_two", "-- expand\ncreate table two (id integer)")
    write(folder, "0003_three", "-- stop\ndrop table two")
    write(folder, "0004_four", "-- expands\ncreate table four (id integer)")
    kinds = [each.kind for each in migrate.files(folder)]
    assert kinds == ["stop", "expand", "stop", "stop"]
    await migrate.run(empty, folder)
    assert [each.kind for each in await migrate.applied(empty)] == kinds


async def test_who_runs_stays_ready_when_a_later_version_has_only_added(
    empty: Connection, folder: Path
) -> None:
    await migrate.run(empty, folder)
    await migrate.still_fits(empty, folder)
    later = folder / "later"
    shutil.copytree(folder, later)
    write(later, "0002_two", "-- expand\ncreate table two (id integer)")
    with pytest.raises(Conflict, match="older schema"):
        await migrate.still_fits(empty, later)
    await migrate.run(empty, later)
    await migrate.still_fits(empty, folder)
    with pytest.raises(Conflict, match="newer schema"):
        await migrate.check(empty, folder)
    write(later, "0003_three", "-- stop\ndrop table two")
    await migrate.run(empty, later)
    with pytest.raises(Conflict, match=r"newer schema \(0003_three\)"):
        await migrate.still_fits(empty, folder)


@pytest.mark.parametrize("name", ["serve", "work", "dev"])
async def test_one_that_needs_all_to_stop_names_who_runs_and_changes_nothing(
    empty: Connection, folder: Path, database_url: str, name: str
) -> None:
    async with db.pool(database_url, name=name):
        assert await migrate.run(empty, folder) == ["0001_one"]  # nobody worked on nothing
        write(folder, "0002_two", "-- expand\ncreate table two (id integer)")
        assert await migrate.run(empty, folder) == ["0002_two"]
        write(folder, "0003_three", "-- stop\ndrop table two")
        with pytest.raises(Conflict, match=rf"0003_three can't .* stop mailer {name} \S+ on"):
            await migrate.run(empty, folder)
    assert await migrate.run(empty, folder) == ["0003_three"]


async def test_whoever_starts_waits_for_a_migration_and_then_looks(
    empty: Connection, folder: Path, database_url: str
) -> None:
    await migrate.run(empty, folder)
    async with db.connection(database_url) as other:
        async with empty.transaction():
            await empty.execute(migrate.SQL.wait_for_our_turn)
            looking = asyncio.create_task(migrate.check(other, folder))
            await asyncio.sleep(0.1)
            assert not looking.done()
            await empty.execute(migrate.SQL.record, 2, "0002_two", "0" * 64, "stop")
        with pytest.raises(Conflict, match="newer schema"):
            await looking


async def test_a_table_that_somebody_holds_is_waited_for_in_short_turns(
    empty: Connection, folder: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "LOCK_SECONDS", 0.05)
    monkeypatch.setattr(migrate, "MOST_LOCK_SECONDS", 0.05)
    monkeypatch.setattr(migrate, "TRIES", 1000)
    monkeypatch.setattr(migrate, "PAUSE_SECONDS", 0.05)
    await migrate.run(empty, folder)
    write(folder, "0002_two", "-- expand\nalter table one add column two integer")
    async with db.connection(database_url) as slow, db.connection(database_url) as quick:
        reading = slow.transaction()
        await reading.start()
        await slow.fetch("select id from one")
        migrating = asyncio.create_task(migrate.run(empty, folder))
        for _ in range(20):  # as forms do that come meanwhile
            await quick.execute("insert into one values (1)", timeout=30)
            await asyncio.sleep(0.01)
        assert not migrating.done()
        await reading.rollback()
        assert await migrating == ["0002_two"]
        write(folder, "0003_three", "-- expand\nalter table one add column three integer")
        monkeypatch.setattr(migrate, "TRIES", 2)
        async with slow.transaction():
            await slow.fetch("select id from one")
            with pytest.raises(Unavailable, match="somebody holds a table"):
                await migrate.run(empty, folder)


@pytest.mark.parametrize("command", ["serve", "work", "migrate"])
async def test_a_newer_schema_is_refused_by_every_process_with_what_to_do(
    conn: Connection, settings: Settings, command: str
) -> None:
    await conn.execute(migrate.SQL.record, 9999, "9999_later", "0" * 64, "expand")
    finished = await commands.run(settings, new_master(), command)
    assert finished.returncode == 1
    assert "newer schema (9999_later)" in finished.stderr
    assert "install the newer version" in finished.stderr


async def test_a_ledger_of_before_kinds_goes_on(empty: Connection, tmp_path: Path) -> None:
    """As the first version left it: with eight migrations and people in them."""
    first = sorted((resources("sql") / "migrations").glob("*.sql"))[:8]
    for path in first:
        shutil.copy(path, tmp_path / path.name)
    await migrate.run(empty, tmp_path)
    await empty.execute("alter table migration drop column kind")
    await empty.execute("insert into subject (id) values (gen_random_uuid())")
    with pytest.raises(Conflict, match="older schema"):
        await migrate.check(empty)
    assert len(await migrate.run(empty)) == len(migrate.files()) - 8
    await migrate.check(empty)
    assert await empty.fetchval("select count(*) from subject") == 1


async def test_the_real_ones_make_a_schema_that_passes_the_check(empty: Connection) -> None:
    applied = await migrate.run(empty)
    assert applied == sorted(applied)
    await migrate.check(empty)
