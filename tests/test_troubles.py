"""Troubles: what staff should look at, who is told of it, and how seldom."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import cast, get_args
from uuid import UUID

import pytest

from mailer import (
    articles,
    bounces,
    delivery,
    digests,
    feeds,
    floods,
    staff,
    subjects,
    troubles,
    vault,
)
from mailer.articles import Draft
from mailer.bounces import health
from mailer.config import Settings
from mailer.db import Connection, Pool
from mailer.delivery.desk import Written, trouble
from mailer.feeds import Failed, Gone
from mailer.outbox import ToStaff
from mailer.staff import Role
from mailer.tokens import SLOTS, Token
from mailer.troubles import Trouble
from mailer.vault import Subject, Vault
from tests import world
from tests.test_delivery import Post, verdict
from tests.world import World

ERIKA = "erika@example.org"
OTTO = "otto@example.org"
URL = "https://example.org/feed.xml"
HASHED = "not a hash"


@dataclass
class Desk:
    """A newsletter with a feed that can't be read, and who runs the service."""

    conn: Connection
    keys: Vault
    weekly: World

    async def hire(self, email: str, role: Role = "editor", language: str = "en") -> UUID:
        return await staff.add(self.conn, self.keys, email, role, HASHED, language)

    async def fail(self, url: str = URL, days: float = 2) -> int:
        feed = await feeds.add(self.conn, self.weekly.newsletter.id, url)
        await feeds.store(self.conn, feed, Failed("The server answered 500."))
        age = "update feed set created_at = now() - $2::interval where id = $1"
        await self.conn.execute(age, feed.id, timedelta(days=days))
        return feed.id

    async def mend(self, id_: int) -> None:
        await feeds.store(self.conn, await feeds.find(self.conn, id_), feeds.Unchanged())

    async def age(self, hours: float) -> None:
        """So much time goes by."""
        by = timedelta(hours=hours)
        await self.conn.execute("update trouble_told set at = at - $1::interval", by)
        await self.conn.execute("update trouble set since = since - $1::interval", by)

    async def tell(self) -> int:
        return await troubles.tell(self.conn)

    async def told(self) -> Sequence[UUID]:
        rows = await self.conn.fetch("select staff from outbox where kind = 'trouble' order by id")
        return [row["staff"] for row in rows]

    async def kinds(self) -> list[str]:
        return [trouble.kind for trouble in await troubles.present(self.conn)]


@pytest.fixture
async def desk(conn: Connection, vault: Vault) -> Desk:
    return Desk(conn, vault, await world.make(conn, vault))


@pytest.fixture
def post(settings: Settings, pool: Pool, vault: Vault, conn: Connection) -> Post:
    return Post(settings, pool, vault, conn)


async def held(desk: Desk, articles: int = 3) -> int:
    """A feed whose articles wait."""
    feed = await feeds.add(desk.conn, desk.weekly.newsletter.id, URL)
    await desk.conn.execute(
        "insert into article (newsletter, feed, external_id, language, title, held) "
        "select $1, $2, n::text, 'en', 'About ' || n, true from generate_series(1, $3) n",
        desk.weekly.newsletter.id,
        feed.id,
        articles,
    )
    return feed.id


async def stuck(desk: Desk) -> None:
    """A digest that a schedule made, and a check stopped."""
    await desk.conn.execute(
        "insert into article (newsletter, external_id, language, title) "
        "values ($1, 'x', 'en', 'X')",
        desk.weekly.newsletter.id,
    )
    digest = await digests.create(desk.conn, desk.weekly.newsletter, "weekly", by=digests.SCHEDULE)
    await digests.complain(desk.conn, digest, "“X” has no text, no link and no file.")


async def test_a_feed_that_stumbles_is_no_trouble_and_one_that_stays_down_is(desk: Desk) -> None:
    await desk.fail("https://example.org/new.xml", days=0.5)
    assert await desk.kinds() == []
    await desk.fail(days=1.1)
    assert await desk.kinds() == ["failing"]


async def test_what_is_gone_or_waits_or_fell_silent_is_trouble(desk: Desk) -> None:
    gone = await feeds.add(desk.conn, desk.weekly.newsletter.id, "https://example.org/gone.xml")
    await feeds.store(desk.conn, gone, Gone())
    await held(desk)
    quiet = await feeds.add(desk.conn, desk.weekly.newsletter.id, "https://example.org/quiet.xml")
    await desk.conn.execute(
        "update feed set created_at = now() - interval '61 days', polled_at = now() where id = $1",
        quiet.id,
    )
    await stuck(desk)
    assert await desk.kinds() == ["gone", "held", "silent", "waiting"]


