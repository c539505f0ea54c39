"""Passkeys (W3C WebAuthn): a key in somebody's device or manager that signs a challenge of ours.

It proves two things at once, the device and (by finger, face or PIN) who holds it, and it answers
to our site alone: no password is asked for besides. A challenge is kept nowhere: we recognise our
own by a keyed hash, and a passkey takes only one that was given out after it was last used, so each
works once.
"""

import base64
import binascii
import hmac
import ipaddress
import json
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import webauthn
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from mailer import db, vault
from mailer.db import Connection
from mailer.errors import Conflict, Invalid
from mailer.staff import Account
from mailer.vault import Vault

SQL = db.statements("passkeys")

PLACE = "passkey.name"
CHALLENGE_BYTES = 32
HOLDS = timedelta(minutes=5)


@dataclass(frozen=True)
class Site:
    """Who we are to browsers: the host that a passkey belongs to, and the origin of our pages."""

    host: str
    origin: str


def site(base_url: str) -> Site | None:
    """None: browsers have no passkeys there, for want of a name (an address in numbers) or TLS."""
    url = urlsplit(base_url)
    host = url.hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if url.scheme == "https" or host == "localhost":
            return Site(host, f"{url.scheme}://{url.netloc}")
    return None


@dataclass(frozen=True)
class Passkey:
    """`name`: the browser it was made in, sealed."""

    id: bytes
    staff: UUID
    public_key: bytes
    sign_count: int
    name: bytes
    created_at: datetime
    used_at: datetime | None

    @property
    def spelt(self) -> str:
        """Its id, for a form."""
        return base64.urlsafe_b64encode(self.id).rstrip(b"=").decode()

    def named(self, account: Account, keys: Vault) -> str:
        return vault.unseal(account.subject(keys), PLACE, self.name).decode()


async def of(conn: Connection, staff: UUID) -> list[Passkey]:
    return await db.fetch(conn, Passkey, SQL.of, staff)


async def remove(conn: Connection, staff: UUID, spelt: str) -> bool:
    """False: it is none of theirs."""
    return await conn.fetchval(SQL.remove, staff, decoded(spelt)) is not None


# challenges


async def challenge(conn: Connection, keys: Vault) -> str:
    """A new one, as the browser keeps it until it is answered."""
    now: datetime = await conn.fetchval(SQL.now)
    said = f"{now.isoformat()}~{secrets.token_urlsafe(CHALLENGE_BYTES)}"
    return f"{said}~{keys.staff(f'challenge {said}').hex()}"


async def given_out(conn: Connection, keys: Vault, kept: str) -> tuple[datetime, bytes]:
    """When, and which. Raises Invalid if it is none of ours, or too old."""
    said, _, shown = kept.rpartition("~")
    ours = keys.staff(f"challenge {said}").hex()
    at, _, words = said.partition("~")
    if not hmac.compare_digest(shown.encode(), ours.encode()):
        raise Invalid("That took too long: try again.")
    began = datetime.fromisoformat(at)
    if await conn.fetchval(SQL.now) - began > HOLDS:
        raise Invalid("That took too long: try again.")
    return began, words.encode()


# making one


def wish(at: Site, kept: str, account: Account, email: str, there: list[Passkey]) -> str:
    """What the browser is asked to make, as JSON; not where one of theirs is already."""
    options = webauthn.generate_registration_options(
        rp_id=at.host,
        rp_name=at.host,
        user_id=account.id.bytes,
        user_name=email,
        challenge=kept.split("~")[1].encode(),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(each.id) for each in there],
    )
    return webauthn.options_to_json(options)


async def add(
    conn: Connection,
    keys: Vault,
    at: Site,
    account: Account,
    kept: str,
    made: Any,
    name: str,
) -> None:
    """Keep what the browser made. Raises Invalid or Conflict."""
    _, words = await given_out(conn, keys, kept)
    try:
        verified = webauthn.verify_registration_response(
            credential=json.dumps(made),
            expected_challenge=words,
            expected_rp_id=at.host,
            expected_origin=at.origin,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, TypeError, KeyError):
        raise Invalid("The browser's answer is not what was asked for: try again.") from None
    sealed = vault.seal(account.subject(keys), PLACE, name.encode())
    try:
        await conn.execute(
            SQL.add, verified.credential_id, account.id, verified.credential_public_key,
            verified.sign_count, sealed,
        )  # fmt: skip
    except asyncpg.UniqueViolationError:
        raise Conflict("This passkey is set up already.") from None


# showing one


def question(at: Site, kept: str) -> str:
    """What the browser is asked to sign, as JSON: with whichever passkey there is for us."""
    options = webauthn.generate_authentication_options(
        rp_id=at.host,
        challenge=kept.split("~")[1].encode(),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return webauthn.options_to_json(options)


async def show(conn: Connection, keys: Vault, at: Site, kept: str, answered: Any) -> UUID:
    """Whose passkey it was. Raises Invalid."""
    began, words = await given_out(conn, keys, kept)
    spelt = answered.get("id") if isinstance(answered, dict) else None
    id_ = decoded(spelt) if isinstance(spelt, str) else b""
    found = await db.first(conn, Passkey, SQL.find, id_)
    if found is None:
        raise Invalid("This passkey is not known here.")
    try:
        verified = webauthn.verify_authentication_response(
            credential=json.dumps(answered),
            expected_challenge=words,
            expected_rp_id=at.host,
            expected_origin=at.origin,
            credential_public_key=found.public_key,
            credential_current_sign_count=found.sign_count,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, TypeError, KeyError):
        raise Invalid("The browser's answer is not what was asked for: try again.") from None
    if await conn.fetchval(SQL.use, found.id, verified.new_sign_count, began) is None:
        raise Invalid("That took too long: try again.")
    return found.staff


def decoded(spelt: str) -> bytes:
    """b"" for what is no base64url."""
    try:
        return base64.urlsafe_b64decode(spelt + "=" * (-len(spelt) % 4))
    except (binascii.Error, ValueError):
        return b""
