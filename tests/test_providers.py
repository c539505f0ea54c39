"""Providers: how much each takes at once, as they let us know."""

from uuid import uuid4

import pytest

from mailer import outbox, providers
from mailer.db import Connection


def test_only_large_providers_are_told_apart() -> None:
    assert providers.of("GMail.com") == providers.of("googlemail.com") == "google"
    assert providers.of("example.org") is None
    assert sum(map(len, providers.DOMAINS.values())) == len(providers.NAMES)


async def test_a_limit_is_halved_once_for_the_replies_of_one_moment(conn: Connection) -> None:
    for _ in range(3):
        await providers.halve(conn, "google", 10)
    assert await conn.fetchval("select most from provider") == 5
    await conn.execute("update provider set changed_at = now() - interval '3 seconds'")
    await providers.halve(conn, "google", 10)
    assert await conn.fetchval("select most from provider") == 2


async def test_it_grows_by_one_a_batch_that_was_taken(conn: Connection) -> None:
    await providers.halve(conn, "google", 6)
    grown = []
    for _ in range(5):
        await providers.widen(conn, "google", 2)
        grown.append(await conn.fetchval("select most from provider"))
    assert grown == [3, 4, 4, 5, 5]


@pytest.mark.parametrize("most", [1, 2, 5])
async def test_the_shares_of_all_workers_are_the_limit(conn: Connection, most: int) -> None:
    workers = [uuid4() for _ in range(3)]
    for worker in workers:
        await outbox.beat(conn, worker)
    await providers.halve(conn, "google", most * 2)
    shares = [(await providers.limits(conn, worker))["google"] for worker in workers]
    assert sum(shares) == most


async def test_a_limit_that_holds_nobody_back_is_forgotten(conn: Connection) -> None:
    worker = uuid4()
    await outbox.beat(conn, worker)
    await providers.halve(conn, "google", 10)
    await providers.forget_wide(conn, 6)
    assert await providers.limits(conn, worker) == {"google": 5}
    await providers.forget_wide(conn, 5)
    assert await providers.limits(conn, worker) == {}
