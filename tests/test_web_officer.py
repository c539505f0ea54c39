"""A privacy officer's road from a letter ("what do you know about me? delete it") to the answer."""

import io
import json
import logging
import zipfile
from collections.abc import AsyncIterator
from typing import Any

import pyrage  # type: ignore[import-untyped]  # it comes without types
import pytest

from mailer import acts, address, erasures, people, subscribers, suppressions
from mailer.config import Settings
from mailer.db import Connection, Pool
from mailer.errors import Unknown
from mailer.log.keep import Keep
from mailer.vault import Vault
from tests import desk, site, world
from tests.desk import Seat
from tests.test_log import seal
from tests.world import ANNA, BORIS, World

WHY = "Her letter of 1 March"


@pytest.fixture
async def weekly(conn: Connection, vault: Vault) -> World:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    return weekly


@pytest.fixture
async def officer(pool: Pool, vault: Vault, weekly: World) -> AsyncIterator[Seat]:
    async with desk.signed_in(pool, vault, "privacy") as seat:
        yield seat


async def anna(conn: Connection, vault: Vault) -> str:
    return f"/staff/people/{(await people.find(conn, vault, ANNA)).subscriber.id}"


async def told(conn: Connection, vault: Vault, seat: Seat) -> list[tuple[str, dict[str, Any]]]:
    """What the officer did, as who must answer for it reads it, latest first."""
    rows = await acts.listed(
        conn, vault, acts.Filter(staff=str(seat.member.id)), before=None, most=100
    )
    return [(row.type, dict(row.evidence)) for row in rows]


async def events(conn: Connection, vault: Vault) -> list[dict[str, Any]]:
    own = await people.find(conn, vault, ANNA)
    return [dict(event.content) for event in own.record]


