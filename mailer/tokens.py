"""Tokens: what a link carries to show that its bearer may act, as text of a fixed length.

A token is a random handle, by which the row is found, and a proof, which only the holder of the
subject's key could have made (`vault.proof`). The database holds the handle alone, so a stolen
copy of it opens no link.
"""

import base64
import binascii
import hmac
import re
import secrets
from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

Purpose = Literal["confirm", "refuse", "leave", "manage", "address", "bounce", "renew", "desk"]

PROOF_BYTES = 16
LENGTH = 27
"""Characters of every token: 20 bytes in unpadded base64url (RFC 4648 section 5)."""

PATTERN = re.compile(r"[A-Za-z0-9_-]{27}")

SLOTS: Mapping[Purpose, str] = {
    purpose: f"-SLOT-{purpose.upper()}-".ljust(LENGTH, "_") for purpose in get_args(Purpose)
}
"""What stands in the text of a mail in place of a reader's token: as long, and never a true one
(its last character has spare bits set). `letters` keeps it out of words that aren't ours."""


class Token(NamedTuple):
    """`handle`: a signed 32-bit integer; `proof`: 16 bytes."""

    handle: int
    proof: bytes

    def proven_by(self, proof: bytes) -> bool:
        """In a time that says nothing of where they differ."""
        return hmac.compare_digest(self.proof, proof)

    def __str__(self) -> str:
        raw = self.handle.to_bytes(4, "big", signed=True) + self.proof
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def new_handle() -> int:
    return int.from_bytes(secrets.token_bytes(4), "big", signed=True)


def parse(text: str) -> Token | None:
    """The token that `text` spells, or None; nothing is said of whether it is a true one."""
    if not PATTERN.fullmatch(text):
        return None
    try:
        raw = base64.urlsafe_b64decode(text + "=")
    except binascii.Error:
        return None
    token = Token(int.from_bytes(raw[:4], "big", signed=True), raw[4:])
    # The last character has spare bits: only one spelling of a token is a token.
    return token if str(token) == text else None
