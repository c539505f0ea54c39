"""Keys and ciphertexts: all cryptography that keeps a person's data from a thief of the database.

MAILER_SECRET_KEY --HKDF--> wrapping key --wraps--> a key per subject (DEK), and the house's own
keys (index, suppression, network …; one signs the consent log). A DEK seals the subject's personal
values and makes the proofs in the links mailed to them. Formats, byte by byte:

    wrapped   key id (4) | nonce (12) | AES-256-GCM of the 32-byte key, with tag (48)
    sealed    0x01 | nonce (12) | AES-256-GCM of the padded value, with tag
    padded    length (4, big endian) | value | zeros, to a multiple of 64 bytes
"""

import base64
import binascii
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mailer.errors import Misconfigured
from mailer.tokens import PROOF_BYTES, Purpose

HOUSE = UUID(int=0)
"""The subject of events that are about nobody: exports, notices, keys."""

KEY_BYTES = 32
NONCE_BYTES = 12
BLOCK_BYTES = 64
SEALED_VERSION = b"\x01"
PAD_BYTES = 64
INNER = bytes(byte ^ 0x36 for byte in range(256))
OUTER = bytes(byte ^ 0x5C for byte in range(256))
"""The pads of HMAC, for each byte of a key."""

NAMES = ("index", "suppression", "network", "form", "log", "bounce", "staff")


@dataclass(frozen=True)
class Subject:
    """Somebody, and the key that opens what is sealed about them."""

    id: UUID
    dek: bytes = field(repr=False)


class Vault:
    """The keys in memory. `masters`: those in MAILER_SECRET_KEY, the newest first.

    The newest wraps until `wrap_with` names another: a database that was written with an older one
    stays with it until `mailer keys rotate`, so that processes that don't know the newest yet can
    open everything.
    """

    def __init__(self, masters: Sequence[bytes]) -> None:
        self._wrapping = {key_id(m): AESGCM(derive(m, "wrapping")) for m in masters}
        self.newest = self.wraps = key_id(masters[0])
        self._keys: dict[str, bytes] = {}
        self._macs: dict[str, Mac] = {}

    @property
    def holds(self) -> list[bytes]:
        """The names of all keys it can open with."""
        return list(self._wrapping)

    def wrap_with(self, name: bytes) -> None:
        """Wrap with that key from now on. Raises Misconfigured if MAILER_SECRET_KEY lacks it."""
        self._cipher(name)
        self.wraps = name

    # subjects

    def new_subject(self, subject: UUID) -> Subject:
        return Subject(subject, secrets.token_bytes(KEY_BYTES))

    def wrap(self, subject: Subject) -> bytes:
        return self._wrap(subject.dek, subject.id.bytes)

    def unwrap(self, subject: UUID, wrapped: bytes) -> Subject:
        """Raises Misconfigured if it was wrapped by a key that MAILER_SECRET_KEY does not hold."""
        return Subject(subject, self._unwrap(wrapped, subject.bytes))

    # the house's own keys

    def new_key(self, name: str) -> bytes:
        """A fresh key for `name`, wrapped."""
        return self._wrap(secrets.token_bytes(KEY_BYTES), name.encode())

    def take_key(self, name: str, wrapped: bytes) -> None:
        self._keys[name] = self._unwrap(wrapped, name.encode())
        self._macs[name] = Mac(self._keys[name])

    def rewrap_key(self, name: str, wrapped: bytes) -> bytes:
        return self._wrap(self._unwrap(wrapped, name.encode()), name.encode())

    def _wrap(self, key: bytes, owner: bytes) -> bytes:
        nonce = secrets.token_bytes(NONCE_BYTES)
        return self.wraps + nonce + self._wrapping[self.wraps].encrypt(nonce, key, owner)

    def _unwrap(self, wrapped: bytes, owner: bytes) -> bytes:
        name, nonce, data = wrapped[:4], wrapped[4 : 4 + NONCE_BYTES], wrapped[4 + NONCE_BYTES :]
        return self._cipher(name).decrypt(nonce, data, owner)

    def _cipher(self, name: bytes) -> AESGCM:
        cipher = self._wrapping.get(name)
        if cipher is None:
            raise Misconfigured(
                "MAILER_SECRET_KEY is not the key this database was written with: "
                "set the key that was used before (a new one first, the old one after a space)."
            )
        return cipher

    # the consent log (Ed25519, RFC 8032)

    def sign(self, message: bytes) -> bytes:
        """64 bytes that only the holder of the log's key can make."""
        return self._log.sign(message)

    @property
    def verifier(self) -> bytes:
        """The 32 bytes by which anybody can tell that the log's key signed something."""
        return self._log.public_key().public_bytes_raw()

    @property
    def _log(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self._keys["log"])

    # blind indexes

    def lookup(self, normal: str) -> bytes:
        """What finds a person by a normal address (`address.Address.normal`): 32 bytes."""
        return self._digest("index", normal)

    def suppression(self, normal: str) -> bytes:
        return self._digest("suppression", normal)

    def network(self, prefix: str) -> bytes:
        """What counts requests of a network without keeping which: 32 bytes."""
        return self._digest("network", prefix)

    def bounce(self, text: str) -> bytes:
        """What tells whether a report was told before: 32 bytes."""
        return self._digest("bounce", text)

    def form(self, text: str) -> bytes:
        return self._digest("form", text)

    def staff(self, text: str) -> bytes:
        """What only we can have made, for one of the staff: 32 bytes."""
        return self._digest("staff", text)

    def _digest(self, name: str, text: str) -> bytes:
        return self._macs[name].digest(text.encode())


