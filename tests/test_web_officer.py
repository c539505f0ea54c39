"""A privacy officer's road from a letter ("what do you know about me? delete it") to the answer."""

import asyncio
import hashlib
import io
import json
import logging
import zipfile
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import uuid4

import pyrage  # type: ignore[import-untyped]  # it comes without types
import pytest

from mailer import acts, address, erasures, jobs, outbox, people, subscribers, suppressions
from mailer.bounces.reasons import WORDS
from mailer.config import Settings
from mailer.db import Connection, Pool
from mailer.errors import Unknown
from mailer.log.keep import Keep
from mailer.vault import Vault
from mailer.worker.jobs import Jobs
from mailer.worker.loops import Loops
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
    assert "ви отримаєте нашу відповідь" in page
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
    await conn.execute("update subject_request set received_on = received_on - 40")
    assert "1 request is overdue." in await (await officer.get("/staff")).text()
    await conn.execute("update subject_request set received_on = received_on + 40")
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


async def test_an_address_on_no_list_is_silenced_and_let_in_again(
    officer: Seat, conn: Connection, vault: Vault
) -> None:
    async def done(deed: str) -> str:
        sent = {"email": BORIS, "deed": deed, "reason": WHY}
        return await (await officer.post("/staff/people/address", sent)).text()

    assert "This address is not suppressed." in await done("check")
    assert "Nothing will be sent" in await done("suppress")
    assert await suppressions.reason(conn, vault, address.parse(BORIS)) == "staff"
    assert "This address is suppressed:" in await done("check")
    assert "may subscribe again" in await done("release")
    assert await suppressions.reason(conn, vault, address.parse(BORIS)) is None
    assert "is not suppressed" in await done("release"), "there was nothing to lift"
    acted = [evidence.get("act") for _, evidence in await told(conn, vault, officer)]
    assert {"address.checked", "person.suppressed", "person.released"} <= set(acted)


async def test_the_page_has_what_was_sent_and_a_mistaken_bounce_is_undone(
    officer: Seat, conn: Connection, vault: Vault
) -> None:
    person, held = await anna(conn, vault), await world.found(conn, vault, ANNA)
    await outbox.put(conn, "already", held.subscription.id)
    await conn.execute("update outbox set state = 'sent', reply = '250 kept', settled_at = now()")
    number: int = await conn.fetchval(
        "insert into bounce (subscription, channel, kind, reason, status) "
        "values ($1, 'smtp', 'hard', $2, '5.1.1') returning id",
        held.subscription.id, next(iter(WORDS)),
    )  # fmt: skip
    look = {"reason": WHY}
    page = await (await officer.post(person, look)).text()
    assert "250 kept" in page
    assert "that they are subscribed already" in page
    assert "They confirmed “Rights Weekly” and agreed to the words shown." in page
    assert "You confirmed" not in page
    assert f"{person}/undo?bounce={number}" in page
    await officer.post(f"{person}/undo", {"reason": WHY, "bounce": str(number)})
    assert ">undone<" in await (await officer.post(person, look)).text()
    other = await officer.post(f"{person}/undo", {"reason": WHY, "bounce": str(number + 1)})
    assert other.status == 404


# long work


@pytest.fixture
async def worker(conn: Connection, pool: Pool, vault: Vault, settings: Settings) -> Jobs:
    own = uuid4()
    await outbox.beat(conn, own)
    return Jobs(settings, pool, vault, own, Loops(asyncio.Event()))


async def extracted(officer: Seat, worker: Jobs, sent: Mapping[str, str]) -> bytes:
    """Ordered, written by a worker, downloaded."""
    answer = await officer.post("/staff/consent", {"format": "csv", "reason": WHY, **sent})
    assert answer.status == 303, await answer.text()
    place = answer.headers["Location"]
    waiting = await (await officer.get(place)).text()
    assert 'data-state="waiting"' in waiting
    assert await worker.work()
    assert f'href="{place}/file"' in await (await officer.get(place)).text()
    answer = await officer.get(f"{place}/file")
    assert "attachment" in answer.headers["Content-Disposition"]
    return await answer.read()


async def test_an_extract_is_on_record_as_it_is(
    officer: Seat, worker: Jobs, conn: Connection, vault: Vault
) -> None:
    sent = {"format": "jsonl", "type": "consent.confirmed", "addresses": "yes"}
    body = await extracted(officer, worker, sent)
    lines = [json.loads(line) for line in body.splitlines()]
    assert [(line["type"], line["email"]) for line in lines] == [("consent.confirmed", ANNA)]
    (said,) = [e for type_, e in await told(conn, vault, officer) if type_ == "staff.exported"]
    assert (said["rows"], said["reason"], said["addresses"]) == (1, WHY, True)
    assert said["sha256"] == hashlib.sha256(body).hexdigest()


