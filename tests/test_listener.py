"""The door for what comes back: both languages, what is ours, and nothing lost."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import aiosmtplib
import pytest

from mailer import address, bounces, suppressions
from mailer.bounces import reading
from mailer.config import Listen, Settings
from mailer.db import Connection, Pool
from mailer.listener import MOST_BYTES, Listener
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