def signed_by(verifier: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the holder of the key behind `verifier` signed the message."""
    try:
        Ed25519PublicKey.from_public_bytes(verifier).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


class Mac:
    """HMAC-SHA-256 (RFC 2104) under one key of at most 64 bytes, whose pads are hashed but once.

    For where it is asked four times a mail, a million times: `hmac` begins anew each time.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        block = key.ljust(PAD_BYTES, b"\0")
        self._inner = hashlib.sha256(block.translate(INNER))
        self._outer = hashlib.sha256(block.translate(OUTER))

    def digest(self, text: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text)
        outer.update(inner.digest())
        return outer.digest()


# values of a subject


def seal(subject: Subject, place: str, value: bytes) -> bytes:
    """Encrypt `value` for `place` ("table.column"); it opens nowhere else and for nobody else."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    data = AESGCM(subject.dek).encrypt(nonce, pad(value), associated(subject, place))
    return SEALED_VERSION + nonce + data


def unseal(subject: Subject, place: str, sealed: bytes) -> bytes:
    """Raises cryptography's InvalidTag if it was changed, moved or sealed for somebody else."""
    nonce, data = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    if sealed[:1] != SEALED_VERSION or len(nonce) < NONCE_BYTES:
        raise InvalidTag
    return unpad(AESGCM(subject.dek).decrypt(nonce, data, associated(subject, place)))


def proof(subject: Subject, purpose: Purpose, row: str) -> bytes:
    """The proof in a token for one purpose and one row: 16 bytes, made from the subject's key."""
    return proven(Mac(subject.dek), purpose, row)


def proven(mac: "Mac", purpose: Purpose, row: str) -> bytes:
    """`proof`, where a subject's `mac` is at hand for several."""
    return mac.digest(f"mailer/token/{purpose}/{row}".encode())[:PROOF_BYTES]


def salt(subject: Subject, event: UUID) -> bytes:
    """The 32-byte salt of an event's commitment; gone with the subject's key."""
    return HKDF(hashes.SHA256(), 32, event.bytes, b"mailer/consent-event/salt").derive(subject.dek)


def associated(subject: Subject, place: str) -> bytes:
    return f"{place}\n{subject.id}".encode()


def pad(value: bytes) -> bytes:
    """Hide the length of short values: addresses all look alike."""
    framed = len(value).to_bytes(4, "big") + value
    return framed + bytes(-len(framed) % BLOCK_BYTES)


def unpad(framed: bytes) -> bytes:
    return framed[4 : 4 + int.from_bytes(framed[:4], "big")]


# wrapping


def derive(master: bytes, label: str) -> bytes:
    """One key a purpose from MAILER_SECRET_KEY (HKDF-SHA-256, RFC 5869)."""
    return HKDF(hashes.SHA256(), KEY_BYTES, None, f"mailer/{label}/v1".encode()).derive(master)


def key_id(master: bytes) -> bytes:
    """Four bytes that name a key without saying anything of it."""
    return derive(master, "key-id")[:4]


def masters(setting: str) -> list[bytes]:
    """The keys in MAILER_SECRET_KEY: one or more, base64 or hex of at least 32 bytes each."""
    return [master(text) for text in setting.split()]


def master(text: str) -> bytes:
    for decode in (binascii.unhexlify, decode_base64):
        try:
            key = decode(text)
        except (binascii.Error, ValueError):
            continue
        if len(key) >= KEY_BYTES:
            return key
    raise Misconfigured(
        "MAILER_SECRET_KEY must be 32 random bytes or more in base64 or hexadecimal; "
        "make one with: openssl rand -base64 32"
    )


def decode_base64(text: str) -> bytes:
    standard = text.replace("-", "+").replace("_", "/").rstrip("=")
    return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)


def new_master() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
