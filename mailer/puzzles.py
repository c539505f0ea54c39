"""Puzzles: work that takes a browser a second, and who sends thousands of forms hours (ALTCHA).

A puzzle names a salt and a SHA-256: the number is to be found that, written behind the salt, has
it. Nobody has to read or click anything. The solution is JSON in base64, as ALTCHA's widget
sends it (its version 1); what we posed bears our signature, and a time when it ends. That each
counts once is kept by who takes it.
"""

import base64
import binascii
import hashlib
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
HEX = re.compile(r"[0-9a-f]{64}")


def pose(keys: Vault, numbers: int) -> str:
    """A new puzzle, as JSON."""
    options = v1.ChallengeOptions(
        max_number=numbers, hmac_key=key(keys), expires=datetime.now(UTC) + LIFE
    )
    return json.dumps(v1.create_challenge(options).to_dict())


def solved(keys: Vault, solution: str) -> bytes | None:
    """What a right solution is known by, 32 bytes; None: it is none, or too late."""
    found = read(solution)
    if found is None:
        return None
    right, _ = v1.verify_solution(found, key(keys))
    return hashlib.sha256(found.signature.encode()).digest() if right else None


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
