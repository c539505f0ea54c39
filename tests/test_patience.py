"""Slow and broken connections: they are cut in time, and keep nobody from being served."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import cast

import aiohttp
import pytest
from aiohttp import web

from mailer.config import Listen
from mailer.db import Pool
from mailer.vault import Vault
from mailer.web import app, page, patience
from mailer.web.patience import Patient
from tests import site
from tests.test_whole_road import until

MANY = 300

HEAD = b"POST /subscribe HTTP/1.1\r\nHost: x\r\n"
BODY = HEAD + b"Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n{"


@dataclass(frozen=True)
class Door:
    """A service that listens, and is in more of a hurry than usual."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def cut(self, *pieces: bytes, pause: float = 0.05) -> float:
        """Send pieces, the last again and again, until we are cut off; how long that took."""
        _, writer = await self.connect()
        began = time.monotonic()
        for piece in pieces:
            writer.write(piece)
        while True:
            try:
                writer.write(pieces[-1])
                await writer.drain()
            except ConnectionError:
                writer.close()
                return time.monotonic() - began
            await asyncio.sleep(pause)


@pytest.fixture
async def door(pool: Pool, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Door]:
    for name, seconds in (("LOOK", 0.1), ("HEAD", 1.0), ("BODY", 1.0), ("READ", 1.0)):
        monkeypatch.setattr(patience, f"{name}_SECONDS", seconds)
    async with opened(pool, vault) as listening:
        yield listening


@asynccontextmanager
async def opened(pool: Pool, vault: Vault) -> AsyncIterator[Door]:
    port = aiohttp.test_utils.unused_port()
    settings = site.settings(MAILER_LISTEN=f"127.0.0.1:{port}")
    assert settings.listen == Listen("127.0.0.1", port)
    stop = asyncio.Event()
    serving = asyncio.create_task(app.serve(settings, pool, vault, stop))
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"http://127.0.0.1:{port}/healthz"):
                    break
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.05)
    yield Door(port)
    stop.set()
    await asyncio.wait_for(serving, 30)


async def test_who_never_ends_a_head_or_a_body_is_cut_off(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    async with asyncio.timeout(60):
        took = await asyncio.gather(
            door.cut(HEAD, b"X-More: yes\r\n", pause=0.2),
            door.cut(b"GET /", b"a", pause=0.2),
            door.cut(BODY, b" ", pause=0.2),
        )
    assert min(took) >= 0.9
    assert [r.levelname for r in caplog.records if r.name.startswith("mailer")] == []


async def test_a_long_body_that_gets_on_is_not_cut_off(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sent for thrice as long as a body may stand still; if we ourselves stood still, again."""
    monkeypatch.setattr(patience, "BODY_BYTES", 100)
    longest = 1.0
    while longest > 0.5:
        _, writer = await door.connect()
        writer.write(BODY)
        longest, began = 0.0, time.monotonic()
        try:
            while (now := time.monotonic()) < began + 3:
                writer.write(b" " * 200)
                await writer.drain()
                await asyncio.sleep(0.05)
                longest = max(longest, time.monotonic() - now)
        except ConnectionError:
            assert longest > 0.5
        writer.close()


async def test_who_sends_nothing_at_all_is_cut_off(door: Door) -> None:
    reader, writer = await door.connect()
    async with asyncio.timeout(60):
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
    writer.close()


async def test_others_are_served_while_very_many_dawdle(door: Door) -> None:
    writers = []
    for n in range(MANY):
        _, writer = await door.connect()
        writer.write((HEAD, BODY, b"")[n % 3])
        writers.append(writer)
    async with aiohttp.ClientSession() as session:
        for _ in range(20):
            async with asyncio.timeout(20), session.get(door.url + "/check-inbox") as answer:
                assert answer.status == 200
    for writer in writers:
        writer.close()


async def test_who_reads_nothing_is_cut_off_and_who_reads_slowly_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patience, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(patience, "READ_SECONDS", 1.0)
    large = bytes(12_000_000)

    async def much(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=large)

    server = web.Server(much)
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: Patient(server), "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]

    async def read() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**16)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        got = 0
        while got < len(large):
            got += len(await reader.readexactly(min(2**16, len(large) - got)))
            await asyncio.sleep(0.02)
        writer.close()
        return got

    async with asyncio.timeout(120):
        assert await read() == len(large)  # for much longer than READ_SECONDS
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        cast("asyncio.Transport", writer.transport).pause_reading()
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda: bool(server.connections))
        await until(lambda: not server.connections)
        writer.close()
    listening.close()
    await server.shutdown(1)


async def test_a_connection_that_idles_is_kept_and_used_again(door: Door) -> None:
    reader, writer = await door.connect()
    for part in (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", None, None):
        for piece in [part] if part else [HEAD + b"Content-Length: 3\r\n", b"\r\nab", b"c"]:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.05)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        length = next(
            int(line.partition(b":")[2])
            for line in head.splitlines()
            if line.lower().startswith(b"content-length")
        )
        await reader.readexactly(length)
        await asyncio.sleep(1.6)  # longer than a head or a body may take
    writer.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        b"GET /anna@example.org HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X-A: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-A: b\r\n" * 500 + b"\r\n",
        HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_answered_strictly_and_never_quoted(
    door: Door, sent: bytes
) -> None:
    reader, writer = await door.connect()
    writer.write(sent)
    said = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    assert said.startswith(b"HTTP/1.")
    assert b" 400 " in said.splitlines()[0]
    for name, value in page.HEADERS.items():
        assert f"{name}: {value}".encode() in said
    assert b"anna" not in said
    assert b"aaaa" not in said
