"""RFC 6962, section 2.1, word for word: a second implementation, which shares nothing with ours.

It knows no tiles: lists of entries are cut at the largest power of two and hashed, again and again.
"""

from collections.abc import Sequence
from hashlib import sha256


def k(n: int) -> int:
    """ "the largest power of two smaller than n" """
    power = 1
    while power * 2 < n:
        power *= 2
    return power


def mth(d: Sequence[bytes]) -> bytes:
    """Merkle Tree Hash of a list of entries."""
    n = len(d)
    if n == 0:
        return sha256(b"").digest()
    if n == 1:
        return sha256(b"\x00" + d[0]).digest()
    return sha256(b"\x01" + mth(d[: k(n)]) + mth(d[k(n) :])).digest()


def path(m: int, d: Sequence[bytes]) -> list[bytes]:
    """Merkle audit path for the (m+1)th entry."""
    n = len(d)
    if n == 1:
        return []
    if m < k(n):
        return [*path(m, d[: k(n)]), mth(d[k(n) :])]
    return [*path(m - k(n), d[k(n) :]), mth(d[: k(n)])]


def proof(m: int, d: Sequence[bytes]) -> list[bytes]:
    """Merkle consistency proof from the first m entries to all of them, 0 < m."""
    return subproof(m, d, True)


def subproof(m: int, d: Sequence[bytes], b: bool) -> list[bytes]:
    n = len(d)
    if m == n:
        return [] if b else [mth(d)]
    if m <= k(n):
        return [*subproof(m, d[: k(n)], b), mth(d[k(n) :])]
    return [*subproof(m - k(n), d[k(n) :], False), mth(d[: k(n)])]


def root_from(m: int, n: int, leaf: bytes, audit: list[bytes]) -> bytes:
    """The root that an audit path leads to, taken apart the way `path` put it together."""
    if n == 1:
        assert not audit
        return leaf
    if m < k(n):
        return sha256(b"\x01" + root_from(m, k(n), leaf, audit[:-1]) + audit[-1]).digest()
    return sha256(b"\x01" + audit[-1] + root_from(m - k(n), n - k(n), leaf, audit[:-1])).digest()