async def test_an_extract_of_subscribers_is_for_the_eyes_of_one_key(
    officer: Seat, worker: Jobs
) -> None:
    key = pyrage.x25519.Identity.generate()
    sent = {"what": "subscribers", "state": "confirmed", "encrypt-to": str(key.to_public())}
    body = await extracted(officer, worker, sent)
    assert b"weekly,confirmed,en,weekly" in pyrage.decrypt(body, [key])


async def test_a_file_is_for_whoever_asked_and_gone_when_they_say_so(
    officer: Seat, worker: Jobs, conn: Connection, pool: Pool, vault: Vault
) -> None:
    assert ANNA.encode() in await extracted(officer, worker, {"addresses": "yes"})
    place = f"/staff/consent/jobs/{await conn.fetchval('select id from job')}"
    sealed = b"".join(row["body"] for row in await conn.fetch("select body from job_piece"))
    assert ANNA.encode() not in sealed
    async with desk.signed_in(pool, vault, "owner") as other:
        assert (await other.get(f"{place}/file")).status == 403
        assert WHY not in await (await other.get(place)).text()
        assert (await other.post(f"{place}/remove")).status == 403
    await officer.post(f"{place}/remove")
    assert (await officer.get(f"{place}/file")).status == 404
    assert await conn.fetchval("select count(*) from job_piece") == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"reason": ""}, {"since": "1 May"}, {"format": "xls"}, {"encrypt-to": "age1x"},
        {"type": "x"}, {"newsletter": "none"}, {"what": "all"},
        {"what": "subscribers", "state": "x"},
    ],
    ids=str,
)  # fmt: skip
async def test_an_order_that_is_wrong_says_so_and_sets_nothing_going(
    officer: Seat, conn: Connection, wrong: dict[str, str]
) -> None:
    answer = await officer.post("/staff/consent", {"format": "csv", "reason": WHY, **wrong})
    assert answer.status in (404, 422)
    assert await conn.fetchval("select count(*) from job") == 0


async def test_addresses_by_the_thousand_are_not_for_owners(
    pool: Pool, vault: Vault, weekly: World
) -> None:
    async with desk.signed_in(pool, vault, "owner") as seat:
        sent = {"format": "csv", "addresses": "yes", "reason": WHY}
        assert (await seat.post("/staff/consent", sent)).status == 403


async def test_the_record_is_verified_from_the_page(
    officer: Seat, worker: Jobs, conn: Connection, vault: Vault, settings: Settings
) -> None:
    await seal(conn, vault, Keep(settings.data_dir))
    place = (await officer.post("/staff/consent/verify")).headers["Location"]
    again = await officer.post("/staff/consent/verify")
    assert again.headers["Location"] == place, "one at a time"
    assert await worker.work()
    live = await (await officer.get(f"{place}/live")).text()
    assert '"state": "done"' in live
    assert "Every entry is as it was written" in await (await officer.get(place)).text()
    assert "nothing was changed or removed" in await (await officer.get("/staff/consent")).text()
    assert {"act": "record.verified", "on": ""} in [e for _, e in await told(conn, vault, officer)]

    await conn.execute("set session_replication_role = replica")
    await conn.execute("delete from consent_event where type = 'consent.confirmed'")
    await conn.execute("reset session_replication_role")
    place = (await officer.post("/staff/consent/verify")).headers["Location"]
    assert await worker.work()
    text = await (await officer.get(place)).text()
    assert "The record is not as it was written" in text
    assert "of the log is missing" in text


async def test_a_job_whose_worker_died_is_begun_anew_and_finished_once(
    officer: Seat, worker: Jobs, conn: Connection, pool: Pool, vault: Vault, settings: Settings
) -> None:
    await officer.post("/staff/consent", {"format": "csv", "reason": WHY})
    dead = uuid4()
    await outbox.beat(conn, dead)
    job = await jobs.claim(conn, dead)
    assert job is not None
    await jobs.put_piece(conn, job.subject(vault), 0, b"half")
    assert not await worker.work(), "somebody does it"
    await outbox.bury(conn, dead)
    assert await worker.work()
    assert not await jobs.finish(conn, job.id, dead, {}), "it woke up too late"
    assert b"half" not in await (await officer.get(f"/staff/consent/jobs/{job.id}/file")).read()
    exports = [type_ for type_, _ in await told(conn, vault, officer) if type_ == "staff.exported"]
    assert exports == ["staff.exported"]
    await conn.execute("update job set finished_at = now() - interval '2 hours'")
    assert await jobs.forget(conn) == 1
    assert await conn.fetchval("select count(*) from subject where id = $1", job.id) == 0
