"""Erasure: nothing leads to the person any more, everything still verifies, no backup undoes it."""

import asyncio
import base64
import hashlib
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer import (
    address,
    consent,
    db,
    erasures,
    journal,
    people,
    rectification,
    subjects,
    subscribers,
    subscriptions,
)
from mailer.config import Settings
from mailer.consent import SUBJECT
from mailer.db import Connection, Pool
from mailer.embedded import programs
from mailer.errors import Unavailable
from mailer.vault import Vault
from tests import world
from tests.conftest import named
from tests.test_delivery import Post
from tests.test_whole_road import until, working
from tests.world import ANNA, BORIS


async def erase(conn: Connection, keys: Vault, email: str, *, never_again: bool = False) -> UUID:
    own = await people.find(conn, keys, email)
    async with conn.transaction():
        assert await people.erase(conn, keys, own, never_again=never_again, actor=SUBJECT)
    return own.subscriber.id


async def verified(conn: Connection, keys: Vault) -> consent.Verification:
    seen = consent.Verification()
    async with conn.transaction():
        assert [f async for f in consent.verify(conn, keys, seen)] == []
    return seen


# the journal


@given(st.lists(st.uuids(), max_size=30), st.binary(max_size=20))
def test_what_was_noted_is_read_whatever_a_crash_left(
    tmp_path_factory: pytest.TempPathFactory, ids: list[UUID], torn: bytes
) -> None:
    path = erasures.file(tmp_path_factory.mktemp("journal"))
    journal.append(path, map(str, ids[: len(ids) // 2]))
    with path.open("ab") as file:
        file.write(torn)
    journal.append(path, map(str, ids[len(ids) // 2 :]))
    assert [each for each in erasures.read(path) if each in ids] == ids


async def test_the_journal_is_only_its_owners_and_holds_only_ids(tmp_path: Path) -> None:
    erased = [uuid4(), uuid4()]
    await erasures.note(tmp_path, erased)
    path = erasures.file(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == "".join(f"{each}\n" for each in erased)


def test_several_processes_write_whole_lines(tmp_path: Path) -> None:
    code = (
        "import sys, uuid; from pathlib import Path; from mailer import journal\n"
        "for _ in range(50): journal.append(Path(sys.argv[1]), [str(uuid.uuid4())] * 2)"
    )
    path = erasures.file(tmp_path)
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path)]) for _ in range(4)]
    assert [each.wait(60) for each in writers] == [0] * 4
    assert len(path.read_text().splitlines()) == 400
    assert len(set(erasures.read(path))) == 200


async def test_a_journal_that_cannot_be_written_is_said_with_its_name(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(Unavailable, match="journal"):
        await erasures.note(blocked, [uuid4()])


async def test_every_machine_writes_down_what_others_have_erased(
    conn: Connection, vault: Vault, tmp_path: Path
) -> None:
    weekly = await world.make(conn, vault)
    for email in (ANNA, BORIS):
        await world.confirmed(conn, vault, weekly.wish(email))
    first = await erase(conn, vault, ANNA)
    here, there = tmp_path / "here", tmp_path / "there"
    await erasures.note(here, [first])
    since = await erasures.keep_up(conn, here, None)
    assert list(erasures.read(erasures.file(here))) == [first]
    second = await erase(conn, vault, BORIS)
    await erasures.keep_up(conn, here, since)
    await erasures.keep_up(conn, there, None)
    for folder in (here, there):
        found = list(erasures.read(erasures.file(folder)))
        assert sorted(found) == sorted([first, second])


# after a restore


@pytest.fixture
async def backup(database_url: str, conn: Connection) -> AsyncIterator[str]:
    """The URL of a copy, as a backup would bring it back; made when first asked for."""
    name = f"{database(database_url)}_restored"
    yield named(database_url, name)
    await conn.execute(f'drop database if exists "{name}" with (force)')


def dump(url: str, *options: str) -> bytes:
    finished = subprocess.run(
        [tool("pg_dump"), *options, url], capture_output=True, check=False, timeout=120
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def tool(name: str) -> Path:
    """Of the newest PostgreSQL at hand: it reads the servers that are older."""
    return next(each / name for each in programs.candidates() if (each / name).exists())


async def restore(url: str, dumped: bytes, conn: Connection) -> None:
    await conn.execute(f'create database "{database(url)}" template template0')

    def run() -> subprocess.CompletedProcess[bytes]:
        command = [str(tool("pg_restore")), "--no-owner", "--dbname", url]
        return subprocess.run(command, input=dumped, capture_output=True, check=False, timeout=120)

    finished = await asyncio.to_thread(run)
    assert finished.returncode == 0, finished.stderr


def database(url: str) -> str:
    return urlsplit(url).path.strip("/")


async def test_a_backup_from_before_forgets_them_again(
    conn: Connection,
    vault: Vault,
    database_url: str,
    backup: str,
    settings: Settings,
) -> None:
    weekly = await world.make(conn, vault)
    for email in (ANNA, BORIS):
        await world.confirmed(conn, vault, weekly.wish(email))
    dumped = await asyncio.to_thread(dump, database_url, "--format=custom")
    erased = await erase(conn, vault, ANNA)
    await erasures.note(settings.data_dir, [erased])
    await restore(backup, dumped, conn)
    async with db.connection(backup) as restored, db.pool(backup, size=10) as pool:
        assert await subscribers.by_address(restored, vault, address.parse(ANNA)) is not None
        async with working(settings, pool, vault):

            async def gone() -> bool:
                return await subscribers.by_address(restored, vault, address.parse(ANNA)) is None

            await until(gone)
        assert await subscribers.by_address(restored, vault, address.parse(BORIS)) is not None
        assert await restored.fetchval("select dek from subject where id = $1", erased) is None
        await verified(restored, vault)


async def test_by_command_journals_of_other_machines_are_replayed_too(
    conn: Connection, vault: Vault, tmp_path: Path
) -> None:
    weekly = await world.make(conn, vault)
    for email in (ANNA, BORIS):
        await world.confirmed(conn, vault, weekly.wish(email))
    anna = (await people.find(conn, vault, ANNA)).subscriber.id
    await erasures.note(tmp_path, [uuid4(), anna, uuid4()])
    for batch in journal.batches(erasures.read(erasures.file(tmp_path))):
        async with conn.transaction():
            gone = await erasures.replay(conn, vault, batch, actor="staff:anna")
    assert gone == [anna]
    async with conn.transaction():
        assert await erasures.replay(conn, vault, [anna], actor="staff:anna") == []


# races


async def test_erasing_twice_at_once_erases_once(
    pool: Pool, conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    own = await people.find(conn, vault, ANNA)

    async def once() -> bool:
        async with pool.acquire() as mine, mine.transaction():
            return await people.erase(mine, vault, own, never_again=False, actor=SUBJECT)

    assert sorted(await asyncio.gather(*(once() for _ in range(4)))) == [False] * 3 + [True]
    said = "select count(*) from consent_event where type = 'subject.erased'"
    assert await conn.fetchval(said) == 1
    await verified(conn, vault)


@pytest.mark.parametrize("first", ["erase", "confirm"])
async def test_erasing_while_confirming_leaves_one_fact(
    pool: Pool, conn: Connection, vault: Vault, first: str
) -> None:
    weekly = await world.make(conn, vault)
    for n in range(10):
        email = f"reader{n}@example.org"
        await world.ask(conn, vault, weekly.wish(email))
        token = await world.link(conn, vault, email, "confirm")
        own = await people.find(conn, vault, email)

        async def confirm(token: str = token) -> str:
            async with pool.acquire() as mine, mine.transaction():
                return (await subscriptions.confirm(mine, vault, token, {"page": "test"}))[0]

        async def forget(own: subscriptions.Own = own) -> bool:
            async with pool.acquire() as mine, mine.transaction():
                return await people.erase(mine, vault, own, never_again=False, actor=SUBJECT)

        if first == "erase":
            gone, outcome = await asyncio.gather(forget(), confirm())
        else:
            outcome, gone = await asyncio.gather(confirm(), forget())
        assert gone
        assert outcome in ("confirmed", "unknown")
    assert await conn.fetchval("select count(*) from subscriber") == 0
    assert await conn.fetchval("select count(*) from subject where dek is not null") == 1
    await verified(conn, vault)


async def test_erasing_while_mails_are_claimed_and_settled_waits_in_no_ring(
    pool: Pool, conn: Connection, vault: Vault, settings: Settings
) -> None:
    weekly = await world.make(conn, vault)
    emails = [f"reader{n}@example.org" for n in range(12)]
    for email in emails:
        await world.ask(conn, vault, weekly.wish(email))
    post = Post(settings, pool, vault, conn)

    async def forget(email: str) -> None:
        async with pool.acquire() as mine, mine.transaction():
            own = await people.find(mine, vault, email)
            await people.erase(mine, vault, own, never_again=False, actor=SUBJECT)

    async with asyncio.timeout(60):
        await asyncio.gather(post.round(), *(forget(email) for email in emails[::2]))
    await post.round()  # a round takes ten
    assert await conn.fetchval("select count(*) from subscriber") == 6
    assert await conn.fetchval("select count(*) from outbox where state = 'sent'") == 6
    await verified(conn, vault)


async def test_an_erasure_waits_for_who_holds_the_subscription_and_then_takes_its_mails(
    pool: Pool, conn: Connection, vault: Vault
) -> None:
    """The order in which delivery locks: the subscription, then its mails."""
    weekly = await world.make(conn, vault)
    await world.ask(conn, vault, weekly.wish(ANNA))
    own = await people.find(conn, vault, ANNA)
    held = own.subscriptions[0].subscription.id
    async with pool.acquire() as delivery, pool.acquire() as eraser:
        settling = delivery.transaction()
        await settling.start()
        await delivery.execute("select from subscription where id = $1 for update", held)

        async def forget() -> None:
            async with eraser.transaction():
                await people.erase(eraser, vault, own, never_again=False, actor=SUBJECT)

        erasing = asyncio.create_task(forget())

        async def waiting() -> bool:
            return bool(
                await conn.fetchval(
                    "select count(*) from pg_stat_activity"
                    " where datname = current_database() and wait_event_type = 'Lock'"
                )
            )

        await until(waiting)
        await delivery.execute("set local lock_timeout = '5s'")
        await delivery.execute("update outbox set state = 'sent' where subscription = $1", held)
        await settling.commit()
        await erasing
    assert await conn.fetchval("select count(*) from outbox") == 0


# nothing leads to anybody


WINDOW = 8
"""Bytes by which a spelling is found; every one is longer."""

HEX = re.compile(rb"[0-9a-f]{16,}", re.IGNORECASE)


def spellings(email: str) -> Iterator[bytes]:
    """Every way in which an address could stand somewhere by mistake."""
    given = address.parse(email)
    local = email.rpartition("@")[0]
    whole = {email, given.given, given.normal, email.swapcase(), email.upper(), email[::-1]}
    for text in {*whole, local, local.swapcase(), local.lower(), local[::-1]}:
        raw = text.encode()
        yield from (raw, quote(text, safe="").encode(), raw.hex().encode())
        for shift in range(3):  # base64 of it at any place within something longer
            coded = base64.b64encode(b"\0" * shift + raw).rstrip(b"=")
            inner = coded[-(-shift * 8 // 6) : -1]
            yield from (inner, inner.translate(bytes.maketrans(b"+/", b"-_")))
    for text in whole | {f" {email} ", f"mailto:{email}", f"{email}\n"}:
        for algorithm in ("md5", "sha1", "sha256", "sha512"):
            digest = hashlib.new(algorithm, text.encode(), usedforsecurity=False).digest()
            yield from (digest, digest.hex().encode(), base64.b64encode(digest).rstrip(b"="))


def found_in(dumped: bytes, emails: list[str]) -> list[str]:
    """In a dump bytea stands as hexadecimal: what that spells is looked through as well."""
    by_start: dict[bytes, list[tuple[bytes, str]]] = {}
    for email in emails:
        for spelt in spellings(email):
            by_start.setdefault(spelt[:WINDOW], []).append((spelt, email))
    texts = [
        dumped,
        *(bytes.fromhex(run[: len(run) // 2 * 2].decode()) for run in HEX.findall(dumped)),
    ]
    return [
        f"{email}: {spelt!r}"
        for text in texts
        for n in range(len(text) - WINDOW)
        for spelt, email in by_start.get(text[n : n + WINDOW], ())
        if text.startswith(spelt, n)
    ]


def test_the_search_finds_what_it_is_to_find() -> None:
    email = "anna.search@example.org"
    for planted in (
        email.encode(), email.upper().encode(), b"x" + base64.b64encode(b"to=" + email.encode()),
        b"y" + base64.b64encode(b"me: " + email.encode() + b"!"), email.encode().hex().encode(),
        b"anna.search%40example.org", hashlib.md5(email.encode()).hexdigest().encode(),
        hashlib.sha1(email.encode()).hexdigest().encode(), email[::-1].encode(),
        hashlib.sha256(email.encode()).digest(),
        hashlib.sha256(email.encode()).digest().hex().encode(),
    ):  # fmt: skip
        assert found_in(b"before " + planted + b" after", [email]), planted
    assert not found_in(b"nothing here", [email])


async def test_a_dump_of_a_thousand_subscriptions_and_a_hundred_erasures_leads_to_nobody(
    conn: Connection, vault: Vault, database_url: str, settings: Settings, pool: Pool
) -> None:
    weekly = await world.make(conn, vault)
    emails = [address_of(n) for n in range(1000)]
    for email in emails:
        await subscriptions.request(conn, vault, weekly.wish(email, "ru"))
    while await admitted(conn, vault):
        pass
    await Post(settings, pool, vault, conn).round()  # confirmations go out: events, replies
    for email in emails[:120]:
        token = await world.link(conn, vault, email, "confirm")
        await subscriptions.confirm(conn, vault, token, {"page": "test"})
    await asked_to_move(conn, vault, emails[100:110])
    for email in emails[110:120]:
        token = await world.link(conn, vault, email, "leave")
        await subscriptions.leave(conn, vault, token, "page")
    traces = [await trace(conn, vault, email) for email in emails[:100]]
    for n, email in enumerate(emails[:100]):
        await erase(conn, vault, email, never_again=n % 2 == 0)
    await subscriptions.request(conn, vault, weekly.wish(emails[0]))  # and a form just left
    seen = await verified(conn, vault)
    assert seen.erased == 100 * 4  # asked, mailed, taken by the mail server, confirmed

    text = await asyncio.to_thread(dump, database_url)
    assert b"Rights Weekly" in text
    assert await conn.fetchval("select count(*) from subscriber") == 900
    assert found_in(text, emails) == []
    for secrets, subject in traces:
        for secret in secrets:
            assert secret.hex().encode() not in text
        # That they asked to be erased, and when, stays, as the law wants it; not who they were.
        assert await led_to(conn, subject) == {"subject", "consent_event", "subject_request"}
    assert await conn.fetchval("select count(*) from suppression") == 50


def address_of(n: int) -> str:
    """Such that its parts stand nowhere by chance."""
    name = hashlib.sha256(f"reader {n}".encode()).hexdigest()[:8]
    return f"Reader.{name}+list@{'пример' if n % 10 == 0 else 'example'}-{name}.org"


async def admitted(conn: Connection, keys: Vault) -> int:
    async with conn.transaction():
        return await subscriptions.admit(conn, keys, world.HOURS, 50)


async def asked_to_move(conn: Connection, keys: Vault, emails: list[str]) -> None:
    for email in emails:
        own = await people.find(conn, keys, email)
        await rectification.ask(
            conn, keys, own, f"new.{email}", language="en", hours=72, actor=SUBJECT
        )


async def trace(conn: Connection, keys: Vault, email: str) -> tuple[list[bytes], UUID]:
    """What stands in the database for somebody: whoever has it can be led to them."""
    own = await people.find(conn, keys, email)
    subscriber, reached = own.subscriber, own.address
    found = [subscriber.dek, subscriber.address, subscriber.subject(keys).dek]
    found.append(keys.lookup(reached.normal))
    bodies = await conn.fetch(
        "select body from consent_event where subject = $1 and body is not null", subscriber.id
    )
    return [*found, *(row["body"] for row in bodies)], subscriber.id


async def led_to(conn: Connection, subject: UUID) -> set[str]:
    """The tables in which a subject's id stands in the clear, in any column."""
    tables = await conn.fetch("select tablename from pg_tables where schemaname = 'public'")
    found = set()
    for table in (row["tablename"] for row in tables):
        query = f'select exists (select from "{table}" t where t::text like $1)'
        if await conn.fetchval(query, f"%{subject}%"):
            found.add(table)
    return found


async def test_what_stays_of_someone_erased_says_nothing(conn: Connection, vault: Vault) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    erased = await erase(conn, vault, ANNA)
    subject = await conn.fetchrow("select * from subject where id = $1", erased)
    assert subject is not None
    assert subject["dek"] is None
    events = await conn.fetch("select * from consent_event where subject = $1", erased)
    assert events
    assert all(row["body"] is row["newsletter"] is row["notice"] is None for row in events)
    house = await consent.of(conn, await subjects.house(conn, vault))
    assert house[-1].content["evidence"] == {"subject": str(erased), "cause": "request"}
