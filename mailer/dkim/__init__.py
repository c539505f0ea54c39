"""DKIM signatures (RFC 6376, 8301, 8463): relaxed header, simple body, over bytes of our own.

`signed` prepares a mould once: the canonical form of its header fields, with their slots, and the
hash of its body up to the first slot. A reader then costs the hash of the rest and a signature.
MAILER_DKIM_KEY holds one key or two (RSA and Ed25519), MAILER_DKIM_SELECTOR as many names.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parseaddr
from typing import Literal, NamedTuple, TypeAlias
from uuid import UUID

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from mailer import address
from mailer.config import Settings
from mailer.errors import Misconfigured
from mailer.mime import LINE, Mould, Part, fold
from mailer.tokens import Purpose

Key: TypeAlias = RSAPrivateKey | Ed25519PrivateKey
KeyType: TypeAlias = Literal["rsa", "ed25519"]

RSA_BITS = 2048
STRING = 255
"""Octets of one string of a TXT record (RFC 1035, 3.3)."""

SIGNED = (
    "from",
    "subject",
    "date",
    "to",
    "message-id",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "list-id",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "list-help",
    "feedback-id",
    "auto-submitted",
)
OVERSIGNED = ("from", "subject", "date", "list-unsubscribe")
"""Named once more than they occur: whoever adds another breaks the signature."""

PEM = re.compile(r"-----BEGIN [A-Z ]+-----(.*?)-----END [A-Z ]+-----", re.DOTALL)
LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?")
SLOT = b"\0"
"""Around the name of a slot while a mould is taken apart: no mail holds it."""


@dataclass(frozen=True)
class Signer:
    """A key, and where its public half is published: `selector`._domainkey.`domain`."""

    domain: str
    selector: str
    key: Key = field(repr=False)

    @property
    def algorithm(self) -> str:
        return "rsa-sha256" if isinstance(self.key, RSAPrivateKey) else "ed25519-sha256"

    @property
    def name(self) -> str:
        return f"{self.selector}._domainkey.{self.domain}"

    def sign(self, data: bytes) -> str:
        """In base64."""
        return self.sign_hash(hashlib.sha256(data).digest())

    def sign_hash(self, hashed: bytes) -> str:
        """Of data by its SHA-256; Ed25519 signs no more than that (RFC 8463, 3)."""
        if isinstance(self.key, RSAPrivateKey):
            raw = self.key.sign(hashed, PKCS1v15(), Prehashed(SHA256()))
        else:
            raw = self.key.sign(hashed)
        return base64.b64encode(raw).decode()

    def record(self) -> str:
        """What the TXT record says (RFC 6376, 3.6.1)."""
        public = self.key.public_key()
        if isinstance(self.key, RSAPrivateKey):
            raw = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            return f"v=DKIM1; k=rsa; p={base64.b64encode(raw).decode()}"
        raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        return f"v=DKIM1; k=ed25519; p={base64.b64encode(raw).decode()}"


# keys


def make(kind: KeyType) -> Key:
    if kind == "rsa":
        return generate_private_key(65537, RSA_BITS)
    return Ed25519PrivateKey.generate()


def written(key: Key) -> str:
    """A key in one line, as the setting takes it: PKCS #8 in base64."""
    raw = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return base64.b64encode(raw).decode()


def strings(record: str) -> list[str]:
    """A TXT record in strings of at most 255 octets."""
    return [record[at : at + STRING] for at in range(0, len(record), STRING)]


def signers(settings: Settings) -> tuple[Signer, ...]:
    """One for each key; none if no key is set. Raises Misconfigured, naming the setting."""
    if settings.dkim_key is None:
        return ()
    keys = [read(text) for text in apart(settings.dkim_key)]
    kinds = {type(key) for key in keys}
    if not keys or len(kinds) < len(keys):
        raise malformed()
    selectors = (settings.dkim_selector or "").split()
    if len(selectors) != len(keys) or not all(map(named, selectors)):
        raise Misconfigured(
            "MAILER_DKIM_SELECTOR must name {count}, separated by spaces: one for each key of "
            "MAILER_DKIM_KEY, in its order.",
            count="one selector" if len(keys) == 1 else f"{len(keys)} selectors",
        )
    domain = signing_domain(settings)
    return tuple(
        Signer(domain, selector, key) for selector, key in zip(selectors, keys, strict=True)
    )


def signing_domain(settings: Settings) -> str:
    """MAILER_DKIM_DOMAIN, else that of MAILER_FROM. Raises Misconfigured."""
    domain = settings.dkim_domain or sent_from(settings)
    if domain is None or not named(domain):
        raise Misconfigured(
            "MAILER_DKIM_DOMAIN must be the domain that signs, that of MAILER_FROM or one above "
            "it, such as example.org (xn--… if it is international)."
        )
    return domain.lower()


def sent_from(settings: Settings) -> str | None:
    given = parseaddr(settings.sender or "")[1]
    return address.wire(given).rpartition("@")[2] if given else None


def aligned(settings: Settings, domain: str) -> bool:
    """Whether DMARC takes the signature for one of the sender's (RFC 7489, 3.1.1)."""
    sender = (sent_from(settings) or domain).lower()
    return sender == domain or sender.endswith(f".{domain}")


def named(name: str) -> bool:
    return bool(name) and all(LABEL.fullmatch(label) for label in name.split("."))


def apart(text: str) -> list[str]:
    """Keys in PEM, one after the other, or each as one word of base64."""
    if "-----BEGIN" in text:
        return PEM.findall(text.replace("\\n", "\n"))
    return text.split()


