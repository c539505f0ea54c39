"""The log: one Merkle tree over all consent events, so that none can be changed, taken out, put in
or moved without its being seen.

    seal    waiting events → leaves and tiles   (one transaction; one sealer at a time)
    sign    leaves → a checkpoint               (another, so that nothing is signed but what stays)
    prove   an event → its proof of inclusion

An entry of the log is

    0x01 | commitment            for an event of a person
    0x02 | RFC 8785 form         for a public event

and stays when the person is erased: the commitment then means nothing to anybody, and every proof
still verifies. docs/consent-log.md has all formats byte by byte.
"""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from cryptography.exceptions import InvalidTag

from mailer import consent, db, subjects, vault
from mailer.db import Connection
from mailer.errors import Conflict, Invalid
from mailer.log import tree
from mailer.log.keep import Keep
from mailer.log.notes import Checkpoint, Key, Proof, open_checkpoint, sign_checkpoint
from mailer.log.tree import Place
from mailer.vault import Subject, Vault

SQL = db.statements("log")
log = logging.getLogger(__name__)

OF_A_PERSON = b"\x01"
PUBLIC = b"\x02"
PUBLIC_TYPES = ("notice.published", "key.rotated")
MOST_ENTRY = 0xFFFF
"""Bytes of an entry: a bundle says its length in 16 bits. A public event that is longer is entered
like a person's."""


class Broken(Conflict):
    """What is in the database does not continue what was signed; the sentence says what to do."""


@dataclass(frozen=True)
class State:
    """Where the log stands; `note`: its latest checkpoint, if any."""

    origin: str
    size: int
    note: str | None
    waiting: bool


@dataclass(frozen=True)
class Sealable:
    """What an entry is made of; `body` is sealed, and there for public types only."""

    id: UUID
    leaf: int | None
    type: str
    commitment: bytes
    body: bytes | None


@dataclass(frozen=True)
class Tile:
    """Some hashes of one level."""

    level: int
    index: int
    hashes: bytes


# sealing


async def seal(conn: Connection, keys: Vault, keep: Keep, limit: int, worker: UUID | None) -> int:
    """Give up to `limit` waiting events their places; how many. Raises Broken or Unavailable.

    None while another seals, or another worker objects.
    """
    turn = await conn.fetchval(SQL.take_turn, worker)
    state = await read(conn)
    await compare(conn, keys, keep, state)
    if not turn or not state.waiting:
        return 0
    house = await subjects.house(conn, keys)
    events = await db.fetch(conn, Sealable, SQL.waiting, limit, PUBLIC_TYPES)
    tiles = await edge(conn, state.size)
    leaves = [tree.leaf_hash(entry(house, event)) for event in events]
    await keep_tiles(conn, tree.grown(tiles, state.size, leaves))
    await conn.execute(SQL.seal, [event.id for event in events], state.size)
    return len(events)


async def sign(conn: Connection, keys: Vault, keep: Keep, worker: UUID | None) -> None:
    """Sign the tree as it is committed, keep the checkpoint outside the database, publish it.

    One that was signed elsewhere is kept as well: so each machine remembers the log for all.
    Raises Broken or Unavailable; then nothing was signed.
    """
    turn = await conn.fetchval(SQL.take_turn, worker)
    state = await read(conn)
    known = Key(state.origin, keys.verifier)
    latest = opened(state, known)
    if turn and state.size > (latest.size if latest else 0):
        await compare(conn, keys, keep, state)
        root = tree.root_of_span(await edge(conn, state.size), (0, state.size))
        latest = sign_checkpoint(keys, state.origin, state.size, root)
        await asyncio.to_thread(keep.write, known, latest)
        await conn.execute(SQL.publish, latest.size, latest.note)
    elif latest is not None and keep.note(known) != latest.note:
        await compare(conn, keys, keep, state)
        await asyncio.to_thread(keep.write, known, latest)


async def read(conn: Connection) -> State:
    state = await db.first(conn, State, SQL.state)
    assert state is not None
    return state


def opened(state: State, known: Key) -> Checkpoint | None:
    """The latest checkpoint. Raises Broken if it is not ours."""
    try:
        return open_checkpoint(state.note, known) if state.note else None
    except Invalid as error:
        raise Broken(
            "The checkpoint of the consent log in the database was changed ({why}): run `mailer "
            "consent verify`, and restore the newest backup.",
            why=error,
        ) from None


async def compare(conn: Connection, keys: Vault, keep: Keep, state: State) -> None:
    """Raises Broken unless the tree continues its checkpoint and the one kept on this machine."""
    known = Key(state.origin, keys.verifier)
    latest = opened(state, known)
    try:
        kept = await asyncio.to_thread(keep.read, known)
    except Invalid as error:
        raise Broken(
            "The checkpoint kept in {path} can't be read ({why}): nothing more is sealed. Run "
            "`mailer consent verify`; if all is well, move that file away.",
            path=keep.path(known),
            why=error,
        ) from None
    if kept is not None and kept.size > state.size:
        state = await read(conn)  # by now, for another worker may have sealed and kept meanwhile
    if kept is not None and not await grew_from(conn, kept, state.size):
        raise Broken(
            "The consent log in the database ({size} entries) does not continue the checkpoint "
            "kept in {path} ({kept} entries), as after an older backup was restored: nothing more "
            "is sealed. Restore the newest backup; only if there is none, move that file away and "
            "say in public that entries were lost.",
            size=state.size,
            path=keep.path(known),
            kept=kept.size,
        )
    if latest is not None and latest != kept and not await grew_from(conn, latest, state.size):
        raise Broken(
            "The consent log ({size} entries) does not continue its own checkpoint ({signed} "
            "entries): it was changed in the database, and nothing more is sealed. Run `mailer "
            "consent verify`, and restore the newest backup.",
            size=state.size,
            signed=latest.size,
        )


