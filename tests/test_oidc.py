"""OpenID Connect: a small real provider, what it may say, and who comes in by it."""

import base64
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlsplit

import pytest
from aiohttp import encode_basic_auth, web
from aiohttp.test_utils import TestServer
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from mailer import config, staff
from mailer.config import Oidc, Source
from mailer.db import Connection, Pool
from mailer.errors import Misconfigured
from mailer.oidc import Errand
from mailer.vault import Vault
from tests import desk
from tests.desk import Member, Seat

KEY, OTHER = (RSAKey.generate_key(2048, parameters={"kid": kid}) for kid in ("one", "two"))
CLIENT, SECRET = "mailer", "between the two of us"
Claims = dict[str, Any]


@dataclass
class Provider:
    """It lets everybody in, and says of them what a test wants; `twist` changes the claims."""

    email: str = ""
    twist: Callable[[Claims], Claims] = lambda claims: claims
    key: RSAKey = field(default_factory=lambda: KEY)
    issuer: str = ""
    given: dict[str, dict[str, str]] = field(default_factory=dict)

    def app(self) -> web.Application:
        made = web.Application()
        made.add_routes(
            [
                web.get("/.well-known/openid-configuration", self.discovery),
                web.get("/authorize", self.authorize),
                web.post("/token", self.token),
                web.get("/keys", self.keys),
            ]
        )
        return made

    async def discovery(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
            }
        )

    async def authorize(self, request: web.Request) -> web.Response:
        asked = dict(request.query)
        assert asked["response_type"] == "code"
        assert asked["scope"] == "openid email"
        self.given["a-code"] = asked
        where = f"{asked['redirect_uri']}?code=a-code&state={asked['state']}"
        return web.Response(status=302, headers={"Location": where})

    async def token(self, request: web.Request) -> web.Response:
        sent = await request.post()
        asked = self.given.pop(str(sent["code"]), None)
        known = request.headers["Authorization"] == encode_basic_auth(CLIENT, quote_plus(SECRET))
        digest = hashlib.sha256(str(sent["code_verifier"]).encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if not asked or not known or asked["code_challenge"] != challenge:
            return web.json_response({"error": "invalid_grant"}, status=400)
        now = int(time.time())
        claims: Claims = {
            "iss": self.issuer, "aud": CLIENT, "sub": "17", "iat": now, "exp": now + 300,
            "nonce": asked["nonce"], "email": self.email, "email_verified": True,
        }  # fmt: skip
        header = {"alg": "RS256", "kid": self.key.kid or ""}
        return web.json_response({"id_token": jwt.encode(header, self.twist(claims), self.key)})

    async def keys(self, request: web.Request) -> web.Response:
        return web.json_response(KeySet([KEY]).as_dict(private=False))


@dataclass(frozen=True)
class Here:
    provider: Provider
    seat: Seat

    async def there(self) -> str:
        """By way of the provider; where it sends the browser, of our addresses."""
        begun = await self.seat.get("/staff/organisation")
        assert begun.status == 303
        assert begun.cookies["staff-errand"]["samesite"] == "Lax"
        asked = {k: v[0] for k, v in parse_qs(urlsplit(begun.headers["Location"]).query).items()}
        self.provider.given["a-code"] = asked
        return f"/staff/organisation/back?code=a-code&state={asked['state']}"


@pytest.fixture
async def here(pool: Pool, vault: Vault, conn: Connection) -> AsyncIterator[Here]:
    provider = Provider()
    server = TestServer(provider.app())
    await server.start_server()
    provider.issuer = str(server.make_url("")).rstrip("/")
    who = await desk.member(conn, vault, "viewer")
    provider.email = who.email.upper()
    told = {
        "MAILER_OIDC_ISSUER": provider.issuer,
        "MAILER_OIDC_CLIENT_ID": CLIENT,
        "MAILER_OIDC_CLIENT_SECRET": SECRET,
    }
    async with desk.seat(pool, vault, who, **told) as seat:
        yield Here(provider, seat)
    await server.close()


async def test_whose_address_the_provider_has_verified_is_in(here: Here) -> None:
    assert "/staff/organisation" in await (await here.seat.get("/staff/sign-in")).text()
    answer = await here.seat.get(await here.there())
    assert (answer.status, answer.headers["Location"]) == (303, "/staff")
    assert (await here.seat.get("/staff")).status == 200


async def test_the_second_factor_is_still_asked_for(
    here: Here, conn: Connection, vault: Vault
) -> None:
    owner = await desk.member(conn, vault, "owner")
    here.provider.email = owner.email
    answer = await here.seat.get(await here.there())
    assert answer.headers["Location"] == "/staff/code"


@pytest.mark.parametrize(
    "twist",
    [
        lambda c: {**c, "nonce": "another"},
        lambda c: {**c, "aud": "another"},
        lambda c: {**c, "aud": [CLIENT, "another"]},
        lambda c: {**c, "iss": "https://login.example.org"},
        lambda c: {**c, "exp": c["iat"] - 600},
        lambda c: {**c, "email_verified": False},
        lambda c: {**c, "email_verified": "true"},
        lambda c: {k: v for k, v in c.items() if k != "email_verified"},
        lambda c: {k: v for k, v in c.items() if k != "nonce"},
        lambda c: {**c, "email": "nobody@example.org"},
        lambda c: {**c, "email": None},
    ],
    ids=[
        "another nonce", "for another", "for another too", "of another", "too old", "not verified",
        "verified in words", "nothing of verified", "no nonce", "nobody", "no address",
    ],
)  # fmt: skip
async def test_what_does_not_prove_it_lets_nobody_in(
    here: Here, twist: Callable[[Claims], Claims]
) -> None:
    here.provider.twist = twist
    assert (await here.seat.get(await here.there())).status == 422
    assert (await here.seat.get("/staff")).status == 303


async def test_what_another_key_signed_lets_nobody_in(here: Here) -> None:
    here.provider.key = OTHER
    assert (await here.seat.get(await here.there())).status == 422


async def test_a_way_back_that_began_elsewhere_lets_nobody_in(here: Here) -> None:
    path = await here.there()
    assert (await here.seat.get(path.replace("state=", "state=x"))).status == 422
    here.seat.client.session.cookie_jar.clear()
    assert (await here.seat.get(path)).status == 422


async def test_a_code_is_used_once(here: Here) -> None:
    path = await here.there()
    assert (await here.seat.get(path)).status == 303
    assert (await here.seat.get(path)).status == 422


async def test_a_disabled_account_stays_out(here: Here, conn: Connection, vault: Vault) -> None:
    await desk.member(conn, vault, "owner")
    await staff.disable(conn, here.seat.member.id)
    assert (await here.seat.get(await here.there())).status == 422


async def test_a_provider_that_calls_itself_otherwise_is_not_used(here: Here) -> None:
    here.provider.issuer += "/"
    assert (await here.seat.get("/staff/organisation")).status == 503


async def test_without_a_provider_there_is_no_such_page(
    pool: Pool, vault: Vault, conn: Connection
) -> None:
    who: Member = await desk.member(conn, vault, "viewer")
    async with desk.seat(pool, vault, who) as seat:
        assert (await seat.get("/staff/organisation")).status == 404
        assert "organisation" not in await (await seat.get("/staff/sign-in")).text()


def test_the_settings_go_together() -> None:
    told = {"MAILER_OIDC_ISSUER": "https://login.example.org", "MAILER_OIDC_CLIENT_ID": "x"}
    with pytest.raises(Misconfigured, match="go together"):
        config.provider(Source(told))
    with pytest.raises(Misconfigured, match="MAILER_OIDC_ISSUER"):
        config.provider(Source({**told, "MAILER_OIDC_ISSUER": "http://login.example.org"}))
    whole = config.provider(Source({**told, "MAILER_OIDC_CLIENT_SECRET": "y"}))
    assert whole == Oidc("https://login.example.org", "x", "y")


def test_an_errand_is_read_as_it_was_written() -> None:
    errand = Errand.new()
    assert Errand.parse(str(errand)) == errand
    assert Errand.parse("") is None
    assert Errand.parse("a..b") is None
