"""The outbox: claimed by one, settled once, free again when its worker dies; and digests in it."""

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from mailer import (
    address,
    articles,
    digests,
    migrate,
    outbox,
    resources,
    subscriptions,
    suppressions,
)
from mailer.articles import Draft
from mailer.db import Connection, Pool
from mailer.digests import Digest, Edition
from mailer.errors import Conflict
from mailer.outbox import Claimed, Settled
from mailer.vault import Vault
from tests import world
from tests.world import ANNA, BORIS, VERA, World


async def publish(conn: Connection, weekly: World, *ids: str, language: str = "en") -> None:
    for id_ in ids:
        draft = Draft(external_id=id_, language=language, title=f"About {id_}", url=None)
        await articles.add(conn, weekly.newsletter.id, draft)


def editions(digest: Digest) -> list[Edition]:
    return [Edition(digest.id, lang, "Subject", "<p>html</p>", "text") for lang in ("en", "ru")]


async def approved(conn: Connection, weekly: World, cadence: str = "weekly") -> Digest:
    digest = await digests.create(conn, weekly.newsletter, cadence, by="staff:anna")
    await digests.approve(conn, digest, editions(digest), by="staff:anna")
    await digests.begin(conn, digest)
    await outbox.put_digest(conn, digest.id)
    return await digests.get(conn, digest.id)


async def working(conn: Connection) -> UUID:
    """A worker that lives, and has for a while."""
    worker = uuid4()
    for _ in range(2):
        await outbox.beat(conn, worker)
    return worker


async def claimed(conn: Connection, worker: UUID | None = None) -> list[Claimed]:
    """All mails of digests that are due, taken by a worker."""
    taken = await outbox.claim_digests(conn, worker or await working(conn), 100)
    return await outbox.mails(conn, taken)


async def wanted(conn: Connection, worker: UUID, mails: Sequence[Claimed]) -> Mapping[int, bool]:
    return await outbox.turn(
        conn, worker, [], {mail.id: bytes(32) for mail in mails}, letters=False
    )


async def settle(conn: Connection, *settled: tuple[int, Settled, str | None]) -> None:
    await outbox.turn(conn, uuid4(), settled, {}, letters=False)


async def progress(conn: Connection, digest: Digest) -> Mapping[str, int]:
    return await outbox.progress(conn, digest.id)


async def three_readers(conn: Connection, vault: Vault) -> World:
    weekly = await world.make(conn, vault)
    for email, language in ((ANNA, "en"), (BORIS, "en"), (VERA, "ru")):
        await world.confirmed(conn, vault, weekly.wish(email, language))
    return weekly


async def test_each_confirmed_reader_of_the_cadence_gets_one_mail(
    conn: Connection, vault: Vault
) -> None:
    weekly = await three_readers(conn, vault)
    await world.ask(conn, vault, weekly.wish("pending@example.org"))
    await world.confirmed(conn, vault, weekly.wish("daily@example.org", cadence="daily"))
    await publish(conn, weekly, "one")
    digest = await approved(conn, weekly)
    mails = await claimed(conn)
    assert sorted(mail.language for mail in mails) == ["en", "en", "ru"]
    assert await outbox.put_digest(conn, digest.id) == 0
    assert len({mail.subscription for mail in mails}) == 3


