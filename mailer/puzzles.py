"""Puzzles: work that takes a browser a second, and who sends thousands of forms hours (ALTCHA).

A puzzle names a salt and a SHA-256: the number is to be found that, written behind the salt, has
it. Nobody has to read or click anything. The solution is JSON in base64, as ALTCHA's widget
sends it (its version 1); what we posed bears our signature, and a time when it ends. That each
counts once is kept by who takes it.

Mostly a puzzle comes with the form. One that is posed afterwards, to be solved by the page that
thanks, goes there as part of its address.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
from datetime import UTC, datetime, timedelta

from altcha import v1

from mailer.vault import Vault

LIFE = timedelta(hours=2)
"""From the moment when a form is shown until it is sent."""

NUMBERS = 50_000
NUMBERS_IN_FLOODS = 150_000
"""So many are to be tried at most; half of them on average. A phone tries some 30,000 a second."""

CHARACTERS = 1_000
SALT = re.compile(r"[0-9a-f]{24}\?expires=\d{10}&")
EXPIRES = re.compile(r"\d{10}(?=&)")
HEX = re.compile(r"[0-9a-f]{64}")
PARTS = ("salt", "challenge", "signature")


def pose(keys: Vault, numbers: int) -> str:
    """A new puzzle, as JSON."""
    options = v1.ChallengeOptions(
        max_number=numbers, hmac_key=key(keys), expires=datetime.now(UTC) + LIFE
    )
    return json.dumps(v1.create_challenge(options).to_dict())


def named(posed: str) -> bytes:
    """What its solution will be known by."""
    return name(json.loads(posed)["signature"])


def name(signature: str) -> bytes:
    return hashlib.sha256(signature.encode()).digest()


def packed(posed: str) -> str:
    """A puzzle as part of an address."""
    puzzle = json.loads(posed)
    return "~".join(puzzle[part] for part in PARTS)


def unpacked(keys: Vault, text: str) -> str | None:
    """A puzzle of such an address; None: it is none of ours, or too late."""
    salt, challenge, signature = (*text.split("~"), "", "", "")[:3]
    if not (SALT.fullmatch(salt) and HEX.fullmatch(challenge) and HEX.fullmatch(signature)):
        return None
    ours = hmac.new(key(keys), challenge.encode(), hashlib.sha256).hexdigest()
    ends = datetime.fromtimestamp(int(EXPIRES.findall(salt)[0]), UTC)
    if not hmac.compare_digest(ours, signature) or ends < datetime.now(UTC):
        return None
    return json.dumps(
        v1.Challenge("SHA-256", challenge, NUMBERS_IN_FLOODS, salt, signature).to_dict()
    )


def solved(keys: Vault, solution: str) -> bytes | None:
    """What a right solution is known by, 32 bytes; None: it is none, or too late."""
    found = read(solution)
    if found is None:
        return None
    right, _ = v1.verify_solution(found, key(keys))
    return name(found.signature) if right else None


def read(solution: str) -> v1.Payload | None:
    """Whatever was sent, if it has the form of a solution of ours."""
    try:
        said = json.loads(base64.b64decode(solution[:CHARACTERS], validate=True))
        found = v1.Payload(
            "SHA-256", *(said[name] for name in ("challenge", "number", "salt", "signature"))
        )
    except (binascii.Error, ValueError, RecursionError, KeyError, TypeError):
        return None
    if not isinstance(found.number, int) or not 0 <= found.number <= NUMBERS_IN_FLOODS:
        return None
    texts = ((SALT, found.salt), (HEX, found.challenge), (HEX, found.signature))
    whole = all(isinstance(text, str) and form.fullmatch(text) for form, text in texts)
    return found if whole else None


def key(keys: Vault) -> bytes:
    return keys.form("puzzle")
