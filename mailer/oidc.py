"""OpenID Connect: staff sign in with the provider that their organisation has.

The code flow (OpenID Connect Core 1.0, section 3.1) with PKCE (RFC 7636), a state and a nonce. What
the provider says of somebody is believed only if it signed it, for us, in answer to this errand;
and it decides nothing but whose address it is: accounts and roles are ours, and so is the second
factor.
"""

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, urlencode

import aiohttp
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from mailer.config import Oidc
from mailer.errors import Invalid, Unavailable

SECONDS = 10
MOST_BYTES = 256 * 1024
LEEWAY_SECONDS = 60
ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]
"""Never `none`, and none with a secret of ours: a provider signs with a key of its own."""

WORD_BYTES = 32


@dataclass(frozen=True)
class Provider:
    """What it says of itself (OpenID Connect Discovery 1.0)."""

    authorization: str
    token: str
    keys: str


@dataclass(frozen=True)
class Errand:
    """What somebody is sent to the provider with; their browser keeps it until they are back."""

    state: str
    nonce: str
    verifier: str

    @classmethod
    def new(cls) -> "Errand":
        return cls(*(secrets.token_urlsafe(WORD_BYTES) for _ in range(3)))

    @classmethod
    def parse(cls, text: str) -> "Errand | None":
        words = text.split(".")
        return cls(*words) if len(words) == 3 and all(words) else None

    def __str__(self) -> str:
        return f"{self.state}.{self.nonce}.{self.verifier}"


async def discover(oidc: Oidc) -> Provider:
    """Raises Unavailable."""
    where = oidc.issuer.rstrip("/") + "/.well-known/openid-configuration"
    said = await fetched("GET", where)
    try:
        if said["issuer"] != oidc.issuer:
            raise Unavailable("The OpenID provider calls itself something else: see its settings.")
        return Provider(
            str(said["authorization_endpoint"]), str(said["token_endpoint"]), str(said["jwks_uri"])
        )
    except (KeyError, TypeError):
        raise unintelligible() from None


def authorization(oidc: Oidc, at: Provider, errand: Errand, back: str) -> str:
    """Where to send somebody; `back`: our address, as registered there."""
    challenge = hashlib.sha256(errand.verifier.encode()).digest()
    query = {
        "response_type": "code",
        "client_id": oidc.client_id,
        "redirect_uri": back,
        "scope": "openid email",
        "state": errand.state,
        "nonce": errand.nonce,
        "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    return at.authorization + ("&" if "?" in at.authorization else "?") + urlencode(query)


async def address(
    oidc: Oidc, at: Provider, errand: Errand, back: str, *, state: str, code: str
) -> str:
    """Whose address the provider says they have, verified. Raises Invalid or Unavailable."""
    if not hmac.compare_digest(state.encode(), errand.state.encode()):
        raise Invalid("This sign-in was not begun in this browser: begin again.")
    answered = await fetched(
        "POST",
        at.token,
        data={
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": back,
            "code_verifier": errand.verifier,
        },
        headers={"Authorization": basic(oidc)},
    )
    keys = await fetched("GET", at.keys)
    claims = verified(oidc, errand, answered, keys)
    email = claims.get("email")
    if claims.get("email_verified") is not True or not isinstance(email, str):
        raise Invalid("Your provider names no address that it has verified.")
    return email


def basic(oidc: Oidc) -> str:
    """Each part encoded by itself (RFC 6749, section 2.3.1)."""
    return aiohttp.encode_basic_auth(quote_plus(oidc.client_id), quote_plus(oidc.client_secret))


def verified(oidc: Oidc, errand: Errand, answered: Any, keys: Any) -> dict[str, Any]:
    """The claims of the ID token (section 3.1.3.7). Raises Invalid."""
    wanted = jwt.JWTClaimsRegistry(
        leeway=LEEWAY_SECONDS,
        iss={"essential": True, "value": oidc.issuer},
        aud={"essential": True, "value": oidc.client_id},
        exp={"essential": True},
        iat={"essential": True},
        sub={"essential": True},
        nonce={"essential": True, "value": errand.nonce},
    )
    try:
        token = jwt.decode(answered["id_token"], KeySet.import_key_set(keys), algorithms=ALGORITHMS)
        wanted.validate(token.claims)
    except (JoseError, KeyError, TypeError, ValueError):
        raise Invalid("What your provider says can't be believed: begin again.") from None
    if isinstance(token.claims["aud"], list) and token.claims.get("azp") != oidc.client_id:
        raise Invalid("What your provider says can't be believed: begin again.")
    return token.claims


async def fetched(method: str, url: str, **more: Any) -> Any:
    """The JSON that is there. Raises Unavailable, or Invalid if it refuses what we ask."""
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, url, allow_redirects=False, **more) as answer,
        ):
            if answer.status in (400, 401):
                raise Invalid("Your provider did not let you in: begin again.")
            answer.raise_for_status()
            body = await answer.content.read(MOST_BYTES)
            return json.loads(body)
    except (aiohttp.ClientError, TimeoutError, ValueError):
        raise unintelligible() from None


def unintelligible() -> Unavailable:
    return Unavailable("Your provider does not answer as it should: try again in a minute.")
