"""Passkeys: made and shown in a real Chromium, with an authenticator that is as real as its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest
from aiohttp.test_utils import TestServer, unused_port
from playwright.async_api import Browser, Page

from mailer import passkeys, staff
from mailer.db import Connection, Pool
from mailer.errors import Invalid
from mailer.passkeys import Site
from mailer.vault import Vault
from mailer.web import app
from tests import desk, site
from tests.desk import Member

AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.mark.parametrize(
    ("base", "host"),
    [
        ("https://news.example.org/letters", "news.example.org"),
        ("http://localhost:8080", "localhost"),
        ("http://news.example.org", None),
        ("https://192.0.2.7", None),
        ("http://127.0.0.1:8080", None),
    ],
)
def test_browsers_have_them_where_there_is_tls_and_a_name(base: str, host: str | None) -> None:
    found = passkeys.site(base)
    assert (found and found.host) == host


async def test_only_a_challenge_of_ours_that_is_fresh_is_taken(
    conn: Connection, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = await passkeys.challenge(conn, vault)
    began, words = await passkeys.given_out(conn, vault, kept)
    assert len(words) == 43
    spoilt = kept.replace(began.isoformat(), (began - passkeys.HOLDS).isoformat())
    for wrong in ("", "~~", spoilt, kept[:-1], kept.replace("~", "~x", 1)):
        with pytest.raises(Invalid):
            await passkeys.given_out(conn, vault, wrong)
    monkeypatch.setattr(passkeys, "HOLDS", timedelta(0))
    with pytest.raises(Invalid, match="too long"):
        await passkeys.given_out(conn, vault, kept)


async def test_what_no_browser_would_answer_is_refused(conn: Connection, vault: Vault) -> None:
    kept, at = await passkeys.challenge(conn, vault), Site("localhost", "http://localhost")
    who = await desk.member(conn, vault, "viewer")
    account = await staff.get(conn, who.id)
    answers: list[object] = [None, [], {}, {"id": 7}, {"id": "éé"}, {"id": "AAAA"}, "x"]
    for answered in answers:
        with pytest.raises(Invalid):
            await passkeys.show(conn, vault, at, kept, answered)
        with pytest.raises(Invalid):
            await passkeys.add(conn, vault, at, account, kept, answered, "Chrome")


# in a browser


@dataclass(frozen=True)
class Here:
    """The service where browsers have passkeys, and a browser with an authenticator."""

    base: str
    page: Page
    who: Member

    async def press(self, label: str, onward: str) -> None:
        await self.page.get_by_role("button", name=label).click()
        await self.page.wait_for_url(f"{self.base}{onward}")


@asynccontextmanager
async def opened(
    browser: Browser, pool: Pool, vault: Vault, conn: Connection, who: Member
) -> AsyncIterator[Here]:
    port = unused_port()
    base = f"http://localhost:{port}"
    server = TestServer(
        app.make(site.settings(MAILER_BASE_URL=base), pool, vault), host="localhost", port=port
    )
    await server.start_server()
    async with desk.sitting(browser, base, conn, who) as page:
        devtools = await page.context.new_cdp_session(page)
        await devtools.send("WebAuthn.enable")
        await devtools.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
        yield Here(base, page, who)
    await server.close()


@pytest.mark.browser
async def test_a_passkey_lets_in_by_itself_and_again_and_can_be_removed(
    browser: Browser, pool: Pool, vault: Vault, conn: Connection
) -> None:
    who = await desk.member(conn, vault, "editor")
    async with opened(browser, pool, vault, conn, who) as here:
        page = here.page
        await page.goto(f"{here.base}/staff/account")
        await here.press("Set up a passkey", "/staff/account?done=passkey")
        assert (await staff.get(conn, who.id)).has_factor
        await page.context.clear_cookies(name="staff")
        await page.goto(f"{here.base}/staff/sign-in")
        await here.press("Use a passkey", "/staff")
        assert await conn.fetchval("select used_at is not null from passkey")
        await desk.stale(conn, who)
        await page.goto(f"{here.base}/staff/factor")
        assert page.url.endswith("/staff/again")
        await here.press("Use a passkey", "/staff/factor")
        await page.goto(f"{here.base}/staff/account")
        await here.press("Remove Chrome, Linux", "/staff/account?done=removed")
        await page.context.clear_cookies(name="staff")
        await page.goto(f"{here.base}/staff/sign-in")
        await page.get_by_role("button", name="Use a passkey").click()
        await page.get_by_text("This passkey is not known here.").wait_for()


@pytest.mark.browser
async def test_an_answer_that_was_taken_is_not_taken_again(
    browser: Browser, pool: Pool, vault: Vault, conn: Connection
) -> None:
    who = await desk.member(conn, vault, "viewer")
    async with opened(browser, pool, vault, conn, who) as here:
        page = here.page
        await page.goto(f"{here.base}/staff/account")
        await here.press("Set up a passkey", "/staff/account?done=passkey")
        await page.goto(f"{here.base}/staff/sign-in")
        statuses = await page.evaluate(
            """async () => {
                const post = (url, body) => fetch(url, {method: "POST", body: JSON.stringify(body),
                    headers: {"Content-Type": "application/json"}});
                const asked = await (await post("/staff/passkey/question", {})).json();
                const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(asked);
                const shown = (await navigator.credentials.get({publicKey})).toJSON();
                const first = await post("/staff/passkey", shown);
                return [first.status, (await post("/staff/passkey", shown)).status];
            }"""
        )
        assert statuses == [200, 422]
