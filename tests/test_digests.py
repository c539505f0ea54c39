"""Digests: what they are made of, what editors do with them, and that nobody misses anything."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, example, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from mailer import articles, digests, editions, newsletters, subscriptions
from mailer.articles import Article, Draft
from mailer.config import Settings
from mailer.db import Connection, Pool
from mailer.digests import Digest, Item
from mailer.errors import Conflict, Refusal, Unknown
from mailer.newsletters import Newsletter
from mailer.subscriptions import Found
from mailer.vault import Vault
from tests import world
from tests.world import ANNA, BORIS, VERA, World


async def publish(
    conn: Connection, newsletter: Newsletter, *ids: str, language: str = "en", **more: object
) -> list[int]:
    """An article for each id, with the id as its title."""
    drafts = [Draft(id_, id_, language, f"https://example.org/{id_}", **more) for id_ in ids]  # type: ignore[arg-type]  # tests give what they like
    return [(await articles.add(conn, newsletter.id, draft)).id for draft in drafts]


async def create(conn: Connection, newsletter: Newsletter, cadence: str = "weekly") -> Digest:
    return await digests.create(conn, newsletter, cadence, by="staff:anna")


async def send(conn: Connection, settings: Settings, digest: Digest) -> int:
    """How many mails were put."""
    digest = await digests.get(conn, digest.id)
    await editions.approve(conn, settings, digest, by="staff:anna", despite_warnings=True)
    return await editions.begin(conn, settings, digest)


async def titles(conn: Connection, digest: Digest) -> list[str]:
    return [item.article.title for item in await digests.contents(conn, digest)]


async def shown_to(conn: Connection, reader: int) -> list[list[str]]:
    """The titles in each mail that was put for a reader, in order."""
    rows = await conn.fetch(
        """select array(select a.external_id from unnest(e.articles) with ordinality t (id, place)
                        join article a on a.id = t.id order by t.place) as titles
           from outbox o join edition e on e.id = o.edition
           where o.subscription = $1 order by o.id""",
        reader,
    )
    return [row["titles"] for row in rows]


@pytest.fixture
async def weekly(conn: Connection, vault: Vault) -> World:
    return await world.make(conn, vault)


# choosing


async def test_an_article_comes_once_a_cadence_and_in_the_order_of_first_sight(
    conn: Connection, weekly: World
) -> None:
    await publish(conn, weekly.newsletter, "one", "two")
    first = await create(conn, weekly.newsletter)
    await publish(conn, weekly.newsletter, "three")
    daily = await create(conn, weekly.newsletter, "daily")
    second = await create(conn, weekly.newsletter)
    chosen = [await titles(conn, digest) for digest in (first, daily, second)]
    assert chosen == [["one", "two"], ["one", "two", "three"], ["three"]]
    assert [d.number for d in (first, daily, second)] == [1, 2, 3]


async def test_what_is_dated_in_the_past_or_the_future_comes_like_the_rest(
    conn: Connection, weekly: World, settings: Settings
) -> None:
    await publish(conn, weekly.newsletter, "now")
    await send(conn, settings, await create(conn, weekly.newsletter))
    await publish(conn, weekly.newsletter, "old", published_at=datetime(1999, 1, 1, tzinfo=UTC))
    await publish(conn, weekly.newsletter, "new", published_at=datetime(2199, 1, 1, tzinfo=UTC))
    assert await titles(conn, await create(conn, weekly.newsletter)) == ["old", "new"]


async def test_a_corrected_article_is_corrected_in_a_draft_and_never_sent_again(
    conn: Connection, weekly: World, settings: Settings
) -> None:
    await publish(conn, weekly.newsletter, "one")
    draft = await create(conn, weekly.newsletter)
    corrected = Draft("one", "One, corrected", "en")
    await articles.add(conn, weekly.newsletter.id, corrected)
    assert await titles(conn, draft) == ["One, corrected"]
    await send(conn, settings, draft)
    await articles.add(conn, weekly.newsletter.id, replace(corrected, title="Corrected again"))
    with pytest.raises(Conflict, match="Nothing new"):
        await create(conn, weekly.newsletter)


async def test_a_withdrawn_article_leaves_the_draft_and_may_come_back(
    conn: Connection, weekly: World, settings: Settings
) -> None:
    await publish(conn, weekly.newsletter, "one", "two")
    draft = await create(conn, weekly.newsletter)
    gone = Draft("one", "one", "en", "https://example.org/one", withdrawn=True)
    await articles.add(conn, weekly.newsletter.id, gone)
    assert await titles(conn, draft) == ["two"]
    await send(conn, settings, draft)
    await articles.add(conn, weekly.newsletter.id, replace(gone, withdrawn=False))
    assert await titles(conn, await create(conn, weekly.newsletter)) == ["one"]


async def test_no_more_than_the_most_and_translations_count_once(
    conn: Connection, weekly: World
) -> None:
    newsletter = await newsletters.change(conn, weekly.newsletter, most=2)
    await publish(conn, newsletter, "one", work="1")
    await publish(conn, newsletter, "two", "three")
    await publish(conn, newsletter, "один", language="ru", work="1")
    first, second = await create(conn, newsletter), await create(conn, newsletter)
    assert await titles(conn, first) == ["one", "один", "two"]
    assert await titles(conn, second) == ["three"]
    assert (await digests.status(conn, first)).articles == 2


async def test_nothing_new_makes_no_digest(conn: Connection, weekly: World) -> None:
    with pytest.raises(Conflict, match="Nothing new"):
        async with conn.transaction():
            await create(conn, weekly.newsletter)
    assert await digests.all_(conn) == []
    with pytest.raises(Unknown):
        await digests.find(conn, "weekly", 1)


async def test_what_never_began_gives_its_articles_back(
    conn: Connection, weekly: World, settings: Settings
) -> None:
    await publish(conn, weekly.newsletter, "one")
    for state in ("draft", "approved"):
        digest = await create(conn, weekly.newsletter)
        if state == "approved":
            await editions.approve(conn, settings, digest, by="x", despite_warnings=True)
        await digests.cancel(conn, await digests.get(conn, digest.id))
    assert await titles(conn, await create(conn, weekly.newsletter)) == ["one"]


async def test_a_cadence_that_begins_later_does_not_send_what_was(
    conn: Connection, weekly: World, settings: Settings
) -> None:
    await publish(conn, weekly.newsletter, "old")
    await send(conn, settings, await create(conn, weekly.newsletter))
    wider = await newsletters.change(
        conn, weekly.newsletter, cadences=["weekly", "daily", "monthly"]
    )
    with pytest.raises(Conflict, match="Nothing new"):
        await create(conn, wider, "monthly")
    await publish(conn, wider, "new")
    assert await titles(conn, await create(conn, wider, "monthly")) == ["new"]
    assert await titles(conn, await digests.find(conn, "weekly", 1)) == ["old"]


# editing


async def test_editors_pick_skip_put_back_pin_and_reorder(
    conn: Connection, weekly: World, settings: Settings
) -> None:
    one, two, three, four = await publish(conn, weekly.newsletter, "1", "2", "3", "4")
    (old,) = await publish(conn, weekly.newsletter, "old")
    await conn.execute("update article set known = true where id = $1", old)
    draft = await create(conn, weekly.newsletter)
    await digests.skip(conn, draft, one)
    await digests.put_back(conn, draft, two)
    await digests.pick(conn, draft, old)
    assert await titles(conn, draft) == ["3", "4", "old"]
    await digests.reorder(conn, draft, [old, four])
    assert await titles(conn, draft) == ["old", "4", "3"]
    await digests.pin(conn, draft, three)
    assert await titles(conn, draft) == ["3", "old", "4"]
    await digests.pin(conn, draft, three, pinned=False)
    assert await titles(conn, draft) == ["old", "4", "3"]
    await send(conn, settings, draft)
    following = await create(conn, weekly.newsletter)
    assert await titles(conn, following) == ["2"]  # what was skipped does not come again
    await digests.pick(conn, following, one)  # unless somebody picks it
    assert await titles(conn, following) == ["2", "1"]
    with pytest.raises(Conflict, match="Article 3 is in digest 1"):
        await digests.pick(conn, following, three)


async def test_a_verb_means_the_translations_too(conn: Connection, weekly: World) -> None:
    (one,) = await publish(conn, weekly.newsletter, "one", work="1")
    await publish(conn, weekly.newsletter, "two")
    await publish(conn, weekly.newsletter, "один", language="ru", work="1")
    draft = await create(conn, weekly.newsletter)
    await digests.pin(conn, draft, one)
    assert await titles(conn, draft) == ["one", "один", "two"]
    await digests.put_back(conn, draft, one)
    assert await titles(conn, draft) == ["two"]
    await digests.pick(conn, draft, one)
    await digests.reorder(conn, draft, [one])
    assert await titles(conn, draft) == ["one", "один", "two"]


async def test_what_is_not_there_is_named(conn: Connection, weekly: World) -> None:
    await publish(conn, weekly.newsletter, "one")
    draft = await create(conn, weekly.newsletter)
    for verb in (digests.pick, digests.skip, digests.put_back, digests.pin):
        with pytest.raises(Unknown, match="rticle 99"):
            await verb(conn, draft, 99)
    with pytest.raises(Unknown):
        await digests.reorder(conn, draft, [99])


async def test_two_editors_do_not_overwrite_one_another(
    conn: Connection, pool: Pool, weekly: World, settings: Settings
) -> None:
    await publish(conn, weekly.newsletter, "one")
    draft = await create(conn, weekly.newsletter)

    async def introduce(words: str) -> str:
        async with pool.acquire() as own, own.transaction():
            await digests.introduce(own, draft, {"en": words}, draft.version)
        return words

    said = await asyncio.gather(*(introduce(w) for w in "abcd"), return_exceptions=True)
    (won,) = [w for w in said if isinstance(w, str)]
    assert sum(isinstance(w, Conflict) for w in said) == 3
    now = await digests.get(conn, draft.id)
    assert (now.introduction, now.version) == ({"en": won}, draft.version + 1)
    with pytest.raises(Conflict, match="meanwhile"):  # and nobody approves what they have not seen
        await editions.approve(conn, settings, draft, by="staff:b", despite_warnings=True)
    await send(conn, settings, now)
    with pytest.raises(Conflict, match="no draft any more"):
        await digests.introduce(conn, now, {})


# languages


def item(id_: int, language: str, work: str | None = None) -> Item:
    at = datetime.now(UTC)
    article = Article(id_, 1, None, str(id_), language, "T", None, "", None, at, False, work)
    return Item(article, ())


SHOWN = Newsletter(1, "w", {"en": "W", "ru": "В"}, ["en", "ru"], "en", ["weekly"], "UTC", True)
OMITTED = replace(SHOWN, untranslated="omitted")


@pytest.mark.parametrize(
    ("newsletter", "language", "expected"),
    [
        (SHOWN, "en", [1, 3, 4, 5]),
        (SHOWN, "ru", [2, 3, 4, 5]),
        (OMITTED, "en", [1, 5]),
        (OMITTED, "ru", [2, 3, 4, 5]),  # 5: in no language of the newsletter
        (replace(SHOWN, fallback="ru"), "en", [1, 3, 4, 5]),
    ],
)
def test_a_language_is_shown_its_translation_or_what_the_newsletter_says(
    newsletter: Newsletter, language: str, expected: list[int]
) -> None:
    items = [item(1, "en", "a"), item(2, "ru", "a"), item(3, "ru"), item(4, "ru", "b")]
    shown = digests.in_language([*items, item(5, "kk")], language, newsletter)
    assert [i.article.id for i in shown] == expected


def test_the_fallback_goes_before_other_languages() -> None:
    three = replace(SHOWN, languages=["en", "ru", "ar"], titles={"en": "", "ru": "", "ar": ""})
    items = [item(1, "ru", "a"), item(2, "en", "a")]
    assert [i.article.id for i in digests.in_language(items, "ar", three)] == [2]


@pytest.mark.parametrize(
    ("untranslated", "russian"), [("shown", [["one"]]), ("omitted", [["один"]])]
)
async def test_a_late_translation_comes_to_those_who_have_not_had_the_article(
    conn: Connection, vault: Vault, weekly: World, settings: Settings, untranslated: str,
    russian: list[list[str]],
) -> None:  # fmt: skip
    newsletter = await newsletters.change(conn, weekly.newsletter, untranslated=untranslated)
    anna = await world.confirmed(conn, vault, weekly.wish(ANNA))
    vera = await world.confirmed(conn, vault, weekly.wish(VERA, "ru"))
    await publish(conn, newsletter, "one", work="1")
    await send(conn, settings, await create(conn, newsletter))
    await publish(conn, newsletter, "один", language="ru", work="1")
    second = await create(conn, newsletter)
    if untranslated == "shown":
        with pytest.raises(Conflict, match="nothing to read"):
            await send(conn, settings, second)
    else:
        await send(conn, settings, second)
    assert await shown_to(conn, anna.subscription.id) == [["one"]]
    assert await shown_to(conn, vera.subscription.id) == russian


# sending


async def test_a_digest_begins_once_and_its_order_is_kept(
    conn: Connection, pool: Pool, vault: Vault, weekly: World, settings: Settings
) -> None:
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    await publish(conn, weekly.newsletter, "one")
    first = await create(conn, weekly.newsletter)
    await publish(conn, weekly.newsletter, "two")
    second = await create(conn, weekly.newsletter)
    for digest in (first, second):
        await editions.approve(conn, settings, digest, by="x", despite_warnings=True)

    async def begin() -> bool:
        async with pool.acquire() as own, own.transaction():
            return await editions.begin_due(own, settings)

    while any(await asyncio.gather(*(begin() for _ in range(4)))):
        pass
    issued = [(await digests.get(conn, d.id)).issued for d in (first, second)]
    assert issued == [1, 2]
    assert await conn.fetchval("select count(*) from outbox where digest is not null") == 2


async def test_an_approved_digest_waits_for_its_time_and_may_be_taken_back(
    conn: Connection, weekly: World, settings: Settings
) -> None:
    await publish(conn, weekly.newsletter, "one")
    digest = await create(conn, weekly.newsletter)
    later = datetime.now(UTC) + timedelta(hours=1)
    await editions.approve(conn, settings, digest, by="staff:anna", at=later, despite_warnings=True)
    assert not await editions.begin_due(conn, settings)
    await digests.recall(conn, digest)
    again = await digests.get(conn, digest.id)
    assert (again.state, again.approved_by, again.version) == ("draft", None, digest.version + 1)
    assert await digests.editions(conn, digest.id) == []
    await editions.approve(conn, settings, again, by="staff:anna", at=later, despite_warnings=True)
    await conn.execute("update digest set send_at = now() - interval '1 minute'")
    assert await editions.begin_due(conn, settings)
    with pytest.raises(Conflict, match="can't become a draft again"):
        await digests.recall(conn, await digests.get(conn, digest.id))


# readers who change how often, or in which language


async def found(conn: Connection, vault: Vault, id_: int) -> Found:
    """One subscription, as the manage page finds it."""
    row = await conn.fetchrow("select subscriber, newsletter from subscription where id = $1", id_)
    assert row is not None
    (place,) = [
        s
        for s in await subscriptions.of_subscriber(conn, row["subscriber"])
        if s.newsletter == row["newsletter"]
    ]
    opened = await subscriptions.open_subscription(conn, vault, place)
    assert opened is not None
    return opened


async def change(
    conn: Connection, vault: Vault, reader: int, cadence: str, language: str = "en"
) -> None:
    async with conn.transaction():
        held = await found(conn, vault, reader)
        await conn.execute(
            "select from newsletter where id = $1 for share", held.subscription.newsletter
        )
        await subscriptions.change(conn, held, language, cadence)


async def test_who_goes_from_weekly_to_daily_gets_what_was_sent_meanwhile(
    conn: Connection, vault: Vault, weekly: World, settings: Settings
) -> None:
    anna = await world.confirmed(conn, vault, weekly.wish(ANNA, cadence="weekly"))
    boris = await world.confirmed(conn, vault, weekly.wish(BORIS, cadence="daily"))
    await publish(conn, weekly.newsletter, "monday")
    await send(conn, settings, await create(conn, weekly.newsletter, "daily"))
    await change(conn, vault, anna.subscription.id, "daily")
    await publish(conn, weekly.newsletter, "tuesday")
    await send(conn, settings, await create(conn, weekly.newsletter, "daily"))
    await publish(conn, weekly.newsletter, "wednesday")
    await send(conn, settings, await create(conn, weekly.newsletter, "daily"))
    await send(conn, settings, await create(conn, weekly.newsletter, "weekly"))
    assert await shown_to(conn, anna.subscription.id) == [["monday", "tuesday"], ["wednesday"]]
    assert await shown_to(conn, boris.subscription.id) == [["monday"], ["tuesday"], ["wednesday"]]


async def test_who_goes_from_daily_to_weekly_gets_only_what_is_new(
    conn: Connection, vault: Vault, weekly: World, settings: Settings
) -> None:
    anna = await world.confirmed(conn, vault, weekly.wish(ANNA, cadence="daily"))
    await publish(conn, weekly.newsletter, "monday")
    await send(conn, settings, await create(conn, weekly.newsletter, "daily"))
    await change(conn, vault, anna.subscription.id, "weekly")
    await publish(conn, weekly.newsletter, "tuesday")
    await send(conn, settings, await create(conn, weekly.newsletter, "daily"))
    await send(conn, settings, await create(conn, weekly.newsletter, "weekly"))
    assert await shown_to(conn, anna.subscription.id) == [["monday"], ["tuesday"]]


async def test_what_a_reader_was_passed_by_with_stays_behind_them_when_the_fallback_changes(
    conn: Connection, vault: Vault, weekly: World, settings: Settings
) -> None:
    omitting = await newsletters.change(conn, weekly.newsletter, untranslated="omitted")
    anna = await world.confirmed(conn, vault, weekly.wish(ANNA, cadence="daily"))
    await change(conn, vault, anna.subscription.id, "weekly")
    await conn.execute("update subscription set language = 'de'")  # as of a form in German
    await publish(conn, omitting, "monday")
    await publish(conn, omitting, "понедельник", language="ru")
    await send(conn, settings, await create(conn, omitting))
    russian = await newsletters.change(conn, omitting, fallback="ru")
    await publish(conn, russian, "вторник", language="ru")
    await send(conn, settings, await create(conn, russian))
    assert await shown_to(conn, anna.subscription.id) == [["monday"], ["вторник"]]


async def test_who_leaves_and_comes_back_begins_anew(
    conn: Connection, vault: Vault, weekly: World, settings: Settings
) -> None:
    anna = await world.confirmed(conn, vault, weekly.wish(ANNA, cadence="daily"))
    await publish(conn, weekly.newsletter, "one")
    await send(conn, settings, await create(conn, weekly.newsletter, "daily"))
    await change(conn, vault, anna.subscription.id, "weekly")
    await subscriptions.leave(conn, vault, await world.link(conn, vault, ANNA, "leave"), "page")
    await conn.execute("update subscription set mailed_at = null")
    await world.confirmed(conn, vault, weekly.wish(ANNA, cadence="daily"))
    assert await conn.fetchval("select count(*) from bookmark") == 0
    await publish(conn, weekly.newsletter, "two")
    await send(conn, settings, await create(conn, weekly.newsletter, "daily"))
    assert await shown_to(conn, anna.subscription.id) == [["one"], ["two"]]


async def test_a_change_and_a_beginning_at_once_lose_nothing(
    conn: Connection, pool: Pool, vault: Vault, weekly: World, settings: Settings
) -> None:
    readers = [
        (await world.confirmed(conn, vault, weekly.wish(f"r{n}@example.org"))).subscription.id
        for n in range(12)
    ]

    async def switch(reader: int, cadence: str) -> None:
        async with pool.acquire() as own:
            await change(own, vault, reader, cadence)

    async def issue(cadence: str) -> None:
        async with pool.acquire() as own, own.transaction():
            await send(own, settings, await create(own, weekly.newsletter, cadence))

    for round_ in range(4):
        await publish(conn, weekly.newsletter, f"article {round_}")
        cadence = ("daily", "weekly")[round_ % 2]
        await asyncio.gather(
            issue("daily"), issue("weekly"), *(switch(reader, cadence) for reader in readers)
        )
    await publish(conn, weekly.newsletter, "last")
    for cadence in ("daily", "weekly"):
        await issue(cadence)
    expected = sorted([*(f"article {n}" for n in range(4)), "last"])
    for reader in readers:
        assert sorted(title for mail in await shown_to(conn, reader) for title in mail) == expected


# whatever happens


CADENCES = ("daily", "weekly")
LANGUAGES = ("en", "ru")
READERS = 4
EXAMPLES = int(os.environ.get("MAILER_TEST_EXAMPLES", "15"))

Step = tuple[str, int, str, str]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["publish", "publish", "translate", "draft", "send", "issue", "issue", "put_back"]
            + ["change"] * 3
        ),
        st.integers(0, 7),
        st.sampled_from(CADENCES),
        st.sampled_from(LANGUAGES),
    ),
    min_size=8,
    max_size=30,
)


@dataclass
class Play:
    """A newsletter with readers, and everything that happened to it."""

    conn: Connection
    vault: Vault
    settings: Settings
    newsletter: Newsletter
    works: list[set[str]] = field(default_factory=list)
    drafts: list[Digest] = field(default_factory=list)
    readers: list[int] = field(default_factory=list)
    passages: dict[int, list[tuple[str, str, int]]] = field(default_factory=dict)
    """Of each reader: cadence, language, and how many digests had begun when they came to it."""

    issued: list[tuple[str, int]] = field(default_factory=list)
    """Of each digest that began: cadence and id."""

    async def join(self, subscriber: object, notice: str, cadence: str, language: str) -> None:
        reader = await self.conn.fetchval(
            """insert into subscription (subscriber, newsletter, state, language, cadence, notice,
                                         handle, expires_at, confirmed_at)
               values ($1, $2, 'confirmed', $3, $4, $5, 0, now(), now()) returning id""",
            subscriber, self.newsletter.id, language, cadence, notice,
        )  # fmt: skip
        self.readers.append(reader)
        self.passages[reader] = [(cadence, language, 0)]

    async def step(self, what: str, number: int, cadence: str, language: str) -> None:
        match what:
            case "publish":
                await self.publish(len(self.works), language)
            case "translate" if self.works:
                await self.publish(number % len(self.works), language)
            case "draft":
                await self.draft(cadence)
            case "send" if self.drafts:
                await self.send(self.drafts.pop(number % len(self.drafts)))
            case "issue":
                waiting = len(self.drafts)
                await self.draft(cadence)
                for draft in self.drafts[waiting:]:
                    await self.send(draft)
                del self.drafts[waiting:]
            case "put_back" if self.drafts:
                draft = self.drafts[number % len(self.drafts)]
                for item in (await digests.contents(self.conn, draft))[:1]:
                    await digests.put_back(self.conn, draft, item.article.id)
            case "change":
                await self.change(self.readers[number % READERS], cadence, language)

    async def publish(self, work: int, language: str) -> None:
        """An article, or a translation of it; of every third nobody says what it translates."""
        if work == len(self.works):
            self.works.append(set())
        tied = work % 3 != 2
        if language not in self.works[work] and (tied or not self.works[work]):
            self.works[work].add(language)
            id_, said = f"{work}-{language}", str(work) if tied else None
            await publish(self.conn, self.newsletter, id_, language=language, work=said)

    async def draft(self, cadence: str) -> None:
        try:
            async with self.conn.transaction():
                self.drafts.append(await create(self.conn, self.newsletter, cadence))
        except Conflict:
            return

    async def send(self, draft: Digest) -> None:
        try:
            async with self.conn.transaction():
                await send(self.conn, self.settings, draft)
        except Refusal:  # nothing to read in it
            await digests.cancel(self.conn, await digests.get(self.conn, draft.id))
        else:
            self.issued.append((draft.cadence, draft.id))

    async def change(self, reader: int, cadence: str, language: str) -> None:
        if self.passages[reader][-1][:2] == (cadence, language):
            cadence = CADENCES[1 - CADENCES.index(cadence)]
        await change(self.conn, self.vault, reader, cadence, language)
        self.passages[reader].append((cadence, language, len(self.issued)))

    async def end(self) -> None:
        """Everything goes out that there is, and each cadence comes once more."""
        while self.drafts:
            await self.send(self.drafts.pop(0))
        for language in LANGUAGES:
            await self.publish(len(self.works), language)
        for cadence in CADENCES:
            await self.draft(cadence)
        while self.drafts:
            await self.send(self.drafts.pop(0))

    async def had(self, reader: int) -> list[int]:
        """Works, in the order in which the reader got them."""
        mails = await shown_to(self.conn, reader)
        return [int(id_.split("-")[0]) for mail in mails for id_ in mail]

    async def shown(self, digest: int, language: str) -> set[int]:
        """Works in the main edition."""
        for edition in await digests.editions(self.conn, digest):
            if edition.language == language:
                shown = await digests.these(self.conn, edition.articles)
                return {int(i.article.external_id.split("-")[0]) for i in shown}
        return set()

    async def owed(self, reader: int) -> set[int]:
        """What editions brought to a reader's cadence and language while they were in it, but for
        what that edition had shown before they came."""
        passages = self.passages[reader]
        ends = [begin for _, _, begin in passages[1:]] + [len(self.issued)]
        owed: set[int] = set()
        excused: set[int] = set()
        for (cadence, language, begin), end in zip(passages, ends, strict=True):
            for place, (of, digest) in enumerate(self.issued):
                if of == cadence:
                    shown = await self.shown(digest, language)
                    if place < begin:
                        excused |= shown
                    elif place < end:
                        owed |= shown
        return owed - excused


@hypothesis(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],  # to shrink takes minutes: each step is a transaction
)
@given(STEPS, st.sampled_from(["shown", "omitted"]), st.booleans())
@example(
    [("publish", 0, "daily", "ru"), ("draft", 0, "daily", "en"), ("send", 0, "daily", "en"),
     ("change", 0, "weekly", "ru"), ("translate", 0, "daily", "en"),
     ("change", 0, "daily", "en"), ("draft", 0, "weekly", "en"), ("send", 0, "daily", "en")],
    "shown", True,
)  # fmt: skip
async def test_whatever_readers_change_and_whenever_articles_come_each_comes_once(
    conn: Connection,
    vault: Vault,
    weekly: World,
    settings: Settings,
    steps: Sequence[Step],
    untranslated: str,
    languages_too: bool,
) -> None:
    newsletter = await newsletters.add(
        conn, f"n{uuid4().hex[:20]}", {"en": "N", "ru": "Н"}, fallback="en", cadences=CADENCES
    )
    newsletter = await newsletters.change(conn, newsletter, untranslated=untranslated)
    play = Play(conn, vault, settings, newsletter)
    for n in range(READERS):
        email = f"reader{n}@example.org"
        if not await conn.fetchval("select count(*) > $1 from subscriber", n):
            await world.ask(conn, vault, weekly.wish(email))
        subscriber = (await world.found(conn, vault, email)).subscriber.id
        language = LANGUAGES[n // 2]
        await play.join(subscriber, weekly.notices[language].id, CADENCES[n % 2], language)
    for what, number, cadence, language in steps:
        reader = play.readers[number % READERS]
        kept = language if languages_too else play.passages[reader][-1][1]
        await play.step(what, number, cadence, kept if what == "change" else language)
    await play.end()
    for reader in play.readers:
        had = await play.had(reader)
        assert len(had) == len(set(had)), "nothing twice"
        language = play.passages[reader][-1][1]
        if untranslated == "shown":
            assert set(had) == set(range(len(play.works))), "nothing lost"
        elif not languages_too:
            readable = {w for w, versions in enumerate(play.works) if language in versions}
            assert set(had) == readable, "nothing lost"
        assert await play.owed(reader) <= set(had), "what came to their edition came to them"
