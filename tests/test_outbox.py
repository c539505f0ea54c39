"""The outbox: claimed by one, settled once, free again when its worker dies; and digests in it."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from uuid import uuid4

import pytest

from mailer import articles, digests, outbox, subscriptions
from mailer.articles import Draft
from mailer.db import Connection, Pool
from mailer.digests import Digest, Edition
from mailer.errors import Conflict
from mailer.outbox import Claimed
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


async def working(conn: Connection) -> "tuple[Claimed, ...]":
    """Claim all mails of digests with a worker that lives."""
    worker = uuid4()
    await outbox.beat(conn, worker)
    return tuple(await outbox.claim_digests(conn, worker, 100))


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
    mails = await working(conn)
    assert sorted(mail.language for mail in mails) == ["en", "en", "ru"]
    assert await outbox.put_digest(conn, digest.id) == 0
    assert len({mail.subscription for mail in mails}) == 3


async def test_many_workers_claim_each_mail_once(
    conn: Connection, pool: Pool, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    for n in range(40):
        await world.confirmed(conn, vault, weekly.wish(f"reader{n}@example.org"))
    await publish(conn, weekly, "one")
    await approved(conn, weekly)

    async def work() -> list[int]:
        worker, mine = uuid4(), []
        async with pool.acquire() as own:
            await outbox.beat(own, worker)
            while claimed := await outbox.claim_digests(own, worker, 3):
                mine += [mail.id for mail in claimed]
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
    first = await working(conn)
    assert await working(conn) == ()
    await conn.execute("update worker set seen_at = now() - interval '31 seconds'")
    again = await working(conn)
    assert {m.message for m in again} == {m.message for m in first}
    assert {m.attempts for m in again} == {2}


async def test_a_worker_back_from_a_long_silence_frees_nobody_at_once(
    conn: Connection, vault: Vault
) -> None:
    weekly = await three_readers(conn, vault)
    await publish(conn, weekly, "one")
    await approved(conn, weekly)
    await working(conn)
    mine = uuid4()
    await outbox.beat(conn, mine)
    # As after the database was away: everybody seems silent, and only one speaks again so far.
    await conn.execute("update worker set seen_at = now() - interval '31 seconds'")
    await outbox.beat(conn, mine)
    assert await outbox.claim_digests(conn, mine, 100) == []
    await outbox.beat(conn, mine)
    assert len(await outbox.claim_digests(conn, mine, 100)) == 3


async def test_a_mail_given_back_costs_no_attempt_and_one_deferred_does(
    conn: Connection, vault: Vault
) -> None:
    weekly = await three_readers(conn, vault)
    await publish(conn, weekly, "one")
    await approved(conn, weekly)
    back, later, _ = await working(conn)
    await outbox.release(conn, [back.id], timedelta(0))
    await outbox.defer(conn, later.id, timedelta(0), "450 busy")
    attempts = {mail.id: mail.attempts for mail in await working(conn)}
    assert attempts == {back.id: 1, later.id: 2}


async def test_what_was_sent_stays_sent_whoever_held_it(conn: Connection, vault: Vault) -> None:
    weekly = await three_readers(conn, vault)
    await publish(conn, weekly, "one")
    digest = await approved(conn, weekly)
    mail, *_ = await working(conn)
    await outbox.settle(conn, mail.id, "sent", "250 ok")
    await outbox.settle(conn, mail.id, "failed", "550 no")
    await outbox.defer(conn, mail.id, timedelta(0), "450")
    assert (await progress(conn, digest))["sent"] == 1
    assert mail.id not in {m.id for m in await working(conn)}


async def test_whoever_leaves_before_their_mail_is_claimed_is_not_wanted(
    conn: Connection, vault: Vault
) -> None:
    weekly = await three_readers(conn, vault)
    await publish(conn, weekly, "one")
    await approved(conn, weekly)
    await subscriptions.leave(conn, vault, await world.link(conn, vault, ANNA, "leave"), "page")
    assert sorted(mail.wanted for mail in await working(conn)) == [False, True, True]


async def test_a_paused_digest_waits_and_a_resumed_one_goes_on(
    conn: Connection, vault: Vault
) -> None:
    weekly = await three_readers(conn, vault)
    await publish(conn, weekly, "one")
    digest = await approved(conn, weekly)
    await digests.pause(conn, digest)
    assert await working(conn) == ()
    with pytest.raises(Conflict, match="paused"):
        await digests.pause(conn, await digests.get(conn, digest.id))
    await digests.resume(conn, digest)
    assert len(await working(conn)) == 3


async def test_a_cancelled_digest_sends_nothing_more_and_ends(
    conn: Connection, vault: Vault
) -> None:
    weekly = await three_readers(conn, vault)
    await publish(conn, weekly, "one")
    digest = await approved(conn, weekly)
    worker = uuid4()
    await outbox.beat(conn, worker)
    (on_the_wire,) = await outbox.claim_digests(conn, worker, 1)
    await digests.cancel(conn, digest)
    await outbox.defer(conn, on_the_wire.id, timedelta(0), "450")
    await digests.finish_done(conn)
    assert await progress(conn, digest) == {"waiting": 0, "sent": 0, "failed": 0, "dropped": 3}
    assert (await digests.get(conn, digest.id)).state == "cancelled"


async def test_a_digest_is_sent_when_no_mail_waits(conn: Connection, vault: Vault) -> None:
    weekly = await three_readers(conn, vault)
    await publish(conn, weekly, "one")
    digest = await approved(conn, weekly)
    first, *rest = await working(conn)
    await outbox.settle(conn, first.id, "sent", None)
    assert await digests.finish_done(conn) == 0
    for mail in rest:
        await outbox.settle(conn, mail.id, "sent", None)
    assert await digests.finish_done(conn) == 1
    assert (await digests.get(conn, digest.id)).state == "sent"


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
