"""Bounces: whose they are, what is done about them, and that it can be taken back."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from mailer import (
    address,
    bounces,
    consent,
    outbox,
    people,
    retention,
    subscriptions,
    suppressions,
)
from mailer.bounces import Answer, Taken, health, reading
from mailer.db import Connection, Pool
from mailer.errors import Conflict, Unknown
from mailer.retention import Terms
from mailer.subscriptions import Found
from mailer.vault import Vault
from tests import world
from tests.test_bounces_reading import arf, dsn, plain
from tests.world import ANNA, BORIS, HOURS, World

DOMAIN = "bounces.example.org"
TERMS = Terms(timedelta(hours=HOURS), timedelta(days=30))
UNKNOWN = "550 5.1.1 <anna@example.org>: User unknown, says mx number {}"


class Home:
    """A newsletter with readers, digests sent to them, and what comes back."""

    def __init__(self, conn: Connection, vault: Vault, weekly: World) -> None:
        self.conn = conn
        self.vault = vault
        self.weekly = weekly
        self.count = 0

    async def reader(self, email: str) -> Found:
        return await world.confirmed(self.conn, self.vault, self.weekly.wish(email))

    async def digest(self) -> int:
        """A digest that all readers got."""
        made = await self.conn.fetchval(
            "insert into digest (newsletter, number, cadence, state, created_by) "
            "select $1, coalesce(max(number), 0) + 1, 'weekly', 'sending', 'system' from digest "
            "returning id",
            self.weekly.newsletter.id,
        )
        await self.conn.execute(
            "insert into edition (digest, language, subject, html, text) "
            "select $1, language, 'News', '<p>News</p>', 'News' "
            "from unnest(array['en', 'ru']) as language",
            made,
        )
        await outbox.put_digest(self.conn, made)
        await self.conn.execute(
            "update outbox set state = 'sent', settled_at = now() where digest = $1", made
        )
        return int(made)

    async def comes(self, raw: bytes, *to: str) -> Taken:
        report = bounces.mailed("lmtp", raw, reading.read(raw), to)
        async with self.conn.transaction():
            return await bounces.take(self.conn, self.vault, report)

    async def back(self, email: str, words: str = UNKNOWN, status: str = "5.1.1") -> Taken:
        """Another bounce of the person's latest mail."""
        self.count += 1
        return await self.comes(dsn(words.format(self.count), status), await self.verp(email))

    async def verp(self, email: str, mark: str = "b") -> str:
        purpose = "bounce" if mark == "b" else "leave"
        return f"{mark}+{await world.link(self.conn, self.vault, email, purpose)}@{DOMAIN}"  # type: ignore[arg-type]  # either

    async def age(self, by: timedelta) -> None:
        for table, column in (("bounce", "created_at"), ("outbox", "settled_at")):
            await self.conn.execute(f"update {table} set {column} = {column} - $1::interval", by)

    async def sweep(self) -> dict[str, int]:
        return dict(await retention.sweep(self.conn, self.vault, TERMS))

    async def outlook(self) -> dict[str, int]:
        found = await retention.outlook(self.conn, TERMS)
        return {what: each.due for what, each in found.items() if each.due}

    async def state(self, email: str) -> tuple[str, str | None]:
        """Of the subscription, and why the address is suppressed."""
        found = await world.found(self.conn, self.vault, email)
        reason = await suppressions.reason(self.conn, self.vault, address.parse(email))
        return found.subscription.state, reason

    async def withdrawn(self, email: str) -> list[str]:
        """The channels of the withdrawals on record."""
        found = await world.found(self.conn, self.vault, email)
        events = await consent.of(self.conn, found.subject)
        return [
            e.content["evidence"]["channel"]
            for e in events
            if e.content["type"] == "consent.withdrawn"
        ]


@pytest.fixture
async def home(conn: Connection, vault: Vault) -> Home:
    return Home(conn, vault, await world.make(conn, vault))


FIT = ("confirmed", None)


# hard


async def test_one_strike_ends_nothing_and_a_second_one_days_later_ends_all(home: Home) -> None:
    await home.reader(ANNA)
    await home.digest()
    assert (await home.back(ANNA)).act is None
    assert await home.state(ANNA) == FIT
    await home.age(timedelta(days=7))
    await home.digest()
    assert (await home.back(ANNA)).act == "suppressed"
    assert await home.state(ANNA) == ("left", "bounce")
    assert await home.withdrawn(ANNA) == ["bounce"]


