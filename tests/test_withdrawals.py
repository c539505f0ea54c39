"""Whoever left before a backup came back stays out, and who wants no mail ever gets none."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer import address, journal, people, subscriptions, suppressions, withdrawals
from mailer.config import Settings
from mailer.consent import SYSTEM
from mailer.db import Connection, Pool
from mailer.vault import Vault
from mailer.withdrawals import LEFT, NEVER, Withdrawal
from mailer.worker import Worker
from tests import world
from tests.test_erasures import verified
from tests.world import ANNA, BORIS, World


async def left(conn: Connection, vault: Vault, weekly: World, email: str) -> None:
    await world.confirmed(conn, vault, weekly.wish(email))
    await leave(conn, vault, email)


async def leave(conn: Connection, vault: Vault, email: str) -> None:
    token = await world.link(conn, vault, email, "leave")
    async with conn.transaction():
        assert await subscriptions.leave(conn, vault, token, "page")


async def state(conn: Connection, vault: Vault, email: str) -> str:
    return (await world.found(conn, vault, email)).subscription.state


async def bring_back(conn: Connection, email: str, vault: Vault) -> None:
    """What a backup from before the withdrawal does: neither it nor its event was ever there."""
    held = await world.found(conn, vault, email)
    await conn.execute("alter table consent_event disable trigger user")
    await conn.execute(
        "delete from consent_event where subject = $1 and type = 'consent.withdrawn'",
        held.subject.id,
    )
    await conn.execute(
        "update subject set (seq, head) = (select seq, commitment from consent_event "
        "where subject = $1 order by seq desc limit 1) where id = $1",
        held.subject.id,
    )
    await conn.execute("alter table consent_event enable trigger user")
    await conn.execute(
        "update subscription set state = 'confirmed', left_at = null where id = $1",
        held.subscription.id,
    )


async def replayed(conn: Connection, vault: Vault, folder: Path) -> int:
    ended = 0
    for batch in journal.batches(withdrawals.read(folder / LEFT)):
        async with conn.transaction():
            ended += await withdrawals.replay(conn, vault, batch, actor=SYSTEM)
    return ended


async def test_who_left_is_written_down_once_with_no_address(
    conn: Connection, vault: Vault, tmp_path: Path
) -> None:
    weekly = await world.make(conn, vault)
    await left(conn, vault, weekly, ANNA)
    await world.confirmed(conn, vault, weekly.wish(BORIS))
    since = await withdrawals.keep_up(conn, tmp_path, None)
    await withdrawals.keep_up(conn, tmp_path, since)
    (told,) = withdrawals.read(tmp_path / LEFT)
    anna = await world.found(conn, vault, ANNA)
    assert (told.subject, told.newsletter) == (anna.subject.id, "weekly")
    assert "anna" not in (tmp_path / LEFT).read_text()


async def test_a_backup_from_before_does_not_bring_readers_back(
    conn: Connection, vault: Vault, tmp_path: Path
) -> None:
    weekly = await world.make(conn, vault)
    await left(conn, vault, weekly, ANNA)
    await world.confirmed(conn, vault, weekly.wish(BORIS))
    await withdrawals.keep_up(conn, tmp_path, None)
    await bring_back(conn, ANNA, vault)
    assert await state(conn, vault, ANNA) == "confirmed"
    assert await replayed(conn, vault, tmp_path) == 1
    assert await state(conn, vault, ANNA) == "left"
    assert await state(conn, vault, BORIS) == "confirmed"
    assert await replayed(conn, vault, tmp_path) == 0
    last = (await people.find(conn, vault, ANNA)).record[-1].content
    assert (last["type"], last["evidence"]) == ("consent.withdrawn", {"channel": "journal"})
    await verified(conn, vault)


async def test_a_worker_ends_them_before_it_sends_anything(
    conn: Connection, pool: Pool, vault: Vault, settings: Settings
) -> None:
    weekly = await world.make(conn, vault)
    await left(conn, vault, weekly, ANNA)
    await withdrawals.keep_up(conn, settings.data_dir, None)
    await bring_back(conn, ANNA, vault)
    stop = asyncio.Event()
    stop.set()
    await Worker(settings, pool, vault, stop).run()
    assert await state(conn, vault, ANNA) == "left"


async def test_who_came_back_by_a_fresh_confirmation_stays(
    conn: Connection, vault: Vault, tmp_path: Path
) -> None:
    weekly = await world.make(conn, vault)
    await left(conn, vault, weekly, ANNA)
    await withdrawals.keep_up(conn, tmp_path, None)
    await conn.execute("update subscription set mailed_at = now() - interval '2 days'")
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    assert await replayed(conn, vault, tmp_path) == 0
    assert await state(conn, vault, ANNA) == "confirmed"


async def test_an_end_that_was_a_mistake_and_was_undone_is_not_replayed(
    conn: Connection, vault: Vault, tmp_path: Path
) -> None:
    weekly = await world.make(conn, vault)
    await left(conn, vault, weekly, ANNA)
    await withdrawals.keep_up(conn, tmp_path, None)
    held = await world.found(conn, vault, ANNA)
    async with conn.transaction():
        await subscriptions.restore(conn, held, {"why": "a mistake of ours"}, "staff:anna")
    assert await replayed(conn, vault, tmp_path) == 0
    assert await state(conn, vault, ANNA) == "confirmed"


async def test_never_again_outlives_a_restore_until_it_is_taken_back(
    conn: Connection, vault: Vault, tmp_path: Path
) -> None:
    anna, boris = address.parse(ANNA), address.parse(BORIS)
    await suppressions.add(conn, vault, anna, "person")
    await suppressions.add(conn, vault, boris, "bounce")
    await withdrawals.keep_up(conn, tmp_path, None)
    assert withdrawals.suppressed(tmp_path / NEVER) == {vault.suppression(anna.normal)}
    await suppressions.remove(conn, vault, anna)
    await withdrawals.suppress(conn, withdrawals.suppressed(tmp_path / NEVER))
    assert await suppressions.reason(conn, vault, anna) == "person"
    await withdrawals.lifted(tmp_path, vault.suppression(anna.normal))
    assert withdrawals.suppressed(tmp_path / NEVER) == set()


@given(
    st.lists(
        st.builds(
            Withdrawal,
            st.uuids(),
            st.from_regex(r"[a-z0-9-]{1,30}", fullmatch=True),
            st.datetimes(timezones=st.timezones()),
        )
    ),
    st.binary(max_size=30),
)
def test_what_was_noted_is_read_whatever_a_crash_left(
    tmp_path_factory: pytest.TempPathFactory, told: list[Withdrawal], torn: bytes
) -> None:
    path = tmp_path_factory.mktemp("journal") / LEFT
    path.write_bytes("".join(f"{each}\n" for each in told).encode() + torn)
    found = list(withdrawals.read(path))
    assert [str(each) for each in found[: len(told)]] == [str(each) for each in told]
