"""What one person may demand: to see everything, to take it along, to be forgotten."""

import json

import pytest

from mailer import address, consent, people, subscribers, suppressions
from mailer.cli import door
from mailer.db import Connection
from mailer.errors import Invalid, Unknown
from mailer.vault import Vault
from tests import world
from tests.world import ANNA, BORIS, VERA


async def test_an_export_holds_everything_and_is_itself_recorded(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(VERA, "ru"))
    own = await people.find(conn, vault, VERA)
    held = await people.export(conn, vault, own, actor="staff:anna")
    text = json.dumps(held, ensure_ascii=False, default=door.plain)
    assert VERA in text
    assert world.WORDING["ru"] in text
    types = [event["type"] for event in held["events"]]
    assert types == ["subscription.requested", "consent.confirmed", "subject.exported"]


async def test_a_person_is_found_by_any_spelling_of_their_address(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    await world.ask(conn, vault, weekly.wish("Anna@EXAMPLE.org"))
    assert (await people.find(conn, vault, ANNA)).address.given == "Anna@example.org"
    with pytest.raises(Unknown):
        await people.find(conn, vault, BORIS)
    with pytest.raises(Invalid):
        await people.find(conn, vault, "nobody")


async def test_someone_erased_is_unknown_and_may_come_back_as_somebody_new(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    first = (await world.confirmed(conn, vault, weekly.wish(ANNA))).subject.id
    own = await people.find(conn, vault, ANNA)
    await people.erase(conn, vault, own, never_again=False, actor="staff:anna")
    assert await subscribers.by_address(conn, vault, address.parse(ANNA)) is None
    assert await conn.fetchval("select dek from subject where id = $1", first) is None
    await world.ask(conn, vault, weekly.wish(ANNA))
    assert (await world.found(conn, vault, ANNA)).subject.id != first


async def test_someone_erased_may_leave_the_wish_never_to_hear_from_us(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    own = await people.find(conn, vault, ANNA)
    await people.erase(conn, vault, own, never_again=True, actor="subject")
    await world.ask(conn, vault, weekly.wish(ANNA))
    assert await conn.fetchval("select count(*) from subscriber") == 0
    assert await suppressions.remove(conn, vault, address.parse(ANNA))
    await world.ask(conn, vault, weekly.wish(ANNA))
    assert await conn.fetchval("select count(*) from subscriber") == 1


async def test_staff_who_suppress_an_address_end_its_subscriptions(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    await people.suppress(conn, vault, ANNA, actor="staff:boris")
    held = await world.found(conn, vault, ANNA)
    last = (await consent.of(conn, held.subject))[-1].content
    assert held.subscription.state == "left"
    assert (last["type"], last["actor"]) == ("consent.withdrawn", "staff:boris")
    assert await suppressions.among(conn, vault, [address.parse(ANNA), address.parse(BORIS)]) == {
        ANNA
    }


async def test_no_table_holds_an_address_or_anything_that_spells_it(
    conn: Connection, vault: Vault
) -> None:
    import base64

    weekly = await world.make(conn, vault)
    for email in (ANNA, BORIS, VERA):
        await world.confirmed(conn, vault, weekly.wish(email))
    tables = await conn.fetch("select tablename from pg_tables where schemaname = 'public'")
    dump = ""
    for table in tables:
        rows = await conn.fetch(f'select t::text as row from "{table["tablename"]}" t')
        dump += "\n".join(row["row"] for row in rows)
    assert weekly.newsletter.slug in dump
    for email in (ANNA, BORIS, VERA):
        local = email.partition("@")[0]
        for spelt in (email, local, email.encode().hex(), local.encode().hex()):
            assert spelt not in dump
        assert base64.b64encode(local.encode()).decode().rstrip("=")[:-1] not in dump