async def test_strikes_of_the_same_days_are_one(home: Home) -> None:
    await home.reader(ANNA)
    await home.digest()
    await home.back(ANNA)
    await home.age(timedelta(days=2, hours=23))
    assert (await home.back(ANNA)).act is None
    assert await home.state(ANNA) == FIT


async def test_a_mail_that_arrives_in_between_forgives(home: Home) -> None:
    await home.reader(ANNA)
    await home.digest()
    await home.back(ANNA)
    await home.age(timedelta(days=7))
    await home.digest()
    await home.age(timedelta(days=4))
    await bounces.forgive(home.conn)
    await home.digest()
    assert (await home.back(ANNA)).act is None


async def test_a_mail_that_came_back_itself_forgives_nothing(home: Home) -> None:
    await home.reader(ANNA)
    await home.digest()
    await home.back(ANNA)
    await home.age(timedelta(days=7))
    await home.digest()
    await home.back(ANNA, "452 4.2.2 mailbox full ({})", "4.2.2")
    await home.age(timedelta(days=4))
    await bounces.forgive(home.conn)
    assert (await home.back(ANNA)).act == "suppressed"


async def test_the_same_bounce_told_again_is_none(home: Home) -> None:
    await home.reader(ANNA)
    raw, to = dsn("550 5.1.1 User unknown", "5.1.1"), await home.verp(ANNA)
    assert (await home.comes(raw, to)).bounce is not None
    await home.age(timedelta(days=7))
    again = await home.comes(raw, to)
    assert (again.again, again.bounce, again.act) == (True, None, None)


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("554 5.7.1 blocked using zen.spamhaus.org ({})", "5.7.1"),
        ("550 5.7.26 DMARC policy ({})", "5.7.26"),
        ("554 5.7.1 spam ({})", "5.7.1"),
        ("452 4.7.0 too many messages ({})", "4.7.0"),
    ],
)
async def test_what_is_not_the_persons_fault_never_ends_anything(
    home: Home, words: str, status: str
) -> None:
    await home.reader(ANNA)
    for _ in range(8):
        await home.back(ANNA, words, status)
        await home.age(timedelta(days=10))
    assert await home.state(ANNA) == FIT


# soft


async def test_a_mailbox_that_is_full_for_a_month_is_given_up(home: Home) -> None:
    await home.reader(ANNA)
    for day in (0, 7, 14, 21):
        await home.digest()
        taken = await home.back(ANNA, "552 5.2.2 mailbox full ({})", "5.2.2")
        assert taken.act is None, day
        await home.age(timedelta(days=8))
    await home.digest()
    assert (await home.back(ANNA, "552 5.2.2 mailbox full ({})", "5.2.2")).act == "suppressed"
    assert await home.state(ANNA) == ("left", "bounce")


async def test_five_times_within_a_month_are_not_enough(home: Home) -> None:
    await home.reader(ANNA)
    for _ in range(9):
        await home.back(ANNA, "552 5.2.2 mailbox full ({})", "5.2.2")
        await home.age(timedelta(days=3))
    assert await home.state(ANNA) == FIT


async def test_notices_of_delay_are_no_strikes(home: Home) -> None:
    await home.reader(ANNA)
    for number in range(8):
        raw = dsn(f"connection timed out ({number})", "4.4.1", action="delayed")
        await home.comes(raw, await home.verp(ANNA))
        await home.age(timedelta(days=10))
    assert await home.state(ANNA) == FIT


# complaints and wishes to leave


async def test_a_complaint_ends_everything_at_once(home: Home) -> None:
    await home.reader(ANNA)
    taken = await home.comes(arf("abuse"), await home.verp(ANNA))
    assert (taken.kind, taken.act) == ("complaint", "suppressed")
    assert await home.state(ANNA) == ("left", "complaint")
    assert await home.withdrawn(ANNA) == ["complaint"]


