"""Whoever watches sees numbers and log lines that tell what goes wrong, and nobody's name."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from yarl import URL

from mailer import access, address, cli, feeds, metrics, subjects
from mailer.access import SCOPES
from mailer.config import Settings
from mailer.db import Connection, Pool
from mailer.mailbox import Mailbox
from mailer.vault import Vault, new_master
from mailer.web.metrics import Gauges
from tests import desk, site, world
from tests.desk import Member
from tests.test_pages import free_port, served
from tests.test_whole_road import LINK, Road, link, publish, send
from tests.world import ANNA, BORIS, VERA

TOKEN = "a-token-of-some-length"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
TOP = Path(__file__).resolve().parent.parent
WATCHING = (TOP / "docs/watching.md").read_text("utf-8")
OF_PYTHON = "process_"

Numbers = dict[tuple[str, tuple[str, ...]], float]


async def numbers(client: site.Client) -> Numbers:
    """Every number by name and the values of its labels, in the order of their names."""
    answer = await client.get("/metrics", headers=BEARER)
    assert answer.status == 200
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(await answer.text())
        for sample in family.samples
    }


# who may


async def test_without_a_token_there_are_no_metrics(pool: Pool, vault: Vault) -> None:
    async with site.opened(pool, vault) as client:
        assert (await client.get("/metrics")).status == 404
        assert (await client.get("/metrics", headers=BEARER)).status == 404


@pytest.mark.parametrize("given", ["", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer", "Bearer é"])
async def test_only_the_token_opens_the_metrics(pool: Pool, vault: Vault, given: str) -> None:
    async with site.opened(pool, vault, MAILER_METRICS_TOKEN=TOKEN) as client:
        answer = await client.get("/metrics", headers={"Authorization": given})
        assert answer.status == 401
        assert "mailer_" not in await answer.text()


# what they say


async def test_metrics_count_people_mails_feeds_and_the_log(
    conn: Connection, pool: Pool, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    await world.ask(conn, vault, weekly.wish(BORIS))
    await feeds.add(conn, weekly.newsletter.id, "https://site.example.org/feed.xml")
    failing = await feeds.add(conn, weekly.newsletter.id, "https://site.example.org/other.xml")
    await conn.execute("update feed set problem = 'It is gone.' where id = $1", failing.id)
    await conn.execute("update outbox set created_at = now() - interval '1 hour'")
    async with site.opened(pool, vault, MAILER_METRICS_TOKEN=TOKEN) as client:
        await client.post("/subscribe", data=site.fields(weekly, VERA), allow_redirects=False)
        found = await numbers(client)
    assert found["mailer_subscriptions", ("weekly", "confirmed")] == 1
    assert found["mailer_subscriptions", ("weekly", "pending")] == 1
    assert found["mailer_requests_waiting", ()] == 1
    assert found["mailer_outbox_mails", ("confirm",)] == 2
    assert found["mailer_outbox_oldest_seconds", ("confirm",)] >= 3600
    assert found["mailer_log_events_waiting", ()] >= 3
    assert found["mailer_log_oldest_seconds", ()] > 0
    assert found["mailer_feeds", ("well",)] == 1
    assert found["mailer_feeds", ("failing",)] == 1
    assert found["mailer_feeds", ("silent",)] == 0
    assert found["mailer_workers", ()] == 0
    assert found["mailer_http_requests_total", ("POST", "/subscribe", "303")] == 1
    assert found["mailer_database_connections", ("used",)] >= 0


async def test_ready_says_that_letters_wait_and_stays_ready(
    conn: Connection, pool: Pool, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    await world.ask(conn, vault, weekly.wish(ANNA))
    async with site.opened(pool, vault) as client:
        assert await (await client.get("/readyz")).json() == {"status": "ready"}
        await conn.execute("update outbox set created_at = now() - interval '11 minutes'")
        answer = await client.get("/readyz")
        assert answer.status == 200
        assert (await answer.json())["outbox"] == "Letters have waited for more than 10 minutes: 1."


async def test_no_visitor_can_make_numbers_of_their_own(pool: Pool, vault: Vault) -> None:
    async with site.opened(pool, vault, MAILER_METRICS_TOKEN=TOKEN) as client:
        before = len(await numbers(client))
        for number in range(5):
            await client.request(f"WORD{number}", f"/nothing/{number}")
            await client.get(f"/u/{number:0>27}")
        found = await numbers(client)
    routes = {labels[1] for name, labels in found if name == "mailer_http_requests_total"}
    assert routes <= {"an unknown path", "/u/{token}", "/metrics"}
    assert len(found) < before + 60  # a histogram a route, whatever the paths


def documented() -> set[str]:
    return set(re.findall(r"^\| `(\w+)`", WATCHING, re.MULTILINE)) & set(
        re.findall(r"mailer_\w+", WATCHING)
    )


def test_every_metric_is_documented_and_every_documented_one_is_there() -> None:
    own = {family.name for family in Gauges().registry.collect() if family.name}
    counters = {f"{name}_total" if name == "mailer_http_requests" else name for name in own}
    told = {name for name in counters if not name.startswith(OF_PYTHON)}
    assert documented() == told | set(metrics.FAMILIES) | {metrics.FEEDS}


@pytest.mark.parametrize("file", ["alerts.yml", "dashboard.json"])
def test_alerts_and_dashboard_ask_only_for_metrics_that_are_there(file: str) -> None:
    text = (TOP / "deploy/watch" / file).read_text("utf-8")
    asked = {re.sub(r"_bucket$", "", name) for name in re.findall(r"mailer_[a-z_]+", text)}
    assert asked - documented() == set()


# logs


@asynccontextmanager
async def running(
    settings: Settings, log: Path, *command: str, **more: str
) -> AsyncIterator["subprocess.Popen[bytes]"]:
    """`mailer COMMAND` as a process of its own, its standard error in `log`."""
    assert settings.database_url is not None
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(cli.__file__).parents[2]),
        "MAILER_DATABASE_URL": settings.database_url,
        "MAILER_DATA_DIR": str(log.parent),
        "MAILER_LOG": "json",
        **more,
    }
    with log.open("wb") as written:
        process = subprocess.Popen(
            (sys.executable, "-m", "mailer", *command),
            env=environ, cwd=log.parent, stdout=subprocess.DEVNULL, stderr=written,
        )  # fmt: skip
        try:
            yield process
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait, 30)


async def told(settings: Settings, log: Path, *command: str, **given: str) -> None:
    """A command, as somebody types it; what it says beside its answer is added to `log`."""
    own = log.with_suffix(".one")
    async with running(settings, own, *command, **given) as process:
        await asyncio.to_thread(process.wait, 60)
    with log.open("ab") as all_:
        all_.write(own.read_bytes())


async def sign_in(client: aiohttp.ClientSession, base: str, who: Member, code: str) -> str:
    """Wrongly first, then in; then they look for somebody. The secret of the session."""
    own = {"Origin": base}
    for password in (f"not {desk.PASSWORD}", desk.PASSWORD):
        fields = {"email": who.email, "password": password}
        await client.post(f"{base}/staff/sign-in", data=fields, headers=own)
    async with client.post(f"{base}/staff/code", data={"code": code}, headers=own) as came:
        assert came.url.path == "/staff"
    await client.post(f"{base}/staff/people", data={"email": ANNA}, headers=own)
    await client.post(f"{base}/staff/forgotten", data={"email": who.email}, headers=own)
    return client.cookie_jar.filter_cookies(URL(base))["staff"].value


async def use_the_api(client: aiohttp.ClientSession, base: str, bearer: str) -> None:
    """Rightly, wrongly, and with an address."""
    for words in (bearer, f"{bearer}x"):
        headers = {"Authorization": f"Bearer {words}"}
        await client.get(f"{base}/api/v1/newsletters", headers=headers)
        for path in ("lookup", "erase"):
            sent = {"email": BORIS, "reason": "asked"}
            await client.post(f"{base}/api/v1/subscribers/{path}", json=sent, headers=headers)


async def test_the_logs_of_the_whole_road_name_nobody_and_hold_no_secret(
    conn: Connection, settings: Settings, tmp_path: Path
) -> None:
    key = new_master()
    vault = await subjects.open_vault(conn, key)
    weekly = await world.make(conn, vault)
    owner = await desk.member(conn, vault, "owner")
    _, bearer = await access.issue(conn, "cms", SCOPES, 1, by=owner.actor)
    mailbox, port = Mailbox(tmp_path / "mail"), free_port()
    open_ = await mailbox.start()
    base = f"http://127.0.0.1:{port}"
    given = {
        "MAILER_SECRET_KEY": key,
        "MAILER_BASE_URL": base,
        "MAILER_LISTEN": f"127.0.0.1:{port}",
        "MAILER_METRICS_TOKEN": TOKEN,
        "MAILER_SMTP_URL": f"smtp://127.0.0.1:{free_port()} smtp://127.0.0.1:{open_}",
    }
    logs = {name: tmp_path / f"{name}.log" for name in ("serve", "work")}
    async with (
        running(settings, logs["serve"], "serve", **given),
        running(settings, logs["work"], "work", **given),
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as client,  # 127.0.0.1's
    ):
        await served(base)
        road = Road(client, base, mailbox, weekly)
        for email, language in ((ANNA, "en"), (VERA, "ru")):
            await road.subscribe(email, language)
            await road.confirm(email)
        await road.subscribe(BORIS)
        asked = await road.mail(BORIS)
        for path in (
            f"/confirm/{ANNA}",
            f"/u/{ANNA}?email={BORIS}",
            f"/{ANNA}",
            f"/form?lang={VERA}",
        ):
            await client.get(f"{base}{path}")
        for wrong in (f"{ANNA}\r\nBcc: {BORIS}", "anna@", "a" * 70_000):
            form = {"email": wrong, "newsletter": "weekly", "consent": "yes"}
            await client.post(f"{base}/subscribe", data=form)
        await publish(conn, weekly, "Order 660 was published")
        await send(conn, replace(settings, base_url=base), weekly)
        digest = await road.mail(ANNA, 2)
        await road.press(link(digest, "u"))
        session = await sign_in(client, base, owner, await owner.code(conn))
        await use_the_api(client, base, bearer)
    await mailbox.stop()
    logs["commands"] = tmp_path / "commands.log"
    for command in (
        ("person", "export", ANNA, "--out", str(tmp_path / "anna.json")),
        ("consent", "show", ANNA, "--reason", "she asked"),
        ("suppress", "add", BORIS),
        ("person", "export", f"nobody-{ANNA}"),
        ("digest", "status"),
    ):
        await told(settings, logs["commands"], *command, **given)

    tokens = {found[2] for mail in (asked, digest) for found in LINK.finditer(mail.text or "")}
    assert len(tokens) >= 4
    said = "".join(log.read_text("utf-8") for log in logs.values())
    of_staff = (owner.email, owner.secret, desk.PASSWORD, session, bearer)
    for secret in (*tokens, key, TOKEN, ANNA, BORIS, VERA, address.wire(VERA), "anna%40", "Bcc",
                   *of_staff):  # fmt: skip
        assert secret
        assert secret not in said
    lines = [json.loads(line) for name in ("serve", "work")
             for line in logs[name].read_text("utf-8").splitlines()]  # fmt: skip
    assert {"at", "level", "room", "message"} <= set.intersection(*(set(line) for line in lines))
    answers = [line for line in lines if line["room"] == "mailer.web.access"]
    assert len({line["request"] for line in answers}) == len(answers) > 10
    assert "no mail goes out at present" not in said  # the other server took them