def read(text: str) -> Key:
    try:
        raw = base64.b64decode("".join(text.split()), validate=True)
        key = load_der_private_key(raw, None)
    except (binascii.Error, ValueError, TypeError, UnsupportedAlgorithm):
        raise malformed() from None
    if isinstance(key, RSAPrivateKey) and key.key_size >= RSA_BITS:
        return key
    if isinstance(key, Ed25519PrivateKey):
        return key
    raise malformed()


def malformed() -> Misconfigured:
    return Misconfigured(
        "MAILER_DKIM_KEY must be a private key, RSA of {bits} bits or more or Ed25519, or one of "
        "each: PEM without a passphrase, or as `mailer dkim key` prints it.",
        bits=RSA_BITS,
    )


# signing


def signed(mould: Mould, signers: Sequence[Signer]) -> "Mould | Signed":
    """The mould as it is if nobody signs."""
    return Signed(mould, signers) if signers else mould


class Signed:
    """A mould whose mails are signed; to be used as one."""

    def __init__(self, mould: Mould, signers: Sequence[Signer]) -> None:
        self.mould = mould
        head, _, body = marked(mould.parts).partition(b"\r\n\r\n")
        canonical, names = relaxed(head)
        self.head = unmarked(head + b"\r\n\r\n")
        self.fields = unmarked(canonical)
        first, *self.rest = unmarked(simple(body))
        assert isinstance(first, bytes)
        self.first = first
        self.hashed = hashlib.sha256(first)
        self.signers = [(signer, Header(signer, names)) for signer in signers]

    @property
    def sha256(self) -> bytes:
        return self.mould.sha256

    def message_id(self, message: UUID) -> str:
        return self.mould.message_id(message)

    def cast(self, to: str, message: UUID, filling: Mapping[Purpose, str], date: datetime) -> bytes:
        """As `Mould.cast`. Nearly all of the time goes to the signatures: see `signing`."""
        unsigned = self.unsigned(to, message, filling, date)
        asked = zip(self.signers, unsigned.hashes, strict=True)
        return unsigned.sealed([signer.sign_hash(hashed) for (signer, _), hashed in asked])

    def unsigned(
        self, to: str, message: UUID, filling: Mapping[Purpose, str], date: datetime
    ) -> "Unsigned":
        """The mail to one reader, up to its signatures."""
        filled = self.mould.fill(to, message, filling, date)
        rest = filled.join(self.rest)
        hashed = self.hashed.copy()
        hashed.update(rest)
        digest = base64.b64encode(hashed.digest()).decode()
        fields = filled.join(self.fields)
        return Unsigned(
            [header for _, header in self.signers],
            digest,
            [header.hash(fields, digest) for _, header in self.signers],
            (filled.join(self.head), self.first, rest),
        )


class Unsigned(NamedTuple):
    """A mail that lacks its signatures. `digest`: of its body, in base64; `hashes`: what each key
    is to sign."""

    headers: "Sequence[Header]"
    digest: str
    hashes: Sequence[bytes]
    parts: Sequence[bytes]

    def sealed(self, signatures: Sequence[str]) -> bytes:
        """With a signature of each key, in base64."""
        seals = zip(self.headers, signatures, strict=True)
        return b"".join((*(h.seal(self.digest, said) for h, said in seals), *self.parts))


class Header:
    """The DKIM-Signature of one key, up to the body's hash."""

    def __init__(self, signer: Signer, names: Sequence[str]) -> None:
        said = f"v=1; a={signer.algorithm}; c=relaxed/simple; d={signer.domain}; "
        listed = ":".join(names).replace(":", ": ")
        words = f"{said}s={signer.selector}; h={listed}; bh=".split(" ")
        self.written = "DKIM-Signature: " + fold(words[:-1], len("DKIM-Signature: "))
        self.canonical = "dkim-signature:" + " ".join(words)

    def hash(self, fields: bytes, digest: str) -> bytes:
        """Of what is signed. `fields`: the canonical ones; `digest`: of the body, in base64."""
        return hashlib.sha256(fields + f"{self.canonical}{digest}; b=".encode()).digest()

    def seal(self, digest: str, signature: str) -> bytes:
        rows = [signature[at : at + LINE - 4] for at in range(0, len(signature), LINE - 4)]
        said = "\r\n ".join((self.written, f"bh={digest};", f"b={rows[0]}", *rows[1:]))
        return f"{said}\r\n".encode()


def relaxed(head: bytes) -> tuple[bytes, list[str]]:
    """The fields to sign in canonical form (RFC 6376, 3.4.2), and their names for h=."""
    found: dict[str, bytes] = {}
    for line in re.split(rb"\r\n(?![ \t])", head):
        name, _, value = line.partition(b":")
        flat = b" ".join(value.replace(b"\r\n", b"").replace(b"\t", b" ").split(b" "))
        tidy = re.sub(rb" +", b" ", flat).strip(b" ")
        found[name.decode().lower()] = name.lower() + b":" + tidy + b"\r\n"
    named = [name for name in SIGNED if name in found or name in OVERSIGNED]
    names = [n for n in named for _ in range((n in found) + (n in OVERSIGNED))]
    return b"".join(found.get(name, b"") for name in named), names


def simple(body: bytes) -> bytes:
    """RFC 6376, 3.4.3: one line break at the end."""
    while body.endswith(b"\r\n"):
        body = body.removesuffix(b"\r\n")
    return body + b"\r\n"


def marked(parts: Sequence[Part]) -> bytes:
    return b"".join(p if isinstance(p, bytes) else SLOT + p.encode() + SLOT for p in parts)


def unmarked(marked: bytes) -> list[Part]:
    pieces = marked.split(SLOT)
    return [piece.decode() if at % 2 else piece for at, piece in enumerate(pieces)]
