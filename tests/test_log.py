"""The log: sealed in order, signed only once it stays, continued or not at all."""

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import asyncpg
import pytest

from mailer import consent, db, log, people, subjects
from mailer import vault as vaults
from mailer.config import Settings
from mailer.db import Connection, Pool
from mailer.log import Broken, tree
from mailer.log.keep import Keep
from mailer.log.notes import Checkpoint
from mailer.vault import Subject, Vault
from tests import rfc6962, site, world
from tests.test_whole_road import until, working
from tests.world import ANNA, BORIS


async def seal(conn: Connection, keys: Vault, keep: Keep, limit: int = 1000) -> int:
    """What a worker's step does, until nothing waits."""
    whole = 0
    while True:
        async with conn.transaction():
            sealed = await log.seal(conn, keys, keep, limit, None)
        async with conn.transaction():
            await log.sign(conn, keys, keep, None)
        whole += sealed
        if sealed < limit:
            return whole


async def person(conn: Connection, keys: Vault) -> Subject:
    subject = keys.new_subject(uuid4())
    await subjects.keep(conn, keys, subject)
    return subject


async def events(conn: Connection, keys: Vault, count: int) -> Subject:
    subject = await person(conn, keys)
    for _ in range(count):
        await consent.record(conn, subject, "consent.updated", actor="system")
    return subject


async def agreed(conn: Connection, keys: Vault) -> None:
    weekly = await world.make(conn, keys)
    await world.confirmed(conn, keys, weekly.wish(ANNA))
    await world.confirmed(conn, keys, weekly.wish(BORIS))


async def signed(conn: Connection, keys: Vault) -> Checkpoint:
    found = await log.checkpoint(conn, keys)
    assert found is not None
    return found


async def logged(conn: Connection, keys: Vault) -> list[bytes]:
    """Every entry, written from the events as docs/consent-log.md says."""
    house = await subjects.house(conn, keys)
    rows = await conn.fetch("select * from consent_event where leaf is not null order by leaf")
    assert [row["leaf"] for row in rows] == list(range(len(rows)))
    return [
        b"\x02" + vaults.unseal(house, "consent_event.body", row["body"])
        if row["type"] in ("notice.published", "key.rotated")
        else b"\x01" + row["commitment"]
        for row in rows
    ]


async def in_order(conn: Connection) -> bool:
    """Whether each event is sealed after its subject's earlier ones."""
    wrong = await conn.fetchval(
        "select count(*) from consent_event a join consent_event b "
        "on a.subject = b.subject and a.seq < b.seq and (a.leaf is null or a.leaf > b.leaf) "
        "where b.leaf is not null"
    )
    return not wrong


# sealing


async def test_what_waits_is_sealed_and_signed(conn: Connection, vault: Vault, keep: Keep) -> None:
    await agreed(conn, vault)
    assert await seal(conn, vault, keep) == 6
    checkpoint, entries = await signed(conn, vault), await logged(conn, vault)
    assert checkpoint.size == len(entries) == 6
    assert checkpoint.root == rfc6962.mth(entries)
    assert [entry[:1] for entry in entries].count(b"\x02") == 2
    assert await seal(conn, vault, keep) == 0
    assert await signed(conn, vault) == checkpoint


async def test_an_empty_log_has_no_checkpoint(conn: Connection, vault: Vault, keep: Keep) -> None:
    assert await seal(conn, vault, keep) == 0
    assert await log.checkpoint(conn, vault) is None
    assert keep.read(await log.key(conn, vault)) is None


@pytest.mark.parametrize("limit", [50, 256, 1000])
async def test_batches_of_any_size_make_one_tree(
    conn: Connection, vault: Vault, keep: Keep, limit: int
) -> None:
    for count in (3, 300, 1, 220):
        await events(conn, vault, count)
        await seal(conn, vault, keep, limit)
    entries = await logged(conn, vault)
    assert (await signed(conn, vault)).root == rfc6962.mth(entries)
    assert await in_order(conn)


async def test_each_checkpoint_continues_the_one_before(
    conn: Connection, vault: Vault, keep: Keep
) -> None:
    made = []
    for count in (1, 2, 255, 40, 300):
        await events(conn, vault, count)
        await seal(conn, vault, keep)
        made.append(await signed(conn, vault))
    last, entries = made[-1], await logged(conn, vault)
    for checkpoint in made:
        assert checkpoint.root == rfc6962.mth(entries[: checkpoint.size])
        spans = tree.consistency(checkpoint.size, last.size)
        proof = tree.proof(await log.fetch_tiles(conn, tree.needed(spans)), spans)
        assert tree.continues(checkpoint.size, last.size, checkpoint.root, last.root, proof)


