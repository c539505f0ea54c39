"""The consent record: appended, chained, sealed; and what a thief with every right can't hide."""

import json

import asyncpg
import pytest

from mailer import consent, people, subscriptions
from mailer.consent import Filter, Finding, Verification
from mailer.db import Connection
from mailer.vault import Vault
from tests import world
from tests.world import ANNA, BORIS, VERA


async def verify(conn: Connection, vault: Vault) -> tuple[Verification, list[Finding]]:
    seen = Verification()
    async with conn.transaction():
        findings = [found async for found in consent.verify(conn, vault, seen)]
    return seen, findings


async def people_who_agreed(conn: Connection, vault: Vault) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    await world.confirmed(conn, vault, weekly.wish(BORIS))
    await subscriptions.leave(conn, vault, await world.link(conn, vault, BORIS, "leave"), "page")


async def meddle(conn: Connection, statement: str, *args: object) -> None:
    """As someone who owns the database."""
    await conn.execute("alter table consent_event disable trigger user")
    await conn.execute(statement, *args)
    await conn.execute("alter table consent_event enable trigger user")


async def test_an_untouched_record_verifies(conn: Connection, vault: Vault) -> None:
    await people_who_agreed(conn, vault)
    seen, findings = await verify(conn, vault)
    assert findings == []
    assert (seen.events, seen.subjects, seen.erased) == (7, 3, 0)


async def test_events_are_numbered_without_gaps_and_name_the_one_before(
    conn: Connection, vault: Vault
) -> None:
    await people_who_agreed(conn, vault)
    record = (await people.find(conn, vault, BORIS)).record
    assert [event.content["seq"] for event in record] == [1, 2, 3]
    before = [None, *(event.commitment.hex() for event in record[:-1])]
    assert [event.content["prev"] for event in record] == before


async def test_an_event_is_sealed_in_the_database(conn: Connection, vault: Vault) -> None:
    await people_who_agreed(conn, vault)
    for row in await conn.fetch("select body from consent_event"):
        assert b"origin" not in row["body"]


@pytest.mark.parametrize(
    "statement",
    [
        "update consent_event set at = at - interval '1 day'",
        "delete from consent_event",
        "truncate consent_event",
        "update notice set wording = 'something else'",
        "delete from notice",
        "truncate notice cascade",
    ],
)
async def test_the_database_itself_refuses_changes(
    conn: Connection, vault: Vault, statement: str
) -> None:
    await people_who_agreed(conn, vault)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await conn.execute(statement)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("update consent_event set at = at - interval '1 day' where type = 'consent.withdrawn'",
         "not what was committed"),
        ("update consent_event set type = 'consent.updated' where type = 'consent.withdrawn'",
         "not what was committed"),
        ("delete from consent_event where type = 'consent.withdrawn'", "missing or changed"),
        ("delete from consent_event where type = 'subscription.requested'", "are missing"),
        ("update consent_event set commitment = sha256('') where type = 'consent.confirmed'",
         "not what was committed"),
        ("update consent_event set body = null where type = 'consent.withdrawn'",
         "was not erased"),
        ("""update consent_event e set body = o.body from consent_event o
            where o.subject <> e.subject and o.type = e.type and e.type = 'consent.confirmed'""",
         "changed or moved"),
        ("delete from consent_event where subject <> '00000000-0000-0000-0000-000000000000'",
         "all events are missing"),
    ],
)  # fmt: skip
async def test_a_thief_with_every_right_is_found_out(
    conn: Connection, vault: Vault, statement: str, said: str
) -> None:
    await people_who_agreed(conn, vault)
    await meddle(conn, statement)
    _, findings = await verify(conn, vault)
    assert any(said in finding.what for finding in findings), findings


async def test_events_of_someone_erased_stay_counted_and_say_nothing(
    conn: Connection, vault: Vault
) -> None:
    await people_who_agreed(conn, vault)
    own = await people.find(conn, vault, BORIS)
    await people.erase(conn, vault, own, never_again=False, actor="staff:anna")
    seen, findings = await verify(conn, vault)
    assert findings == []
    assert seen.erased == 3
    left = await conn.fetch("select * from consent_event where subject = $1", own.subscriber.id)
    assert all(row["body"] is row["newsletter"] is row["notice"] is None for row in left)


async def test_the_commitment_is_over_the_canonical_event_and_its_salt(
    conn: Connection, vault: Vault
) -> None:
    await people_who_agreed(conn, vault)
    held = await world.found(conn, vault, ANNA)
    for event in (await people.find(conn, vault, ANNA)).record:
        body = json.dumps(
            event.content, separators=(",", ":"), sort_keys=True, ensure_ascii=False
        ).encode()
        assert consent.canonical(event.content) == body
        from uuid import UUID

        assert consent.commit(held.subject, UUID(event.content["id"]), body) == event.commitment


async def test_a_filter_gives_just_what_it_names(conn: Connection, vault: Vault) -> None:
    await people_who_agreed(conn, vault)
    weekly = await world.make(conn, vault, "other")
    await world.ask(conn, vault, weekly.wish(VERA))
    async with conn.transaction():
        wanted = Filter(newsletter="weekly", type="consent.confirmed")
        events = [event async for event, _, _ in consent.stream(conn, vault, wanted)]
    assert {event.content["type"] for event in events} == {"consent.confirmed"}
    assert {event.content["newsletter"] for event in events} == {"weekly"}
    assert len(events) == 2


async def test_events_under_one_version_of_the_words_can_be_picked_out(
    conn: Connection, vault: Vault
) -> None:
    await people_who_agreed(conn, vault)
    weekly = await world.make(conn, vault, "other")
    await world.ask(conn, vault, weekly.wish(VERA, "ru"))
    async with conn.transaction():
        wanted = Filter(notice=weekly.notices["ru"].id)
        events = [event.content async for event, _, _ in consent.stream(conn, vault, wanted)]
    assert [event["type"] for event in events] == ["notice.published", "subscription.requested"]


def test_event_ids_carry_their_time_and_are_version_7() -> None:
    from datetime import UTC, datetime

    at = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)
    made = consent.uuid7(at)
    assert made.version == 7
    assert made.int >> 80 == int(at.timestamp() * 1000)
    assert made != consent.uuid7(at)
