"""Feeds: what a fetch means for the articles kept, and when to come again."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import hypothesis
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from mailer import articles, digests, feeds, newsletters
from mailer.articles import Draft
from mailer.db import Connection
from mailer.errors import Conflict, Invalid, Unknown
from mailer.feeds import Document, Failed, Feed, Fetched, Gone, Stored, Unchanged
from mailer.newsletters import Newsletter

URL = "https://example.org/feed.xml"
MARCH = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
async def weekly(conn: Connection) -> Newsletter:
    titles = {"en": "Weekly", "ru": "Еженедельник"}
    return await newsletters.add(conn, "weekly", titles, fallback="en")


@pytest.fixture
async def feed(conn: Connection, weekly: Newsletter) -> Feed:
    return await feeds.add(conn, weekly.id, URL)


@pytest.fixture
async def established(conn: Connection, feed: Feed) -> Feed:
    """A feed whose first fetch, empty, is behind it."""
    await feeds.store(conn, feed, document())
    return await feeds.find(conn, feed.id)


def item(number: int, **more: object) -> Draft:
    given = {
        "external_id": f"https://example.org/{number}",
        "title": f"Story {number}",
        "language": None,
        "url": f"https://example.org/{number}",
        **more,
    }
    return Draft(**given)  # type: ignore[arg-type]  # tests give what they like


def document(*drafts: Draft, **more: object) -> Document:
    given = {"title": "Example news", "language": "en", **more}
    return Document(drafts=drafts, **given)  # type: ignore[arg-type]  # likewise


async def titles(conn: Connection, *, news: bool = False) -> list[str]:
    where = "where not known" if news else ""
    return [r["title"] for r in await conn.fetch(f"select title from article {where} order by id")]


async def wait_of(conn: Connection, feed: Feed) -> timedelta:
    waits: timedelta = await conn.fetchval("select due_at - now() from feed where id = $1", feed.id)
    return waits


# keeping feeds


async def test_a_feed_is_kept_and_due_at_once(conn: Connection, weekly: Newsletter) -> None:
    added = await feeds.add(conn, weekly.id, " https://example.org/feed.xml ", "RU")
    assert (added.url, added.language, added.polled_at) == (URL, "ru", None)
    assert [f.id for f in await feeds.all_(conn)] == [added.id]
    assert [f.id for f in await feeds.all_(conn, "weekly")] == [added.id]
    assert await feeds.all_(conn, "other") == []
    (due,) = await feeds.due(conn, 10)
    assert due.id == added.id


async def test_the_same_feed_twice_is_refused(conn: Connection, weekly: Newsletter) -> None:
    await feeds.add(conn, weekly.id, URL)
    with pytest.raises(Conflict, match="already"):
        await feeds.add(conn, weekly.id, URL)


@pytest.mark.parametrize("url", ["", "feed.xml", "file:///etc/passwd", "gopher://example.org/"])
async def test_what_is_no_web_address_is_refused(
    conn: Connection, weekly: Newsletter, url: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await feeds.add(conn, weekly.id, url)
    assert refused.value.field == "url"


async def test_a_language_that_is_none_is_refused(conn: Connection, weekly: Newsletter) -> None:
    with pytest.raises(Invalid) as refused:
        await feeds.add(conn, weekly.id, URL, "klingon!")
    assert refused.value.field == "language"


async def test_articles_outlive_their_feed(conn: Connection, established: Feed) -> None:
    await feeds.store(conn, established, document(item(1)))
    await feeds.remove(conn, established)
    assert await titles(conn) == ["Story 1"]
    with pytest.raises(Unknown):
        await feeds.find(conn, established.id)


async def test_what_comes_for_a_removed_feed_is_let_go(conn: Connection, established: Feed) -> None:
    await feeds.remove(conn, established)
    assert await feeds.store(conn, established, document(item(1))) == Stored(0, 0)
    assert await titles(conn) == []


# whose turn it is


async def test_a_feed_taken_is_not_due_until_its_lease_ends(conn: Connection, feed: Feed) -> None:
    assert [f.id for f in await feeds.due(conn, 10)] == [feed.id]
    assert await feeds.due(conn, 10) == []
    await conn.execute("update feed set due_at = due_at - interval '11 minutes'")
    assert [f.id for f in await feeds.due(conn, 10)] == [feed.id]


async def test_no_more_are_taken_than_asked_for_and_the_longest_due_first(
    conn: Connection, weekly: Newsletter
) -> None:
    added = [await feeds.add(conn, weekly.id, f"{URL}?{n}") for n in range(3)]
    await conn.execute(
        "update feed set due_at = now() - interval '1 day' where id = $1", added[2].id
    )
    assert [f.id for f in await feeds.due(conn, 1)] == [added[2].id]


async def test_a_good_feed_is_due_again_in_an_hour(conn: Connection, feed: Feed) -> None:
    await feeds.store(conn, feed, document())
    assert timedelta(hours=1) <= await wait_of(conn, feed) <= timedelta(hours=1.1)


async def test_a_feed_may_ask_for_longer_up_to_a_day(conn: Connection, feed: Feed) -> None:
    await feeds.store(conn, feed, document(ttl=timedelta(hours=3)))
    assert timedelta(hours=3) <= await wait_of(conn, feed) <= timedelta(hours=3.3)
    await feeds.store(conn, feed, document(ttl=timedelta(days=300)))
    assert await wait_of(conn, feed) <= timedelta(hours=26.4)
    await feeds.store(conn, feed, document(ttl=timedelta(minutes=5)))
    assert await wait_of(conn, feed) >= timedelta(hours=1)


async def test_what_a_feed_asked_for_holds_when_nothing_changed(
    conn: Connection, feed: Feed
) -> None:
    await feeds.store(conn, feed, document(ttl=timedelta(hours=3)))
    await feeds.store(conn, feed, Unchanged())
    assert timedelta(hours=3) <= await wait_of(conn, feed) <= timedelta(hours=3.3)


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
    st.sets(st.integers(0, 23), max_size=23),
    st.sets(st.integers(0, 6), max_size=6),
)
@hypothesis.settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
async def test_nobody_asks_in_hours_or_on_days_that_a_feed_shut(
    conn: Connection, at: datetime, hours: set[int], days: set[int]
) -> None:
    opened: datetime = await conn.fetchval(
        "select feed_open($1, $2, $3)", at, list(hours), list(days)
    )
    assert opened >= at
    assert opened.hour not in hours
    assert opened.isoweekday() % 7 not in days
    hour = at.replace(minute=0, second=0, microsecond=0)
    between = [hour + timedelta(hours=n) for n in range(int((opened - hour) / timedelta(hours=1)))]
    assert all(b.hour in hours or b.isoweekday() % 7 in days for b in between)


@pytest.mark.parametrize("outcome", [document(), Unchanged(), Failed("The server took too long.")])
async def test_they_hold_whatever_came_of_the_last_question(
    conn: Connection, feed: Feed, outcome: Fetched
) -> None:
    now: datetime = await conn.fetchval("select now()")
    shut = {(now.astimezone(UTC).hour + n) % 24 for n in range(24) if n != 12}
    said = document(skip_hours=tuple(shut))
    await feeds.store(conn, feed, said)
    await feeds.store(conn, feed, said if isinstance(outcome, Document) else outcome)
    due: datetime = await conn.fetchval("select due_at from feed where id = $1", feed.id)
    assert due.astimezone(UTC).hour not in shut


async def test_a_feed_that_shuts_no_hour_any_more_is_asked_as_usual(
    conn: Connection, feed: Feed
) -> None:
    await feeds.store(conn, feed, document(skip_days=(0, 1, 2, 3, 4, 5)))
    await feeds.store(conn, feed, document())
    assert await wait_of(conn, feed) <= timedelta(hours=1.1)


async def test_failures_back_off_to_a_day_and_say_why(conn: Connection, feed: Feed) -> None:
    waits = []
    for _ in range(12):
        await feeds.store(conn, feed, Failed("The server took too long."))
        waits.append(await wait_of(conn, feed))
    assert waits[0] >= timedelta(hours=1)
    assert waits[1] >= timedelta(hours=2)
    assert timedelta(hours=24) <= waits[-1] <= timedelta(hours=26.4)
    failing = await feeds.find(conn, feed.id)
    assert (failing.failures, failing.problem) == (12, "The server took too long.")
    await feeds.store(conn, feed, document())
    well = await feeds.find(conn, feed.id)
    assert (well.failures, well.problem) == (0, None)


async def test_a_server_that_asks_for_patience_gets_it(conn: Connection, feed: Feed) -> None:
    await feeds.store(conn, feed, Failed("Busy.", timedelta(hours=5)))
    assert timedelta(hours=5) <= await wait_of(conn, feed) <= timedelta(hours=5.5)
    await feeds.store(conn, feed, Failed("Busy.", timedelta(days=99)))
    assert await wait_of(conn, feed) <= timedelta(hours=26.4)


async def test_a_feed_that_is_gone_is_asked_no_more(conn: Connection, feed: Feed) -> None:
    await feeds.store(conn, feed, Gone())
    gone = await feeds.find(conn, feed.id)
    assert gone.gone
    assert gone.problem
    await conn.execute("update feed set due_at = now() - interval '1 day'")
    assert await feeds.due(conn, 10) == []


async def test_validators_are_kept_as_they_came(conn: Connection, feed: Feed) -> None:
    await feeds.store(conn, feed, document(etag='W/"a,b"', last_modified="yesterday-ish"))
    kept = await feeds.find(conn, feed.id)
    assert (kept.etag, kept.last_modified) == ('W/"a,b"', "yesterday-ish")
    await feeds.store(conn, feed, Unchanged())
    kept = await feeds.find(conn, feed.id)
    assert (kept.etag, kept.last_modified) == ('W/"a,b"', "yesterday-ish")
    await feeds.store(conn, feed, document())
    assert (await feeds.find(conn, feed.id)).etag is None


async def test_a_feed_that_moved_for_good_is_asked_there(conn: Connection, feed: Feed) -> None:
    await feeds.store(conn, feed, document(moved="https://example.org/new"))
    assert (await feeds.find(conn, feed.id)).url == "https://example.org/new"
    await feeds.store(conn, feed, Unchanged(moved="https://example.org/newer"))
    assert (await feeds.find(conn, feed.id)).url == "https://example.org/newer"


async def test_a_feed_does_not_move_onto_another(
    conn: Connection, feed: Feed, weekly: Newsletter
) -> None:
    other = await feeds.add(conn, weekly.id, "https://example.org/new")
    await feeds.store(conn, feed, document(moved=other.url))
    assert (await feeds.find(conn, feed.id)).url == URL


# what is news


async def test_what_is_there_at_the_first_fetch_is_known(conn: Connection, feed: Feed) -> None:
    assert await feeds.store(conn, feed, document(item(2), item(1))) == Stored(2, 0)
    assert await titles(conn, news=True) == []
    assert await feeds.store(conn, feed, document(item(3), item(2), item(1))) == Stored(1, 0)
    assert await titles(conn, news=True) == ["Story 3"]


async def test_a_first_fetch_that_failed_is_none(conn: Connection, feed: Feed) -> None:
    await feeds.store(conn, feed, Failed("The server took too long."))
    await feeds.store(conn, feed, document(item(1)))
    assert await titles(conn, news=True) == []


async def test_what_vanished_and_came_back_is_not_news(conn: Connection, established: Feed) -> None:
    for shown in (document(item(1)), document(item(2)), document(item(1), item(2))):
        await feeds.store(conn, established, shown)
    assert await titles(conn) == ["Story 1", "Story 2"]


async def test_a_corrected_item_is_updated_in_its_place(
    conn: Connection, established: Feed
) -> None:
    await feeds.store(conn, established, document(item(2), item(1)))
    corrected = document(item(2), item(1, title="Story 1, corrected"))
    assert await feeds.store(conn, established, corrected) == Stored(0, 1)
    assert await titles(conn) == ["Story 1, corrected", "Story 2"]


async def test_the_oldest_item_of_a_document_comes_first(
    conn: Connection, established: Feed
) -> None:
    await feeds.store(conn, established, document(item(3), item(2), item(1)))
    assert await titles(conn) == ["Story 1", "Story 2", "Story 3"]


async def test_dates_decide_the_order_within_a_document_if_all_have_one(
    conn: Connection, established: Feed
) -> None:
    dated = [item(n, published_at=MARCH + timedelta(days=n)) for n in (2, 3, 1)]
    await feeds.store(conn, established, document(*dated))
    assert await titles(conn) == ["Story 1", "Story 2", "Story 3"]


async def test_an_old_date_does_not_keep_a_late_item_from_being_news(
    conn: Connection, established: Feed
) -> None:
    await feeds.store(conn, established, document(item(1, published_at=MARCH)))
    late = item(2, published_at=MARCH - timedelta(days=900))
    await feeds.store(conn, established, document(late, item(1, published_at=MARCH)))
    assert await titles(conn, news=True) == ["Story 1", "Story 2"]


async def test_the_same_document_again_writes_nothing(conn: Connection, established: Feed) -> None:
    shown = document(*(item(n) for n in range(20, 0, -1)))
    await feeds.store(conn, established, shown)
    assert await feeds.store(conn, established, shown) == Stored(0, 0)
    assert len(await titles(conn)) == 20


# faults of real feeds


async def test_ids_made_anew_at_each_fetch_are_no_news(conn: Connection, established: Feed) -> None:
    for fetch in range(3):
        shown = [item(n, external_id=f"tag:random-{fetch}-{n}") for n in (2, 1)]
        await feeds.store(conn, established, document(*shown))
    assert await titles(conn) == ["Story 1", "Story 2"]


async def test_a_site_that_moves_to_https_repeats_nothing(
    conn: Connection, established: Feed
) -> None:
    before = item(1, external_id="tag:1", url="http://example.org/1")
    await feeds.store(conn, established, document(before))
    after = replace(before, external_id="tag:https:1", url="https://example.org/1")
    assert await feeds.store(conn, established, document(after)) == Stored(0, 1)
    assert await titles(conn) == ["Story 1"]


async def test_a_reused_id_is_a_new_article(conn: Connection, established: Feed) -> None:
    first = item(1, external_id="latest", published_at=MARCH)
    second = item(2, external_id="latest", published_at=MARCH + timedelta(days=1))
    third = item(3, external_id="latest", published_at=MARCH + timedelta(days=2))
    for shown in (first, second, third, third):
        await feeds.store(conn, established, document(shown))
    assert await titles(conn) == ["Story 1", "Story 2", "Story 3"]


async def test_items_that_share_an_id_in_one_document_are_all_kept(
    conn: Connection, established: Feed
) -> None:
    shown = document(*(item(n, external_id="https://example.org/") for n in (3, 2, 1)))
    for _ in range(2):
        await feeds.store(conn, established, shown)
    assert await titles(conn) == ["Story 1", "Story 2", "Story 3"]
    shown = document(*(item(n, external_id="https://example.org/") for n in (4, 3, 2)))
    assert await feeds.store(conn, established, shown) == Stored(1, 0)
    assert await titles(conn) == ["Story 1", "Story 2", "Story 3", "Story 4"]


async def test_an_item_that_is_there_twice_is_kept_once(
    conn: Connection, established: Feed
) -> None:
    assert await feeds.store(conn, established, document(item(1), item(1))) == Stored(1, 0)


async def test_items_that_only_differ_in_id_are_two(conn: Connection, established: Feed) -> None:
    outages = [item(1, external_id=f"tag:{n}", title="Maintenance") for n in (2, 1)]
    for _ in range(2):
        await feeds.store(conn, established, document(*outages))
    assert await titles(conn) == ["Maintenance", "Maintenance"]


async def test_a_renamed_and_moved_page_with_its_date_is_the_same(
    conn: Connection, established: Feed
) -> None:
    before = item(1, external_id="tag:1", published_at=MARCH)
    await feeds.store(conn, established, document(before))
    after = replace(before, title="A better title", url="https://example.org/better")
    assert await feeds.store(conn, established, document(after)) == Stored(0, 1)


async def test_a_reused_id_is_a_new_article_without_dates_too(
    conn: Connection, established: Feed
) -> None:
    for n in (1, 2, 3):
        shown = item(n, external_id="latest", summary=f"<p>Of {n}.</p>")
        await feeds.store(conn, established, document(shown))
    assert await titles(conn, news=True) == ["Story 1", "Story 2", "Story 3"]


async def test_a_renamed_and_moved_page_without_a_date_is_known_by_its_text(
    conn: Connection, established: Feed
) -> None:
    before = item(1, external_id="tag:1", summary="<p>Today.</p>")
    await feeds.store(conn, established, document(before))
    after = replace(before, title="A better title", url="https://example.org/better")
    assert await feeds.store(conn, established, document(after)) == Stored(0, 1)


async def test_items_that_share_an_id_and_a_page_are_told_by_their_titles(
    conn: Connection, established: Feed
) -> None:
    page = "https://example.org/notices"
    shown = [item(n, external_id=page, url=page) for n in (3, 2, 1)]
    for _ in range(2):
        await feeds.store(conn, established, document(*shown))
    assert await titles(conn) == ["Story 1", "Story 2", "Story 3"]


async def test_random_ids_without_addresses_are_known_by_title_and_date(
    conn: Connection, established: Feed
) -> None:
    for fetch in range(2):
        shown = [
            item(n, external_id=f"tag:{fetch}-{n}", url=None, published_at=MARCH) for n in (2, 1)
        ]
        await feeds.store(conn, established, document(*shown))
    assert await titles(conn) == ["Story 1", "Story 2"]


async def test_ids_stay_what_they_are_when_the_feed_moves_to_another_host(
    conn: Connection, feed: Feed
) -> None:
    await feeds.store(conn, feed, document(moved="https://elsewhere.example.net/feed"))
    moved = await feeds.find(conn, feed.id)
    assert (moved.url, moved.id_host) == ("https://elsewhere.example.net/feed", "example.org")


# floods


def many(numbers: Iterable[int], **more: object) -> Document:
    return document(*(item(n, **more) for n in sorted(numbers, reverse=True)))


async def waiting(conn: Connection, feed: Feed) -> list[str]:
    return [article.title for article in await articles.held(conn, feed.id)]


async def test_many_new_items_at_once_wait_for_an_editor(
    conn: Connection, established: Feed
) -> None:
    await feeds.store(conn, established, many(range(5)))
    assert await feeds.store(conn, established, many(range(16))) == Stored(11, 0, held=11)
    assert await waiting(conn, established) == [f"Story {n}" for n in range(5, 16)]
    (standing,) = await feeds.all_(conn)
    assert standing.held == 11
    assert standing.trouble is not None
    assert f"mailer feed release {established.id}" in standing.trouble
    # What comes after them one by one is news as ever.
    assert await feeds.store(conn, established, many(range(17))) == Stored(1, 0, held=0)


async def test_ids_that_all_change_at_once_wait_though_they_are_few(
    conn: Connection, established: Feed
) -> None:
    await feeds.store(conn, established, many(range(6)))
    moved = many(range(6), url=None, published_at=None)
    elsewhere = replace(
        moved, drafts=tuple(replace(d, external_id=f"tag:{d.title}") for d in moved.drafts)
    )
    assert (await feeds.store(conn, established, elsewhere)).held == 6


async def test_a_first_fetch_is_no_flood(conn: Connection, feed: Feed) -> None:
    assert await feeds.store(conn, feed, many(range(50))) == Stored(50)


async def test_what_an_editor_releases_is_news_and_teaches_what_is_usual(
    conn: Connection, established: Feed
) -> None:
    async with conn.transaction():  # what came with one fetch was seen at one moment
        await feeds.store(conn, established, many(range(12)))
    assert await feeds.release(conn, established) == 12
    assert await waiting(conn, established) == []
    assert len(await titles(conn, news=True)) == 12
    assert (await feeds.store(conn, established, many(range(12, 30)))).held == 0


async def test_what_an_editor_dismisses_is_never_sent(conn: Connection, established: Feed) -> None:
    await feeds.store(conn, established, many(range(12)))
    assert await feeds.dismiss(conn, established) == 12
    assert await waiting(conn, established) == await titles(conn, news=True) == []
    assert await feeds.store(conn, established, many(range(12))) == Stored()
    assert (await feeds.store(conn, established, many(range(12, 30)))).held == 18
    with pytest.raises(Conflict):
        await feeds.dismiss(conn, await feeds.add(conn, established.newsletter, f"{URL}?other"))


async def test_who_gives_a_waiting_article_by_hand_has_decided(
    conn: Connection, established: Feed
) -> None:
    await feeds.store(conn, established, many(range(12)))
    await articles.add(conn, established.newsletter, item(3, language="en"))
    assert len(await waiting(conn, established)) == 11
    assert await conn.fetchval("select not held and not known from article where title = 'Story 3'")


async def test_what_waited_when_its_feed_was_removed_is_never_sent(
    conn: Connection, established: Feed
) -> None:
    await feeds.store(conn, established, many(range(12)))
    await feeds.remove(conn, established)
    assert await titles(conn, news=True) == []
    assert await conn.fetchval("select count(*) from article where held") == 0


async def test_what_waits_is_in_no_digest(
    conn: Connection, established: Feed, weekly: Newsletter
) -> None:
    await feeds.store(conn, established, many(range(12)))
    with pytest.raises(Conflict, match="Nothing new"):
        await digests.create(conn, weekly, "weekly", by="staff:anna")
    await feeds.release(conn, established)
    digest = await digests.create(conn, weekly, "weekly", by="staff:anna")
    assert len(await digests.contents(conn, digest)) == 12


# silence


async def test_a_feed_is_silent_when_it_is_long_quiet_for_its_habits(
    conn: Connection, established: Feed
) -> None:
    async def trouble_after(days: int) -> str | None:
        await conn.execute(
            "update article set seen_at = now() - make_interval(days => $1), published_at = "
            "now() - make_interval(days => $1 + 10 * (3 - id)::integer)",
            days,
        )
        (standing,) = await feeds.all_(conn)
        return standing.trouble

    await feeds.store(conn, established, many(range(3)))
    assert await trouble_after(49) is None  # one in ten days is its habit
    said = await trouble_after(51)
    assert said is not None
    assert "51 days" in said
    await feeds.store(conn, established, many(range(4)))
    (standing,) = await feeds.all_(conn)
    assert standing.trouble is None


async def test_a_feed_that_never_had_anything_is_given_longer(
    conn: Connection, established: Feed
) -> None:
    for days, silent in ((59, False), (61, True)):
        await conn.execute("update feed set created_at = now() - make_interval(days => $1)", days)
        (standing,) = await feeds.all_(conn)
        assert standing.silent == silent


async def test_long_ids_that_need_their_address_still_fit(
    conn: Connection, established: Feed
) -> None:
    shown = document(*(item(n, external_id="tag:" + "x" * 490) for n in (2, 1)))
    assert await feeds.store(conn, established, shown) == Stored(2, 0)


async def test_two_feeds_of_a_newsletter_may_carry_the_same_article(
    conn: Connection, established: Feed, weekly: Newsletter
) -> None:
    other = await feeds.add(conn, weekly.id, f"{URL}?other")
    await feeds.store(conn, established, document(item(1)))
    assert await feeds.store(conn, other, document(item(1))) == Stored(0, 0)
    assert await titles(conn, news=True) == ["Story 1"]


# languages


@pytest.mark.parametrize(
    ("item_says", "staff_say", "feed_says", "kept"),
    [
        ("ru", "en", "en", "ru"),
        (None, "ru", "en-US", "ru"),
        (None, None, "ru-RU", "ru"),
        (None, None, None, "en"),
        ("fr", None, "en", "fr"),
    ],
)
async def test_the_language_is_the_items_else_the_staffs_else_the_feeds(
    conn: Connection,
    weekly: Newsletter,
    item_says: str | None,
    staff_say: str | None,
    feed_says: str | None,
    kept: str,
) -> None:
    feed = await feeds.add(conn, weekly.id, URL, staff_say)
    shown = document(item(1, language=item_says), language=feed_says)
    await feeds.store(conn, feed, shown)
    assert await conn.fetchval("select language from article") == kept


async def test_attachments_of_items_are_kept(conn: Connection, established: Feed) -> None:
    file = articles.Enclosed("Приказ №660.pdf", "https://example.org/660.pdf", None, None, "ru")
    await feeds.store(conn, established, document(item(1, attachments=(file,))))
    id_ = await conn.fetchval("select id from article")
    (attached,) = (await articles.attachments_of(conn, [id_]))[id_]
    assert (attached.name, attached.size, attached.language) == (file.name, None, "ru")