async def test_an_event_is_never_later_than_the_next_though_a_clock_is_set_back(
    conn: Connection, vault: Vault, keep: Keep
) -> None:
    subject = await events(conn, vault, 1)
    await conn.execute("update subject set latest = now() + interval '1 hour'")
    for _ in range(3):
        await consent.record(conn, subject, "consent.updated", actor="system")
    times = [event.content["at"] for event in await consent.of(conn, subject)]
    assert times == sorted(set(times))
    await seal(conn, vault, keep, 2)
    assert await in_order(conn)


async def test_a_public_event_too_long_for_a_bundle_is_entered_by_its_commitment(
    conn: Connection, vault: Vault, keep: Keep
) -> None:
    house = await subjects.house(conn, vault)
    for length in (60_000, 66_000):
        await consent.record(
            conn, house, "notice.published", actor="system", evidence={"x": "x" * length}
        )
    await seal(conn, vault, keep)
    bundle = await log.bundle(conn, vault, await signed(conn, vault), 0, 2)
    first, second = unbundled(bundle)
    assert (first[:1], second[:1], len(second)) == (b"\x02", b"\x01", 33)


def unbundled(bundle: bytes | None) -> list[bytes]:
    """The entries of a bundle, as C2SP tlog-tiles has it."""
    assert bundle is not None
    entries = []
    while bundle:
        length = int.from_bytes(bundle[:2], "big")
        entries.append(bundle[2 : 2 + length])
        bundle = bundle[2 + length :]
    return entries