async def test_the_road_from_the_letter_to_the_answer(
    officer: Seat, conn: Connection, vault: Vault, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = await officer.post("/staff/people", {"email": ANNA, "reason": WHY})
    text = await answer.text()
    assert answer.status == 200
    assert ANNA in text
    assert world.WORDING["en"] in text, "the words she agreed to"
    assert "/notice/" in text
    viewed = (await events(conn, vault))[-1]
    assert (viewed["type"], viewed["actor"]) == ("staff.viewed", officer.member.actor)
    assert viewed["evidence"] == {"what": "record", "reason": WHY}

    person = await anna(conn, vault)
    answer = await officer.post(f"{person}/export", {"reason": WHY})
    assert "attachment" in answer.headers["Content-Disposition"]
    assert json.loads(await answer.text())["email"] == ANNA
    assert (await events(conn, vault))[-1]["type"] == "subject.exported"

    answer = await officer.post(f"{person}/erase", {"reason": WHY, "never_again": "yes"})
    assert (answer.status, answer.headers["Location"]) == (303, "/staff/people?done=erase")
    with pytest.raises(Unknown):
        await people.find(conn, vault, ANNA)
    assert await suppressions.reason(conn, vault, address.parse(ANNA)) == "person"
    assert (await officer.get(person)).status == 404
    assert person.rpartition("/")[2] in erasures.file(site.folder()).read_text()
    assert ANNA not in caplog.text


async def test_a_request_is_recorded_done_and_closed_and_the_letter_is_there(
    officer: Seat, conn: Connection, vault: Vault
) -> None:
    person = await anna(conn, vault)
    today = str(await conn.fetchval("select (now() at time zone 'utc')::date"))
    sent = {"asks": ["access", "erasure"], "road": "letter", "received": today, "note": "box 3"}
    answer = await officer.post(f"{person}/request", sent)
    assert answer.headers["Location"] == "/staff/requests/1?done=recorded"
    page = await (await officer.get("/staff/requests/1?letter=uk")).text()
    assert "Ви отримаєте нашу відповідь" in page
    assert "box 3" not in page, "what was noted is shown only if somebody asks"
    assert "box 3" in await (await officer.post("/staff/requests/1/open")).text()
    assert 'href="/staff/requests/1"' in await (await officer.get("/staff/requests")).text()
    form = await (await officer.get(f"{person}/erase?request=1")).text()
    assert 'value="Request 1"' in form
    answer = await officer.post(f"{person}/erase", {"reason": WHY, "closes": "1"})
    assert answer.headers["Location"] == "/staff/requests/1?done=erase&letter=en"
    page = await (await officer.get(answer.headers["Location"])).text()
    assert "Everything we held about you has been erased." in page
    acted = [evidence.get("act") for _, evidence in await told(conn, vault, officer)]
    assert {"request.recorded", "request.viewed", "request.closed"} <= set(acted)


async def test_a_request_of_somebody_who_is_on_no_list_is_answered_too(
    officer: Seat, conn: Connection, vault: Vault
) -> None:
    today = str(await conn.fetchval("select (now() at time zone 'utc')::date"))
    sent = {"email": BORIS, "asks": "access", "road": "mail", "received": today}
    assert (await officer.post("/staff/requests/new", {**sent, "asks": ""})).status == 422
    assert (await officer.post("/staff/requests/new", sent)).status == 303
    assert BORIS in await (await officer.post("/staff/requests/1/open")).text()
    refused = await officer.post("/staff/requests/1/close", {"outcome": "refused"})
    assert refused.status == 422
    await officer.post("/staff/requests/1/extend", {"why": "There are many."})
    assert "There are many." in await (await officer.post("/staff/requests/1/open")).text()
    answer = await officer.post("/staff/requests/1/close", {"outcome": "nothing"})
    page = await (await officer.get(answer.headers["Location"])).text()
    assert "We hold no data about you." in page


async def test_a_reason_that_says_little_is_asked_back_once(
    officer: Seat, conn: Connection, vault: Vault
) -> None:
    answer = await officer.post("/staff/people", {"email": ANNA, "reason": "x"})
    page = await answer.text()
    assert answer.status == 422
    assert 'name="insist" value="x"' in page
    sent = {"email": ANNA, "reason": "x", "insist": "x"}
    assert (await officer.post("/staff/people", sent)).status == 200


async def test_every_look_needs_a_reason(officer: Seat, conn: Connection, vault: Vault) -> None:
    before = len(await events(conn, vault))
    person = await anna(conn, vault)
    for path, fields in (("/staff/people", {"email": ANNA}), (person, {"reason": " "})):
        answer = await officer.post(path, fields)
        assert answer.status == 422
        assert world.WORDING["en"] not in await answer.text()
    assert len(await events(conn, vault)) == before


async def test_a_page_that_is_only_opened_shows_nothing_of_the_person(
    officer: Seat, conn: Connection, vault: Vault
) -> None:
    person = await anna(conn, vault)
    for path in (person, f"{person}/erase", f"{person}/export", f"{person}/correct"):
        answer = await officer.get(path)
        assert answer.status == 200
        assert ANNA not in await answer.text()
    assert "staff.viewed" not in {event["type"] for event in await events(conn, vault)}


async def test_that_somebody_is_not_known_is_on_record_without_their_address(
    officer: Seat, conn: Connection, vault: Vault
) -> None:
    answer = await officer.post("/staff/people", {"email": BORIS, "reason": WHY})
    assert answer.status == 404
    done = [evidence for type_, evidence in await told(conn, vault, officer)]
    assert {"act": "person.sought", "on": "", "reason": WHY} in done
    assert BORIS not in str(done)


async def test_data_is_only_kept_and_used_again(
    officer: Seat, conn: Connection, vault: Vault
) -> None:
    person = await anna(conn, vault)
    for deed, restricted in (("restrict", True), ("lift", False)):
        answer = await officer.post(f"{person}/{deed}", {"reason": WHY})
        assert answer.headers["Location"] == f"{person}?done={deed}"
        held = await subscribers.by_address(conn, vault, address.parse(ANNA))
        assert held is not None
        assert (held.restricted_at is not None) is restricted
        again = await officer.post(f"{person}/{deed}", {"reason": WHY})
        assert again.status == 409, "it is so already"


async def test_an_address_is_suppressed_and_let_in_again(
    officer: Seat, conn: Connection, vault: Vault
) -> None:
    person = await anna(conn, vault)
    await officer.post(f"{person}/suppress", {"reason": WHY})
    assert await suppressions.reason(conn, vault, address.parse(ANNA)) == "staff"
    assert (await world.found(conn, vault, ANNA)).subscription.state == "left"
    await officer.post(f"{person}/release", {"reason": WHY})
    assert await suppressions.reason(conn, vault, address.parse(ANNA)) is None
    acted = [evidence.get("act") for _, evidence in await told(conn, vault, officer)]
    assert {"person.suppressed", "person.released"} <= set(acted)


async def test_a_correction_asks_at_the_new_address(
    officer: Seat, conn: Connection, vault: Vault
) -> None:
    person = await anna(conn, vault)
    answer = await officer.post(f"{person}/correct", {"reason": WHY, "email": "nowhere"})
    assert answer.status == 422
    answer = await officer.post(f"{person}/correct", {"reason": WHY, "email": BORIS})
    assert answer.status == 303
    assert BORIS not in answer.headers["Location"]
    assert await conn.fetchval("select count(*) from address_change") == 1
    assert (await people.find(conn, vault, ANNA)).address.given == ANNA


async def test_an_evidence_pack_is_handed_over_once_everything_is_sealed(
    officer: Seat, conn: Connection, vault: Vault, settings: Settings
) -> None:
    person = await anna(conn, vault)
    answer = await officer.post(f"{person}/pack", {"reason": WHY})
    assert answer.status == 503
    await seal(conn, vault, Keep(settings.data_dir))
    answer = await officer.post(f"{person}/pack", {"reason": WHY})
    with zipfile.ZipFile(io.BytesIO(await answer.read())) as pack:
        assert "verify.py" in pack.namelist()
    assert (await events(conn, vault))[-1]["evidence"]["what"] == "evidence pack"


# extracts


async def test_an_extract_is_on_record_as_it_is(
    officer: Seat, conn: Connection, vault: Vault
) -> None:
    sent = {"format": "jsonl", "type": "consent.confirmed", "addresses": "yes", "reason": WHY}
    answer = await officer.post("/staff/consent", sent)
    lines = [json.loads(line) for line in (await answer.text()).splitlines()]
    assert [(line["type"], line["email"]) for line in lines] == [("consent.confirmed", ANNA)]
    (said,) = [e for type_, e in await told(conn, vault, officer) if type_ == "staff.exported"]
    assert (said["rows"], said["reason"], said["addresses"]) == (1, WHY, True)


async def test_an_extract_is_for_the_eyes_of_one_key(officer: Seat) -> None:
    key = pyrage.x25519.Identity.generate()
    sent = {"format": "csv", "encrypt-to": str(key.to_public()), "reason": WHY}
    answer = await officer.post("/staff/consent", sent)
    assert b"consent.confirmed" in pyrage.decrypt(await answer.read(), [key])


@pytest.mark.parametrize(
    "wrong",
    [{"reason": ""}, {"since": "1 May"}, {"format": "xls"}, {"encrypt-to": "age1x"}, {"type": "x"}],
    ids=str,
)
async def test_an_order_that_is_wrong_says_so_and_takes_nothing_out(
    officer: Seat, conn: Connection, vault: Vault, wrong: dict[str, str]
) -> None:
    answer = await officer.post("/staff/consent", {"format": "csv", "reason": WHY, **wrong})
    assert answer.status == 422
    assert "staff.exported" not in {type_ for type_, _ in await told(conn, vault, officer)}


async def test_addresses_by_the_thousand_are_not_for_owners(
    pool: Pool, vault: Vault, weekly: World
) -> None:
    async with desk.signed_in(pool, vault, "owner") as seat:
        sent = {"format": "csv", "addresses": "yes", "reason": WHY}
        assert (await seat.post("/staff/consent", sent)).status == 403
        answer = await seat.post("/staff/consent", {**sent, "addresses": ""})
        assert ANNA not in await answer.text()
