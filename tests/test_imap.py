"""A mailbox read by IMAP: what is ours is taken out, all else stays, and nothing is lost."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from mailer import bounces, config, imap
from mailer.config import Imap, OAuth, Source
from mailer.db import Connection, Pool
from mailer.errors import Misconfigured, Unavailable
from mailer.vault import Vault
from mailer.worker import Worker
from tests import world
from tests.test_bounces_reading import dsn, plain
from tests.world import ANNA

HOST = "127.0.0.1"
USER, PASSWORD, TOKEN = "bounces@example.org", "pass word", "fresh-token"


class Server:
    """A small IMAP server with one folder: `mails` by UID, and the flags of each."""

    def __init__(self, *mails: bytes) -> None:
        self.mails = {100 + number: mail for number, mail in enumerate(mails)}
        self.flags: dict[int, set[str]] = {uid: set() for uid in self.mails}
        self.opened: str | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK ready\r\n")
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            tag, _, command = line.partition(" ")
            if command.upper().startswith("AUTHENTICATE XOAUTH2"):
                writer.write(b"+ \r\n")
                command = f"XOAUTH2 {(await reader.readline()).decode().strip()}"
            for said in self.answer(command):
                writer.write(said)
            good = self.good(command)
            writer.write(f"{tag} {'OK' if good else 'NO'} said\r\n".encode())
            if command.upper() == "LOGOUT":
                break
        writer.close()

    def good(self, command: str) -> bool:
        if command.startswith("LOGIN"):
            return command == f'LOGIN {USER} "{PASSWORD}"'
        if command.startswith("XOAUTH2"):
            words = base64.b64decode(command.split()[1]).decode()
            return words == f"user={USER}\x01auth=Bearer {TOKEN}\x01\x01"
        return True

    def answer(self, command: str) -> list[bytes]:
        if command.startswith("CAPABILITY"):
            return [b"* CAPABILITY IMAP4rev1 AUTH=XOAUTH2\r\n"]
        if command.startswith("SELECT"):
            self.opened = command.split(" ", 1)[1].strip('"')
            return [f"* {len(self.mails)} EXISTS\r\n".encode()]
        if command.startswith("UID SEARCH"):
            fresh = [str(uid) for uid, flags in self.flags.items() if not flags]
            return [f"* SEARCH {' '.join(fresh)}".rstrip().encode() + b"\r\n"]
        if found := re.fullmatch(r"UID FETCH (\d+) \(RFC822.SIZE\)", command):
            size = len(self.mails[int(found[1])])
            return [f"* 1 FETCH (UID {found[1]} RFC822.SIZE {size})\r\n".encode()]
        if found := re.fullmatch(r"UID FETCH (\d+) \(BODY.PEEK\[\]\)", command):
            mail = self.mails[int(found[1])]
            head = f"* 1 FETCH (UID {found[1]} BODY[] {{{len(mail)}}}\r\n".encode()
            return [head, mail, b")\r\n"]
        if found := re.fullmatch(r"UID STORE (\d+) \+FLAGS \((.*)\)", command):
            self.flags[int(found[1])] |= set(found[2].split())
        if command.startswith("EXPUNGE"):
            for uid in [uid for uid, flags in self.flags.items() if r"\Deleted" in flags]:
                del self.mails[uid], self.flags[uid]
        return []


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[Imap]:
    listening = await asyncio.start_server(server.serve, HOST, 0)
    port = listening.sockets[0].getsockname()[1]
    try:
        yield Imap("imap", HOST, port, USER, PASSWORD, "Bounces", None)
    finally:
        listening.close()


async def test_what_is_ours_is_taken_out_and_the_rest_is_left_as_read() -> None:
    server = Server(b"Subject: a\r\n\r\nours\r\n", b"Subject: b\r\n\r\nhello\r\n")
    taken = []

    async def take(raw: bytes) -> bool:
        taken.append(raw)
        return b"ours" in raw

    async with serving(server) as mailbox:
        assert await imap.poll(mailbox, take) == 1
        assert await imap.poll(mailbox, take) == 0
    assert taken == [b"Subject: a\r\n\r\nours\r\n", b"Subject: b\r\n\r\nhello\r\n"]
    assert server.flags == {101: {r"\Seen"}}
    assert server.opened == "Bounces"


async def test_what_could_not_be_stored_is_there_the_next_time() -> None:
    server = Server(b"Subject: a\r\n\r\nours\r\n")

    async def fail(raw: bytes) -> bool:
        raise Unavailable("the database is away")

    async def take(raw: bytes) -> bool:
        return True

    async with serving(server) as mailbox:
        with pytest.raises(Unavailable, match="database"):
            await imap.poll(mailbox, fail)
        assert await imap.poll(mailbox, take) == 1


async def test_a_mailbox_is_opened_with_a_fresh_token() -> None:
    asked = []

    async def token(request: web.Request) -> web.Response:
        asked.append(dict(await request.post()))
        return web.json_response({"access_token": TOKEN, "expires_in": 3600})

    app = web.Application()
    app.add_routes([web.post("/token", token)])
    server = Server(b"Subject: a\r\n\r\nours\r\n")
    async with TestServer(app) as endpoint, serving(server) as mailbox:
        oauth = OAuth(str(endpoint.make_url("/token")), "client", "secret", "lasting")
        assert await imap.poll(replace(mailbox, oauth=oauth), yes) == 1
    assert asked == [
        {
            "grant_type": "refresh_token",
            "client_id": "client",
            "client_secret": "secret",
            "refresh_token": "lasting",
        }
    ]


async def yes(_raw: bytes) -> bool:
    return True


async def test_what_keeps_us_out_is_said_without_the_password() -> None:
    async with serving(Server()) as mailbox:
        with pytest.raises(Unavailable, match="MAILER_BOUNCE_IMAP") as said:
            await imap.poll(replace(mailbox, password="wrong"), yes)
    assert "wrong" not in str(said.value)
    with pytest.raises(Unavailable):
        await imap.poll(mailbox, yes)
    oauth = OAuth(f"http://{HOST}:1/token", "client", "secret", "lasting")
    with pytest.raises(Unavailable, match="MAILER_BOUNCE_IMAP_OAUTH"):
        await imap.poll(replace(mailbox, oauth=oauth), yes)


async def test_a_worker_acts_on_what_it_finds_there(
    settings: config.Settings, pool: Pool, vault: Vault, conn: Connection
) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    token = await world.link(conn, vault, ANNA, "bounce")
    back = f"Return-Path: <b+{token}@bounces.example.org>"
    ours = dsn("550 5.1.1 User unknown", "5.1.1", human=back).replace(b"\n", b"\r\n")
    server = Server(ours, plain("Hello", "a letter", "anna@example.org").replace(b"\n", b"\r\n"))
    async with serving(server) as mailbox:
        worker = Worker(replace(settings, bounce_imap=mailbox), pool, vault, asyncio.Event())
        await worker.returns.read_mailbox()
    assert [line.channel for line in await bounces.latest(conn, None, None, 10)] == ["imap"]
    assert list(server.mails) == [101], "the letter is left for a person"


@pytest.mark.parametrize(
    "named",
    [
        {"MAILER_BOUNCE_IMAP": "pop3://a:b@example.org"},
        {"MAILER_BOUNCE_IMAP": "imaps://example.org"},
        {"MAILER_BOUNCE_IMAP": "imaps://user@example.org"},
        {"MAILER_BOUNCE_IMAP": 'imaps://user:password@example.org/a"b'},
        {"MAILER_BOUNCE_IMAP_OAUTH": "https://example.org/token client"},
        {"MAILER_BOUNCE_IMAP_OAUTH": "http://example.org/token client secret refresh"},
    ],
)
def test_a_setting_that_makes_no_sense_is_named(named: dict[str, str]) -> None:
    with pytest.raises(Misconfigured, match="MAILER_BOUNCE_IMAP"):
        config.read(Source(named), Path("/nowhere"), dev=False)
