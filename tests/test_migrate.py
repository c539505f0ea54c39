"""Migrations: forward, once, and never past what this program knows."""

import asyncio
from pathlib import Path

import pytest

from mailer import db, migrate
from mailer.db import Connection
from mailer.errors import Conflict


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


async def test_one_that_fails_leaves_nothing_half_done(empty: Connection, folder: Path) -> None:
    write(folder, "0002_two", "create table two (id integer); select nonsense")
    with pytest.raises(Exception, match="nonsense"):
        await migrate.run(empty, folder)
    assert await empty.fetchval("select to_regclass('one')") is None


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


async def test_the_real_ones_make_a_schema_that_passes_the_check(empty: Connection) -> None:
    applied = await migrate.run(empty)
    assert applied == sorted(applied)
    await migrate.check(empty)