@pytest.mark.parametrize(
    ("complaints", "kinds"),
    [(0, []), (1, ["complaints"]), (3, ["many-complaints", "complaints"])],
)
async def test_complaints_are_trouble_at_one_in_a_thousand_and_more_so_at_three(
    desk: Desk, complaints: int, kinds: list[str]
) -> None:
    digest = await desk.conn.fetchval(
        "insert into digest (newsletter, number, cadence, created_by) "
        "values ($1, 1, 'weekly', 'x') returning id",
        desk.weekly.newsletter.id,
    )
    sent, complained = (health.Tally(digest, "gmail", what) for what in ("sent", "complaint"))
    await health.add(desk.conn, Counter({sent: 1000, complained: complaints}))
    await bounces.watch(desk.conn, desk.keys)
    assert sorted(await desk.kinds()) == sorted(kinds)
    await desk.hire(ERIKA)
    assert await desk.tell() == (1 if kinds else 0)


async def test_editors_and_owners_are_told_and_nobody_else(desk: Desk) -> None:
    erika = await desk.hire(ERIKA)
    owner = await desk.hire(OTTO, "owner")
    away = await desk.hire("away@example.org")
    await desk.conn.execute("update staff set disabled_at = now() where id = $1", away)
    await desk.hire("privacy@example.org", "privacy")
    await desk.hire("viewer@example.org", "viewer")
    await desk.fail()
    assert await desk.tell() == 2
    assert set(await desk.told()) == {erika, owner}


async def test_once_told_nothing_more_is_said_until_something_new_happens(desk: Desk) -> None:
    await desk.hire(ERIKA)
    await desk.fail()
    assert await desk.tell() == 1
    for _ in range(3):
        await desk.age(hours=48)
        assert await desk.tell() == 0
    await desk.fail("https://example.org/other.xml")
    assert await desk.tell() == 1


async def test_what_recovers_and_fails_again_is_told_again(desk: Desk) -> None:
    await desk.hire(ERIKA)
    feed = await desk.fail()
    assert await desk.tell() == 1
    await desk.mend(feed)
    await desk.age(hours=48)
    assert await desk.tell() == 0
    await desk.conn.execute(
        "update feed set problem = 'Again.', polled_at = now() - interval '2 days' where id = $1",
        feed,
    )
    assert await desk.tell() == 1


async def test_one_letter_a_day_is_the_most(desk: Desk) -> None:
    await desk.hire(ERIKA)
    await desk.fail()
    assert await desk.tell() == 1
    await desk.fail("https://example.org/other.xml")
    assert await desk.tell() == 0
    await desk.age(hours=23)
    assert await desk.tell() == 0
    await desk.age(hours=2)
    assert await desk.tell() == 1


async def test_two_workers_at_once_put_one_letter(desk: Desk, conn: Connection, pool: Pool) -> None:
    await desk.hire(ERIKA)
    await desk.fail()

    async def tell() -> int:
        async with pool.acquire() as own, own.transaction():
            return await troubles.tell(own)

    assert sum(await asyncio.gather(*(tell() for _ in range(6)))) == 1
    assert len(await desk.told()) == 1


def parsed(raw: bytes) -> EmailMessage:
    return message_from_bytes(raw, policy=policy.default)


