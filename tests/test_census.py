"""The census: how many readers there were, day by day, and what became of digests."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer import articles, census, digests, outbox, subscriptions
from mailer.articles import Draft
from mailer.census import Day
from mailer.consent import SUBJECT
from mailer.db import Connection
from mailer.digests import Edition
from mailer.vault import Vault
from mailer.web.staff import chart
from tests import world
from tests.world import ANNA, BORIS, VERA


async def test_readers_are_counted_by_newsletter_and_language(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    await world.confirmed(conn, vault, weekly.wish(VERA, "ru"))
    await world.ask(conn, vault, weekly.wish(BORIS))
    await census.take(conn)
    assert [(day.confirmed, day.pending, day.gone) for day in await census.over(conn, 30)] == [
        (2, 1, 0)
    ]
    groups = {g.language: (g.confirmed, g.pending) for g in await census.groups(conn)}
    assert groups == {"en": (1, 1), "ru": (1, 0)}
    (russian,) = await census.over(conn, 30, weekly.newsletter.id, "ru")
    assert (russian.confirmed, russian.pending) == (1, 0)
    assert await census.over(conn, 30, weekly.newsletter.id + 1) == []


async def test_a_day_says_how_it_ended_and_who_left_stays_counted_once_erased(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    found = await world.confirmed(conn, vault, weekly.wish(ANNA))
    await census.take(conn)
    await subscriptions.withdraw(conn, found, "page", SUBJECT)
    for _ in range(2):
        await census.take(conn)
    await conn.execute("delete from subscription")
    await census.take(conn)
    (day,) = await census.over(conn, 30)
    assert (day.confirmed, day.gone) == (0, 1)


async def test_earlier_days_stay_as_they_were(conn: Connection, vault: Vault) -> None:
    weekly = await world.make(conn, vault)
    await world.ask(conn, vault, weekly.wish(ANNA))
    await census.take(conn)
    await conn.execute("update census set day = day - 1")
    await conn.execute("delete from subscription")
    await world.confirmed(conn, vault, weekly.wish(BORIS))
    await census.take(conn)
    days = await census.over(conn, 30)
    assert [(day.pending, day.confirmed) for day in days] == [(1, 0), (0, 1)]
    assert len(await census.over(conn, 1)) == 1


async def test_what_became_of_a_digest_is_counted(conn: Connection, vault: Vault) -> None:
    weekly = await world.make(conn, vault)
    readers = [await world.confirmed(conn, vault, weekly.wish(e)) for e in (ANNA, BORIS)]
    draft = Draft(external_id="one", language="en", title="About one", url=None)
    await articles.add(conn, weekly.newsletter.id, draft)
    made = await digests.create(conn, weekly.newsletter, "weekly", by="staff:anna")
    assert await census.outcomes(conn, 5) == []
    frozen = [Edition(made.id, "en", "Subject", "<p>html</p>", "text")]
    await digests.approve(conn, made, frozen, by="staff:anna")
    await digests.begin(conn, made)
    await outbox.put_digest(conn, made.id)
    await conn.execute("update batch set touched = true")
    for reader, state in zip(readers, ("sent", "failed"), strict=True):
        await conn.execute(
            "update outbox set state = $2, settled_at = now() where subscription = $1"
            " and digest is not null",
            reader.subscription.id,
            state,
        )
    await subscriptions.withdraw(conn, readers[0], "one-click", SUBJECT)
    (outcome,) = await census.outcomes(conn, 5)
    assert (outcome.delivered, outcome.bounced, outcome.deferred) == (1, 1, 0)
    assert outcome.gone == 1


# the chart


FIRST = date(2026, 1, 1)
COUNTS = st.integers(0, 10**7)
DAYS = st.lists(st.tuples(COUNTS, COUNTS, COUNTS), min_size=2, max_size=40).map(
    lambda counts: [Day(FIRST + timedelta(days=n), *three) for n, three in enumerate(counts)]
)


@given(DAYS)
def test_all_of_a_chart_is_inside_its_frame(counted: list[Day]) -> None:
    drawn = chart.draw(counted)
    assert drawn is not None
    for line in (drawn.confirmed, drawn.pending):
        for point in line.split():
            x, y = map(float, point.split(","))
            assert drawn.left <= x <= drawn.right
            assert 0 <= y <= drawn.floor
    assert all(bar.height >= 0 and bar.y >= 0 for bar in drawn.gone)
    assert drawn.levels[0] == (drawn.floor, 0)
    assert drawn.levels[-1][1] >= max(day.confirmed for day in counted)


@pytest.mark.parametrize(
    ("most", "top"), [(0, 4), (4, 4), (5, 8), (13, 16), (33, 40), (999, 1200), (8560, 12000)]
)
def test_the_scale_ends_at_a_round_number(most: int, top: int) -> None:
    assert chart.ceiling(most) == top


def test_one_day_is_no_line() -> None:
    assert chart.draw([Day(FIRST, 1, 1, 1)]) is None