async def test_a_complaint_is_known_by_the_link_to_leave_as_well(home: Home) -> None:
    await home.reader(ANNA)
    token = await world.link(home.conn, home.vault, ANNA, "leave")
    raw = arf("abuse") + f"List-Unsubscribe: <https://news.example.org/u/{token}>".encode()
    assert (await home.comes(raw, f"fbl@{DOMAIN}")).act == "suppressed"


async def test_a_link_to_leave_strikes_nobody(home: Home) -> None:
    await home.reader(ANNA)
    token = await world.link(home.conn, home.vault, ANNA, "leave")
    raw = dsn("550 5.1.1 User unknown", "5.1.1", human=f"https://news.example.org/u/{token}")
    assert (await home.comes(raw)).bounce is None


async def test_a_mail_to_the_address_for_leaving_leaves_that_newsletter(home: Home) -> None:
    await home.reader(ANNA)
    asked = plain("Re: hello", "please", "Anna <anna@example.org>")
    taken = await home.comes(asked, await home.verp(ANNA, "u"))
    assert (taken.kind, taken.act) == ("unsubscribe", "left")
    assert await home.state(ANNA) == ("left", None)
    assert await home.withdrawn(ANNA) == ["one-click"]


async def test_an_automatic_answer_changes_nothing(home: Home) -> None:
    await home.reader(ANNA)
    away = plain("Out of office", "user unknown", "Anna <anna@example.org>")
    assert (await home.comes(away, await home.verp(ANNA))).kind == "auto-reply"
    assert await home.state(ANNA) == FIT


# forged and lost


@pytest.mark.parametrize("raw", [dsn("550 5.1.1 User unknown", "5.1.1"), arf("abuse")])
async def test_without_a_true_token_it_is_counted_and_nothing_is_done(
    home: Home, raw: bytes
) -> None:
    await home.reader(ANNA)
    taken = await home.comes(raw, f"b+{'A' * 26}Q@{DOMAIN}")
    assert (taken.bounce, taken.act) == (None, None)
    assert sum(stray.count for stray in await bounces.strays(home.conn)) == 1
    assert await home.state(ANNA) == FIT


async def test_a_token_for_another_purpose_proves_nothing(home: Home) -> None:
    await home.reader(ANNA)
    token = await world.link(home.conn, home.vault, ANNA, "confirm")
    assert (await home.comes(arf("abuse"), f"b+{token}@{DOMAIN}")).bounce is None


async def test_a_token_is_found_in_the_returned_mail_where_the_envelope_lost_it(
    home: Home,
) -> None:
    await home.reader(ANNA)
    raw = dsn("550 5.1.1 User unknown", "5.1.1", human=f"Return-Path: <{await home.verp(ANNA)}>")
    assert (await home.comes(raw, "postmaster@example.org")).bounce is not None


# what is kept


async def test_nothing_kept_names_anybody(home: Home) -> None:
    await home.reader(ANNA)
    await home.digest()
    taken = await home.back(ANNA, "550 5.1.1 <anna@example.org> anna is not here ({})")
    rows = await home.conn.fetch("select * from bounce")
    assert "anna" not in str([dict(row) for row in rows])
    assert taken.bounce is not None
    shown = bounces.described(*await bounces.get(home.conn, home.vault, taken.bounce))
    assert "anna" not in str(shown).lower()
    assert "is not here" in str(shown["report"])


async def test_reports_are_kept_for_a_while_only(home: Home) -> None:
    await home.reader(ANNA)
    taken = await home.back(ANNA)
    assert taken.bounce is not None
    await home.age(retention.REPORTS)
    assert await home.sweep() == {"reports that came back": 1}
    kept, _ = await bounces.get(home.conn, home.vault, taken.bounce)
    assert kept.report is None
    await home.age(retention.BOUNCES)
    assert await home.sweep() == {"bounces": 1}
    with pytest.raises(Unknown, match="bounce list"):
        await bounces.get(home.conn, home.vault, taken.bounce)


async def test_the_mark_of_a_report_goes_with_the_report(home: Home) -> None:
    await home.reader(ANNA)
    await home.back(ANNA)
    await home.conn.execute("update told set at = at - $1::interval", retention.REPORTS)
    assert await home.outlook() == {"marks of reports": 1}
    assert await home.sweep() == {"marks of reports": 1}


