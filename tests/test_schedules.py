"""Schedules: the right time on the readers' clock, once, however many workers ask."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer import newsletters, schedules
from mailer.db import Connection, Pool
from mailer.errors import Conflict, Invalid
from mailer.newsletters import Newsletter

BERLIN = ZoneInfo("Europe/Berlin")


async def weekly(conn: Connection) -> Newsletter:
    return await newsletters.add(
        conn, "weekly", {"en": "Weekly"}, fallback="en",
        cadences=("weekly", "published"), timezone="Europe/Berlin",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("cron", "after", "due"),
    [
        ("0 9 * * 1", "2026-03-02T09:00:00+01:00", "2026-03-09T09:00:00+01:00"),
        ("0 9 * * *", "2026-03-28T09:00:00+01:00", "2026-03-29T09:00:00+02:00"),  # an hour less
        ("30 2 * * *", "2026-03-28T03:00:00+01:00", "2026-03-29T03:00:00+02:00"),  # 2:30 is not
        (
            "30 2 * * *",
            "2026-10-25T02:30:00+02:00",
            "2026-10-26T02:30:00+01:00",
        ),  # 2:30 comes twice
        ("0 9 * * 1,4", "2026-03-02T12:00:00+01:00", "2026-03-05T09:00:00+01:00"),
        ("0 9 1 * *", "2026-01-31T00:00:00+01:00", "2026-02-01T09:00:00+01:00"),
        ("0 9 L * *", "2026-02-01T00:00:00+01:00", "2026-02-28T09:00:00+01:00"),
    ],
)
def test_the_next_time_is_on_the_readers_clock(cron: str, after: str, due: str) -> None:
    found = schedules.following(cron, BERLIN, datetime.fromisoformat(after).astimezone(UTC))
    assert found == datetime.fromisoformat(due)


@given(
    st.sampled_from(["0 9 * * *", "30 2 * * *", "15 3 * * 0", "0 */6 * * *"]),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Tehran"]),
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
)
def test_times_go_forward_and_leave_out_no_day(cron: str, zone: str, after: datetime) -> None:
    first = schedules.following(cron, ZoneInfo(zone), after)
    second = schedules.following(cron, ZoneInfo(zone), first)
    assert after < first < second
    assert second - first <= timedelta(days=7, hours=1)


@pytest.mark.parametrize("cron", ["", "x", "0 9 * *", "0 9 30 2 *", "0 25 * * *", "*/0 * * * *"])
async def test_what_is_no_time_is_refused(conn: Connection, cron: str) -> None:
    with pytest.raises(Invalid, match="cron"):
        await schedules.put(conn, await weekly(conn), "weekly", cron)


async def test_only_published_follows_the_articles(conn: Connection) -> None:
    newsletter = await weekly(conn)
    with pytest.raises(Invalid, match="published"):
        await schedules.put(conn, newsletter, "published", "0 9 * * *")
    with pytest.raises(Conflict, match="no cadence daily"):
        await schedules.put(conn, newsletter, "daily", "0 9 * * *")
    await schedules.put(conn, newsletter, "published", None)
    assert [s.cadence for s in await schedules.of(conn, newsletter)] == ["published"]


async def test_many_workers_take_it_once_and_a_pause_is_made_up_for_once(
    conn: Connection, pool: Pool
) -> None:
    newsletter = await weekly(conn)
    await schedules.put(conn, newsletter, "weekly", "* * * * *")
    await conn.execute("update schedule set due_at = now() - interval '3 weeks'")

    async def take() -> bool:
        async with pool.acquire() as own, own.transaction():
            due = await schedules.take_due(own)
            await asyncio.sleep(random.uniform(0, 0.05))
            return due is not None and await schedules.put_off(own, due, newsletter)

    assert sum(await asyncio.gather(*(take() for _ in range(8)))) == 1
    (schedule,) = await schedules.of(conn, newsletter)
    assert schedule.due_at > await conn.fetchval("select now()")


async def test_another_time_zone_moves_the_next_time_and_a_lost_cadence_ends_it(
    conn: Connection,
) -> None:
    newsletter = await weekly(conn)
    await schedules.put(conn, newsletter, "weekly", "0 9 * * *")
    moved = await newsletters.change(conn, newsletter, timezone="Asia/Tokyo")
    await schedules.fit(conn, moved)
    (schedule,) = await schedules.of(conn, moved)
    assert schedule.due_at.astimezone(ZoneInfo("Asia/Tokyo")).hour == 9
    less = await newsletters.change(conn, moved, cadences=["published"])
    await schedules.fit(conn, less)
    assert await schedules.of(conn, less) == []
