"""People brought over: each asked once, or confirmed by evidence; nobody against their will."""

import asyncio
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyrage  # type: ignore[import-untyped]  # it comes without types
import pytest

from mailer import (
    address,
    cli,
    consent,
    imports,
    keys,
    newsletters,
    notices,
    people,
    receipts,
    replay,
    subjects,
    subscribers,
    subscriptions,
    suppressions,
)
from mailer.config import Settings
from mailer.db import Connection, Pool
from mailer.errors import Conflict, Invalid, Unknown
from mailer.imports import Line, Manner, Person, Reading, Terms
from mailer.vault import Vault, new_master
from tests import commands, site, world
from tests.world import ANNA, BORIS, HOURS, VERA, World

STAFF = "staff:anna"
EVIDENCE = "agreed_at,agreed_how,agreed_words,agreed_source"
PAPER = '2024-05-31,paper form,"Yes, send me the digest.",folder 7'


@pytest.fixture
async def weekly(conn: Connection, vault: Vault) -> World:
    return await world.make(conn, vault)


async def staged(
    conn: Connection, vault: Vault, weekly: World, text: str, *, documented: bool = False
) -> int:
    """A list read and closed; nothing has come of it yet. Every line must be right."""
    terms = await imports.terms(conn, weekly.newsletter, documented=documented)
    reading = Reading(io.BytesIO(text.encode()), Manner())
    id_ = await imports.begin(conn, terms, by=STAFF)
    found = [imports.check(line, terms) for line in reading if isinstance(line, Line)]
    people_ = [each for each in found if isinstance(each, Person)]
    await imports.stage(conn, vault, id_, people_)
    await imports.close(conn, id_, reading.sha256, passed=len(found) - len(people_))
    return id_


async def brought(
    conn: Connection, vault: Vault, weekly: World, text: str, *, documented: bool = False
) -> imports.Import:
    id_ = await staged(conn, vault, weekly, text, documented=documented)
    await imports.start(conn, id_)
    await taken(conn, vault)
    return await imports.find(conn, id_)


async def taken(conn: Connection, vault: Vault) -> None:
    while await imports.take(conn, vault, HOURS, 2):
        pass


async def letters(conn: Connection) -> list[str]:
    return [row["kind"] for row in await conn.fetch("select kind from outbox order by id")]


async def types(conn: Connection, vault: Vault, email: str) -> list[str]:
    return [e.content["type"] for e in (await people.find(conn, vault, email)).record]


async def state(conn: Connection, vault: Vault, email: str) -> str:
    return (await world.found(conn, vault, email)).subscription.state


# asked


async def test_each_is_asked_once_and_the_record_says_who_brought_them(
    conn: Connection, vault: Vault, weekly: World
) -> None:
    text = f"email,language\n{ANNA},ru\n{VERA},en\n"
    done = await brought(conn, vault, weekly, text)
    assert (done.state, done.staged, done.asked, done.waiting) == ("done", 2, 2, 0)
    assert await letters(conn) == ["confirm", "confirm"]
    record = (await people.find(conn, vault, ANNA)).record
    assert [e.content["type"] for e in record] == ["subject.imported", "subscription.requested"]
    for event in record:
        assert event.content["actor"] == STAFF
        assert event.content["notice"]["id"] == weekly.notices["ru"].id
        evidence = event.content["evidence"]
        assert evidence["file_sha256"] == hashlib.sha256(text.encode()).hexdigest()
        assert (evidence["channel"], evidence["line"], evidence["cadence"]) == (
            "import", 2, "weekly")  # fmt: skip
    token = await world.link(conn, vault, ANNA, "confirm")
    outcome, _ = await subscriptions.confirm(conn, vault, token, {})
    assert outcome == "confirmed"
    async with conn.transaction():
        assert [finding async for finding in replay.check(conn, vault)] == []


