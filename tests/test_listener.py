"""The door for what comes back: both languages, what is ours, and nothing lost."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import aiosmtplib
import pytest

from mailer import address, bounces, config, suppressions
from mailer.bounces import loop, reading
from mailer.cli import check
from mailer.config import Listen, Settings
from mailer.db import Connection, Pool
from mailer.listener import MOST_BYTES, Listener
from mailer.mailbox import Mailbox
from mailer.vault import Vault
from mailer.worker import Worker
from tests import world
from tests.test_bounces_reading import TOKEN, dsn
from tests.world import ANNA

DOMAIN = "bounces.example.org"
HOST = "127.0.0.1"
MAIL = b"Subject: failure\r\n\r\nwhat came back\r\n"
TO = f"b+{TOKEN}@{DOMAIN}"

Take = Callable[[bytes, str], Awaitable[object]]


@asynccontextmanager
async def listening(take: Take) -> AsyncIterator[int]:
    listener = Listener(DOMAIN, take)
    port = await listener.start(Listen(HOST, 0))
    try:
        yield port
    finally:
        listener.stop()


async def say(port: int, *lines: str, greeting: str = "LHLO") -> list[str]:
    """The first line of each answer, the greeting's included."""
    reader, writer = await asyncio.open_connection(HOST, port)
    answers = [(await reader.readline()).decode().strip()]
    for line in (f"{greeting} test", *lines):
        writer.write(line.encode() + b"\r\n")
        answer = (await reader.readline()).decode()
        answers.append(answer.strip())
        while answer[3:4] == "-":
            answer = (await reader.readline()).decode()
    writer.close()
    return answers


@pytest.mark.parametrize("greeting", ["LHLO", "EHLO"])
async def test_lmtp_and_smtp_are_spoken_at_one_door(greeting: str) -> None:
    taken = []

    async def take(raw: bytes, to: str) -> None:
        taken.append((raw, to))

    async with listening(take) as port:
        said = await say(
            port, "MAIL FROM:<>", f"RCPT TO:<{TO}>", "DATA",
            MAIL.decode().strip() + "\r\n.", greeting=greeting,
        )  # fmt: skip
    assert said[-1].startswith("250 2.0.0")
    assert taken == [(MAIL, TO)]


@pytest.mark.parametrize(
    "to",
    [f"anna@{DOMAIN}", f"b+short@{DOMAIN}", f"x+{TOKEN}@{DOMAIN}", f"b+{TOKEN}@example.net", "b"],
)
async def test_what_is_not_for_us_is_refused_at_once(to: str) -> None:
    async def take(raw: bytes, to: str) -> None:
        raise AssertionError("nothing is taken")

    async with listening(take) as port:
        assert (await say(port, "MAIL FROM:<>", f"RCPT TO:<{to}>"))[-1][:3] in ("550", "553")


async def test_each_mail_has_one_recipient() -> None:
    async def take(raw: bytes, to: str) -> None: ...

    async with listening(take) as port:
        said = await say(port, "MAIL FROM:<>", f"RCPT TO:<{TO}>", f"RCPT TO:<fbl@{DOMAIN}>")
    assert said[-1].startswith("452 4.5.3")


async def test_what_could_not_be_stored_stays_with_the_server_that_has_it() -> None:
    async def take(raw: bytes, to: str) -> None:
        raise OSError("the database is away")

    async with listening(take) as port:
        with pytest.raises(aiosmtplib.SMTPDataError) as refused:
            await aiosmtplib.send(
                MAIL,
                sender="mailer-daemon@example.net",
                recipients=[TO],
                hostname=HOST,
                port=port,
                start_tls=False,
            )
    assert refused.value.code == 451
    assert "database" not in refused.value.message


async def test_ten_megabytes_are_taken_and_what_is_too_much_is_refused() -> None:
    sizes = []

    async def take(raw: bytes, to: str) -> None:
        sizes.append(len(raw))

    async with listening(take) as port:
        await aiosmtplib.send(
            b"Subject: x\r\n\r\n" + (b"a" * 900 + b"\r\n") * 12_000,
            sender="mailer-daemon@example.net",
            recipients=[TO],
            hostname=HOST,
            port=port,
            start_tls=False,
        )
        said = await say(port, f"MAIL FROM:<> SIZE={MOST_BYTES + 1}")
    assert said[-1].startswith("552")
    assert len(sizes) == 1
    assert sizes[0] > 10_000_000


