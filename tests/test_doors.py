"""Whichever door somebody comes or goes by, the record says which, and what was seen there."""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from mailer import imports, people, subjects, subscriptions
from mailer.cli import bringing as command
from mailer.db import Connection, Pool
from mailer.vault import Vault, new_master
from mailer.web import guard
from tests import site, world
from tests.site import JSON, Client
from tests.world import ANNA, HOURS, World


async def record(conn: Connection, vault: Vault, email: str = ANNA) -> list[Any]:
    return [event.content for event in (await people.find(conn, vault, email)).record]


async def came(conn: Connection, vault: Vault) -> Any:
    """The one event there is of Anna, once a worker has taken in what she sent."""
    await subscriptions.admit(conn, vault, HOURS, 50)
    (event,) = await record(conn, vault)
    return event


@pytest.mark.parametrize("as_json", [False, True])
async def test_a_form_and_a_program_leave_the_same_evidence(
    pool: Pool, conn: Connection, vault: Vault, as_json: bool
) -> None:
    weekly = await world.make(conn, vault)
    shown = guard.stamped(vault, int(time.time()) - 60)
    sent = site.fields(weekly, ANNA, form="hosted/1", stamp=shown)
    async with site.opened(pool, vault) as client:
        given = {"json": sent} if as_json else {"data": sent}
        headers = {"Origin": site.SITE, **(JSON if as_json else {})}
        answer = await client.post("/subscribe", headers=headers, allow_redirects=False, **given)  # type: ignore[arg-type]  # one or the other
        assert answer.status == (202 if as_json else 303)
    event = await came(conn, vault)
    assert (event["type"], event["actor"]) == ("subscription.requested", "subject")
    assert event["notice"]["sha256"] == weekly.notices["en"].sha256.hex()
    assert event["purposes"] == ["sending the digest"]
    evidence = event["evidence"]
    assert evidence.pop("received") <= event["at"]
    assert evidence == {
        "origin": site.SITE,
        "boxes": {"consent": "ticked"},
        "form": "hosted/1",
        "cadence": "weekly",
    }


@pytest.mark.parametrize(("setting", "kept"), [("prefix", "127.0.0.0/24"), ("full", "127.0.0.1")])
async def test_of_the_network_only_what_the_house_allows_is_kept(
    pool: Pool, conn: Connection, vault: Vault, setting: str, kept: str
) -> None:
    weekly = await world.make(conn, vault)
    async with site.opened(pool, vault, MAILER_CONSENT_IP=setting) as client:
        await client.post("/subscribe", data=site.fields(weekly, ANNA), allow_redirects=False)
    assert (await came(conn, vault))["evidence"]["ip"] == kept


async def test_an_import_names_its_file_and_who_brought_it(
    database_url: str,
    conn: Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = new_master()
    vault = await subjects.open_vault(conn, key)
    weekly = await world.make(conn, vault)
    file = tmp_path / "people.csv"
    file.write_text(f"email,language\n{ANNA},ru\n")
    monkeypatch.setenv("MAILER_DATABASE_URL", database_url)
    monkeypatch.setenv("MAILER_SECRET_KEY", key)
    monkeypatch.setenv("MAILER_DATA_DIR", str(tmp_path))
    await asyncio.to_thread(
        command.import_.main, [str(file), "--newsletter", "weekly"], standalone_mode=False
    )
    await imports.take(conn, vault, HOURS, 50)
    imported, requested = await record(conn, vault)
    assert (imported["type"], requested["type"]) == ("subject.imported", "subscription.requested")
    for event in (imported, requested):
        assert event["actor"].startswith("staff:")
        assert event["evidence"]["channel"] == "import"
        assert event["evidence"]["file_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
        assert event["notice"]["id"] == weekly.notices["ru"].id


async def one_click(client: Client, conn: Connection, vault: Vault) -> None:
    link = await world.link(conn, vault, ANNA, "leave")
    await client.post(f"/u/{link}", data={"List-Unsubscribe": "One-Click"})


async def page(client: Client, conn: Connection, vault: Vault) -> None:
    await client.post(f"/u/{await world.link(conn, vault, ANNA, 'leave')}")


async def own_page(client: Client, conn: Connection, vault: Vault) -> None:
    token = (await people.find(conn, vault, ANNA)).subscriber.manage_token(vault)
    await client.post(f"/me/{token}", data={"action": "leave", "newsletter": "weekly"})


async def never_again(client: Client, conn: Connection, vault: Vault) -> None:
    token = (await people.find(conn, vault, ANNA)).subscriber.manage_token(vault)
    await client.post(f"/me/{token}", data={"action": "leave-all", "never_again": "yes"})


async def not_me(client: Client, conn: Connection, vault: Vault) -> None:
    await client.post(f"/refuse/{await world.link(conn, vault, ANNA, 'refuse')}")


async def complaint(client: Client, conn: Connection, vault: Vault) -> None:
    await world.ended(conn, vault, await world.link(conn, vault, ANNA, "bounce"), "complaint")


async def bounce(client: Client, conn: Connection, vault: Vault) -> None:
    await world.ended(conn, vault, await world.link(conn, vault, ANNA, "bounce"), "bounce")


async def staff(client: Client, conn: Connection, vault: Vault) -> None:
    await people.suppress(conn, vault, ANNA, actor="staff:boris")


Leave = Callable[[Client, Connection, Vault], Awaitable[None]]


@pytest.mark.parametrize(
    ("leave", "actor", "channel"),
    [
        (one_click, "subject", "one-click"),
        (page, "subject", "page"),
        (own_page, "subject", "page"),
        (never_again, "subject", "page"),
        (not_me, "subject", "page"),
        (complaint, "system", "complaint"),
        (bounce, "system", "bounce"),
        (staff, "staff:boris", "staff"),
    ],
)
async def test_however_somebody_goes_it_is_recorded_once_with_the_way(
    pool: Pool, conn: Connection, vault: Vault, leave: Leave, actor: str, channel: str
) -> None:
    weekly: World = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    async with site.opened(pool, vault) as client:
        for _ in range(2):
            await leave(client, conn, vault)
    gone = [e for e in await record(conn, vault) if e["type"] == "consent.withdrawn"]
    assert [(e["actor"], e["evidence"]) for e in gone] == [(actor, {"channel": channel})]
    assert gone[0]["notice"]["id"] == weekly.notices["en"].id
