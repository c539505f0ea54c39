"""Limits: counts and turns that all processes share."""

import asyncio
import itertools

import pytest

from mailer import limits
from mailer.db import Connection, Pool

KEY = b"k" * 32


async def test_each_key_is_counted_by_itself_and_anew_in_each_window(conn: Connection) -> None:
    assert [await limits.count(conn, KEY, 600) for _ in range(3)] == [1, 2, 3]
    assert await limits.count(conn, b"o" * 32, 600) == 1
    await conn.execute("update hit set window_start = window_start - interval '10 minutes'")
    assert await limits.count(conn, KEY, 600) == 1


async def test_no_count_is_lost_when_many_count_at_once(pool: Pool) -> None:
    async def count() -> int:
        async with pool.acquire() as conn:
            return await limits.count(conn, KEY, 86400 * 365)

    assert sorted(await asyncio.gather(*(count() for _ in range(20)))) == list(range(1, 21))


async def test_old_windows_are_forgotten_and_present_ones_kept(conn: Connection) -> None:
    await limits.count(conn, KEY, 600)
    await conn.execute("update hit set window_start = window_start - interval '25 hours'")
    await limits.count(conn, KEY, 600)
    await limits.forget_old(conn)
    assert await conn.fetchval("select count(*) from hit") == 1


async def test_turns_follow_one_another_at_the_rate(conn: Connection) -> None:
    async with conn.transaction():  # in which now() stands still
        waits = [await limits.reserve(conn, "mail", 10, 2) for _ in range(3)]
    assert waits == pytest.approx([0, 5, 10])


async def test_turns_taken_before_the_clock_was_set_back_hold_nobody_up(conn: Connection) -> None:
    await limits.reserve(conn, "mail", 4, 40)
    await conn.execute("update pace set at = at + interval '1 hour'")
    assert await limits.reserve(conn, "mail", 4, 40) == pytest.approx(10, abs=0.2)
    await conn.execute("update pace set at = at + interval '1 hour'")
    assert await limits.reserve(conn, "mail", 1, 0.5) == pytest.approx(200, abs=0.2)


async def test_a_turn_is_taken_once_whoever_asks_at_the_same_time(pool: Pool) -> None:
    async def reserve() -> float:
        async with pool.acquire() as conn:
            return await limits.reserve(conn, "mail", 100, 1)

    waits = sorted(await asyncio.gather(*(reserve() for _ in range(5))))
    assert all(later - earlier > 50 for earlier, later in itertools.pairwise(waits))
