"""Everybody around a service, at a steady pace: visitors, readers, their mail server, a site.

Visitors see the form, take their time, send it, and follow the link of the mail that comes. Readers
leave, look at their record, or have themselves erased by the links of a digest. Some of their mails
come back to the bounce door, as each kind of answer that mail servers give.
"""

import asyncio
import random
import re
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from itertools import count
from typing import Literal

import aiohttp
import aiosmtplib
from aiohttp import web

from bench.place import Place
from bench.sink import Mail

STAMP = re.compile(r'name="stamp" value="([^"]+)"')
CONFIRM = re.compile(r"http\S+(/confirm/[\w-]{27})")
MANAGE = re.compile(r"http\S+(/me/[\w-]{27})")
ONE_CLICK = re.compile(r"<http[^>]+(/u/[\w-]{27})>")
DAEMON = "mailer-daemon@mx.example.org"
GONE = 404
"""The answer to whoever was erased by another of their mails."""

VISITOR = "visitor"
TYPING_SECONDS = 2.5
DIGESTS_KEPT = 200
IN_FEED = 15

Wish = Literal["leave", "record", "erase"]
WISHES: Mapping[Wish, int] = {"leave": 2, "record": 3, "erase": 1}
BOUNCES: Mapping[str, int] = {
    "hard": 4, "soft": 4, "policy": 3, "unknown": 2, "auto-reply": 4, "complaint": 1,
}  # fmt: skip
"""How often each, to the others; most mails that come back from a list are such."""

REPLIES = {
    "hard": ("5.1.1", "550 5.1.1 User unknown"),
    "soft": ("5.2.2", "552 5.2.2 Mailbox full"),
    "policy": ("5.7.1", "550 5.7.1 Message rejected as spam by policy"),
    "unknown": ("5.0.0", "550 no"),
}