def text(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part is not None
    return " ".join(str(part.get_content()).split())


async def test_the_letter_names_them_all_and_goes_as_any_letter_does(
    desk: Desk, post: Post
) -> None:
    await desk.hire(ERIKA)
    await desk.fail()
    await stuck(desk)
    await desk.tell()
    answers = await post.round(verdict("sent"))
    ((raw, sender, recipient),) = answers.handed
    mail = parsed(raw)
    assert (recipient, mail["To"]) == (ERIKA, ERIKA)
    assert sender.startswith("newsletter@")
    assert "List-Unsubscribe" not in mail
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Subject"].startswith("2 things need your attention")
    said = text(mail)
    assert URL in said
    assert "The server answered 500." in said
    assert "has no text, no link and no file" in said
    assert "mailer digest preview weekly 1" in said
    assert await post.states() == [("sent", 1)]


async def test_a_link_in_a_letter_to_staff_is_made_when_it_is_sent(
    desk: Desk, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    erika = await desk.hire(ERIKA)
    await desk.fail()
    await desk.tell()

    async def writer(
        conn: Connection, settings: Settings, mail: ToStaff, subject: Subject
    ) -> Written:
        token = Token(7, vault.proof(subject, "manage", str(mail.staff)))
        letter = await trouble(conn, settings, mail, subject)
        assert letter is not None
        linked = replace(letter.letter, text=f"Your link: {SLOTS['manage']}", html=None)
        return Written(linked, {"manage": token})

    monkeypatch.setitem(cast("dict[str, object]", delivery.desk.WRITERS), "trouble", writer)
    ((raw, _, _),) = (await post.round(verdict("sent"))).handed
    subject = await subjects.find(desk.conn, desk.keys, erika)
    assert subject is not None
    token = Token(7, vault.proof(subject, "manage", str(erika)))
    assert text(parsed(raw)) == f"Your link: {token}"


async def test_it_is_in_the_language_of_whom_it_goes_to(desk: Desk, post: Post) -> None:
    await desk.hire(ERIKA, language="ru")
    await desk.fail()
    await desk.tell()
    ((raw, _, _),) = (await post.round(verdict("sent"))).handed
    assert "Права за неделю" in text(parsed(raw))


async def test_a_letter_about_what_is_over_by_now_does_not_go(desk: Desk, post: Post) -> None:
    await desk.hire(ERIKA)
    feed = await desk.fail()
    await desk.tell()
    await desk.mend(feed)
    assert (await post.round()).handed == []
    assert await post.states() == [("dropped", 0)]


async def test_it_does_not_go_to_who_was_disabled_meanwhile(desk: Desk, post: Post) -> None:
    erika = await desk.hire(ERIKA)
    await desk.fail()
    await desk.tell()
    await desk.conn.execute("update staff set disabled_at = now() where id = $1", erika)
    assert (await post.round()).handed == []
    assert await post.states() == [("dropped", 0)]


async def test_one_who_wants_no_newsletters_is_written_to_as_staff(desk: Desk, post: Post) -> None:
    await world.confirmed(desk.conn, desk.keys, desk.weekly.wish(ERIKA))
    await desk.conn.execute("delete from outbox")
    await desk.conn.execute("delete from batch")
    token = await world.link(desk.conn, desk.keys, ERIKA, "bounce")
    await world.ended(desk.conn, desk.keys, token, "complaint")
    await desk.hire(ERIKA)
    await desk.fail()
    await desk.tell()
    assert len((await post.round()).handed) == 1


async def test_a_letter_that_is_put_off_is_tried_again_and_a_refused_one_is_not(
    desk: Desk, post: Post
) -> None:
    await desk.hire(ERIKA)
    await desk.hire(OTTO)
    await desk.fail()
    await desk.tell()
    await post.round(verdict("later"), verdict("never"))
    assert await post.states() == [("waiting", 1), ("failed", 1)]
    assert await desk.conn.fetchval("select count(*) from bounce") == 0
    await desk.conn.execute("update batch set due_at = now()")
    await post.round(verdict("sent"))
    assert await post.states() == [("sent", 2), ("failed", 1)]


async def test_letters_to_staff_and_to_readers_go_in_one_round(desk: Desk, post: Post) -> None:
    await desk.hire(ERIKA)
    await world.ask(desk.conn, desk.keys, desk.weekly.wish("anna@example.org"))
    await desk.fail()
    await desk.tell()
    answers = await post.round()
    assert sorted(to for _, _, to in answers.handed) == ["anna@example.org", ERIKA]


async def test_an_account_that_goes_takes_its_letters_along(desk: Desk) -> None:
    erika = await desk.hire(ERIKA)
    await desk.fail()
    await desk.tell()
    await desk.conn.execute("delete from staff where id = $1", erika)
    assert await desk.told() == []


async def test_the_outbox_takes_no_letter_to_both_or_to_nobody(desk: Desk) -> None:
    found = await world.confirmed(desk.conn, desk.keys, desk.weekly.wish("anna@example.org"))
    erika = await desk.hire(ERIKA)
    for kind, subscription, account in (
        ("trouble", found.subscription.id, erika),
        ("trouble", None, None),
        ("confirm", None, erika),
        ("trouble", found.subscription.id, None),
    ):
        with pytest.raises(Exception, match="outbox_"):
            await desk.conn.execute(
                "insert into outbox (kind, subscription, staff) values ($1, $2, $3)",
                kind, subscription, account,
            )  # fmt: skip


async def test_each_kind_says_something_of_its_own(desk: Desk) -> None:
    found = [
        Trouble(kind, "1", desk.weekly.newsletter, [], count=3, share=0.0031, provider="gmail")
        for kind in get_args(troubles.Kind)
    ]
    said = {trouble.sentence(language) for trouble in found for language in ("en", "ru")}
    assert len(said) == 2 * (len(found) - 1)  # complaints are complaints, however many
    assert not [sentence for sentence in said if "{" in sentence]
    assert "0.31%" in found[-1].sentence("en")


async def test_a_flood_of_forms_is_told_as_long_as_it_lasts(conn: Connection, vault: Vault) -> None:
    weekly = await world.make(conn, vault)
    account = await staff.add(conn, vault, ERIKA, "owner", HASHED)
    await floods.count(conn, {weekly.newsletter.id: floods.MANY + 1})
    await floods.watch(conn)
    (told,) = await troubles.present(conn)
    assert (told.kind, told.newsletter.slug) == ("flood", "weekly")
    assert "1501 forms in 10 minutes for weekly" in told.said
    assert "Заявок" in told.sentence("ru")
    assert await troubles.tell(conn) == 1
    assert account is not None
    await conn.execute("update hit set window_start = window_start - interval '11 minutes'")
    await floods.watch(conn)
    assert await troubles.present(conn) == []


async def test_a_digest_that_a_schedule_made_is_told_of_until_somebody_approves_it(
    desk: Desk,
) -> None:
    draft = Draft("1", "One", "en", "https://example.org/1")
    await articles.add(desk.conn, desk.weekly.newsletter.id, draft)
    digest = await digests.create_or_extend(desk.conn, desk.weekly.newsletter, "weekly")
    assert digest is not None
    (told,) = await troubles.present(desk.conn)
    assert (told.kind, told.digest) == ("ready", digest.number)
    await digests.cancel(desk.conn, digest)
    assert await troubles.present(desk.conn) == []
