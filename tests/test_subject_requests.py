"""What people ask about their data: a month to answer, and a register that forgets with them."""

import json
from datetime import date, timedelta
from typing import Any

import pytest

from mailer import people, retention, subject_requests, subjects
from mailer.config import Settings
from mailer.consent import SUBJECT
from mailer.db import Connection
from mailer.errors import Conflict, Invalid
from mailer.retention import Terms
from mailer.subject_requests import Asked, Details, Filter, Request
from mailer.subscriptions import Own
from mailer.vault import Vault, new_master
from tests import commands, world
from tests.world import ANNA, BORIS

NINA = "staff:nina"
LETTER = "file 12/2026, she writes from Karaganda"


@pytest.fixture
async def anna(conn: Connection, vault: Vault) -> Own:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    return await people.find(conn, vault, ANNA)


async def asked(
    conn: Connection, vault: Vault, own: Own | None, *, days_ago: int = 0, **details: str
) -> Request:
    today: date = await conn.fetchval("select (now() at time zone 'utc')::date")
    arrived = Asked(
        ("access", "erasure"), "letter", today - timedelta(days=days_ago), Details(**details)
    )
    number = await people.ask(conn, vault, own, arrived, actor=NINA)
    return await subject_requests.find(conn, number)


@pytest.mark.parametrize(
    ("received", "due", "extended"),
    [
        ("2026-03-05", "2026-04-05", "2026-06-05"),
        ("2026-01-31", "2026-02-28", "2026-04-30"),
        ("2024-01-31", "2024-02-29", "2024-04-30"),
        ("2026-11-30", "2026-12-30", "2027-02-28"),
    ],
)
async def test_a_month_ends_on_the_same_day_or_the_last(
    conn: Connection, vault: Vault, anna: Own, received: str, due: str, extended: str
) -> None:
    request = await asked(conn, vault, anna)
    await conn.execute(
        "update subject_request set received_on = $2 where id = $1",
        request.id, date.fromisoformat(received),
    )  # fmt: skip
    assert (await subject_requests.find(conn, request.id)).due_on == date.fromisoformat(due)
    await conn.execute("update subject_request set extended_at = now() where id = $1", request.id)
    assert (await subject_requests.find(conn, request.id)).due_on == date.fromisoformat(extended)


async def test_what_is_noted_is_sealed_and_goes_with_the_person(
    conn: Connection, vault: Vault, anna: Own
) -> None:
    request = await asked(conn, vault, anna, note=LETTER)
    assert request.noted(vault).note == LETTER
    assert LETTER.encode() not in (request.details or b"")
    held = await people.export(conn, vault, anna, actor=NINA)
    assert held["requests"][0]["note"] == LETTER, "it is held about her, so it is hers to see"
    await people.erase(conn, vault, anna, never_again=False, actor=NINA)
    await people.answer(conn, vault, request.id, "done", "with a copy by post", actor=NINA)
    left = await subject_requests.find(conn, request.id)
    assert (left.details, left.dek, left.known, left.erased) == (None, None, False, True)
    assert (left.outcome, left.closed_by, left.asks) == ("done", NINA, ["access", "erasure"])


async def test_it_takes_longer_only_if_that_is_said_in_the_first_month_and_once(
    conn: Connection, vault: Vault, anna: Own
) -> None:
    request = await asked(conn, vault, anna, note=LETTER)
    longer = await subject_requests.extend(conn, vault, request.id, "There are many.")
    assert (longer.due_on - longer.received_on).days > 88
    assert longer.noted(vault) == Details(LETTER, why_longer="There are many.")
    with pytest.raises(Conflict, match="only once"):
        await subject_requests.extend(conn, vault, request.id, "Still.")
    late = await asked(conn, vault, anna, days_ago=40)
    assert late.state == "overdue"
    with pytest.raises(Conflict, match="first month is over"):
        await subject_requests.extend(conn, vault, late.id, "There are many.")


async def test_it_is_answered_once_and_a_refusal_says_why(
    conn: Connection, vault: Vault, anna: Own
) -> None:
    request = await asked(conn, vault, anna)
    with pytest.raises(Invalid):
        await people.answer(conn, vault, request.id, "refused", "", actor=NINA)
    await people.answer(conn, vault, request.id, "refused", "Nobody proved it.", actor=NINA)
    with pytest.raises(Conflict):
        await people.answer(conn, vault, request.id, "done", "", actor=NINA)