async def test_whoever_is_here_or_has_left_or_wishes_for_silence_stays_so(
    conn: Connection, vault: Vault, weekly: World
) -> None:
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    await world.ask(conn, vault, weekly.wish(BORIS))
    await world.confirmed(conn, vault, weekly.wish(VERA))
    await subscriptions.leave(conn, vault, await world.link(conn, vault, VERA, "leave"), "page")
    await people.suppress(conn, vault, "mute@example.org", actor=STAFF)
    before, events = await letters(conn), await conn.fetchval("select count(*) from consent_event")
    text = f"email\n{ANNA.upper()}\n{BORIS}\n{VERA}\nMute@example.org\n"
    for documented in (False, True):
        evidence = f",{EVIDENCE}" if documented else ""
        lines = [line + (f",{PAPER}" if documented else "") for line in text.split()[1:]]
        given = "\n".join([f"email{evidence}", *lines])
        done = await brought(conn, vault, weekly, given, documented=documented)
        assert (done.known, done.gone, done.suppressed, done.asked, done.confirmed) == (
            2, 1, 1, 0, 0)  # fmt: skip
    assert await letters(conn) == before
    assert await conn.fetchval("select count(*) from consent_event") == events
    assert [await state(conn, vault, each) for each in (ANNA, BORIS, VERA)] == [
        "confirmed", "pending", "left"]  # fmt: skip


async def test_whoever_is_suppressed_after_the_reading_is_not_taken_in(
    conn: Connection, vault: Vault, weekly: World
) -> None:
    id_ = await staged(conn, vault, weekly, f"email\n{ANNA}\n")
    await suppressions.add(conn, vault, address.parse(ANNA), "person")
    await imports.start(conn, id_)
    await taken(conn, vault)
    assert (await imports.find(conn, id_)).suppressed == 1
    assert await letters(conn) == []


async def test_whoever_is_erased_meanwhile_is_not_brought_back(
    conn: Connection, vault: Vault, weekly: World
) -> None:
    await world.ask(conn, vault, weekly.wish(ANNA))
    id_ = await staged(conn, vault, weekly, f"email\n{ANNA}\n{BORIS}\n")
    own = await people.find(conn, vault, ANNA)
    await people.erase(conn, vault, own, never_again=False, actor=STAFF)
    await imports.start(conn, id_)
    await taken(conn, vault)
    assert await subscribers.by_address(conn, vault, address.parse(ANNA)) is None
    assert (await imports.find(conn, id_)).asked == 1


async def test_an_address_that_comes_again_in_a_file_counts_once(
    conn: Connection, vault: Vault, weekly: World
) -> None:
    text = f"email,language\n{ANNA},ru\n{ANNA.upper()},en\n{BORIS},en\nANNA@example.org,en\n"
    done = await brought(conn, vault, weekly, text)
    assert (done.staged, done.repeated, done.asked) == (2, 2, 2)
    assert (await world.found(conn, vault, ANNA)).subscription.language == "ru"


async def test_the_caps_of_everybody_hold(conn: Connection, vault: Vault, weekly: World) -> None:
    for slug in ("a", "b", "c", "d", "e"):
        await newsletters.add(conn, slug, {"en": slug}, fallback="en", cadences=("weekly",))
        await world.ask(conn, vault, replace(weekly.wish(ANNA), newsletters=(slug,)))
    done = await brought(conn, vault, weekly, f"email\n{ANNA}\n")
    assert (done.capped, done.asked) == (1, 0)
    assert len(await letters(conn)) == subscriptions.MAILED_MOST


async def test_a_second_import_of_the_same_people_asks_nobody_again(
    conn: Connection, vault: Vault, weekly: World
) -> None:
    text = f"email\n{ANNA}\n{BORIS}\n"
    await brought(conn, vault, weekly, text)
    with pytest.raises(Conflict, match="This very file was imported"):
        await brought(conn, vault, weekly, text)
    done = await brought(conn, vault, weekly, text + "vera@example.org\n")
    assert (done.known, done.asked) == (2, 1)
    assert await letters(conn) == ["confirm"] * 3


