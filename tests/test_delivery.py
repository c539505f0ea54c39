"""Delivery: what becomes of mails with each verdict, and who is left out at the last moment."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import uuid4

import pytest

from mailer import (
    address,
    articles,
    consent,
    digests,
    dkim,
    outbox,
    people,
    providers,
    subscriptions,
    suppressions,
)
from mailer.articles import Draft
from mailer.config import Settings
from mailer.db import Connection, Pool
from mailer.delivery import Delivery, filling, verdicts
from mailer.digests import Digest, Edition
from mailer.dkim.signing import Signing
from mailer.smtp import RoadClosed, Verdict
from mailer.vault import Vault
from tests import world
from tests.world import ANNA, BORIS, VERA


def verdict(kind: str, reply: str = "said") -> Verdict:
    code = {"sent": 250, "later": 450, "never": 550}[kind]
    return Verdict(kind, "rcpt", code, None, reply, "smtp://test")  # type: ignore[arg-type]


@dataclass
class Answers:
    """In place of a road: answers in turn, and remembers what it was handed."""

    turns: list[Verdict | RoadClosed | None]
    handed: list[tuple[bytes, str, str]] = field(default_factory=list)

    async def room(self, most: int) -> int:
        if self.turns and isinstance(self.turns[0], RoadClosed):
            raise self.turns[0]
        return most

    def recorded(self, ids: Sequence[int]) -> None:
        """Nothing waits for it here."""

    async def hand(
        self,
        mail: bytes,
        sender: str,
        recipient: str,
        done: Callable[[object], None],
        id_: int,
        until: float,
    ) -> None:
        answer = self.turns.pop(0) if self.turns else verdict("sent")
        if isinstance(answer, RoadClosed):
            raise answer
        if answer is not None:
            self.handed.append((mail, sender, recipient))
        asyncio.get_running_loop().call_soon(done, answer)

    async def drain(self) -> None:
        await asyncio.sleep(0)


@dataclass
class Post:
    """A delivery of letters on answers given beforehand."""

    settings: Settings
    pool: Pool
    vault: Vault
    conn: Connection

    async def round(
        self, *turns: Verdict | RoadClosed | None, stop: bool = False, letters: bool = True
    ) -> Answers:
        answers, end = Answers(list(turns)), asyncio.Event()
        if stop:
            end.set()
        delivery = self.delivery(answers, end, letters=letters)
        await outbox.beat(self.conn, delivery.worker)
        delivery.bag.rest = 0
        await delivery.step()
        await delivery.finish()
        await delivery.signing.stop()
        assert (delivery.bag.batches, delivery.bag.wire) == ({}, {})
        return answers

    def delivery(self, road: object, stop: asyncio.Event, *, letters: bool) -> Delivery:
        return Delivery(
            self.settings,
            self.pool,
            self.vault,
            road,  # type: ignore[arg-type]  # all that a delivery asks of one
            uuid4(),
            stop,
            asyncio.Event(),
            1,
            letters,
            Signing(dkim.signers(self.settings)),
        )

    async def states(self) -> Sequence[tuple[str, int]]:
        rows = await self.conn.fetch("select state, attempts from outbox order by id")
        return [(row["state"], row["attempts"]) for row in rows]


@pytest.fixture
def post(settings: Settings, pool: Pool, vault: Vault, conn: Connection) -> Post:
    return Post(settings, pool, vault, conn)


async def ask(post: Post, *emails: str) -> None:
    weekly = await world.make(post.conn, post.vault)
    for email in emails:
        await world.ask(post.conn, post.vault, weekly.wish(email))


async def test_what_the_server_took_is_sent_and_its_words_are_evidence(post: Post) -> None:
    await ask(post, ANNA)
    answers = await post.round(verdict("sent", "2.0.0 queued as 4711"))
    assert await post.states() == [("sent", 1)]
    assert [recipient for _, _, recipient in answers.handed] == [ANNA]
    record = (await people.find(post.conn, post.vault, ANNA)).record
    sent, accepted = (event.content["evidence"] for event in record[-2:])
    assert accepted["reply"] == "2.0.0 queued as 4711"
    assert len(sent["mail_sha256"]) == len(sent["template_sha256"]) == 64


async def test_later_waits_and_never_ends(post: Post) -> None:
    await ask(post, ANNA, BORIS)
    await post.round(verdict("later"), verdict("never"))
    assert await post.states() == [("waiting", 1), ("failed", 1)]
    due = await post.conn.fetchval("select min(due_at) - now() from batch")
    assert timedelta(minutes=3) < due < timedelta(minutes=7)
    record = (await people.find(post.conn, post.vault, BORIS)).record
    assert record[-1].content["type"] == "confirmation.failed"


async def test_a_confirmation_gives_up_after_four_hours(post: Post) -> None:
    await ask(post, ANNA)
    await post.conn.execute("update outbox set created_at = now() - interval '4 hours 1 minute'")
    await post.round(verdict("later"))
    assert await post.states() == [("failed", 1)]


async def test_a_closed_road_ends_the_round_and_costs_no_attempt(post: Post) -> None:
    await ask(post, ANNA, BORIS, VERA)
    answers = await post.round(verdict("sent"), RoadClosed("closed"))
    assert await post.states() == [("sent", 1), ("waiting", 0), ("waiting", 0)]
    assert len(answers.handed) == 1


async def test_a_worker_that_is_to_stop_begins_no_mail(post: Post) -> None:
    await ask(post, ANNA)
    answers = await post.round(stop=True)
    assert await post.states() == [("waiting", 0)]
    assert answers.handed == []


async def test_whoever_was_suppressed_or_forgotten_since_gets_nothing(post: Post) -> None:
    await ask(post, ANNA, BORIS, VERA)
    await suppressions.add(post.conn, post.vault, address.parse(ANNA), "person")
    own = await people.find(post.conn, post.vault, BORIS)
    await people.erase(post.conn, post.vault, own, never_again=False, actor="subject")
    token = await world.link(post.conn, post.vault, VERA, "leave")
    await subscriptions.leave(post.conn, post.vault, token, "page")
    answers = await post.round()
    assert answers.handed == []
    assert await post.states() == [("dropped", 0), ("dropped", 0)]


async def test_each_reader_has_links_of_their_own_and_the_same_words(post: Post) -> None:
    await ask(post, ANNA, BORIS)
    (first, _, _), (second, _, _) = (await post.round()).handed
    for mail, email in ((first, ANNA), (second, BORIS)):
        token = await world.link(post.conn, post.vault, email, "confirm")
        assert token.encode() in mail.replace(b"=\r\n", b"")
        assert email.encode() in mail
    other = await world.link(post.conn, post.vault, BORIS, "confirm")
    assert other.encode() not in first.replace(b"=\r\n", b"")


async def test_the_message_id_is_the_same_at_each_try(post: Post) -> None:
    def message_id(mail: bytes) -> bytes:
        return next(line for line in mail.split(b"\r\n") if line.startswith(b"Message-ID"))

    await ask(post, ANNA)
    first = (await post.round(verdict("later"))).handed[0][0]
    await post.conn.execute("update batch set due_at = now()")
    second = (await post.round()).handed[0][0]
    assert message_id(first) == message_id(second)


async def test_a_rate_is_kept_by_all_workers_together(post: Post) -> None:
    post.settings = replace(post.settings, rate=10.0)
    await ask(post, *(f"reader{n}@example.org" for n in range(12)))
    began = asyncio.get_running_loop().time()
    await post.round()
    await post.round()
    # Ten turns were taken by the first round: the second waits for them to pass.
    assert asyncio.get_running_loop().time() - began >= 0.9


async def test_a_mail_that_cannot_be_composed_holds_up_no_other(post: Post) -> None:
    await ask(post, ANNA)
    other = await world.make(post.conn, post.vault, "other")
    await world.ask(post.conn, post.vault, other.wish(BORIS))
    broken = {"titles": {"en": "Rights\nBcc: everyone", "ru": "П"}}
    await post.conn.execute(
        "update newsletter set titles = $1 where slug = 'weekly'", broken["titles"]
    )
    answers = await post.round()
    assert [recipient for _, _, recipient in answers.handed] == [BORIS]
    assert sorted(await post.states()) == [("sent", 1), ("waiting", 1)]


def test_tries_come_later_and_later_and_not_in_a_wave() -> None:
    minutes = [verdicts.delay(n) / timedelta(minutes=1) for n in range(1, 9)]
    for got, planned in zip(minutes, (*verdicts.RETRY_MINUTES, 240), strict=True):
        assert planned * 0.8 <= got <= planned * 1.2
    assert len({verdicts.delay(1) for _ in range(20)}) > 1


async def test_events_of_a_mailed_confirmation_verify(post: Post) -> None:
    await ask(post, ANNA)
    await post.round()
    async with post.conn.transaction():
        seen = consent.Verification()
        assert [f async for f in consent.verify(post.conn, post.vault, seen)] == []


async def digest(post: Post, *emails: str) -> Digest:
    """One on its way to these readers."""
    weekly = await world.make(post.conn, post.vault)
    for email in emails:
        await world.confirmed(post.conn, post.vault, weekly.wish(email))
    await post.conn.execute("delete from batch where digest is null")
    draft = Draft(external_id="one", language="en", title="About one", url=None)
    await articles.add(post.conn, weekly.newsletter.id, draft)
    made = await digests.create(post.conn, weekly.newsletter, "weekly", by="staff:anna")
    frozen = [Edition(made.id, lang, "Subject", "<p>html</p>", "text") for lang in ("en", "ru")]
    await digests.approve(post.conn, made, frozen, by="staff:anna")
    await digests.begin(post.conn, made)
    await outbox.put_digest(post.conn, made.id)
    return await digests.get(post.conn, made.id)


async def test_a_digest_is_sent_to_each_of_its_readers(post: Post) -> None:
    sent = await digest(post, ANNA, BORIS, VERA)
    answers = await post.round(letters=False)
    assert sorted(recipient for _, _, recipient in answers.handed) == [
        ANNA,
        BORIS,
        address.wire(VERA),
    ]
    assert (await outbox.progress(post.conn, sent.id))["sent"] == 3
    assert await digests.finish_done(post.conn) == 1


@dataclass
class Slow(Answers):
    """A road on which something happens before the second mail has room."""

    meanwhile: Callable[[], Awaitable[None]] | None = None

    async def room(self, most: int) -> int:
        if self.handed and self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        return 1


async def slowly(post: Post, meanwhile: Callable[[], Awaitable[None]]) -> list[str]:
    """Who gets a digest if that happens when the first mail is on the wire."""
    road = Slow([], meanwhile=meanwhile)
    delivery = post.delivery(road, asyncio.Event(), letters=False)
    await outbox.beat(post.conn, delivery.worker)
    await delivery.step()
    await delivery.finish()
    return [recipient for _, _, recipient in road.handed]


async def test_whoever_leaves_or_is_erased_while_a_digest_runs_gets_nothing_more(
    post: Post,
) -> None:
    sent = await digest(post, ANNA, BORIS, "carla@example.org", "dora@example.org")

    async def meanwhile() -> None:
        token = await world.link(post.conn, post.vault, BORIS, "leave")
        await subscriptions.leave(post.conn, post.vault, token, "page")
        own = await people.find(post.conn, post.vault, "carla@example.org")
        await people.erase(post.conn, post.vault, own, never_again=False, actor="subject")

    assert await slowly(post, meanwhile) == [ANNA, "dora@example.org"]
    counted = await outbox.progress(post.conn, sent.id)
    assert counted == {"waiting": 0, "sent": 2, "failed": 0, "dropped": 1}


async def test_whoever_is_suppressed_while_a_digest_runs_gets_nothing_more(post: Post) -> None:
    await digest(post, ANNA, BORIS)

    async def meanwhile() -> None:
        await suppressions.add(post.conn, post.vault, address.parse(BORIS), "complaint")

    assert await slowly(post, meanwhile) == [ANNA]


async def test_a_pause_or_a_cancel_ends_what_was_claimed_ahead(post: Post) -> None:
    sent = await digest(post, ANNA, BORIS, "carla@example.org")

    async def pause() -> None:
        await digests.pause(post.conn, sent)

    async def cancel() -> None:
        await digests.cancel(post.conn, await digests.get(post.conn, sent.id))

    assert await slowly(post, pause) == [ANNA]
    assert await slowly(post, cancel) == []  # it is paused still
    await digests.resume(post.conn, await digests.get(post.conn, sent.id))
    assert await slowly(post, cancel) == [BORIS]
    await digests.finish_done(post.conn)
    counted = await outbox.progress(post.conn, sent.id)
    assert counted == {"waiting": 0, "sent": 2, "failed": 0, "dropped": 1}


async def test_a_worker_taken_for_dead_sends_nothing_that_others_hold(post: Post) -> None:
    sent = await digest(post, ANNA, BORIS)
    other = uuid4()

    async def taken_over() -> None:
        await post.conn.execute("delete from worker")
        await outbox.beat(post.conn, other)
        await outbox.claim_digests(post.conn, other, 1)

    assert await slowly(post, taken_over) == [ANNA]
    counted = await outbox.progress(post.conn, sent.id)
    assert counted == {"waiting": 1, "sent": 1, "failed": 0, "dropped": 0}


async def test_a_worker_that_is_to_stop_settles_what_is_on_the_wire_and_gives_back_the_rest(
    post: Post,
) -> None:
    many = 20  # far more than go until the stop is heard
    sent = await digest(post, *(f"reader{n}@example.org" for n in range(many)))
    stop = asyncio.Event()

    async def meanwhile() -> None:
        stop.set()

    road = Slow([], meanwhile=meanwhile)
    delivery = post.delivery(road, stop, letters=False)
    await outbox.beat(post.conn, delivery.worker)
    await delivery.step()
    await delivery.finish()
    counted = await outbox.progress(post.conn, sent.id)
    assert counted["sent"] == len(road.handed) < many
    assert counted["waiting"] == many - len(road.handed)
    free = "select count(*) from batch where worker is null"
    assert await post.conn.fetchval(free) == 1


async def test_signed_mails_are_each_ones_own(post: Post) -> None:
    key = dkim.written(dkim.make("ed25519"))
    post.settings = replace(
        post.settings, dkim_key=key, dkim_selector="s1", dkim_domain="example.org"
    )
    emails = [f"reader{n}@example.org" for n in range(9)]
    await digest(post, *emails)
    answers = await post.round(letters=False)
    assert [recipient for _, _, recipient in answers.handed] == emails
    for mail, _, recipient in answers.handed:
        assert mail.startswith(b"DKIM-Signature: ")
        assert f"To: <{recipient}>".encode() in mail


async def test_a_mail_that_was_not_tried_is_tried_again(post: Post) -> None:
    await digest(post, ANNA)
    answers = await post.round(None, letters=False)
    assert [recipient for _, _, recipient in answers.handed] == [ANNA]
    assert ("sent", 1) in await post.states()


async def test_a_digest_gives_up_when_the_next_takes_its_place(post: Post) -> None:
    sent = await digest(post, ANNA)
    await post.round(verdict("later"), letters=False)
    await post.conn.execute("update batch set due_at = now()")
    await post.conn.execute(
        "insert into digest (newsletter, number, cadence, state, issued, created_by)"
        " select newsletter, number + 1, cadence, 'sent', issued + 1, 'staff:anna' from digest"
    )
    await post.round(verdict("later"), letters=False)
    assert (await outbox.progress(post.conn, sent.id))["failed"] == 1


async def test_an_error_loses_nothing_that_is_in_memory(post: Post) -> None:
    sent = await digest(post, ANNA, BORIS)

    async def meanwhile() -> None:
        await post.conn.execute("alter table outbox rename column reply to away")

    road = Slow([], meanwhile=meanwhile)
    delivery = post.delivery(road, asyncio.Event(), letters=False)
    await outbox.beat(post.conn, delivery.worker)
    with pytest.raises(Exception, match="reply"):
        await delivery.step()
    assert len(road.handed) == 1
    settled = (await outbox.progress(post.conn, sent.id))["sent"]
    assert len(delivery.bag.wire) + settled == 1  # on the wire still, or settled before it broke
    await post.conn.execute("alter table outbox rename column away to reply")
    await delivery.step()
    assert [recipient for _, _, recipient in road.handed] == [ANNA, BORIS]
    assert (await outbox.progress(post.conn, sent.id))["sent"] == 2


# providers


def slower() -> Verdict:
    return Verdict("later", "rcpt", 421, "4.7.28", "too fast", "smtp://test")


async def test_a_provider_that_asks_for_less_gets_less_and_then_more_again(post: Post) -> None:
    emails = [f"reader{n}@{domain}" for n in range(6) for domain in ("gmail.com", "example.org")]
    sent = await digest(post, *emails)
    await providers.halve(post.conn, "google", 2)
    road = Answers([])
    delivery = post.delivery(road, asyncio.Event(), letters=False)
    await outbox.beat(post.conn, delivery.worker)
    beyond: list[int] = []

    def most() -> int:
        return sum(ready.provider == "google" for ready in delivery.bag.wire.values())

    hand = road.hand

    async def counted(*given: object) -> None:
        await hand(*given)  # type: ignore[arg-type]  # passed on
        beyond.append(most() - delivery.bag.limits["google"])

    road.hand = counted  # type: ignore[method-assign,assignment]  # to look at the wire
    await delivery.step()
    assert len(road.handed) == 12
    assert max(beyond) <= 0
    assert await post.conn.fetchval("select most from provider") > 1
    assert (await outbox.progress(post.conn, sent.id))["sent"] == 12


async def test_mails_to_a_provider_without_room_wait_for_it_and_hold_up_no_other(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filling, "AHEAD", 1)
    sent = await digest(post, *(f"reader{n}@gmail.com" for n in range(3)), "anna@example.org")
    await providers.halve(post.conn, "google", 2)
    road = Answers([])
    delivery = post.delivery(road, asyncio.Event(), letters=False)
    await outbox.beat(post.conn, delivery.worker)
    claim = "select count(*) from batch where provider = 'google'"
    seen: list[int] = []
    hand = road.hand

    async def counted(*given: object) -> None:
        seen.append(await post.conn.fetchval(claim))
        await hand(*given)  # type: ignore[arg-type]  # passed on

    road.hand = counted  # type: ignore[method-assign,assignment]  # to look at the database
    await delivery.step()
    assert len(road.handed) == 4
    assert max(seen) > 0
    assert (await outbox.progress(post.conn, sent.id))["sent"] == 4


async def test_a_slow_down_is_heard(post: Post) -> None:
    await digest(post, "anna@gmail.com", "boris@gmail.com", VERA)
    await post.round(slower(), slower(), letters=False)
    assert await post.conn.fetchval("select name from provider") == "google"


async def test_every_answer_is_counted_and_every_refusal_struck(post: Post) -> None:
    sent = await digest(post, *(f"reader{n}@example.org" for n in range(12)))
    said = [verdict("never") if n % 4 == 1 else verdict("sent") for n in range(12)]
    await post.round(*said, letters=False)
    rows = await post.conn.fetch("select what, count from tally where digest = $1", sent.id)
    counted = {row["what"]: row["count"] for row in rows}
    assert (counted["sent"], counted["refused"]) == (9, 3)
    assert await post.conn.fetchval("select count(*) from bounce") == 3


async def test_a_road_closed_at_a_providers_mail_is_a_slow_down_too(post: Post) -> None:
    await digest(post, "anna@gmail.com")
    delivery = post.delivery(Answers([]), asyncio.Event(), letters=False)
    await outbox.beat(post.conn, delivery.worker)
    await delivery.filling.fill_some(post.conn)
    ready = delivery.bag.staged.popleft()
    delivery.bag.put_on_wire(ready)
    closed = RoadClosed("too many")
    closed.code = 421
    delivery.flow.heard(ready, closed)
    await delivery.filling.claim(post.conn)
    assert await post.conn.fetchval("select name from provider") == "google"


async def test_what_does_not_open_holds_up_no_other(post: Post) -> None:
    await ask(post, ANNA, BORIS)
    broken = (await world.found(post.conn, post.vault, ANNA)).subscriber.id
    await post.conn.execute(
        "update subscriber set address = overlay(address placing '\\x00' from 20) where id = $1",
        broken,
    )
    answers = await post.round()
    assert [recipient for _, _, recipient in answers.handed] == [BORIS]
    assert sorted(await post.states()) == [("sent", 1), ("waiting", 1)]


async def test_a_letter_about_a_change_that_is_no_more_is_dropped(post: Post) -> None:
    await ask(post, ANNA)
    await post.conn.execute("update outbox set kind = 'address'")
    assert (await post.round()).handed == []
    assert await post.states() == [("dropped", 0)]