async def test_of_whoever_is_restricted_nothing_goes(home: Home) -> None:
    await home.reader(ANNA)
    await home.back(ANNA)
    await home.age(retention.BOUNCES)
    assert await home.outlook() == {"bounces": 1, "reports that came back": 1}
    await home.conn.execute("update subscriber set restricted_at = now()")
    assert await home.outlook() == await home.sweep() == {}


async def test_who_is_erased_leaves_no_bounce(home: Home) -> None:
    await home.reader(ANNA)
    await home.back(ANNA)
    own = await people.find(home.conn, home.vault, ANNA)
    await people.erase(home.conn, home.vault, own, never_again=False, actor="staff:anna")
    assert await bounces.latest(home.conn, None, None, 10) == []


# undoing


async def suppressed(home: Home, email: str) -> int:
    await home.back(email)
    await home.age(timedelta(days=4))
    taken = await home.back(email)
    assert taken.act == "suppressed"
    assert taken.bounce is not None
    return taken.bounce


async def test_what_was_done_can_be_undone_and_is_on_record(home: Home) -> None:
    await home.reader(ANNA)
    await bounces.undo(home.conn, home.vault, await suppressed(home, ANNA), "staff:anna")
    assert await home.state(ANNA) == FIT
    found = await world.found(home.conn, home.vault, ANNA)
    latest = (await consent.of(home.conn, found.subject))[-1].content
    assert (latest["type"], latest["actor"]) == ("consent.updated", "staff:anna")
    assert latest["evidence"]["to"] == {"state": "confirmed"}


async def test_undoing_revives_no_subscription_that_the_person_ended(home: Home) -> None:
    await home.reader(ANNA)
    token = await world.link(home.conn, home.vault, ANNA, "leave")
    await subscriptions.leave(home.conn, home.vault, token, "page")
    await home.conn.execute("update subscription set left_at = left_at - interval '1 minute'")
    taken = await home.comes(arf("abuse"), await home.verp(ANNA))
    assert taken.bounce is not None
    await bounces.undo(home.conn, home.vault, taken.bounce, "staff:anna")
    assert await home.state(ANNA) == ("left", None)


async def test_undoing_lets_nobody_be_written_to_who_wished_for_silence(home: Home) -> None:
    await home.reader(ANNA)
    await suppressions.add(home.conn, home.vault, address.parse(ANNA), "person")
    taken = await home.comes(arf("abuse"), await home.verp(ANNA))
    assert taken.bounce is not None
    await bounces.undo(home.conn, home.vault, taken.bounce, "staff:anna")
    assert await home.state(ANNA) == ("left", "person")


async def test_undoing_twice_is_refused(home: Home) -> None:
    await home.reader(ANNA)
    bounce = await suppressed(home, ANNA)
    await bounces.undo(home.conn, home.vault, bounce, "staff:anna")
    with pytest.raises(Conflict, match="before"):
        await bounces.undo(home.conn, home.vault, bounce, "staff:anna")


async def test_an_undone_bounce_counts_no_more(home: Home) -> None:
    await home.reader(ANNA)
    taken = await home.back(ANNA)
    assert taken.bounce is not None
    await bounces.undo(home.conn, home.vault, taken.bounce, "staff:anna")
    await home.age(timedelta(days=4))
    assert (await home.back(ANNA)).act is None


async def test_a_new_address_starts_without_a_past(home: Home) -> None:
    found = await home.reader(ANNA)
    await home.back(ANNA)
    await bounces.forget_of(home.conn, found.subscriber.id)
    await home.age(timedelta(days=4))
    assert (await home.back(ANNA)).act is None


# what the mail server said while we sent


def answer(found: Found, **given: object) -> Answer:
    base = Answer(
        found.subscription.id, uuid4(), None, None, "never", "rcpt", 550, "5.1.1",
        "User unknown", first=True, again=False,
    )  # fmt: skip
    return replace(base, **given)  # type: ignore[arg-type]  # tests give what they like


async def told(home: Home, answers: Sequence[Answer]) -> None:
    async with home.conn.transaction():
        await bounces.hold(home.conn, answers)
        await bounces.settled(home.conn, home.vault, {}, answers)


