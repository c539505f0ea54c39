"""Staff at their desk: accounts that sign in through the real door, over HTTP or in Chromium."""

import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

import pyotp
from aiohttp import ClientResponse
from playwright.async_api import Browser, Page

from mailer import factors, staff
from mailer.db import Connection, Pool
from mailer.staff import Role
from mailer.vault import Vault, seal
from tests import site
from tests.site import Client

PASSWORD = "correct horse battery"
BASE = "http://news.example.org"
counter = itertools.count()


@cache
def hashed() -> str:
    return staff.hash_password(PASSWORD)


@dataclass(frozen=True)
class Member:
    """One of the staff; `secret`: of the app that shows codes, if there is one."""

    id: UUID
    email: str
    role: Role
    secret: str | None

    @property
    def actor(self) -> str:
        return f"staff:{self.id}"

    async def code(self, conn: Connection) -> str:
        """What the app shows; taken again, too, as a test does not wait for the next one."""
        assert self.secret is not None
        await conn.execute("update staff set totp_step = 0 where id = $1", self.id)
        return pyotp.TOTP(self.secret).now()


async def member(
    conn: Connection, vault: Vault, role: Role, *, factor: bool | None = None
) -> Member:
    """An account; with an app if the role asks for one, or as said."""
    email = f"{role}{next(counter)}@example.org"
    id_ = await staff.add(conn, vault, email, role, hashed())
    if not (role in staff.FACTOR_ROLES if factor is None else factor):
        return Member(id_, email, role, None)
    secret = factors.new_secret()
    subject = (await staff.get(conn, id_)).subject(vault)
    sealed = seal(subject, factors.PLACE, secret.encode())
    await conn.execute("update staff set totp = $2 where id = $1", id_, sealed)
    return Member(id_, email, role, secret)


# over HTTP


@dataclass(frozen=True)
class Seat:
    """A browser of somebody's, as far as HTTP knows: it keeps cookies and says where it is."""

    client: Client
    member: Member

    async def get(self, path: str, **headers: str) -> ClientResponse:
        return await self.client.get(path, allow_redirects=False, headers=headers)

    async def post(
        self, path: str, fields: Mapping[str, Any] | None = None, **headers: str
    ) -> ClientResponse:
        """A form of our own page."""
        return await self.client.post(
            path, data=fields or {}, allow_redirects=False, headers={"Origin": BASE, **headers}
        )

    async def sign_in(self, conn: Connection) -> None:
        sent = {"email": self.member.email, "password": PASSWORD}
        answer = await self.post("/staff/sign-in", sent)
        assert answer.status == 303, await answer.text()
        if self.member.secret:
            answer = await self.post("/staff/code", {"code": await self.member.code(conn)})
            assert answer.status == 303, await answer.text()

    async def show_again(self, conn: Connection) -> ClientResponse:
        """Who they are, where a page asks for it."""
        fields = {"code": await self.member.code(conn)} if self.member.secret else {}
        return await self.post("/staff/again", fields or {"password": PASSWORD})


@asynccontextmanager
async def seat(pool: Pool, vault: Vault, who: Member, /, **given: str) -> AsyncIterator[Seat]:
    """A browser in which nobody has signed in yet."""
    async with site.opened(pool, vault, **given) as client:
        yield Seat(client, who)


@asynccontextmanager
async def signed_in(pool: Pool, vault: Vault, role: Role, /, **given: str) -> AsyncIterator[Seat]:
    """Somebody with this role, in."""
    async with pool.acquire() as conn:
        who = await member(conn, vault, role)
        async with seat(pool, vault, who, **given) as taken:
            await taken.sign_in(conn)
            yield taken


async def stale(conn: Connection, who: Member) -> None:
    """It was an hour ago that they showed who they are."""
    await conn.execute(
        "update session set proven_at = proven_at - interval '1 hour' where staff = $1", who.id
    )


# in Chromium


@asynccontextmanager
async def sitting(
    browser: Browser, base: str, conn: Connection, who: Member, **context: Any
) -> AsyncIterator[Page]:
    """A page of a real browser in which they are signed in; `base`: the running service's URL,
    `context`: as Playwright's new_context takes it (color_scheme, viewport, locale …)."""
    opened = await browser.new_context(**{"locale": "en", **context})
    page = await opened.new_page()
    await page.goto(f"{base}/staff/sign-in")
    await page.fill("#email", who.email)
    await page.fill("#password", PASSWORD)
    await page.click("main button")
    if who.secret:
        await page.fill("#code", await who.code(conn))
        await page.click("main button")
    await page.wait_for_url(f"{base}/staff")
    yield page
    await opened.close()
