"""A list on the page of the staff: uploaded, looked at, read by a worker, confirmed, stopped."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from aiohttp import ClientResponse, FormData

from mailer import address, imports, people, suppressions
from mailer.config import Settings
from mailer.db import Connection, Pool
from mailer.imports import files
from mailer.vault import Vault
from mailer.worker import Worker
from tests import desk, site, world
from tests.desk import BASE, Seat
from tests.world import ANNA, BORIS, HOURS, VERA, World

LIST = f"""E-Mail;Sprache;Art
{ANNA};ru;x
{BORIS};en;x
nobody;en;x
{VERA};en;x
{VERA.upper()};en;x
mute@example.org;en;x
"""
HOW = {"column-email": "E-Mail", "column-language": "Sprache"}


@pytest.fixture
async def weekly(conn: Connection, vault: Vault) -> World:
    return await world.make(conn, vault)


@pytest.fixture
async def officer(pool: Pool, vault: Vault, weekly: World) -> AsyncIterator[Seat]:
    async with desk.signed_in(pool, vault, "privacy") as seat:
        yield seat


@pytest.fixture
def worker(settings: Settings, pool: Pool, vault: Vault) -> Worker:
    return Worker(settings, pool, vault, asyncio.Event())


async def send(seat: Seat, content: bytes, newsletter: str = "weekly") -> ClientResponse:
    form = FormData()
    form.add_field("newsletter", newsletter)
    form.add_field("file", io.BytesIO(content), filename="list.csv", content_type="text/csv")
    return await seat.client.post(
        "/staff/import", data=form, allow_redirects=False, headers={"Origin": BASE}
    )


async def uploaded(seat: Seat, content: bytes | str) -> str:
    """The path of its page."""
    answer = await send(seat, content if isinstance(content, bytes) else content.encode())
    assert answer.status == 303
    return answer.headers["Location"]


async def page(seat: Seat, path: str) -> str:
    answer = await seat.get(path)
    assert answer.status == 200
    return await answer.text()


async def read(seat: Seat, worker: Worker, path: str, how: Mapping[str, Any] = HOW) -> None:
    answer = await seat.post(path, how)
    assert answer.status == 303, await answer.text()
    async with worker.pool.acquire() as conn:
        await conn.execute("insert into worker (id) values ($1) on conflict do nothing", worker.id)
    assert await worker.lists.read()


async def numbers(conn: Connection, path: str) -> imports.Import:
    return await imports.find(conn, int(path.rpartition("/")[2]))


async def test_the_road_from_a_file_to_people_who_are_asked(
    officer: Seat, conn: Connection, vault: Vault, weekly: World, worker: Worker
) -> None:
    await world.confirmed(conn, vault, weekly.wish(BORIS))
    await suppressions.add(conn, vault, address.parse("mute@example.org"), "person")
    mails = await conn.fetchval("select count(*) from outbox")
    path = await uploaded(officer, LIST)
    whole = str(await site.content(conn))
    assert "anna" not in whole.lower().replace("staff:", "")
    text = await page(officer, path)
    assert "Sprache" in text
    assert ANNA not in text
    assert "…" in text

    await read(officer, worker, path)
    assert await conn.fetchval("select count(*) from import_piece") == 0
    text = await page(officer, path)
    for sentence in (
        "2 people are asked to confirm",
        "1 person is subscribed or asked already",
        "1 person is never to be written to",
        "1 line repeats an address",
        "1 line is wrong",
        "Enter an e-mail address",
    ):
        assert sentence in text
    wrong = await (await officer.get(f"{path}/wrong.csv")).text()
    assert list(csv.reader(io.StringIO(wrong))) == [
        ["line", "what"],
        ["4", "Enter an e-mail address such as name@example.org."],
    ]
    assert await conn.fetchval("select count(*) from outbox") == mails

    answer = await officer.post(f"{path}/start")
    assert answer.headers["Location"] == f"{path}?done=started"
    while await imports.take(conn, vault, HOURS, 500):
        pass
    done = await numbers(conn, path)
    assert (done.state, done.asked, done.known, done.suppressed, done.wrong) == (
        "done", 2, 1, 1, 1)  # fmt: skip
    assert await conn.fetchval("select count(*) from outbox") == mails + 2
    own = await people.find(conn, vault, ANNA)
    assert own.record[0].content["actor"] == officer.member.actor
    live = await (await officer.get(f"{path}/live")).text()
    assert '"state": "done"' in live
    assert "Asked to confirm" in await page(officer, path)

    again = await uploaded(officer, LIST)
    await read(officer, worker, again)
    assert "would be asked a second time" in await page(officer, again)
    assert (await officer.post(f"{again}/start")).status == 409
    assert (await officer.post(f"{again}/start", {"again": "yes"})).status == 303


async def test_evidence_confirms_and_the_page_says_so_before(
    officer: Seat, conn: Connection, vault: Vault, worker: Worker
) -> None:
    text = (
        "email,agreed_at,agreed_how,agreed_words,agreed_source\n"
        f"{ANNA},2024-05-31,paper,Yes,folder 7\n{BORIS},,,,\n"
    )
    path = await uploaded(officer, text)
    columns = {f"column-{name}": name for name in text.split("\n", maxsplit=1)[0].split(",")}
    await read(officer, worker, path, {**columns, "documented": "yes", "language": "ru"})
    shown = await page(officer, path)
    assert "1 person is asked to confirm" in shown
    assert "1 person is confirmed by the evidence" in shown
    await officer.post(f"{path}/start")
    await imports.take(conn, vault, HOURS, 500)
    done = await numbers(conn, path)
    assert (done.confirmed, done.asked) == (1, 1)
    assert (await world.found(conn, vault, ANNA)).subscription.language == "ru"


async def test_what_cannot_be_read_is_said_and_can_be_told_otherwise(
    officer: Seat, conn: Connection, worker: Worker
) -> None:
    path = await uploaded(officer, f"имя;адрес\nАнна;{ANNA}\n".encode("windows-1251"))
    assert "windows-1251" in await page(officer, path)
    assert (await officer.post(path, {})).status == 422
    how = {"encoding": "windows-1251", "column-email": "адрес"}
    text = await (await officer.post(path, {**how, "look": "yes"})).text()
    assert "адрес" in text
    await read(officer, worker, path, how)
    assert (await numbers(conn, path)).staged == 1

    lines = "".join(f"reader{n}@example.org,en\n" for n in range(1500))
    path = await uploaded(officer, f'email,language\n{lines}"open@example.org,en\n')
    await read(officer, worker, path, {"column-email": "email"})
    assert "is never closed" in await page(officer, path)
    found = await numbers(conn, path)
    assert (found.staged, found.state) == (0, "reading")
    assert (await officer.post(f"{path}/start")).status == 409


async def test_a_worker_that_dies_leaves_the_rest_to_another(
    officer: Seat, conn: Connection, vault: Vault, worker: Worker, settings: Settings, pool: Pool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    many = 2500
    lines = "".join(f"reader{n}@example.org\n" for n in range(many))
    path = await uploaded(officer, f"email\nnobody\n{lines}")
    stage, stages = files.stage, []

    async def dies(*args: Any) -> bool:
        stages.append(args)
        if len(stages) == 2:
            raise ConnectionError
        return await stage(*args)

    monkeypatch.setattr(files, "stage", dies)
    with pytest.raises(ConnectionError):
        await read(officer, worker, path, {"column-email": "email"})
    assert 0 < (await numbers(conn, path)).staged < many
    other = Worker(settings, pool, vault, asyncio.Event())
    await conn.execute("insert into worker (id) values ($1)", other.id)
    assert not await other.lists.read(), "the first may live"
    await conn.execute("delete from worker where id = $1", worker.id)
    assert await other.lists.read()
    found = await numbers(conn, path)
    assert (found.staged, found.wrong, found.repeated, found.whole) == (many, 1, 0, True)


async def test_it_is_given_up_before_and_stopped_after_it_began(
    officer: Seat, conn: Connection, vault: Vault, worker: Worker
) -> None:
    path = await uploaded(officer, f"email\n{ANNA}\n")
    assert (await officer.post(f"{path}/cancel")).status == 303
    assert (await officer.get(path)).status == 404
    assert await conn.fetchval("select count(*) from import_piece") == 0
    path = await uploaded(officer, f"email\n{ANNA}\n{BORIS}\n")
    await read(officer, worker, path, {"column-email": "email"})
    await officer.post(f"{path}/start")
    assert (await officer.post(f"{path}/cancel")).status == 409
    assert "2 people were not brought over yet" in await page(officer, f"{path}/stop")
    assert (await officer.post(f"{path}/stop")).status == 303
    assert (await numbers(conn, path)).state == "stopped"
    assert await imports.take(conn, vault, HOURS, 500) == 0


async def test_a_file_that_is_none_or_too_large_is_refused_and_nothing_of_it_stays(
    officer: Seat, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MOST_BYTES", 1 << 20)
    for content, sentence in (
        (b"", "The file is empty."),
        (b"email\n" + b"x@example.org\n" * 100_000, "The file is larger than 1 MB"),
    ):
        answer = await send(officer, content)
        assert answer.status == 422
        assert sentence in await answer.text()
    assert (await officer.post("/staff/import", {"newsletter": "weekly"})).status == 422
    assert await imports.all_(conn) == []