# with a worker behind it


@asynccontextmanager
async def working(settings: Settings, pool: Pool, vault: Vault) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(Worker(settings, pool, vault, stop).run())
    try:
        yield
    finally:
        stop.set()
        await task


async def free_port() -> int:
    server = await asyncio.start_server(lambda _r, _w: None, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return int(port)


async def test_a_worker_takes_bounces_and_acts_on_them(
    settings: Settings, pool: Pool, vault: Vault, conn: Connection
) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    to = f"b+{await world.link(conn, vault, ANNA, 'bounce')}@{DOMAIN}"
    port = await free_port()
    mine = replace(settings, lmtp_listen=Listen(HOST, port), bounce_domain=DOMAIN)
    async with working(mine, pool, vault):
        for number in (1, 2):
            raw = dsn(f"550 5.1.1 User unknown ({number})", "5.1.1").replace(b"\n", b"\r\n")
            await handed(port, to, raw)
            await conn.execute(
                "update bounce set created_at = created_at - $1::interval", timedelta(days=4)
            )
    assert await suppressions.reason(conn, vault, address.parse(ANNA)) == "bounce"
    found = await world.found(conn, vault, ANNA)
    assert found.subscription.state == "left"


async def handed(port: int, to: str, raw: bytes) -> None:
    """As a mail server does: again until it is taken."""
    while True:
        try:
            await aiosmtplib.send(
                raw,
                sender="mailer-daemon@example.net",
                recipients=[to],
                hostname=HOST,
                port=port,
                start_tls=False,
            )
        except (OSError, aiosmtplib.SMTPConnectError):
            await asyncio.sleep(0.05)
        else:
            return


async def test_what_the_worker_took_was_read_as_a_report(vault: Vault) -> None:
    raw = dsn("550 5.1.1 User unknown", "5.1.1").replace(b"\n", b"\r\n")
    report = bounces.mailed("lmtp", raw, reading.read(raw), [TO])
    assert report.reading.kind == "hard"
    assert "User unknown" in report.text


# the way there and back


async def looped(
    settings: Settings, pool: Pool, vault: Vault, domain: str = DOMAIN
) -> tuple[str, str | None]:
    """`mailer check --bounce-loop`, while a worker listens and mail goes straight to its door."""
    port = await free_port()
    door = config.smtp(f"lmtp://{HOST}:{port}")
    mine = replace(settings, lmtp_listen=Listen(HOST, port), bounce_domain=DOMAIN, smtp=(door,))
    async with working(mine, pool, vault):
        await opened(port)
        return await check.looped(replace(mine, bounce_domain=domain))


async def opened(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


async def test_check_sees_a_mail_to_the_bounce_domain_come_back(
    settings: Settings, pool: Pool, vault: Vault, conn: Connection
) -> None:
    name, problem = await looped(settings, pool, vault)
    assert problem is None
    assert re.fullmatch(rf"bounce loop through {DOMAIN}: came back by lmtp in [\d.]+ s", name)
    assert await conn.fetchval("select count(*) from stray") == 0


async def test_check_says_why_it_did_not_get_as_far(
    settings: Settings, pool: Pool, vault: Vault
) -> None:
    _, problem = await looped(settings, pool, vault, "other.example.org")
    assert problem is not None
    assert problem.startswith("the mail server refused the mail")
    assert await check.looped(settings) == ("bounce loop", "MAILER_BOUNCE_DOMAIN is not set")


async def test_check_waits_for_it_only_so_long(
    settings: Settings, conn: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "RETURN_SECONDS", 0.2)
    mailbox = Mailbox(tmp_path / "mail")
    lost = config.smtp(f"smtp://{HOST}:{await mailbox.start()}")
    _, problem = await check.looped(replace(settings, bounce_domain=DOMAIN, smtp=(lost,)))
    await mailbox.stop()
    assert problem is not None
    assert "did not come back" in problem


async def test_a_mail_that_got_lost_is_not_said_to_have_come_back(conn: Connection) -> None:
    token = await loop.begin(conn)
    assert await loop.came_back(conn, token) is None
    assert not await loop.returned(conn, [TOKEN], "lmtp")
    assert await loop.returned(conn, [TOKEN, token], "imap")
    first = await loop.came_back(conn, token)
    assert first is not None
    assert first.channel == "imap"
    assert await loop.returned(conn, [token], "lmtp"), "told twice"
    assert await loop.came_back(conn, token) == first
