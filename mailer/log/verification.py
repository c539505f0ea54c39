"""Verifying the log: every entry against its event, every tile against what is below it, and the
roots against all checkpoints that somebody kept."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from mailer import db, log, subjects
from mailer.consent import Finding
from mailer.db import Connection
from mailer.errors import Invalid
from mailer.log import SQL, Sealable, tree
from mailer.log.keep import Keep
from mailer.log.notes import Checkpoint, Key, open_checkpoint
from mailer.log.tree import HASH_BYTES, TILE_BYTES, TILE_HEIGHT, TILE_WIDTH, Place
from mailer.vault import Subject, Vault

TILES_AT_ONCE = 2
"""Between them others have a turn: a worker verifies beside its other work."""

IN_DATABASE = "in the database"


@dataclass
class Sealed:
    """What `verify` has seen so far; `waiting`: events that are not sealed yet."""

    entries: int = 0
    waiting: int = 0
    checkpoints: int = 0


@dataclass(frozen=True)
class Claim:
    """A checkpoint that is to hold; `where` it was found, as a sentence says it."""

    where: str
    note: str


@dataclass(frozen=True)
class Extent:
    """What the tables say of the log's size: tiles of level 0, of all above, and hashes of leaves
    up to the last."""

    tiles: int
    upper: int
    size: int | None
    waiting: int


async def claims(conn: Connection) -> list[Claim]:
    """The checkpoint that the database itself keeps."""
    state = await log.read(conn)
    return [Claim(IN_DATABASE, state.note)] if state.note is not None else []


async def kept(conn: Connection, keys: Vault, keep: Keep) -> list[Claim]:
    """The checkpoint that this machine keeps outside the database."""
    key = Key((await log.read(conn)).origin, keys.verifier)
    note = keep.note(key)
    return [Claim(f"kept in {keep.path(key)}", note)] if note is not None else []


async def verify(
    conn: Connection, keys: Vault, claimed: Sequence[Claim], seen: Sealed
) -> AsyncIterator[Finding]:
    """Recompute the log from its events; yields what does not hold, counts into `seen`.

    In the caller's transaction, with constant memory.
    """
    extent = await db.first(conn, Extent, SQL.extent)
    assert extent is not None
    size = min(extent.size or 0, extent.tiles * TILE_WIDTH)
    seen.waiting = extent.waiting
    expected, wrong = sort_out(await log.key(conn, keys), claimed, size)
    seen.checkpoints = sum(map(len, expected.values()))
    for each in wrong:
        yield each
    growing = Growing()
    house = await subjects.house(conn, keys)
    for begin in range(0, size, TILES_AT_ONCE * TILE_WIDTH):
        end = min(size, begin + TILES_AT_ONCE * TILE_WIDTH)
        entries = await fetch(conn, house, begin, end)
        for leaf in range(begin, end):
            hash_, finding = entries.check(leaf)
            if finding is not None:
                yield finding
            seen.entries += 1
            if full := growing.add(hash_):
                for each in await compare(conn, full):
                    yield each
            for claim in expected.get(leaf + 1, ()):
                if growing.root() != claim.checkpoint.root:
                    yield whole(f"the log is not what the checkpoint {claim.where} signs")
    for each in await compare(conn, growing.edge()):
        yield each
    if extent.tiles + extent.upper != growing.tiles:
        yield whole("the log has other tiles than its entries make")
    for event in await db.fetch(conn, Sealable, SQL.beyond, size):
        what = "it has a place in the log that the log does not have"
        yield Finding(None, None, event.id, what, event.leaf)


def whole(what: str, *, missing: bool = False) -> Finding:
    """Something that no one event shows."""
    return Finding(None, None, None, what, missing=missing)


async def compare(conn: Connection, made: Sequence[tuple[Place, bytes]]) -> list[Finding]:
    """Tiles as recomputed against those that are kept."""
    if not made:
        return []
    kept = await log.fetch_tiles(conn, [place for place, _ in made])
    return [
        whole(f"tile {level}/{index} of the log is not made of what is below it")
        for (level, index), hashes in made
        if kept.get((level, index)) != hashes
    ]


@dataclass(frozen=True)
class Expected:
    """A claim that is signed by the log's key."""

    where: str
    checkpoint: Checkpoint


