"""What the log signs and hands out, as text: C2SP signed-note, tlog-checkpoint and tlog-proof."""

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mailer import vault
from mailer.errors import Invalid
from mailer.log.tree import HASH_BYTES
from mailer.vault import Vault

ED25519 = b"\x01"
ID_BYTES = 4
MOST_CHARACTERS = 100_000
PROOF = "c2sp.org/tlog-proof@v1"
NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
NAME = re.compile(r"[^\s+]+")
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


@dataclass(frozen=True)
class Key:
    """What verifies the signatures of a log; `public`: 32 bytes of Ed25519."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        whole = f"{self.name}\n".encode() + ED25519 + self.public
        return hashlib.sha256(whole).digest()[:ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{encoded(ED25519 + self.public)}"


def parse_key(text: str) -> Key:
    """A verifier key as `Key` prints it. Raises Invalid."""
    name, _, rest = text.strip().partition("+")
    id_, _, encoded_ = rest.partition("+")
    data = decoded(encoded_) or b""
    key = Key(name, data[1:])
    good = NAME.fullmatch(name) and data[:1] == ED25519 and len(key.public) == 32
    if not good or key.id.hex() != id_:
        raise Invalid("This is no verifier key: it should be NAME+HASH+KEY, as the log shows it.")
    return key


# notes


def sign(keys: Vault, name: str, text: str) -> str:
    """A note of ours: `text` ends in a newline."""
    key = Key(name, keys.verifier)
    return f"{text}\n— {name} {encoded(key.id + keys.sign(text.encode()))}\n"


def open_note(note: str, key: Key) -> str:
    """The text of a note that the key signed; others may have signed it too.

    Raises Invalid unless it is a note, and the key's signature is there and true.
    """
    text, blank, signatures = note.rpartition("\n\n")
    well = blank and len(note) <= MOST_CHARACTERS and note.endswith("\n")
    if not well or CONTROL.search(note):
        raise Invalid("This is no signed note.")
    text += "\n"
    found = [signature(line, key) for line in signatures[:-1].split("\n")]
    ours = [each for each in found if each is not None]
    if not ours or not all(vault.signed_by(key.public, each, text.encode()) for each in ours):
        raise Invalid("It is not signed by the key of the log.")
    return text


def signature(line: str, key: Key) -> bytes | None:
    """What the key is said to have signed; None: somebody else's signature."""
    dash, _, rest = line.partition(" ")
    name, _, data = rest.partition(" ")
    found = decoded(data)
    if dash != "—" or not NAME.fullmatch(name) or found is None or len(found) <= ID_BYTES:
        raise Invalid("This is no signed note.")
    return found[ID_BYTES:] if (name, found[:ID_BYTES]) == (key.name, key.id) else None


# checkpoints


@dataclass(frozen=True)
class Checkpoint:
    """A tree as it was once signed; `note`: exactly as signed."""

    size: int
    root: bytes
    note: str


def sign_checkpoint(keys: Vault, origin: str, size: int, root: bytes) -> Checkpoint:
    note = sign(keys, origin, f"{origin}\n{size}\n{encoded(root)}\n")
    return Checkpoint(size, root, note)


def open_checkpoint(note: str, key: Key) -> Checkpoint:
    """Raises Invalid unless it is a checkpoint of the log that the key is named after."""
    lines = open_note(note, key)[:-1].split("\n")
    origin, size, root = [*lines, "", ""][:3]
    hash_ = decoded(root) or b""
    well = NUMBER.fullmatch(size) and len(hash_) == HASH_BYTES and all(lines)
    if origin != key.name or not well:
        raise Invalid("It is no checkpoint of this log.")
    return Checkpoint(int(size), hash_, note)


# proofs


@dataclass(frozen=True)
class Proof:
    """That an entry is in the log: a C2SP tlog-proof once it is text."""

    index: int
    path: Sequence[bytes]
    checkpoint: Checkpoint

    def __str__(self) -> str:
        path = "".join(f"{encoded(each)}\n" for each in self.path)
        return f"{PROOF}\nindex {self.index}\n{path}\n{self.checkpoint.note}"


# base64 (RFC 4648, section 4), of which only one spelling is read


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def decoded(text: str) -> bytes | None:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if encoded(data) == text else None