async def test_a_place_in_the_log_is_given_once_and_for_ever(
    conn: Connection, vault: Vault, keep: Keep
) -> None:
    subject = await events(conn, vault, 2)
    await seal(conn, vault, keep)
    for statement in (
        "update consent_event set leaf = null",
        "update consent_event set leaf = leaf + 10",
        "update log_tile set hashes = sha256('')",
        "delete from log_tile",
        "truncate log_tile",
        "update log_checkpoint set size = 1",
        "delete from log_checkpoint",
        "truncate log_checkpoint",
        "select erase_subject('00000000-0000-0000-0000-000000000000')",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await conn.execute(statement)
    ids = [UUID(event.content["id"]) for event in await consent.of(conn, subject)]
    with pytest.raises(asyncpg.SerializationError):
        await conn.execute("select seal_events($1, 2)", ids)


async def test_a_proof_is_of_what_was_recorded_or_is_not_handed_out(
    conn: Connection, vault: Vault, keep: Keep
) -> None:
    subject = await events(conn, vault, 300)
    await seal(conn, vault, keep)
    leaf_index = (await consent.of(conn, subject))[270].leaf
    assert leaf_index is not None
    checkpoint = await signed(conn, vault)
    proof = await log.prove(conn, checkpoint, leaf_index)
    entries = await logged(conn, vault)
    assert proof.path == rfc6962.path(proof.index, entries)
    leaf = rfc6962.mth([entries[proof.index]])
    reached = rfc6962.root_from(proof.index, checkpoint.size, leaf, list(proof.path))
    assert reached == checkpoint.root
    await conn.execute("alter table log_tile disable trigger user")
    await conn.execute("update log_tile set hashes = sha256(hashes) || substring(hashes from 33)")
    with pytest.raises(Broken, match="was changed in the database"):
        await log.prove(conn, checkpoint, leaf_index)


async def test_after_an_erasure_entries_stay_and_proofs_still_verify(
    conn: Connection, vault: Vault, keep: Keep
) -> None:
    await agreed(conn, vault)
    await seal(conn, vault, keep)
    entries, before = await logged(conn, vault), await signed(conn, vault)
    own = await people.find(conn, vault, BORIS)
    places = [event.leaf for event in own.record]
    await people.erase(conn, vault, own, never_again=False, actor="staff:anna")
    await seal(conn, vault, keep)
    after = await logged(conn, vault)
    assert after[: len(entries)] == entries
    for place in places:
        assert place is not None
        proof = await log.prove(conn, before, place)
        leaf = tree.leaf_hash(entries[place])
        assert tree.includes(place, before.size, leaf, proof.path, before.root)


# many at once


async def test_writers_and_sealers_at_once_make_one_tree_in_order(
    conn: Connection, pool: Pool, vault: Vault, keep: Keep
) -> None:
    shared = await person(conn, vault)
    writing = True

    async def write() -> None:
        async with pool.acquire() as own:
            for _ in range(15):
                async with own.transaction():
                    alone = await person(own, vault)
                    await consent.record(own, alone, "consent.updated", actor="system")
                    await consent.record(own, shared, "consent.updated", actor="system")
                    await asyncio.sleep(random.uniform(0, 0.01))  # commits come in any order
                    await consent.record(own, alone, "consent.updated", actor="system")

    async def work() -> None:
        while writing:
            async with pool.acquire() as own:
                await seal(own, vault, keep, 5)

    async with asyncio.TaskGroup() as sealers:
        for _ in range(3):
            sealers.create_task(work())
        async with asyncio.TaskGroup() as writers:
            for _ in range(5):
                writers.create_task(write())
        writing = False
    await seal(conn, vault, keep)
    entries, checkpoint = await logged(conn, vault), await signed(conn, vault)
    assert checkpoint.size == len(entries) == 5 * 15 * 3
    assert checkpoint.root == rfc6962.mth(entries)
    assert await in_order(conn)


async def test_erasures_and_sealers_never_wait_for_each_other_in_a_ring(
    conn: Connection, pool: Pool, vault: Vault, keep: Keep
) -> None:
    erasing = True

    async def erase() -> None:
        async with pool.acquire() as own:
            for _ in range(30):
                subject = await events(own, vault, 5)
                async with own.transaction():
                    await consent.record(own, subject, "consent.refused", actor="subject")
                    await consent.erase(own, subject.id)

    async def work() -> None:
        while erasing:
            async with pool.acquire() as own:
                await seal(own, vault, keep, 50)

    async with asyncio.TaskGroup() as sealers:
        for _ in range(2):
            sealers.create_task(work())
        async with asyncio.TaskGroup() as erasers:
            for _ in range(3):
                erasers.create_task(erase())
        erasing = False
    await seal(conn, vault, keep)
    entries = await logged(conn, vault)
    assert len(entries) == 3 * 30 * 6
    assert (await signed(conn, vault)).root == rfc6962.mth(entries)
    assert await in_order(conn)


async def test_an_erasure_waits_until_a_sealer_is_done(
    conn: Connection, pool: Pool, vault: Vault, keep: Keep
) -> None:
    subject = await events(conn, vault, 3)
    async with pool.acquire() as other:
        sealing = other.transaction()
        await sealing.start()
        assert await log.seal(other, vault, keep, 1000, None) == 3
        erased = asyncio.create_task(consent.erase(conn, subject.id))
        await asyncio.sleep(0.3)
        assert not erased.done()
        await sealing.commit()
        await erased
    assert await sealed(conn) == 3


async def test_one_sealer_at_a_time(conn: Connection, pool: Pool, vault: Vault, keep: Keep) -> None:
    await events(conn, vault, 3)
    async with pool.acquire() as other, other.transaction():
        assert await log.seal(other, vault, keep, 1000, None) == 3
        assert await seal(conn, vault, keep) == 0
        assert await log.checkpoint(conn, vault) is None
    assert (await conn.fetchval("select count(leaf) from consent_event")) == 3


async def test_a_worker_that_looked_before_another_sealed_does_not_object(
    conn: Connection, vault: Vault, keep: Keep
) -> None:
    await events(conn, vault, 1)
    await seal(conn, vault, keep)
    looked = await log.read(conn)
    await events(conn, vault, 2)
    await seal(conn, vault, keep)  # the other worker, which keeps its checkpoint on this machine
    await log.compare(conn, vault, keep, looked)


async def test_nothing_is_signed_before_it_is_committed(
    conn: Connection, vault: Vault, keep: Keep
) -> None:
    await events(conn, vault, 3)
    undone = conn.transaction()
    await undone.start()
    assert await log.seal(conn, vault, keep, 1000, None) == 3
    await undone.rollback()
    async with conn.transaction():
        await log.sign(conn, vault, keep, None)
    assert await log.checkpoint(conn, vault) is None
    assert await seal(conn, vault, keep) == 3


async def test_a_checkpoint_is_kept_on_the_disk_before_it_is_published(
    conn: Connection, vault: Vault, keep: Keep
) -> None:
    await events(conn, vault, 3)
    key = await log.key(conn, vault)
    async with conn.transaction():
        await log.seal(conn, vault, keep, 1000, None)
    undone = conn.transaction()
    await undone.start()
    await log.sign(conn, vault, keep, None)
    await undone.rollback()
    kept = keep.read(key)
    assert kept is not None
    assert await log.checkpoint(conn, vault) is None
    await seal(conn, vault, keep)
    assert await signed(conn, vault) == kept


# an old backup


@asynccontextmanager
async def restored(server: str, url: str) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """Copies the database as it now is, when called; nobody may be connected to it."""
    name = f"{urlsplit(url).path[1:]}_copy"
    async with db.connection(server) as admin:

        async def copy() -> str:
            await admin.execute(f'create database "{name}" template "{urlsplit(url).path[1:]}"')
            return urlsplit(url)._replace(path=f"/{name}").geturl()

        yield copy
        await admin.execute(f'drop database "{name}" with (force)')


async def test_after_an_older_backup_is_restored_nothing_is_forked(
    server: str, database_url: str, keep: Keep, tmp_path: Path
) -> None:
    secret = vaults.new_master()
    async with restored(server, database_url) as copy:
        async with db.connection(database_url) as conn:
            keys = await subjects.open_vault(conn, secret)
            await events(conn, keys, 300)
            await seal(conn, keys, keep)
        old = await copy()
        async with db.connection(database_url) as conn:
            await events(conn, keys, 5)
            await seal(conn, keys, keep)
            known = await log.key(conn, keys)
        kept = keep.read(known)
        async with db.connection(old) as conn:
            with pytest.raises(Broken, match=r"Restore the newest backup") as refused:
                await seal(conn, keys, keep)
            assert str(keep.path(known)) in str(refused.value)
            await events(conn, keys, 9)  # more than were lost: the tree is longer and another
            with pytest.raises(Broken, match=r"300 entries\).*305 entries"):
                await seal(conn, keys, keep)
            assert await conn.fetchval("select max(leaf) from consent_event") == 299
            assert (await signed(conn, keys)).size == 300
            assert keep.read(known) == kept
            # Another machine without a memory of its own goes on, and is found out at once.
            await seal(conn, keys, Keep(tmp_path / "other"))
            with pytest.raises(Broken, match=r"does not continue the checkpoint"):
                await seal(conn, keys, keep)
            # Who has no newer backup moves the file away, and goes on from there.
            keep.path(known).rename(tmp_path / "aside")
            await events(conn, keys, 1)
            assert await seal(conn, keys, keep) == 1
        async with db.connection(database_url) as conn:  # the newest backup, where there is one
            (tmp_path / "aside").rename(keep.path(known))
            await events(conn, keys, 1)
            assert await seal(conn, keys, keep) == 1


async def test_a_log_changed_in_the_database_is_not_continued(
    conn: Connection, vault: Vault, keep: Keep, tmp_path: Path
) -> None:
    await events(conn, vault, 300)
    await seal(conn, vault, keep)
    await events(conn, vault, 1)
    for statement in (
        "update log_tile set hashes = substring(hashes for 32) where (level, index) = (0, 1)",
        "update log_tile set hashes = sha256('') || substring(hashes from 33) where level = 0",
        "update log_tile set hashes = sha256('') where level = 1",
        "delete from log_tile where level = 1",
        "update log_checkpoint set note = replace(note, '300', '200')",
        "update consent_event set leaf = null where leaf = 299",
    ):
        changed = conn.transaction()
        await changed.start()
        for table in ("log_tile", "log_checkpoint", "consent_event"):
            await conn.execute(f"alter table {table} disable trigger user")
        await conn.execute(statement)
        with pytest.raises(Broken):
            await log.seal(conn, vault, Keep(tmp_path / "other"), 1000, None)
        await changed.rollback()
    assert await seal(conn, vault, keep) == 1


@pytest.mark.parametrize("content", ["", "nonsense", "mailer/x\n1\nAAAA\n\n— x AAAA\n"])
async def test_a_kept_checkpoint_that_cant_be_read_stops_the_sealer(
    conn: Connection, vault: Vault, keep: Keep, content: str
) -> None:
    await events(conn, vault, 3)
    await seal(conn, vault, keep)
    path = keep.path(await log.key(conn, vault))
    path.write_text(content, "utf-8")
    with pytest.raises(Broken, match="can't be read"):
        await seal(conn, vault, keep)
    assert path.read_text("utf-8") == content


async def test_each_database_has_a_kept_checkpoint_of_its_own(
    conn: Connection, vault: Vault, keep: Keep
) -> None:
    await events(conn, vault, 3)
    await seal(conn, vault, keep)
    theirs = keep.read(await log.key(conn, vault))
    await conn.execute("update house set origin = 'mailer/' || gen_random_uuid()")
    assert keep.read(await log.key(conn, vault)) is None
    assert theirs is not None


# in the worker


async def test_a_worker_keeps_the_log_a_second_behind_at_most(
    conn: Connection, pool: Pool, vault: Vault, settings: Settings
) -> None:
    async with working(settings, pool, vault):
        for count in (1, 5, 300):
            await events(conn, vault, count)
            await until(lambda: covers_all(conn, vault))


async def covers_all(conn: Connection, vault: Vault) -> bool:
    found = await log.checkpoint(conn, vault)
    total = await conn.fetchval("select count(*) from consent_event")
    return found is not None and found.size == total


async def test_a_worker_that_objects_stops_all_sealers_and_nothing_else(
    conn: Connection, pool: Pool, vault: Vault, settings: Settings, tmp_path: Path
) -> None:
    first = replace(settings, data_dir=tmp_path / "first")
    other = replace(settings, data_dir=tmp_path / "other")
    await events(conn, vault, 3)
    await seal(conn, vault, Keep(tmp_path / "first"))
    path = Keep(first.data_dir).path(await log.key(conn, vault))
    kept = path.read_text("utf-8")
    path.write_text("nonsense", "utf-8")

    async def objected() -> bool:
        return await log.objection(conn) is not None

    async with working(first, pool, vault), site.opened(pool, vault) as client:
        await until(objected)
        answer = await client.get("/readyz", headers=site.JSON)
        assert answer.status == 200
        assert str(path) in (await answer.json())["log"]
        await events(conn, vault, 3)
        async with working(other, pool, vault):
            await asyncio.sleep(1.5)
            assert (await signed(conn, vault)).size == 3
            path.write_text(kept, "utf-8")
            await until(lambda: covers_all(conn, vault))
        assert not await objected()
        assert "log" not in await (await client.get("/readyz")).json()


async def test_a_worker_that_ends_takes_its_objection_along(
    conn: Connection, pool: Pool, vault: Vault, settings: Settings
) -> None:
    await events(conn, vault, 3)
    keep = Keep(settings.data_dir)
    await seal(conn, vault, keep)
    path = keep.path(await log.key(conn, vault))
    path.write_text("nonsense", "utf-8")

    async def objected() -> bool:
        return await log.objection(conn) is not None

    async with working(settings, pool, vault):
        await until(objected)
    assert not await objected()


async def test_every_machine_remembers_the_log_whoever_sealed_it(
    conn: Connection, pool: Pool, vault: Vault, settings: Settings, tmp_path: Path
) -> None:
    keeps = [Keep(tmp_path / name) for name in ("first", "other")]
    key = await log.key(conn, vault)
    async with (
        working(replace(settings, data_dir=keeps[0].data_dir), pool, vault),
        working(replace(settings, data_dir=keeps[1].data_dir), pool, vault),
    ):
        await events(conn, vault, 3)

        async def kept() -> bool:
            return all(keep.read(key) is not None for keep in keeps)

        await until(kept)


async def test_workers_killed_again_and_again_leave_one_tree(
    conn: Connection, settings: Settings
) -> None:
    """Real processes, killed with -9 at any time while events come in."""
    secret = vaults.new_master()
    keys = await subjects.open_vault(conn, secret)
    assert settings.database_url is not None
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(log.__file__).parents[2]),
        "MAILER_DATABASE_URL": settings.database_url,
        "MAILER_DATA_DIR": str(settings.data_dir),
        "MAILER_SECRET_KEY": secret,
    }

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "mailer", "work"],
            env=environ, cwd=settings.data_dir, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    begun = 0
    for _ in range(6):
        workers = [start(), start()]
        try:
            before = await sealed(conn)
            while begun == before or await sealed(conn) == before:
                await events(conn, keys, 40)
                begun += 40
            await asyncio.sleep(random.uniform(0, 0.2))
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()

    async def whole() -> bool:  # the database takes a moment to notice that a sealer is gone
        await seal(conn, keys, Keep(settings.data_dir))
        return await sealed(conn) == begun

    await until(whole)
    entries, checkpoint = await logged(conn, keys), await signed(conn, keys)
    assert checkpoint.size == len(entries) == begun
    assert checkpoint.root == rfc6962.mth(entries)
    assert await in_order(conn)


async def sealed(conn: Connection) -> int:
    count: int = await conn.fetchval("select count(leaf) from consent_event")
    return count