def sort_out(
    key: Key, claimed: Sequence[Claim], size: int
) -> tuple[dict[int, list[Expected]], list[Finding]]:
    """What to compare at which size; and what is wrong at first sight."""
    expected: dict[int, list[Expected]] = {}
    wrong = []
    for claim in claimed:
        try:
            checkpoint = open_checkpoint(claim.note, key)
        except Invalid as error:
            wrong.append(whole(f"the checkpoint {claim.where} does not count: {error}"))
            continue
        if checkpoint.size > size:
            what = f"the last {checkpoint.size - size} of {checkpoint.size} entries that the "
            wrong.append(whole(f"{what}checkpoint {claim.where} signs are missing", missing=True))
        expected.setdefault(checkpoint.size, []).append(Expected(claim.where, checkpoint))
    if size and IN_DATABASE not in (claim.where for claim in claimed):
        wrong.append(whole(f"there is no checkpoint {IN_DATABASE}", missing=True))
    return expected, wrong


async def fetch(conn: Connection, house: Subject, begin: int, end: int) -> "Entries":
    events = await db.fetch(conn, Sealable, SQL.sealed, begin, end, log.PUBLIC_TYPES)
    places = [(0, index) for index in range(begin // TILE_WIDTH, -(-end // TILE_WIDTH))]
    by_leaf = {event.leaf: event for event in events}
    return Entries(by_leaf, await log.fetch_tiles(conn, places), house)


@dataclass(frozen=True)
class Entries:
    """Some events by leaf, and the tiles that hold what was sealed of them."""

    events: dict[int | None, Sealable]
    tiles: dict[Place, bytes]
    house: Subject

    def check(self, leaf: int) -> tuple[bytes, Finding | None]:
        """The hash that was sealed (as far as it is still there), and what is wrong with it."""
        event, kept = self.events.get(leaf), self.kept(leaf)
        if event is None:
            what = f"the event of entry {leaf} of the log is missing"
            return kept or tree.EMPTY, Finding(None, None, None, what, leaf, missing=True)
        hash_ = tree.leaf_hash(log.entry(self.house, event))
        if kept == hash_:
            return hash_, None
        return kept or hash_, Finding(None, None, event.id, "it is not what was sealed", leaf)

    def kept(self, leaf: int) -> bytes | None:
        index, offset = divmod(leaf, TILE_WIDTH)
        begin = offset * HASH_BYTES
        return self.tiles.get((0, index), b"")[begin : begin + HASH_BYTES] or None


class Growing:
    """A tree that grows leaf by leaf and forgets what is below its edge."""

    def __init__(self) -> None:
        self.size = 0
        self.levels: list[bytearray] = [bytearray()]

    @property
    def tiles(self) -> int:
        """How many tiles it has, full and not."""
        return sum(
            -(-(self.size >> TILE_HEIGHT * level) // TILE_WIDTH)
            for level in range(tree.levels(self.size))
        )

    def add(self, leaf: bytes) -> list[tuple[Place, bytes]]:
        """The tiles above level 0 that are full now."""
        self.size += 1
        full: list[tuple[Place, bytes]] = []
        level, new = 0, leaf
        while True:
            tile = self.levels[level]
            tile += new
            if len(tile) < TILE_BYTES:
                return full
            if level:
                full.append(((level, (self.size >> TILE_HEIGHT * (level + 1)) - 1), bytes(tile)))
            new = tree.root(tree.apart(bytes(tile)))
            tile.clear()
            level += 1
            if level == len(self.levels):
                self.levels.append(bytearray())

    def edge(self) -> list[tuple[Place, bytes]]:
        """The tiles that are not full."""
        return [
            ((level, self.size >> TILE_HEIGHT * (level + 1)), bytes(tile))
            for level, tile in enumerate(self.levels)
            if tile
        ]

    def root(self) -> bytes:
        above: list[bytes] = []
        for _, hashes in self.edge():
            above = [tree.root([*tree.apart(hashes), *above])]
        return tree.root(above)