async def grew_from(conn: Connection, before: Checkpoint, size: int) -> bool:
    """Whether the tree of `size` begins with that of a checkpoint."""
    if not 0 < before.size <= size:
        return False
    spans = tree.consistency(before.size, size)
    wanted = tree.needed([*spans, (0, size)])
    tiles = await fetch_tiles(conn, wanted)
    if tiles.keys() != wanted:
        return False
    root = tree.root_of_span(tiles, (0, size))
    return tree.continues(before.size, size, before.root, root, tree.proof(tiles, spans))


async def edge(conn: Connection, size: int) -> dict[Place, bytes]:
    """The tiles that grow. Raises Broken if they are not as wide as the tree is long."""
    widths = tree.edge(size)
    tiles = await fetch_tiles(conn, widths)
    if {place: len(hashes) // tree.HASH_BYTES for place, hashes in tiles.items()} != widths:
        raise Broken(
            "The tiles of the consent log do not fit its {size} entries: it was changed in the "
            "database, and nothing more is sealed. Run `mailer consent verify`, and restore the "
            "newest backup.",
            size=size,
        )
    return tiles


async def fetch_tiles(conn: Connection, places: Iterable[Place]) -> dict[Place, bytes]:
    wanted = sorted(places)
    levels, indexes = [level for level, _ in wanted], [index for _, index in wanted]
    found = await db.fetch(conn, Tile, SQL.tiles, levels, indexes)
    return {(tile.level, tile.index): tile.hashes for tile in found}


async def keep_tiles(conn: Connection, tiles: dict[Place, bytes]) -> None:
    levels, indexes = [level for level, _ in tiles], [index for _, index in tiles]
    await conn.execute(SQL.keep_tiles, levels, indexes, list(tiles.values()))


def entry(house: Subject, event: Sealable) -> bytes:
    """The entry of an event, whether it is sealed already or about to be."""
    if event.body is not None:
        try:
            body = vault.unseal(house, consent.PLACE, event.body)
        except InvalidTag:
            log.error("public event %s was changed in the database", event.id)
        else:
            if is_public(event.type, body):
                return PUBLIC + body
    return OF_A_PERSON + event.commitment


def is_public(type_: str, body: bytes) -> bool:
    """Whether the whole event is in the log, rather than its commitment."""
    return type_ in PUBLIC_TYPES and len(PUBLIC + body) <= MOST_ENTRY


# objecting


async def object_(conn: Connection, worker: UUID, sentence: str | None) -> None:
    """Why, as this worker sees it, nobody is to seal; None: it sees no reason any more."""
    if sentence is None:
        await conn.execute(SQL.agree, worker)
    else:
        await conn.execute(SQL.object, worker, sentence)


async def lag(conn: Connection) -> float:
    """How many seconds the oldest event has waited that is not sealed; more than a few is wrong."""
    waited: float = await conn.fetchval(SQL.lag)
    return waited


async def objection(conn: Connection) -> str | None:
    """Why nothing is sealed at present, if so."""
    found: str | None = await conn.fetchval(SQL.objection)
    return found


# reading


async def key(conn: Connection, keys: Vault) -> Key:
    """What verifies this log's signatures."""
    return Key((await read(conn)).origin, keys.verifier)


async def checkpoint(conn: Connection, keys: Vault) -> Checkpoint | None:
    """The latest; None as long as nothing was sealed. Raises Broken if it is not ours."""
    state = await read(conn)
    return opened(state, Key(state.origin, keys.verifier))


async def tile(conn: Connection, signed: Checkpoint, place: Place, width: int) -> bytes | None:
    """The first `width` hashes of a tile; None: the signed tree has fewer."""
    if not 0 < width <= in_tile(signed, place):
        return None
    tiles = await fetch_tiles(conn, [place])
    return tiles[place][: width * tree.HASH_BYTES]


async def bundle(
    conn: Connection, keys: Vault, signed: Checkpoint, index: int, width: int
) -> bytes | None:
    """The first `width` entries of tile `index`, each after its length in 16 bits (big endian)."""
    if not 0 < width <= in_tile(signed, (0, index)):
        return None
    house, begin = await subjects.house(conn, keys), index * tree.TILE_WIDTH
    events = await db.fetch(conn, Sealable, SQL.sealed, begin, begin + width, PUBLIC_TYPES)
    entries = [entry(house, event) for event in events]
    return b"".join(len(each).to_bytes(2, "big") + each for each in entries)


def in_tile(signed: Checkpoint, place: Place) -> int:
    """How many hashes of a tile a signed tree has, 256 at most."""
    level, index = place
    there = (signed.size >> tree.TILE_HEIGHT * level) - index * tree.TILE_WIDTH
    return min(there, tree.TILE_WIDTH)


async def prove(conn: Connection, signed: Checkpoint, leaf: int) -> Proof:
    """That the entry at `leaf`, below the size of the checkpoint, is in the tree it signs.

    Raises Broken rather than hand out a proof that does not verify.
    """
    spans = [(leaf, leaf + 1), *tree.inclusion(leaf, signed.size)]
    tiles = await fetch_tiles(conn, tree.needed(spans))
    if tiles.keys() == tree.needed(spans):
        hash_, *path = tree.proof(tiles, spans)
        if tree.includes(leaf, signed.size, hash_, path, signed.root):
            return Proof(leaf, path, signed)
    raise Broken(
        "The consent log was changed in the database: run `mailer consent verify`, and restore "
        "the newest backup."
    )
