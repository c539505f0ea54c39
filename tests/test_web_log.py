"""The log over HTTP: whoever follows C2SP tlog-tiles can rebuild it and check that it grew."""

import base64

import pytest

from mailer import log
from mailer import vault as vaults
from mailer.db import Connection, Pool
from mailer.log.keep import Keep
from mailer.vault import Vault
from tests import rfc6962, site, world
from tests.site import Client
from tests.test_log import events, seal, unbundled
from tests.world import ANNA

COUNT = 256 * 3 + 40


async def get(client: Client, path: str) -> bytes:
    answer = await client.get(path)
    assert answer.status == 200, path
    return await answer.read()


def tiles_of(size: int) -> list[str]:
    """The paths of the tiles of level 0 that a tree of this size has."""
    full, width = divmod(size, 256)
    return [*(f"{n:03}" for n in range(full)), *([f"{full:03}.p/{width}"] if width else [])]


async def test_another_implementation_rebuilds_the_log_and_checks_its_signature(
    conn: Connection, pool: Pool, vault: Vault, keep: Keep
) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    await events(conn, vault, COUNT)
    await seal(conn, vault, keep)
    async with site.opened(pool, vault) as client:
        note = (await get(client, "/log/checkpoint")).decode()
        key = (await get(client, "/log/key")).decode().strip()
        text, _, signatures = note.rpartition("\n\n")
        origin, size, root = text.split("\n")
        name, hash_, public = key.split("+", maxsplit=2)
        signed = base64.b64decode(signatures.split(" ")[2])
        assert (name, hash_) == (origin, signed[:4].hex())
        verifier = base64.b64decode(public)[1:]
        assert vaults.signed_by(verifier, signed[4:], f"{text}\n".encode())

        entries: list[bytes] = []
        hashes = b""
        for path in tiles_of(int(size)):
            entries += unbundled(await get(client, f"/log/tile/entries/{path}"))
            hashes += await get(client, f"/log/tile/0/{path}")
        assert len(entries) == int(size)
        assert hashes == b"".join(rfc6962.mth([entry]) for entry in entries)
        assert base64.b64encode(rfc6962.mth(entries)).decode() == root
        above = await get(client, "/log/tile/1/000.p/3")
        assert above == b"".join(rfc6962.mth(entries[n * 256 : (n + 1) * 256]) for n in range(3))
        assert sum(entry.startswith(b'\x02{"actor"') for entry in entries) == 2


async def test_a_partial_tile_stays_what_it_was_while_the_log_grows(
    conn: Connection, pool: Pool, vault: Vault, keep: Keep
) -> None:
    await events(conn, vault, 3)
    await seal(conn, vault, keep)
    async with site.opened(pool, vault) as client:
        paths = ("/log/tile/0/000.p/3", "/log/tile/entries/000.p/3")
        before = [await get(client, path) for path in paths]
        await events(conn, vault, 300)
        await seal(conn, vault, keep)
        assert [await get(client, path) for path in paths] == before


async def test_what_never_changes_may_be_kept_for_ever_and_the_checkpoint_not(
    conn: Connection, pool: Pool, vault: Vault, keep: Keep
) -> None:
    await events(conn, vault, 300)
    await seal(conn, vault, keep)
    async with site.opened(pool, vault) as client:
        for path in ("/log/tile/0/000", "/log/tile/entries/001.p/44"):
            answer = await client.get(path)
            assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert answer.headers["Content-Type"] == "application/octet-stream"
        answer = await client.get("/log/checkpoint")
        assert answer.headers["Cache-Control"] == "no-cache"
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    "path",
    [
        "/log/tile/0/001",  # not full
        "/log/tile/0/001.p/45",
        "/log/tile/0/002",
        "/log/tile/0/002.p/1",
        "/log/tile/0/000.p/0",
        "/log/tile/0/000.p/256",
        "/log/tile/0/000.p/03",
        "/log/tile/0/0",
        "/log/tile/0/x000/000",
        "/log/tile/0/x999/x999/x999/x999/x999/x999/999",
        "/log/tile/00/000",
        "/log/tile/1/000",
        "/log/tile/2/000.p/1",
        "/log/tile/63/000",
        "/log/tile/64/000",
        "/log/tile/entries/001",
        "/log/tile/entries/001.p/45",
        "/log/tile/data/000",
    ],
)
async def test_what_the_signed_tree_does_not_have_is_not_there(
    conn: Connection, pool: Pool, vault: Vault, keep: Keep, path: str
) -> None:
    await events(conn, vault, 300)
    await seal(conn, vault, keep)
    async with site.opened(pool, vault) as client:
        assert (await client.get(path)).status == 404


async def test_an_empty_log_has_a_key_and_no_checkpoint(pool: Pool, vault: Vault) -> None:
    async with site.opened(pool, vault) as client:
        assert (await client.get("/log/key")).status == 200
        assert (await client.get("/log/checkpoint")).status == 404
        assert (await client.get("/log/tile/0/000")).status == 404


async def test_what_is_not_signed_yet_is_not_shown(
    conn: Connection, pool: Pool, vault: Vault, keep: Keep
) -> None:
    await events(conn, vault, 3)
    await seal(conn, vault, keep)
    await events(conn, vault, 3)
    async with conn.transaction():
        assert await log.seal(conn, vault, keep, 1000, None) == 3
    async with site.opened(pool, vault) as client:
        assert (await client.get("/log/tile/0/000.p/3")).status == 200
        assert (await client.get("/log/tile/0/000.p/4")).status == 404
        assert (await client.get("/log/tile/entries/000.p/6")).status == 404
