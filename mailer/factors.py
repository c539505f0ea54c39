"""Second factors: codes of an app (TOTP, RFC 6238) and the recovery codes for when it is lost.

The app's secret is sealed under its owner's key. Each code is taken once: the latest one's step of
time is kept. Recovery codes are kept as keyed hashes and removed when used.
"""

import hmac
import io
import secrets
from uuid import UUID

import pyotp
import segno

from mailer import db, vault
from mailer.db import Connection
from mailer.errors import Invalid
from mailer.staff import Account
from mailer.vault import Vault

SQL = db.statements("factors")

PLACE = "staff.totp"
ISSUER = "mailer"
STEP_SECONDS = 30
DRIFT_STEPS = 1
"""A clock may be half a minute off."""

CODES = 10
CODE_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without those that look alike; ten of them are 49 bits, and they can't be tried at leisure."""


def new_secret() -> str:
    """160 random bits in base32."""
    return pyotp.random_base32()


def uri(secret: str, email: str, host: str) -> str:
    """What the app reads: otpauth://totp/…"""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=f"{ISSUER} {host}")


def qr(text: str) -> str:
    """A QR code as SVG, to stand in a page."""
    drawn = io.BytesIO()
    segno.make(text, error="m").save(
        drawn, kind="svg", xmldecl=False, svgns=False, scale=5, border=4, dark="#000", light="#fff",
        omitsize=True,
    )  # fmt: skip
    return drawn.getvalue().decode()


async def set_totp(conn: Connection, keys: Vault, account: Account, secret: str, code: str) -> None:
    """The app is set up once it has shown a right code. Raises Invalid."""
    step = await shown_step(conn, secret, code) if well_formed(secret) else None
    if step is None:
        raise Invalid(
            "This is not the code that the app shows now: try the next one.", field="code"
        )
    sealed = vault.seal(account.subject(keys), PLACE, secret.encode())
    await conn.execute(SQL.set_totp, account.id, sealed, step)


async def take_totp(conn: Connection, keys: Vault, account: Account, code: str) -> bool:
    """Whether it is the app's code, and was not taken before."""
    if account.totp is None:
        return False
    secret = vault.unseal(account.subject(keys), PLACE, account.totp).decode()
    step = await shown_step(conn, secret, code)
    return step is not None and await conn.fetchval(SQL.take_step, account.id, step) is not None


async def shown_step(conn: Connection, secret: str, code: str) -> int | None:
    """The step of time at which an app with this secret shows the code, if that is about now."""
    given = code.replace(" ", "")
    now: int = await conn.fetchval(SQL.step, STEP_SECONDS)
    for step in range(now - DRIFT_STEPS, now + DRIFT_STEPS + 1):
        if hmac.compare_digest(pyotp.HOTP(secret).at(step).encode(), given.encode()):
            return step
    return None


def well_formed(secret: str) -> bool:
    return len(secret) == 32 and set(secret) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")


# recovery codes


async def new_codes(conn: Connection, keys: Vault, staff: UUID) -> list[str]:
    """Fresh ones, shown this once; those there were are worth nothing."""
    codes = [spelt("".join(secrets.choice(CODE_LETTERS) for _ in range(10))) for _ in range(CODES)]
    await conn.execute(SQL.replace_codes, staff, [hashed(keys, staff, code) for code in codes])
    return codes


async def take_code(conn: Connection, keys: Vault, staff: UUID, code: str) -> bool:
    """Whether it is one of theirs; it is used up."""
    return await conn.fetchval(SQL.take_code, staff, hashed(keys, staff, code)) is not None


async def codes_left(conn: Connection, staff: UUID) -> int:
    left: int = await conn.fetchval(SQL.codes_left, staff)
    return left


def spelt(code: str) -> str:
    return f"{code[:5]}-{code[5:]}"


def hashed(keys: Vault, staff: UUID, code: str) -> bytes:
    """With a key, as fifty bits could be found from a plain hash."""
    plain = code.lower().replace("-", "").replace(" ", "")
    return keys.staff(f"recovery/{staff}/{plain}")


async def reset(conn: Connection, staff: UUID) -> None:
    """They have no second factor any more, and set up another when they next come."""
    await conn.execute(SQL.reset, staff)