async def test_a_refusal_at_rcpt_is_a_strike_like_any_other(home: Home) -> None:
    found = await home.reader(ANNA)
    await told(home, [answer(found)])
    await home.age(timedelta(days=4))
    assert await home.state(ANNA) == FIT
    await told(home, [answer(found)])
    assert await home.state(ANNA) == ("left", "bounce")


@pytest.mark.parametrize(
    "said",
    [
        {"stage": "mail"},
        {"stage": "data"},
        {"status": "5.7.1", "reply": "blocked using a list"},
        {"kind": "later", "code": 450, "status": "4.1.1"},
        {"again": True, "kind": "later", "code": 450},
    ],
)
async def test_what_is_said_of_us_or_of_the_mail_strikes_nobody(
    home: Home, said: dict[str, object]
) -> None:
    found = await home.reader(ANNA)
    for _ in range(3):
        await told(home, [answer(found, **said)])
        await home.age(timedelta(days=4))
    assert await home.state(ANNA) == FIT


# storms


async def storm(home: Home, readers: Sequence[Found], refused: int, digest: int) -> None:
    said = [
        answer(found, message=await message(home, found, digest), digest=digest, provider="google",
               **({} if number < refused else {"kind": "sent", "code": 250}))
        for number, found in enumerate(readers)
    ]  # fmt: skip
    await told(home, said)


async def message(home: Home, found: Found, digest: int) -> UUID:
    found_: UUID = await home.conn.fetchval(
        "select message from outbox where subscription = $1 and digest = $2",
        found.subscription.id,
        digest,
    )
    return found_


async def test_a_storm_suppresses_nobody_and_raises_the_alarm(home: Home) -> None:
    """As on 14 December 2020: 10 % of Gmail's readers are called unknown in one digest."""
    readers = [await home.reader(f"reader{n}@gmail.com") for n in range(60)]
    first = await home.digest()
    await storm(home, readers, 1, first)  # who has a strike: one more, and they would be out
    await home.age(timedelta(days=7))
    second = await home.digest()
    await storm(home, readers, 6, second)
    for n in range(6):
        assert await home.state(f"reader{n}@gmail.com") == FIT
    alarms = await bounces.watch(home.conn, home.vault)
    assert [(a.kind, a.provider, a.digest) for a in alarms] == [("storm", "google", 2)]
    assert "10.0%" in str(alarms[0])
    assert await bounces.watch(home.conn, home.vault) == [], "told once"


async def test_who_was_suppressed_before_the_storm_was_seen_is_a_reader_again(home: Home) -> None:
    readers = [await home.reader(f"reader{n}@gmail.com") for n in range(60)]
    first = await home.digest()
    await storm(home, readers, 1, first)
    await home.age(timedelta(days=7))
    second = await home.digest()
    await storm(home, readers[:1], 1, second)  # alone it is no storm
    assert await home.state("reader0@gmail.com") == ("left", "bounce")
    await storm(home, readers[1:], 6, second)
    await bounces.watch(home.conn, home.vault)
    assert await home.state("reader0@gmail.com") == FIT


async def test_strikes_of_a_storm_count_once_it_is_lifted(home: Home) -> None:
    readers = [await home.reader(f"reader{n}@gmail.com") for n in range(60)]
    first = await home.digest()
    await storm(home, readers, 6, first)
    await bounces.watch(home.conn, home.vault)
    await health.lift(home.conn, first, "google", "staff:anna")
    await home.age(timedelta(days=7))
    second = await home.digest()
    await storm(home, readers, 1, second)
    assert await home.state("reader0@gmail.com") == ("left", "bounce")
    with pytest.raises(Unknown):
        await health.lift(home.conn, first, "google", "staff:anna")


async def test_what_is_usual_for_a_provider_is_no_storm(home: Home) -> None:
    """An old list, of which a twentieth comes back each time, and now a tenth."""
    readers = [await home.reader(f"reader{n}@gmail.com") for n in range(60)]
    await storm(home, readers, 3, await home.digest())
    await home.age(timedelta(days=7))
    await storm(home, readers, 6, await home.digest())
    assert await bounces.watch(home.conn, home.vault) == []
    states = [await home.state(f"reader{n}@gmail.com") for n in range(6)]
    assert states == [("left", "bounce")] * 3 + [FIT] * 3


