"""Cookies: who is signed in; which browser somebody was in before; what a passkey is to sign.

All are for us alone: no script reads them (HttpOnly), no other site's page sends them
(SameSite=Strict; but for the one that comes back with somebody from their OpenID provider, which is
Lax), and under TLS no other host can set them (`__Host-`, RFC 6265bis 4.1.3.2).
"""

import hmac
import secrets
from uuid import UUID

from aiohttp import web

from mailer import sessions
from mailer.vault import Vault
from mailer.web import page

SESSION = "staff"
DEVICE = "staff-browser"
CHALLENGE = "staff-challenge"
ERRAND = "staff-errand"
DEVICE_SECONDS = 365 * 86400
CHALLENGE_SECONDS = 300
ERRAND_SECONDS = 600
NONCE_BYTES = 16


def secret(request: web.Request) -> str:
    """Of the session, as the browser shows it; "": it shows none."""
    return request.cookies.get(name(request, SESSION), "")


def remember(request: web.Request, response: web.StreamResponse, session: str) -> None:
    keep(request, response, SESSION, session, sessions.HOURS * 3600)


def forget(request: web.Request, response: web.StreamResponse) -> None:
    keep(request, response, SESSION, "", 0)


def keep(
    request: web.Request,
    response: web.StreamResponse,
    kind: str,
    value: str,
    seconds: int,
    samesite: str = "Strict",
) -> None:
    response.set_cookie(
        name(request, kind), value, max_age=seconds, path="/", secure=secure(request),
        httponly=True, samesite=samesite,
    )  # fmt: skip


def name(request: web.Request, kind: str) -> str:
    return f"__Host-{kind}" if secure(request) else kind


def secure(request: web.Request) -> bool:
    return request.app[page.SETTINGS].base_url.startswith("https:")


def keep_challenge(request: web.Request, response: web.StreamResponse, kept: str) -> None:
    """What a passkey is to sign within minutes (`passkeys.challenge`)."""
    keep(request, response, CHALLENGE, kept, CHALLENGE_SECONDS)


def challenge(request: web.Request) -> str:
    return request.cookies.get(name(request, CHALLENGE), "")


def keep_errand(request: web.Request, response: web.StreamResponse, kept: str) -> None:
    """What somebody is sent to their OpenID provider with (`oidc.Errand`)."""
    keep(request, response, ERRAND, kept, ERRAND_SECONDS, "Lax")


def errand(request: web.Request) -> str:
    return request.cookies.get(name(request, ERRAND), "")


# browsers somebody was in before


def remember_device(request: web.Request, response: web.StreamResponse, staff: UUID) -> None:
    """From now on this browser is one that the account knows, whoever else is kept waiting."""
    nonce = secrets.token_urlsafe(NONCE_BYTES)
    proof = proven(request.app[page.VAULT], staff, nonce)
    keep(request, response, DEVICE, f"{nonce}.{proof}", DEVICE_SECONDS)


def knows(request: web.Request, staff: UUID) -> str | None:
    """What tells this browser from others, if the account was in it before."""
    nonce, _, shown = request.cookies.get(name(request, DEVICE), "").partition(".")
    proof = proven(request.app[page.VAULT], staff, nonce)
    return nonce if hmac.compare_digest(shown.encode(), proof.encode()) else None


def proven(keys: Vault, staff: UUID, nonce: str) -> str:
    return keys.staff(f"browser/{staff}/{nonce}").hex()
