"""The load: visitors who subscribe and follow the link in the mail, a digest, bounces."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import aiohttp
import aiosmtplib

from bench import place, send
from faults.post import Mail, Post
from mailer import editions, outbox
from mailer.config import Listen
from mailer.digests import Digest

AT_ONCE = 20
ANSWER_SECONDS = 30.0
AGAIN_SECONDS = 0.5
ROAD_SECONDS = 60.0
"""How long those who were thanked may take to the end, once nothing is broken any more."""

BROKEN = (aiohttp.ClientError, OSError, TimeoutError)

BOUNCE = """\
From: MAILER-DAEMON@mx.example.org
To: <{to}>
Subject: Undelivered
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

There is no such mailbox.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org

Final-Recipient: rfc822; {recipient}
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 no such user

--b--
"""


@dataclass
class Crowd:
    """Who came and what they were told: `answers` to forms; `thanked`: addresses whose form was
    answered with 202, and when; `sure`: whose confirmation was; `bounced`: mails whose bounce was
    taken, by envelope sender."""

    here: place.Place
    post: Post
    base: str
    listener: Listen
    readers: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    thanked: dict[str, float] = field(default_factory=dict)
    sure: dict[str, float] = field(default_factory=dict)
    bounced: set[str] = field(default_factory=set)
    digest: Digest | None = None
    came: int = 0
    under_way: set[asyncio.Task[None]] = field(default_factory=set)

    # one visitor

    def newcomer(self) -> str:
        self.came += 1
        return f"visitor{self.came}@example.org"

    async def visit(self, email: str) -> None:
        """The whole way. Who isn't thanked goes away; who is looks into the mail and confirms."""
        if not await self.subscribe(email):
            return
        mail = await self.post.confirmation(email)
        while not await self.confirm(email, mail):
            await asyncio.sleep(AGAIN_SECONDS)

    async def subscribe(self, email: str) -> bool:
        form = {
            "email": email,
            "newsletter": self.here.newsletter.slug,
            "consent": "yes",
            "notice": self.here.notice.id,
            "lang": "en",
        }
        headers = {"Accept": "application/json", "X-Forwarded-For": network(self.came)}
        try:
            async with (
                self.http() as http,
                http.post(f"{self.base}/subscribe", data=form, headers=headers) as answer,
            ):
                status = answer.status
        except BROKEN as error:
            self.answers[type(error).__name__] += 1
            return False
        self.answers[str(status)] += 1
        if status == 202:
            self.thanked[email] = time.monotonic()
        return status == 202

    async def confirm(self, email: str, mail: Mail) -> bool:
        """Whether it was answered that they are subscribed: now, or already."""
        link = f"{self.base}{mail.link}"
        try:
            async with self.http() as http:
                async with http.get(link) as page:
                    if page.status != 200:
                        return False
                async with http.post(link, allow_redirects=False) as answer:
                    if answer.status not in (200, 303):
                        return False
        except BROKEN:
            return False
        self.sure[email] = time.monotonic()
        return True

    def http(self) -> aiohttp.ClientSession:
        """A connection of one's own, as visitors have."""
        return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(ANSWER_SECONDS))

    # many

    async def gather(self, many: int) -> None:
        """Readers to whom a digest can go."""
        free = asyncio.Semaphore(AT_ONCE)

        async def one() -> None:
            async with free:
                email = self.newcomer()
                self.readers.append(email)
                await self.visit(email)

        async with asyncio.timeout(ROAD_SECONDS):
            await asyncio.gather(*(one() for _ in range(many)))
        assert set(self.readers) == set(self.sure), "not everybody could subscribe beforehand"

    @asynccontextmanager
    async def going(self, pause: float) -> AsyncIterator[None]:
        """Visitors and bounces come, one in so many seconds, while the block runs."""
        coming = [asyncio.create_task(each) for each in (self.come(pause), self.bounce(pause))]
        try:
            yield
        finally:
            for task in coming:
                task.cancel()
            await asyncio.gather(*coming, return_exceptions=True)

    async def come(self, pause: float) -> None:
        while True:
            self.send_one()
            await asyncio.sleep(pause)

    def send_one(self) -> str:
        email = self.newcomer()
        task = asyncio.create_task(self.visit(email))
        self.under_way.add(task)
        task.add_done_callback(self.under_way.discard)
        return email

    async def bounce(self, pause: float) -> None:
        """Of each third mail of the digest; once more until it is taken, as mail servers do."""
        told = 0
        while True:
            await asyncio.sleep(pause)
            arrived = self.post.digests()
            if len(arrived) <= told:
                continue
            mail = arrived[told]
            text = BOUNCE.format(to=mail.sender, recipient=mail.recipient)
            with suppress(*BROKEN, aiosmtplib.SMTPException):
                async with asyncio.timeout(ANSWER_SECONDS):
                    await aiosmtplib.send(
                        text.replace("\n", "\r\n").encode(),
                        sender="<>",
                        recipients=[mail.sender],
                        hostname=self.listener.host,
                        port=self.listener.port,
                        start_tls=False,
                    )
                self.bounced.add(mail.sender)
                told += 3

    async def arrive(self) -> None:
        """Until everyone who was thanked has confirmed, but for those whose mail was refused."""
        end = time.monotonic() + ROAD_SECONDS
        while time.monotonic() < end and self.unsure():
            await asyncio.sleep(0.1)
        for task in list(self.under_way):
            task.cancel()
        await asyncio.gather(*self.under_way, return_exceptions=True)

    def unsure(self) -> set[str]:
        return set(self.thanked) - set(self.sure) - self.post.refused

    # the digest

    async def approve(self) -> None:
        digest, _ = await send.draft(self.here)
        async with self.here.pool.acquire() as conn, conn.transaction():
            settings = self.here.settings
            await editions.approve(conn, settings, digest, by="faults", despite_warnings=True)
            await editions.begin(conn, settings, digest)
        self.digest = digest

    async def arrived(self, share: float) -> None:
        """Until that share of the readers has the digest."""
        async with asyncio.timeout(ROAD_SECONDS):
            while len(self.post.digests()) < share * len(self.readers):
                await asyncio.sleep(0.02)

    async def settled(self) -> None:
        """Until no mail waits."""
        async with asyncio.timeout(ROAD_SECONDS), self.here.pool.acquire() as conn:
            while await conn.fetchval("select count(*) from batch"):
                await asyncio.sleep(0.1)

    async def served(self) -> float:
        """Newcomers try until one is through: how many seconds that took."""
        began = time.monotonic()
        tried: list[str] = []
        while not any(email in self.sure for email in tried):
            if time.monotonic() > began + ROAD_SECONDS:
                return float("inf")
            tried.append(self.send_one())
            await asyncio.sleep(0.25)
        return time.monotonic() - began


def network(number: int) -> str:
    """Visitors come from networks of their own."""
    return f"100.{64 + number // 250 % 64}.{number % 250}.7"


def emails(mails: Sequence[Mail]) -> Counter[str]:
    return Counter(mail.recipient for mail in mails)


async def workers(here: place.Place, many: int) -> None:
    """Until so many are at work."""
    async with asyncio.timeout(ROAD_SECONDS), here.pool.acquire() as conn:
        while await outbox.workers(conn) < many:
            await asyncio.sleep(0.05)