@dataclass
class Crowd:
    """`pace`: visitors a second; `took`: how long answers took, with when, in seconds."""

    here: Place
    base: str
    bounce_port: int
    pace: float
    took: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=200_000))
    answers: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    digests: deque[Mail] = field(default_factory=lambda: deque(maxlen=DIGESTS_KEPT))
    waiting: dict[str, asyncio.Future[Mail]] = field(default_factory=dict)
    published: int = IN_FEED

    # the readers' mail server, the site

    def take(self, mail: Mail) -> None:
        """Only a few digests are kept, and confirmations that somebody waits for."""
        self.done["mails"] += 1
        waits = self.waiting.pop(mail.recipient, None)
        if waits is not None and not waits.done():
            waits.set_result(mail)
        elif b"List-Unsubscribe" in mail.raw[:4000]:
            self.digests.append(mail)

    async def feed(self, _request: web.Request) -> web.Response:
        shown = range(max(0, self.published - IN_FEED), self.published)
        items = "".join(
            f"<item><title>Order {n} was published</title><guid>{n}</guid>"
            f"<link>http://127.0.0.1/orders/{n}</link><description>{'So it is. ' * 200}"
            "</description></item>"
            for n in reversed(shown)
        )
        body = f'<rss version="2.0"><channel><title>Orders</title>{items}</channel></rss>'
        return web.Response(text=body, content_type="application/rss+xml")

    # who comes

    async def come(self, over: asyncio.Event) -> None:
        """All of them, until `over`."""
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(self.base, cookie_jar=jar) as http:
            numbers = count()
            async with asyncio.TaskGroup() as all_:
                for every, what in (
                    (1.0, lambda: self.visit(http, next(numbers))),
                    (4.0, lambda: self.wish(http)),
                    (2.0, self.bounce),
                    (2.0, lambda: self.look_around(http)),
                ):
                    all_.create_task(self.each(over, every / self.pace, what))

    async def each(
        self, over: asyncio.Event, every: float, what: Callable[[], Awaitable[None]]
    ) -> None:
        """Begin one so often, whether or not the one before has ended."""
        async with asyncio.TaskGroup() as running:
            while not over.is_set():
                running.create_task(self.kept(what))
                await asyncio.sleep(random.expovariate(1 / every))

    async def kept(self, what: Callable[[], Awaitable[None]]) -> None:
        """What one of them can't do is counted, and keeps nobody else."""
        try:
            await what()
        except (aiohttp.ClientError, aiosmtplib.SMTPException, TimeoutError, OSError) as error:
            self.done[f"failed: {type(error).__name__}"] += 1

    async def ask(
        self, http: aiohttp.ClientSession, method: str, path: str, **more: object
    ) -> tuple[int, str]:
        began = time.perf_counter()
        async with http.request(method, path, allow_redirects=False, **more) as answer:  # type: ignore[arg-type]
            body = await answer.read()
        self.took.append((time.monotonic(), time.perf_counter() - began))
        self.answers[f"{answer.status // 100}xx"] += 1
        return answer.status, body.decode(errors="replace")

    async def visit(self, http: aiohttp.ClientSession, n: int) -> None:
        """From the form to the confirmation."""
        email = f"{VISITOR}{n}@example.org"
        seen = {"X-Forwarded-For": f"10.{n // 250 % 250}.{n % 250}.1"}
        _, form = await self.ask(http, "GET", "/form?newsletter=weekly", headers=seen)
        await asyncio.sleep(TYPING_SECONDS)
        stamp = STAMP.search(form)
        mail = self.waiting[email] = asyncio.get_running_loop().create_future()
        filled = {
            "email": email, "newsletter": "weekly", "consent": "yes", "lang": "en",
            "notice": self.here.notice.id, "form": "hosted/1", "stamp": stamp[1] if stamp else "",
        }  # fmt: skip
        await self.ask(http, "POST", "/subscribe", data=filled, headers=seen)
        self.done["forms"] += 1
        link = CONFIRM.search(text(await asyncio.wait_for(mail, 60)))
        if link is None:
            self.done["failed: no link to confirm"] += 1
            return
        await self.ask(http, "GET", link[1])
        status, _ = await self.ask(http, "POST", link[1])
        self.done["confirmed" if status == 303 else "failed: not confirmed"] += 1

    async def wish(self, http: aiohttp.ClientSession) -> None:
        """A reader who has a digest does something about it."""
        if not self.digests:
            return
        mail = self.digests.pop()
        wish = random.choices(list(WISHES), list(WISHES.values()))[0]
        if wish == "leave":
            link = ONE_CLICK.search(mail.raw.decode(errors="replace").replace("\r\n ", " "))
            body = {"List-Unsubscribe": "One-Click"}
            status = (await self.ask(http, "POST", link[1], data=body))[0] if link else 0
        else:
            link = MANAGE.search(text(mail))
            own = link[1] if link else "/"
            await self.ask(http, "GET", own)
            if wish == "erase":
                status, _ = await self.ask(http, "POST", f"{own}/erase", data={"never_again": ""})
            else:
                status, _ = await self.ask(http, "POST", f"{own}/record")
        self.done[wish if status in (200, GONE) else f"failed: {wish}, {status}"] += 1

    async def look_around(self, http: aiohttp.ClientSession) -> None:
        pages = ("/", "/archive/weekly", "/archive/weekly/feed.xml", "/log/checkpoint", "/embed.js",
                 f"/notice/{self.here.notice.id}", "/readyz", "/nothing")  # fmt: skip
        await self.ask(http, "GET", random.choice(pages))

    async def bounce(self) -> None:
        """One of the mails comes back."""
        if not self.digests:
            return
        mail = random.choice(self.digests)
        kind = random.choices(list(BOUNCES), list(BOUNCES.values()))[0]
        await aiosmtplib.send(
            returned(kind, mail), sender=DAEMON, recipients=[mail.sender],
            hostname="127.0.0.1", port=self.bounce_port, start_tls=False,
        )  # fmt: skip
        self.done[f"bounce: {kind}"] += 1


def text(mail: Mail) -> str:
    """Its plain text, in one line."""
    read = message_from_bytes(mail.raw, policy=policy.default)
    assert isinstance(read, EmailMessage)
    part = read.get_body(("plain",))
    return " ".join(str(part.get_content()).split()) if part else ""


def returned(kind: str, mail: Mail) -> bytes:
    """As it comes back: a report (RFC 3464), a complaint (RFC 5965), or word that they are away."""
    if kind == "auto-reply":
        return (
            f"From: {mail.recipient}\r\nSubject: Out of office\r\nAuto-Submitted: auto-replied"
            "\r\n\r\nI am away until Monday.\r\n"
        ).encode()
    head = mail.raw.partition(b"\r\n\r\n")[0].decode()
    if kind == "complaint":
        name, part = (
            "feedback-report",
            "Feedback-Type: abuse\r\nUser-Agent: Example/1\r\nVersion: 1",
        )
    else:
        status, said = REPLIES[kind]
        name = "delivery-status"
        part = (
            "Reporting-MTA: dns; mx.example.org\r\n\r\n"
            f"Final-Recipient: rfc822; {mail.recipient}\r\nAction: failed\r\nStatus: {status}\r\n"
            f"Diagnostic-Code: smtp; {said}"
        )
    return (
        f"From: {DAEMON}\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: multipart/report; report-type={name}; boundary=edge\r\n\r\n"
        "--edge\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n\r\n"
        f"--edge\r\nContent-Type: message/{name}\r\n\r\n{part}\r\n\r\n"
        f"--edge\r\nContent-Type: text/rfc822-headers\r\n\r\n{head}\r\n\r\n--edge--\r\n"
    ).encode()