async def test_a_storm_that_goes_on_is_not_what_is_usual(home: Home) -> None:
    readers = [await home.reader(f"reader{n}@gmail.com") for n in range(60)]
    for _ in range(3):
        await storm(home, readers, 6, await home.digest())
        assert len(await bounces.watch(home.conn, home.vault)) == 1
        await home.age(timedelta(days=4))
    assert await home.state("reader0@gmail.com") == FIT


async def test_another_providers_readers_are_not_in_the_storm(home: Home) -> None:
    readers = [await home.reader(f"reader{n}@gmail.com") for n in range(20)]
    await home.reader(ANNA)
    await home.digest()
    await home.back(ANNA)
    await home.age(timedelta(days=7))
    second = await home.digest()
    await storm(home, readers, 6, second)
    assert (await home.back(ANNA)).act == "suppressed"


# alarms and sums


@pytest.mark.parametrize(
    ("complaints", "kinds"),
    [(0, []), (1, ["complaints"]), (3, ["many-complaints", "complaints"])],
)
async def test_complaints_of_one_in_a_thousand_raise_an_alarm_and_three_a_second(
    home: Home, complaints: int, kinds: list[str]
) -> None:
    digest = await home.digest()
    happened = {"sent": 1000, "complaint": complaints}
    tallies = {health.Tally(digest, "google", what): many for what, many in happened.items()}
    await health.add(home.conn, tallies)
    alarms = await bounces.watch(home.conn, home.vault)
    assert sorted(a.kind for a in alarms) == sorted(kinds)


async def test_a_digests_health_is_told_by_provider_and_reason(home: Home) -> None:
    anna, boris = await home.reader(ANNA), await home.reader(BORIS)
    digest = await home.digest()
    await told(home, [
        answer(anna, digest=digest, kind="sent", code=250),
        answer(boris, digest=digest, provider="google", kind="later", code=451, again=True),
        answer(boris, digest=digest, provider="google"),
    ])  # fmt: skip
    await home.back(ANNA, "552 5.2.2 mailbox full ({})", "5.2.2")
    rows = {row.provider: row for row in await health.fared(home.conn, "weekly", 1)}
    assert (rows["other"].sent, rows["other"].soft, rows["other"].reasons) == (1, 1, {"full": 1})
    google = rows["google"]
    assert (google.deferred, google.refused, google.hard) == (1, 1, 1)
    assert google.reasons == {"no-mailbox": 1}


async def test_delivered_is_what_was_taken_and_did_not_come_back(home: Home) -> None:
    digest = await home.digest()
    counted = {
        ("gmail", "sent"): 10, ("gmail", "refused"): 2, ("gmail", "no-mailbox"): 3,
        ("gmail", "full"): 1, ("gmail", "delayed"): 4, ("gmail", "complaint"): 1,
        ("other", "sent"): 5, ("other", "deferred"): 2, ("other", "spam"): 1,
    }  # fmt: skip
    tallies = {health.Tally(digest, *which): count for which, count in counted.items()}
    await health.add(home.conn, Counter(tallies))
    gmail, other = await health.fared(home.conn, "weekly", 1)
    assert (gmail.bounced, gmail.delivered) == (4, 8)  # of three unknown, two were refused at once
    assert (other.bounced, other.delivered) == (1, 4)
    assert health.totals([gmail, other]) == {
        "delivered": 12, "deferred": 2, "bounced": 5, "complaints": 1
    }  # fmt: skip
    assert gmail.described()["reasons"] == {
        "complaint": 1,
        "delayed": 4,
        "full": 1,
        "no-mailbox": 3,
    }


# several at once


async def test_two_that_take_the_same_bounce_at_once_keep_it_once(home: Home, pool: Pool) -> None:
    await home.reader(ANNA)
    raw, to = dsn("550 5.1.1 User unknown", "5.1.1"), await home.verp(ANNA)
    report = bounces.mailed("lmtp", raw, reading.read(raw), [to])

    async def take() -> Taken:
        async with pool.acquire() as conn, conn.transaction():
            return await bounces.take(conn, home.vault, report)

    taken = await asyncio.gather(*(take() for _ in range(4)))
    assert sum(each.bounce is not None for each in taken) == 1
    assert sum(each.again for each in taken) == 3