async def test_the_list_begins_with_what_is_overdue_and_goes_on_in_pages(
    conn: Connection, vault: Vault, anna: Own
) -> None:
    ages = (3, 50, 28, 40)
    made = {age: (await asked(conn, vault, anna, days_ago=age)).id for age in ages}
    closed = [await asked(conn, vault, None) for _ in range(3)]
    for each in closed:
        await people.answer(conn, vault, each.id, "nothing", "", actor=NINA)

    async def ids(wanted: Filter, after: int | None = None, most: int = 10) -> list[int]:
        found = await subject_requests.listed(conn, wanted, after=after, most=most)
        return [each.id for each in found]

    inorder = [made[50], made[40], made[28], made[3]]
    assert await ids(Filter()) == inorder
    assert await ids(Filter(), after=made[40], most=1) == [made[28]]
    assert await ids(Filter("overdue")) == inorder[:2]
    assert await ids(Filter("closed"), after=closed[2].id) == [closed[1].id, closed[0].id]
    assert await ids(Filter(ask="correction")) == []
    assert await ids(Filter(road="letter", ask="access")) == inorder
    pressing = await subject_requests.pressing(conn)
    assert (pressing.overdue, pressing.soon) == (2, 1)


async def test_what_is_done_on_ones_own_page_stands_there_as_done(
    conn: Connection, vault: Vault, anna: Own
) -> None:
    await people.export(conn, vault, anna, actor=SUBJECT)
    await people.restrict(conn, vault, anna, "page", actor=SUBJECT)
    await people.erase(conn, vault, anna, never_again=False, actor=SUBJECT)
    found = await subject_requests.listed(conn, Filter("closed"), after=None, most=10)
    assert [(*each.asks, each.road, each.closed_by) for each in found] == [
        (ask, "page", "subject") for ask in ("erasure", "restriction", "access")
    ]


@pytest.mark.parametrize("days_ago", [-2, 5000])
async def test_it_did_not_arrive_tomorrow_nor_before_there_was_a_law(
    conn: Connection, vault: Vault, anna: Own, days_ago: int
) -> None:
    with pytest.raises(Invalid):
        await asked(conn, vault, anna, days_ago=days_ago)


async def test_an_answered_request_goes_in_time_and_with_it_who_was_on_no_list(
    conn: Connection, vault: Vault, anna: Own
) -> None:
    theirs, hers = await asked(conn, vault, None, sender=BORIS), await asked(conn, vault, anna)
    waiting = await asked(conn, vault, anna)
    assert theirs.noted(vault).sender == BORIS
    for each in (theirs, hers):
        await people.answer(conn, vault, each.id, "done", "", actor=NINA)
    terms = Terms(timedelta(hours=72), timedelta(days=30))
    assert await retention.sweep(conn, vault, terms) == {}
    await conn.execute("update subject_request set closed_at = closed_at - interval '31 days'")
    assert await retention.sweep(conn, vault, terms) == {"requests about data": 2}
    assert await subjects.find(conn, vault, theirs.subject) is None
    assert await conn.fetchval("select count(*) from subject where id = $1", theirs.subject) == 0
    assert [each.id for each in await subject_requests.of(conn, hers.subject)] == [waiting.id]


async def test_the_same_by_command(conn: Connection, settings: Settings) -> None:
    key = new_master()
    keys = await subjects.open_vault(conn, key)
    weekly = await world.make(conn, keys)
    await world.confirmed(conn, keys, weekly.wish(ANNA))

    async def run(*words: str) -> str:
        return await commands.done(settings, key, "request", *words)

    async def shown(*words: str) -> Any:
        return json.loads(await run(*words, "--json"))

    today: date = await conn.fetchval("select (now() at time zone 'utc')::date")
    made = await run(
        "add", "--email", ANNA, "--asks", "access", "--road", "mail", "--received",
        today.isoformat(), "--note", LETTER,
    )  # fmt: skip
    assert made.startswith("Request 1: the answer is due on ")
    (line,) = await shown("list")
    assert (line["asks"], line["state"]) == (["access"], "open")
    assert (await shown("show", "1"))["note"] == LETTER
    assert "due on" in await run("extend", "1", "--reason", "There are many.")
    await run("close", "1", "--outcome", "done")
    assert await shown("list") == []
    assert [each["outcome"] for each in await shown("list", "--state", "closed")] == ["done"]
    viewed = [e.content["evidence"] for e in (await people.find(conn, keys, ANNA)).record][-2:]
    assert viewed == [{"what": "request", "reason": "request 1"}] * 2