async def test_two_workers_take_each_person_in_once(
    pool: Pool, conn: Connection, vault: Vault, weekly: World
) -> None:
    emails = [f"reader{n}@example.org" for n in range(40)]
    id_ = await staged(conn, vault, weekly, "\n".join(["email", *emails]))
    await imports.start(conn, id_)

    async def work() -> None:
        state_ = "going"
        while state_ != "done":
            async with pool.acquire() as own, own.transaction():
                await imports.take(own, vault, HOURS, 3)
            async with pool.acquire() as own:
                state_ = (await imports.find(own, id_)).state

    await asyncio.gather(work(), work(), work())
    done = await imports.find(conn, id_)
    assert (done.asked, done.waiting, done.state) == (40, 0, "done")
    assert len(await letters(conn)) == 40


async def test_a_visitor_never_waits_behind_a_whole_import(
    conn: Connection, vault: Vault, weekly: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "LETTERS_WAITING", 4)
    emails = [f"reader{n}@example.org" for n in range(20)]
    id_ = await staged(conn, vault, weekly, "\n".join(["email", *emails]))
    await imports.start(conn, id_)
    await taken(conn, vault)
    found = await imports.find(conn, id_)
    assert (found.state, found.asked) == ("going", 4)
    await conn.execute("delete from batch")
    await taken(conn, vault)
    assert (await imports.find(conn, id_)).asked == 8


async def test_it_can_be_stopped_and_forgets_who_waited(
    conn: Connection, vault: Vault, weekly: World
) -> None:
    id_ = await staged(conn, vault, weekly, f"email\n{ANNA}\n{BORIS}\n{VERA}\n")
    await imports.start(conn, id_)
    await imports.take(conn, vault, HOURS, 2)
    assert await imports.stop(conn, id_) == 1
    await taken(conn, vault)
    found = await imports.find(conn, id_)
    assert (found.state, found.asked, found.waiting) == ("stopped", 2, 0)
    with pytest.raises(Conflict):
        await imports.stop(conn, id_)
    with pytest.raises(Unknown):
        await imports.stop(conn, id_ + 1)


# documented


async def test_an_earlier_consent_is_taken_over_with_its_evidence_and_nobody_is_mailed(
    conn: Connection, vault: Vault, weekly: World
) -> None:
    text = f"email,language,{EVIDENCE}\n{ANNA},ru,{PAPER}\n{BORIS},en,,,,\n"
    done = await brought(conn, vault, weekly, text, documented=True)
    assert (done.confirmed, done.asked) == (1, 1)
    assert await letters(conn) == ["confirm"]
    record = (await people.find(conn, vault, ANNA)).record
    assert [e.content["type"] for e in record] == [
        "subject.imported", "subscription.requested", "consent.confirmed"]  # fmt: skip
    last = record[-1].content
    assert (last["actor"], last["evidence"]["channel"]) == (STAFF, "import")
    assert last["evidence"]["agreed"] == {
        "at": "2024-05-31T00:00:00.000000Z",
        "how": "paper form",
        "words": "Yes, send me the digest.",
        "source": "folder 7",
    }
    assert (await state(conn, vault, ANNA), await state(conn, vault, BORIS)) == (
        "confirmed", "pending")  # fmt: skip
    async with conn.transaction():
        assert [finding async for finding in replay.check(conn, vault)] == []


async def test_without_being_told_so_evidence_confirms_nobody(
    conn: Connection, vault: Vault, weekly: World
) -> None:
    text = f"email,{EVIDENCE}\n{ANNA},{PAPER}\n"
    assert (await brought(conn, vault, weekly, text)).asked == 1


