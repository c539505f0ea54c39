"""The tree: hashes and proofs of RFC 6962, section 2.1, over tiles of C2SP tlog-tiles.

Pure functions. A tree of `size` leaves is kept as tiles of up to 256 hashes: those of level 0 hold
hashes of leaves, each hash of a higher one is the root of a full tile below. Spans of leaves are
half-open: (begin, end).
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

HASH_BYTES = 32
TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
TILE_BYTES = TILE_WIDTH * HASH_BYTES

Span: TypeAlias = tuple[int, int]
Place: TypeAlias = tuple[int, int]
"""Level and index of a tile."""
Tiles: TypeAlias = Mapping[Place, bytes]

EMPTY = hashlib.sha256().digest()


# hashes


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(hashes: Sequence[bytes]) -> bytes:
    """The root over hashes of leaves, or of whole subtrees of one height.

    The last may be of a smaller subtree: an odd one out goes up as it is, which is where the split
    at the largest power of two puts it.
    """
    if not hashes:
        return EMPTY
    while len(hashes) > 1:
        paired = [node_hash(hashes[i], hashes[i + 1]) for i in range(0, len(hashes) - 1, 2)]
        hashes = paired + list(hashes[2 * len(paired) :])
    return hashes[0]


def apart(hashes: bytes) -> list[bytes]:
    """The hashes of a tile."""
    return [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]


# growing


def edge(size: int) -> dict[Place, int]:
    """The tiles on the right edge that are not full, and how many hashes each holds."""
    found = {}
    for level in range(levels(size)):
        index, width = divmod(size >> TILE_HEIGHT * level, TILE_WIDTH)
        if width:
            found[level, index] = width
    return found


def levels(size: int) -> int:
    """How many levels of tiles a tree has."""
    return max(1, -(-size.bit_length() // TILE_HEIGHT)) if size else 0


def grown(tiles: Tiles, size: int, leaves: Sequence[bytes]) -> dict[Place, bytes]:
    """The tiles that change or begin when `leaves` (hashes) are appended to a tree of `size`.

    `tiles` holds those on its edge.
    """
    changed: dict[Place, bytes] = {}
    level, new = 0, list(leaves)
    while new:
        index = size >> TILE_HEIGHT * (level + 1)
        hashes = tiles.get((level, index), b"") + b"".join(new)
        new = []
        for at in range(0, len(hashes), TILE_BYTES):
            tile = hashes[at : at + TILE_BYTES]
            changed[level, index + at // TILE_BYTES] = tile
            if len(tile) == TILE_BYTES:
                new.append(root(apart(tile)))
        level += 1
    return changed


# proofs


def split(count: int) -> int:
    """The largest power of two below `count`: where RFC 6962 cuts a list."""
    return 1 << (count - 1).bit_length() - 1


def inclusion(index: int, size: int) -> list[Span]:
    """PATH(index, D[size]): the spans whose roots lead from a leaf to the root, from its sibling
    upwards."""
    assert 0 <= index < size
    begin, end, path = 0, size, []
    while end - begin > 1:
        middle = begin + split(end - begin)
        if index < middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((begin, middle))
            begin = middle
    return path[::-1]


def consistency(old: int, new: int) -> list[Span]:
    """PROOF(old, D[new]): the spans whose roots show that a tree of `new` leaves begins with the
    one of `old`."""
    assert 0 < old <= new
    begin, end, path = 0, new, []
    while old < end:
        middle = begin + split(end - begin)
        if old <= middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((begin, middle))
            begin = middle
    return [*([(begin, end)] if begin else []), *path[::-1]]


def perfect(span: Span) -> Iterator[tuple[int, int]]:
    """The whole subtrees that a span of a proof is made of, left to right: height and index."""
    begin, end = span
    while begin < end:
        height = (end - begin).bit_length() - 1
        yield height, begin >> height
        begin += 1 << height


def needed(spans: Iterable[Span]) -> set[Place]:
    """The tiles from which the roots of these spans can be told."""
    return {within(*subtree)[0] for span in spans for subtree in perfect(span)}


def within(height: int, index: int) -> tuple[Place, slice]:
    """Where the hashes below a subtree are: a tile, and which of its bytes."""
    level, above = divmod(height, TILE_HEIGHT)
    first = index << above
    begin = first % TILE_WIDTH * HASH_BYTES
    return (level, first // TILE_WIDTH), slice(begin, begin + (HASH_BYTES << above))


def root_of_span(tiles: Tiles, span: Span) -> bytes:
    hashes = []
    for subtree in perfect(span):
        place, part = within(*subtree)
        hashes.append(root(apart(tiles[place][part])))
    folded = hashes.pop()
    while hashes:
        folded = node_hash(hashes.pop(), folded)
    return folded


def proof(tiles: Tiles, spans: Iterable[Span]) -> list[bytes]:
    return [root_of_span(tiles, span) for span in spans]


# verifying (RFC 9162, sections 2.1.3.2 and 2.1.4.2: the same proofs, an algorithm spelt out)


def includes(index: int, size: int, leaf: bytes, path: Sequence[bytes], root_: bytes) -> bool:
    """Whether `path` leads from the hash of leaf `index` to the root of a tree of `size`."""
    if not 0 <= index < size or not hashes_only(leaf, root_, *path):
        return False
    at, last, found = index, size - 1, leaf
    for sibling in path:
        if not last:
            return False
        if at & 1 or at == last:
            found = node_hash(sibling, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        at, last = at >> 1, last >> 1
    return not last and found == root_


def continues(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Whether `path` shows that the tree of `new` leaves begins with that of `old`; `old` above 0,
    as everything begins with an empty tree."""
    if not 0 < old <= new:
        return False
    if old == new:
        return not path and old_root == new_root
    if not hashes_only(old_root, new_root, *path):
        return False
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    hashes = list(path) if at else [old_root, *path]
    if not hashes:
        return False
    before = after = hashes[0]
    for sibling in hashes[1:]:
        if not last:
            return False
        if at & 1 or at == last:
            before, after = node_hash(sibling, before), node_hash(sibling, after)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            after = node_hash(after, sibling)
        at, last = at >> 1, last >> 1
    return not last and before == old_root and after == new_root


def hashes_only(*values: bytes) -> bool:
    return all(len(value) == HASH_BYTES for value in values)