async def test_many_workers_claim_each_mail_once(
    conn: Connection, pool: Pool, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    weekly = await world.make(conn, vault)
    for n in range(40):
        await world.confirmed(conn, vault, weekly.wish(f"reader{n}@example.org"))
    await publish(conn, weekly, "one")
    monkeypatch.setattr(outbox, "BATCH", 3)
    await approved(conn, weekly)

    async def work() -> list[int]:
        worker, mine = uuid4(), []
        async with pool.acquire() as own:
            await outbox.beat(own, worker)
            while batches := await outbox.claim_digests(own, worker, 3):
                mine += [mail.id for mail in await outbox.mails(own, batches)]
                await asyncio.sleep(0)
        return mine

    taken = [id_ for ids in await asyncio.gather(*(work() for _ in range(6))) for id_ in ids]
    assert len(taken) == len(set(taken)) == 40


async def test_the_mails_of_a_worker_that_fell_silent_are_free_again(
    conn: Connection, vault: Vault
) -> None:
    weekly = await three_readers(conn, vault)
    await publish(conn, weekly, "one")
    await approved(conn, weekly)
    silent = await working(conn)
    first = await claimed(conn, silent)
    assert await claimed(conn) == []
    await conn.execute("update worker set seen_at = now() - interval '16 seconds'")
    again = await claimed(conn)
    assert {m.message for m in again} == {m.message for m in first}
    # Back again, it may send none of them, and what it says of them counts only if it sent them.
    await outbox.beat(conn, silent)
    assert await wanted(conn, silent, first) == {}
    await outbox.move(conn, silent, first[0].digest, [(first[0].id, "450")], attempts=1)
    assert {m.attempts for m in await outbox.mails(conn, [again[0].batch])} == {0}
    await settle(conn, (first[0].id, "sent", "250"))
    assert len(await outbox.mails(conn, [again[0].batch])) == 2


async def test_a_worker_back_from_a_long_silence_frees_nobody_at_once(
    conn: Connection, vault: Vault
) -> None:
    weekly = await three_readers(conn, vault)
    await publish(conn, weekly, "one")
    await approved(conn, weekly)
    await claimed(conn)
    mine = await working(conn)
    # As after the database was away: everybody seems silent, only one speaks again so far, and
    # another has just begun.
    await conn.execute("update worker set seen_at = now() - interval '16 seconds'")
    await outbox.beat(conn, mine)
    await outbox.beat(conn, uuid4())
    assert await claimed(conn, mine) == []
    await outbox.beat(conn, mine)
    assert len(await claimed(conn, mine)) == 3


async def test_a_clock_set_back_holds_up_no_mail_and_keeps_no_dead_worker_alive(
    conn: Connection, vault: Vault
) -> None:
    weekly = await three_readers(conn, vault)
    await publish(conn, weekly, "one")
    await approved(conn, weekly)
    dead = await working(conn)
    assert len(await claimed(conn, dead)) == 3  # and then it was killed
    put = "select max(due_at) < now() - interval '1 hour' from batch"
    assert await conn.fetchval(put), "nothing that is put now waits for a time"
    await conn.execute("update worker set seen_at = now() + interval '1 hour'")
    mine = await working(conn)
    assert len(await claimed(conn, mine)) == 3


async def test_what_a_worker_holds_without_knowing_is_free_again(
    conn: Connection, vault: Vault
) -> None:
    weekly = await three_readers(conn, vault)
    await publish(conn, weekly, "one")
    await approved(conn, weekly)
    worker = await working(conn)
    mails = await claimed(conn, worker)  # and the answer was lost
    await outbox.free_strays(conn, worker, [], letters=True)
    assert await claimed(conn, worker) == []
    await outbox.free_strays(conn, worker, [mails[0].batch], letters=False)
    assert await claimed(conn, worker) == []
    await outbox.free_strays(conn, worker, [], letters=False)
    assert len(await claimed(conn, worker)) == 3


async def test_a_mail_given_back_costs_no_attempt_and_one_moved_on_does(
    conn: Connection, vault: Vault
) -> None:
    weekly = await three_readers(conn, vault)
    await publish(conn, weekly, "one")
    digest = await approved(conn, weekly)
    worker = await working(conn)
    later, *others = await claimed(conn, worker)
    await outbox.move(conn, worker, digest.id, [(later.id, "450 busy")], attempts=1)
    await outbox.end(conn, worker, [later.batch])
    attempts = {mail.id: mail.attempts for mail in await claimed(conn)}
    assert attempts == {later.id: 1, **{mail.id: 0 for mail in others}}


async def test_a_mail_moved_on_waits_for_its_time_or_its_provider(
    conn: Connection, vault: Vault
) -> None:
    weekly = await three_readers(conn, vault)
    await publish(conn, weekly, "one")
    digest = await approved(conn, weekly)
    worker = await working(conn)
    first, second, third = await claimed(conn, worker)
    delay = timedelta(minutes=5)
    await outbox.move(conn, worker, digest.id, [(first.id, "450")], delay=delay, attempts=1)
    await outbox.move(conn, worker, digest.id, [(second.id, None)], provider="google")
    await settle(conn, (third.id, "sent", None))
    await outbox.end(conn, worker, [third.batch])
    assert await claimed(conn, worker) == []
    taken = await outbox.claim_digests(conn, worker, 100, ["google"])
    assert [mail.id for mail in await outbox.mails(conn, taken)] == [second.id]
    await conn.execute("update batch set due_at = now()")
    assert [mail.id for mail in await claimed(conn, worker)] == [first.id]
    assert await progress(conn, digest) == {"waiting": 2, "sent": 1, "failed": 0, "dropped": 0}


async def test_what_was_sent_stays_sent_whoever_held_it(conn: Connection, vault: Vault) -> None:
    weekly = await three_readers(conn, vault)
    await publish(conn, weekly, "one")
    digest = await approved(conn, weekly)
    worker = await working(conn)
    mail, refused, _ = await claimed(conn, worker)
    await settle(conn, (mail.id, "sent", "250 ok"), (refused.id, "failed", "550 no"))
    await settle(conn, (mail.id, "failed", "550 no"), (refused.id, "sent", "250 ok"))
    await outbox.move(conn, worker, digest.id, [(mail.id, "450")], attempts=1)
    assert await progress(conn, digest) == {"waiting": 1, "sent": 2, "failed": 0, "dropped": 0}
    await outbox.end(conn, worker, [mail.batch])
    assert mail.id not in {m.id for m in await claimed(conn)}


async def test_whoever_leaves_before_their_mail_is_on_the_wire_is_not_wanted(
    conn: Connection, vault: Vault
) -> None:
    weekly = await three_readers(conn, vault)
    await publish(conn, weekly, "one")
    digest = await approved(conn, weekly)
    await subscriptions.leave(conn, vault, await world.link(conn, vault, ANNA, "leave"), "page")
    worker = await working(conn)
    mails = await claimed(conn, worker)
    assert len(mails) == 2
    await subscriptions.leave(conn, vault, await world.link(conn, vault, BORIS, "leave"), "page")
    assert list((await wanted(conn, worker, mails)).values()) == [True]
    assert await progress(conn, digest) == {"waiting": 1, "sent": 0, "failed": 0, "dropped": 2}


async def test_whoever_is_suppressed_or_pauses_is_not_wanted(
    conn: Connection, vault: Vault
) -> None:
    weekly = await three_readers(conn, vault)
    await publish(conn, weekly, "one")
    await approved(conn, weekly)
    worker = await working(conn)
    mails = await claimed(conn, worker)
    reached = address.parse(ANNA)
    await suppressions.add(conn, vault, reached, "complaint")
    boris = await world.found(conn, vault, BORIS)
    paused = "update subscription set paused_until = now() + interval '1 day' where id = $1"
    await conn.execute(paused, boris.subscription.id)
    hashes = {mail.id: bytes(32) for mail in mails} | {
        mails[0].id: vault.suppression(reached.normal)
    }
    found = await outbox.turn(conn, worker, [], hashes, letters=False)
    assert [found[mail.id] for mail in mails] == [False, False, True]


async def test_whoever_pauses_gets_nothing_until_that_day_and_nothing_of_it_later(
    conn: Connection, vault: Vault
) -> None:
    weekly = await three_readers(conn, vault)
    anna = await world.found(conn, vault, ANNA)
    await subscriptions.pause(conn, anna, date.today() + timedelta(days=9))
    await publish(conn, weekly, "one")
    await approved(conn, weekly)
    assert len(await claimed(conn)) == 2
    await conn.execute("update subscription set paused_until = now() - interval '1 second'")
    assert (await world.found(conn, vault, ANNA)).subscription.paused_until is None
    assert await claimed(conn) == []
    await publish(conn, weekly, "two")
    second = await approved(conn, weekly)
    assert len(await claimed(conn)) == 3
    shown = [item.article.external_id for item in await digests.contents(conn, second)]
    assert shown == ["two"]


async def test_a_paused_digest_waits_and_a_resumed_one_goes_on(
    conn: Connection, vault: Vault
) -> None:
    weekly = await three_readers(conn, vault)
    await publish(conn, weekly, "one")
    digest = await approved(conn, weekly)
    worker = await working(conn)
    mails = await claimed(conn, worker)
    await digests.pause(conn, digest)
    assert await wanted(conn, worker, mails) == {}
    await outbox.end(conn, worker, [mails[0].batch])
    assert await claimed(conn) == []
    with pytest.raises(Conflict, match="paused"):
        await digests.pause(conn, await digests.get(conn, digest.id))
    await digests.resume(conn, digest)
    assert len(await claimed(conn)) == 3


async def test_a_cancelled_digest_sends_nothing_more_and_ends(
    conn: Connection, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    weekly = await three_readers(conn, vault)
    await publish(conn, weekly, "one")
    monkeypatch.setattr(outbox, "BATCH", 1)
    digest = await approved(conn, weekly)
    worker = await working(conn)
    batches = await outbox.claim_digests(conn, worker, 1)
    (on_the_wire,) = await outbox.mails(conn, batches)
    await digests.cancel(conn, digest)
    assert await wanted(conn, worker, [on_the_wire]) == {}
    await outbox.move(conn, worker, digest.id, [(on_the_wire.id, "450")], attempts=1)
    await outbox.end(conn, worker, batches)
    await digests.finish_done(conn)
    assert await progress(conn, digest) == {"waiting": 0, "sent": 0, "failed": 0, "dropped": 3}
    assert (await digests.get(conn, digest.id)).state == "cancelled"


async def test_a_digest_is_sent_when_no_mail_waits(conn: Connection, vault: Vault) -> None:
    weekly = await three_readers(conn, vault)
    await publish(conn, weekly, "one")
    digest = await approved(conn, weekly)
    worker = await working(conn)
    first, *rest = await claimed(conn, worker)
    await settle(conn, (first.id, "sent", None))
    await outbox.end(conn, worker, [first.batch])
    assert await digests.finish_done(conn) == 0
    await claimed(conn, worker)
    await settle(conn, *((mail.id, "sent", None) for mail in rest))
    await outbox.end(conn, worker, [first.batch])
    assert await digests.finish_done(conn) == 1
    assert (await digests.get(conn, digest.id)).state == "sent"


async def test_mails_are_forgotten_in_time_and_their_totals_never(
    conn: Connection, vault: Vault
) -> None:
    weekly = await three_readers(conn, vault)
    await publish(conn, weekly, "one")
    digest = await approved(conn, weekly)
    worker = await working(conn)
    mails = await claimed(conn, worker)
    await settle(conn, *((mail.id, "sent", None) for mail in mails))
    await outbox.end(conn, worker, [mails[0].batch])
    await digests.finish_done(conn)
    await conn.execute("update outbox set settled_at = now() where digest is null")
    assert await outbox.forget_settled(conn, 30, 100) == 0
    aged = "finished_at = now() - interval '31 days'"
    await conn.execute(f"update digest set {aged}")
    assert (await outbox.settled_due(conn, 30)).due == 3
    assert [await outbox.forget_settled(conn, 30, 2) for _ in range(3)] == [2, 1, 0]
    assert await progress(conn, digest) == {"waiting": 0, "sent": 3, "failed": 0, "dropped": 0}


async def test_two_editors_approving_at_once_send_it_once(
    conn: Connection, pool: Pool, vault: Vault
) -> None:
    weekly = await three_readers(conn, vault)
    await publish(conn, weekly, "one")
    digest = await digests.create(conn, weekly.newsletter, "weekly", by="staff:anna")

    async def approve() -> int:
        async with pool.acquire() as own, own.transaction():
            await digests.approve(own, digest, editions(digest), by="staff:boris")
            await digests.begin(own, digest)
            return await outbox.put_digest(own, digest.id)

    results = await asyncio.gather(*(approve() for _ in range(4)), return_exceptions=True)
    assert sorted(r for r in results if isinstance(r, int)) == [3]
    assert sum(isinstance(r, Conflict) for r in results) == 3


OLD = """
insert into newsletter (slug, titles, languages, fallback, cadences)
values ('weekly', '{"en": "W"}', '{en}', 'en', '{weekly}');
insert into notice (id, sha256, language, wording, controller, purposes, recipients, retention,
                    withdrawal)
values ('n', decode(repeat('00', 32), 'hex'), 'en', 'w', 'c', '{p}', 'r', 'r', 'w');
insert into subject (id) select gen_random_uuid() from generate_series(1, 4);
insert into subscriber (id, lookup, address, language, handle)
select id, decode(replace(id::text, '-', '') || replace(id::text, '-', ''), 'hex'), '', 'en', 1
from subject where id <> '00000000-0000-0000-0000-000000000000';
insert into subscription (subscriber, newsletter, state, language, cadence, notice, handle,
                          expires_at, confirmed_at)
select id, 1, 'confirmed', 'en', 'weekly', 'n', 1, now(), now() from subscriber;
insert into digest (newsletter, number, cadence, state, created_by)
values (1, 1, 'weekly', 'sending', 'staff:anna');
insert into outbox (kind, subscription, digest, state, due_at)
select 'digest', id, 1, case when id = 1 then 'sent' else 'waiting' end, now() from subscription;
insert into outbox (kind, subscription) values ('already', 1), ('already', 2);
"""


async def test_mails_that_waited_before_batches_came_wait_in_them(
    conn: Connection, tmp_path: Path
) -> None:
    await conn.execute("drop schema public cascade; create schema public")
    first = "0001_the_house.sql"
    shutil.copy(resources("sql") / "migrations" / first, tmp_path / first)
    await migrate.run(conn, tmp_path)
    await conn.execute(OLD)
    await migrate.run(conn)
    assert await outbox.progress(conn, 1) == {"waiting": 3, "sent": 1, "failed": 0, "dropped": 0}
    worker = await working(conn)
    assert len(await outbox.claim_letters(conn, worker, 10)) == 2
    taken = await outbox.claim_digests(conn, worker, 10)
    counted = "select count(*) from outbox where batch = any ($1) and state = 'waiting'"
    assert await conn.fetchval(counted, taken) == 3


async def test_settling_a_mail_touches_no_index(conn: Connection) -> None:
    """What an index holds or asks for, in whichever row, costs each settled mail all indexes."""
    of_outbox = "select indexdef from pg_indexes where tablename = 'outbox'"
    found = " ".join(row["indexdef"] for row in await conn.fetch(of_outbox))
    assert "batch" in found
    for settled in ("state", "reply", "attempts", "settled_at", "attested"):
        assert settled not in found