async def test_a_receipt_says_that_it_was_elsewhere_and_when(
    conn: Connection, vault: Vault, weekly: World
) -> None:
    await brought(conn, vault, weekly, f"email,{EVIDENCE}\n{ANNA},{PAPER}\n", documented=True)
    own = await people.find(conn, vault, ANNA)
    record = await receipts.gather(conn, own, {}, "https://news.example.org")
    receipt = receipts.kantara.receipt(record, "weekly")
    assert "paper form (folder 7)" in receipt["collectionMethod"]
    assert receipt["consentTimestamp"] == 1717113600
    (linked,) = receipts.linked.records(record)["@graph"]
    assert "paper form" in linked["dpv:hasConsentStatus"][-1]["dpv:hasIndicationMethod"]
    assert linked["dpv:hasConsentStatus"][-1]["dpv:isIndicatedBy"] == ["dpv:DataController"]


async def test_the_person_reads_what_was_brought_over(
    pool: Pool, conn: Connection, vault: Vault, weekly: World
) -> None:
    await brought(conn, vault, weekly, f"email,{EVIDENCE}\n{ANNA},{PAPER}\n", documented=True)
    token = (await people.find(conn, vault, ANNA)).subscriber.manage_token(vault)
    async with site.opened(pool, vault) as client:
        text = await (await client.get(f"/me/{token}/record")).text()
    assert "Your earlier consent to “Rights Weekly” was brought over" in text
    assert "folder 7" in text
    assert "You confirmed" not in text


# what is wrong with a line


@pytest.fixture
async def terms(conn: Connection, weekly: World) -> Terms:
    return await imports.terms(conn, weekly.newsletter, documented=True)


@pytest.mark.parametrize(
    ("cells", "field"),
    [
        ({"email": "not an address"}, "email"),
        ({"email": "=1+1"}, "email"),
        ({"email": "a\u202enna@example.org"}, "email"),
        ({"email": f"a@example.org\nBcc: {ANNA}"}, "email"),
        ({"email": ANNA, "language": "=1+1"}, "language"),
        ({"email": ANNA, "cadence": "hourly"}, "cadence"),
        ({"email": ANNA, "agreed_at": "2024-05-31"}, "agreed_how"),
        ({"email": ANNA, "agreed_how": "paper"}, "agreed_at"),
        (
            {
                "email": ANNA,
                "agreed_at": "31.5.2024",
                "agreed_how": "a",
                "agreed_words": "b",
                "agreed_source": "c",
            },
            "agreed_at",
        ),
        (
            {
                "email": ANNA,
                "agreed_at": "2999-01-01",
                "agreed_how": "a",
                "agreed_words": "b",
                "agreed_source": "c",
            },
            "agreed_at",
        ),
        (
            {
                "email": ANNA,
                "agreed_at": "2024-05-31",
                "agreed_how": "a" * 501,
                "agreed_words": "b",
                "agreed_source": "c",
            },
            "agreed_how",
        ),
    ],
)
async def test_what_is_wrong_with_a_line_is_said_without_repeating_it(
    terms: Terms, cells: dict[str, str], field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        imports.check(Line(2, cells), terms)
    assert refused.value.field == field
    assert "anna" not in str(refused.value)


async def test_lines_about_others_and_about_who_left_are_passed_over(terms: Terms) -> None:
    assert imports.check(Line(2, {"email": ANNA, "newsletter": "daily"}), terms) == "newsletter"
    for gone in ("left", "pending", "unsubscribed", ""):
        assert imports.check(Line(2, {"email": ANNA, "state": gone}), terms) == "state"


@pytest.mark.parametrize(
    ("said", "spoken"), [("ru", "ru"), ("RU", "ru"), ("ru_RU", "ru"), ("fr", "en"), ("", "en")]
)
async def test_a_language_that_is_not_offered_is_the_fallback(
    terms: Terms, said: str, spoken: str
) -> None:
    found = imports.check(Line(2, {"email": ANNA, "language": said}), terms)
    assert isinstance(found, Person)
    assert found.language == spoken


async def test_a_newsletter_without_words_can_t_be_imported_to(conn: Connection) -> None:
    bare = await newsletters.add(conn, "bare", {"en": "Bare"}, fallback="en")
    with pytest.raises(Conflict, match="no notice"):
        await imports.terms(conn, bare, documented=False)


# at rest


async def test_what_waits_holds_no_address_and_is_gone_afterwards(
    conn: Connection, vault: Vault, weekly: World
) -> None:
    id_ = await staged(conn, vault, weekly, f"email,{EVIDENCE}\n{ANNA},{PAPER}\n", documented=True)
    whole = str(await site.content(conn))
    for secret in ("anna@", ANNA.encode().hex(), "folder 7"):
        assert secret not in whole
    await imports.start(conn, id_)
    await taken(conn, vault)
    assert await conn.fetchval("select count(*) from import_line") == 0


async def test_a_line_that_was_changed_in_the_database_is_dropped(
    conn: Connection, vault: Vault, weekly: World
) -> None:
    id_ = await staged(conn, vault, weekly, f"email\n{ANNA}\n{BORIS}\n")
    await conn.execute(
        "update import_line set payload = (select payload from import_line where number = 3) "
        "where number = 2"
    )
    await imports.start(conn, id_)
    await taken(conn, vault)
    found = await imports.find(conn, id_)
    assert (found.asked, found.wrong, found.state) == (1, 1, "done")


async def test_what_waits_goes_along_when_keys_rotate(
    conn: Connection, vault: Vault, weekly: World
) -> None:
    id_ = await staged(conn, vault, weekly, f"email\n{ANNA}\n")
    assert len(await keys.counts(conn)) == 1
    assert (await keys.rewrap_import_lines(conn, vault, None)) == []
    await conn.execute("update import_line set dek = '\\x00000000' || substring(dek from 5)")
    assert len(await keys.counts(conn)) == 2
    assert id_


async def test_what_broke_off_is_forgotten(conn: Connection, vault: Vault, weekly: World) -> None:
    id_ = await staged(conn, vault, weekly, f"email\n{ANNA}\n")
    await imports.forget_abandoned(conn)
    assert (await imports.find(conn, id_)).waiting == 1
    await conn.execute("update import set touched_at = now() - interval '25 hours'")
    await imports.forget_abandoned(conn)
    assert await imports.all_(conn) == []
    assert await conn.fetchval("select count(*) from import_line") == 0


async def test_only_what_was_read_to_its_end_can_start(
    conn: Connection, vault: Vault, weekly: World
) -> None:
    terms = await imports.terms(conn, weekly.newsletter, documented=False)
    id_ = await imports.begin(conn, terms, by=STAFF)
    with pytest.raises(Conflict):
        await imports.start(conn, id_)


# the command


@pytest.fixture
async def key(conn: Connection) -> str:
    made = new_master()
    await world.make(conn, await subjects.open_vault(conn, made))
    return made


async def run(settings: Settings, key: str, *args: str) -> commands.Finished:
    return await commands.run(settings, key, "subscribers", *args)


async def test_a_dry_run_says_what_would_come_and_changes_nothing(
    conn: Connection, settings: Settings, key: str, tmp_path: Path
) -> None:
    file = tmp_path / "people.csv"
    file.write_text(f"E-Mail;Sprache\n{ANNA};ru\n{ANNA};ru\nx;ru\n{BORIS};en\n")
    before = await site.content(conn)
    report = tmp_path / "wrong.csv"
    said = await run(
        settings, key, "import", str(file), "--newsletter", "weekly", "--dry-run",
        "--map", "language=Sprache", "--report", str(report), "--json",
    )  # fmt: skip
    assert said.returncode == 1
    told = json.loads(said.stdout)
    assert {name: told[name] for name in ("fresh", "known", "repeated", "wrong", "dry_run")} == {
        "fresh": 2, "known": 0, "repeated": 1, "wrong": 1, "dry_run": True}  # fmt: skip
    assert "parted by ;: email from “E-Mail”, language from “Sprache”" in said.stderr
    assert report.read_text() == (
        "line,what\n4,Enter an e-mail address such as name@example.org.\n"
    )
    assert report.stat().st_mode & 0o777 == 0o600
    assert await site.content(conn) == before


async def test_a_list_comes_from_standard_input_too(
    conn: Connection, settings: Settings, key: str
) -> None:
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(cli.__file__).parents[2]),
        "MAILER_DATABASE_URL": settings.database_url or "",
        "MAILER_DATA_DIR": str(settings.data_dir),
        "MAILER_SECRET_KEY": key,
    }
    command = (sys.executable, "-m", "mailer", "subscribers", "import", "-", "--newsletter",
               "weekly")  # fmt: skip
    done = await asyncio.to_thread(
        subprocess.run, command, input=f"email\n{ANNA}\n".encode(), env=environ, check=False,
        capture_output=True, timeout=60, cwd=settings.data_dir,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (await imports.all_(conn))[0].staged == 1


async def test_one_that_is_killed_leaves_nothing_half_and_can_be_run_again(
    conn: Connection, settings: Settings, key: str
) -> None:
    """Killed while it waits for more of a list that has been staged in part."""
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(cli.__file__).parents[2]),
        "MAILER_DATABASE_URL": settings.database_url or "",
        "MAILER_DATA_DIR": str(settings.data_dir),
        "MAILER_SECRET_KEY": key,
    }
    command = (sys.executable, "-m", "mailer", "subscribers", "import", "-", "--newsletter",
               "weekly")  # fmt: skip
    lines = "email\n" + "".join(f"reader{n}@example.org\n" for n in range(12_000))
    started = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env=environ, cwd=settings.data_dir,
    )  # fmt: skip
    assert started.stdin is not None
    await asyncio.to_thread(started.stdin.write, lines.encode())
    while not await conn.fetchval("select count(*) from import_line"):
        assert started.poll() is None
        await asyncio.sleep(0.05)
    started.send_signal(signal.SIGKILL)
    await asyncio.to_thread(started.wait)
    started.stdin.close()
    vault = await subjects.open_vault(conn, key)
    assert await imports.take(conn, vault, HOURS, 50) == 0
    assert await letters(conn) == []
    again = await asyncio.to_thread(
        subprocess.run, command, input=lines.encode(), env=environ, check=False,
        capture_output=True, timeout=120, cwd=settings.data_dir,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    going = [each for each in await imports.all_(conn) if each.state == "going"]
    assert [each.staged for each in going] == [12_000]


async def test_a_list_that_breaks_in_the_middle_leaves_nothing(
    conn: Connection, settings: Settings, key: str, tmp_path: Path
) -> None:
    file = tmp_path / "people.csv"
    lines = "".join(f"reader{n}@example.org,en\n" for n in range(7_000))
    file.write_text(f'email,language\n{lines}"open@example.org,en\n')
    before = await site.content(conn)
    said = await run(settings, key, "import", str(file), "--newsletter", "weekly")
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr.splitlines()[-1] == "The quote that line 7002 opens is never closed."
    assert await site.content(conn) == before


async def test_imports_are_listed_and_stopped_by_command(
    conn: Connection, settings: Settings, key: str, tmp_path: Path
) -> None:
    file = tmp_path / "people.csv"
    file.write_text(f"email\n{ANNA}\n")
    assert (await run(settings, key, "import", str(file), "--newsletter", "weekly")).returncode == 0
    (listed,) = json.loads((await run(settings, key, "imports", "--json")).stdout)
    assert (listed["newsletter"], listed["state"], listed["waiting"]) == ("weekly", "going", 1)
    stopped = await run(settings, key, "stop", str(listed["id"]))
    assert stopped.stdout == "Stopped: 1 people are not brought over.\n"


# there and back


@pytest.mark.parametrize("format_", ["csv", "jsonl"])
async def test_an_export_says_what_was_asked_for_and_is_recorded(
    conn: Connection, settings: Settings, key: str, format_: str
) -> None:
    vault = await subjects.open_vault(conn, key)
    weekly = World(await newsletters.find(conn, "weekly"), await current(conn))
    await world.confirmed(conn, vault, weekly.wish("=anna@example.org"))
    await world.ask(conn, vault, weekly.wish(BORIS, "ru"))
    options = ("export", "--format", format_)
    bare = (await run(settings, key, *options)).stdout
    assert "example.org" not in bare
    assert bare.count("\n") == 2 + (format_ == "csv")
    refused = await run(settings, key, *options, "--with-addresses")
    assert (refused.returncode, refused.stdout) == (1, "")
    named = ("--with-addresses", "--reason", "moving house")
    shown = (await run(settings, key, *options, "--state", "confirmed", *named)).stdout
    assert "boris" not in shown
    assert ("'=anna@example.org" in shown) == (format_ == "csv")
    for filters, rows in (
        (("--language", "ru"), 1),
        (("--since", "2999-01-01"), 0),
        (("--newsletter", "weekly", "--since", "2020-01-01"), 2),
    ):
        found = (await run(settings, key, *options, *filters)).stdout
        assert len(found.splitlines()) - (format_ == "csv") == rows
    house = await subjects.house(conn, vault)
    event = (await consent.of_type(conn, house, "staff.exported"))[1].content["evidence"]
    assert (event["what"], event["rows"], event["addresses"], event["reason"]) == (
        "subscribers", 1, True, "moving house")  # fmt: skip
    assert event["filter"]["state"] == "confirmed"


async def current(conn: Connection) -> dict[str, Any]:
    return {each.language: each for each in await notices.all_(conn)}


@pytest.mark.parametrize("documented", [False, True])
async def test_a_list_moves_to_another_house(
    conn: Connection,
    settings: Settings,
    key: str,
    tmp_path: Path,
    documented: bool,
) -> None:
    """Exported, encrypted on the way, and imported where nobody is known."""
    vault = await subjects.open_vault(conn, key)
    weekly = World(await newsletters.find(conn, "weekly"), await current(conn))
    for email in (ANNA, VERA, "'=x@example.org"):
        await world.confirmed(conn, vault, weekly.wish(email, "ru"))
    await world.ask(conn, vault, weekly.wish("waits@example.org"))
    await world.confirmed(conn, vault, weekly.wish(BORIS))
    await subscriptions.leave(conn, vault, await world.link(conn, vault, BORIS, "leave"), "page")
    identity = pyrage.x25519.Identity.generate()
    out = tmp_path / "list.csv.age"
    said = await run(
        settings, key, "export", "--with-addresses", "--reason", "moving", "--out", str(out),
        "--encrypt-to", str(identity.to_public()),
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    text = pyrage.decrypt(out.read_bytes(), [identity]).decode()
    await forget_everybody(conn)
    done = await brought(conn, vault, weekly, text, documented=documented)
    assert (done.staged, done.passed) == (3, 2)
    assert (done.confirmed, done.asked) == ((3, 0) if documented else (0, 3))
    found = await world.found(conn, vault, VERA)
    assert (found.subscription.language, found.subscription.cadence) == ("ru", "weekly")
    assert (await people.find(conn, vault, "'=x@example.org")) is not None


async def forget_everybody(conn: Connection) -> None:
    """As if the house were another one."""
    for row in await conn.fetch("select id from subscriber"):
        await conn.execute("delete from subscriber where id = $1", row["id"])
        await conn.execute("select erase_subject($1)", row["id"])
