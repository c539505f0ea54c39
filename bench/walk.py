"""The whole road with real input, through real doors, read back and checked.

    python -m bench.walk [--readers 1000] [--feeds 20]

Feeds of the corpus (MAILER_CORPUS, else ../shared/corpus) are served on loopback, first without
their newest items and then whole; people subscribe and confirm over HTTP; a digest goes through two
workers, one of which is killed with -9 on the way, to Postfix's smtp-sink, whose files are read
back. Exit status 1 with what is not so.
"""

import argparse
import asyncio
import base64
import os
import re
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import aiohttp
from aiohttp import web

from bench import place
from bench.place import Place

ITEM = re.compile(rb"<(item|entry)[\s>].*?</\1>", re.DOTALL)
ONE_CLICK = re.compile(r"<(http[^>]+/u/[\w-]{27})>")
CONFIRM = re.compile(r"http\S+/confirm/[\w-]{27}")
HEADERS = (
    "From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "List-Id", "List-Unsubscribe",
    "List-Unsubscribe-Post", "List-Help", "List-Archive", "Feedback-ID", "Precedence",
    "Auto-Submitted", "X-Auto-Response-Suppress", "Content-Language",
)  # fmt: skip
LEAVERS = 100
WORKERS = 2
AT_ONCE = 20
LOOK_SECONDS = 0.2


class Corpus:
    """Feeds as their sites serve them; `newest`: whether with their newest items."""

    def __init__(self, many: int) -> None:
        beside = place.ROOT.parent / "shared" / "corpus"
        folder = Path(os.environ.get("MAILER_CORPUS", beside)) / "feeds"
        whole = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
        good = {name: body for name, body in whole.items() if len(ITEM.findall(body)) > 3}
        self.feeds = dict(list(good.items())[:many])
        self.newest = False
        if len(self.feeds) < many:
            raise SystemExit(f"only {len(self.feeds)} usable feeds in {folder}")

    async def serve(self, request: web.Request) -> web.Response:
        body = self.feeds[request.match_info["name"]]
        older = body if self.newest else ITEM.sub(b"", body, count=2)
        return web.Response(body=older, content_type="application/xml")


class Findings:
    """What was checked, and what is not so."""

    def __init__(self) -> None:
        self.checked: dict[str, object] = {}
        self.wrong: list[str] = []

    def expect(self, what: str, found: object, wanted: object) -> None:
        self.checked[what] = found
        if found != wanted:
            self.wrong.append(f"{what}: {found}, not {wanted}")


async def main() -> None:
    given = arguments()
    smtp, port, site = (place.free_port() for _ in range(3))
    findings, corpus = Findings(), Corpus(given.feeds)
    settings = {
        "MAILER_SMTP_URL": f"smtp://127.0.0.1:{smtp}",
        "MAILER_LISTEN": f"127.0.0.1:{port}",
        "MAILER_BASE_URL": f"http://127.0.0.1:{port}",
        "MAILER_TRUSTED_PROXIES": "127.0.0.0/8",
        "MAILER_FEED_NETWORKS": "127.0.0.0/8",
    }
    with tempfile.TemporaryDirectory(prefix="mailer-walk-") as folder, ExitStack() as running:
        Path(folder).chmod(0o777)
        as_nobody = ["-u", "nobody"] if os.geteuid() == 0 else []
        sink = [place.tool("smtp-sink"), *as_nobody, "-d", f"{folder}/m."]
        place.reachable(
            smtp, running.enter_context(place.process([*sink, f"127.0.0.1:{smtp}", "1000"]))
        )
        async with place.place(**settings) as here, place.served(corpus.serve, site):
            serve = running.enter_context(place.process(place.mailer("serve"), here.environ))
            place.reachable(port, serve)
            walk = Walk(here, corpus, site, Path(folder), findings, given.readers)
            await walk.all(running)
    place.report({"bench": "walk", **findings.checked, "wrong": findings.wrong})
    raise SystemExit(1 if findings.wrong else 0)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.walk", description=__doc__)
    parser.add_argument("--readers", type=int, default=1000)
    parser.add_argument("--feeds", type=int, default=20)
    return parser.parse_args()


class Walk:
    """The road, step by step."""

    def __init__(
        self, here: Place, corpus: Corpus, site: int, mails: Path, found: Findings, readers: int
    ) -> None:
        self.here, self.corpus, self.site = here, corpus, site
        self.mails, self.found = mails, found
        self.base = here.settings.base_url
        self.readers = [f"reader{n}@example.org" for n in range(readers)]
        self.seen: set[Path] = set()

    async def all(self, running: ExitStack) -> None:
        began = time.monotonic()
        await self.add_feeds()
        workers = [
            running.enter_context(place.process(place.mailer("work"), self.here.environ))
            for _ in range(WORKERS)
        ]
        await self.everybody_subscribes()
        first = await self.first_digest(workers[0])
        leavers = await self.some_leave(first)
        await self.second_digest(leavers)
        await self.record(len(leavers))
        self.found.checked["seconds"] = round(time.monotonic() - began)

    async def command(self, *args: str, given: str | None = None) -> str:
        """A command's output, whatever its exit status; it is said if that is not 0."""
        started = await asyncio.create_subprocess_exec(
            *place.mailer(*args), cwd=place.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env={**place.bare_environ(), **self.here.environ},
        )  # fmt: skip
        out, error = await started.communicate((given or "").encode())
        if started.returncode:
            place.progress(error.decode().strip())
        return out.decode()

    async def add_feeds(self) -> None:
        for name in self.corpus.feeds:
            await self.command("feed", "add", "weekly", f"http://127.0.0.1:{self.site}/{name}")
        await self.command("feed", "poll")
        nothing = await self.command("digest", "create", "weekly")
        self.found.expect("first fetch sends nothing", nothing, "")
        self.corpus.newest = True
        said = await self.command("feed", "poll")
        self.found.checked["feeds read"] = len(said.splitlines())
        self.found.checked["new articles"] = sum(map(int, re.findall(r"(\d+) new", said)))

    async def everybody_subscribes(self) -> None:
        async with aiohttp.ClientSession() as site:
            await each(self.readers, lambda email: self.subscribe(site, email))
            asked = await self.arrived(len(self.readers))
            self.found.expect("confirmation mails", len(asked), len(self.readers))
            await each(asked, lambda mail: self.confirm(site, mail))

    async def subscribe(self, site: aiohttp.ClientSession, email: str) -> None:
        number = self.readers.index(email)
        network = {"X-Forwarded-For": f"100.{number // 200}.{number % 200}.7"}
        form = {"email": email, "newsletter": "weekly", "consent": "yes",
                "notice": self.here.notice.id, "lang": "en"}  # fmt: skip
        async with site.post(f"{self.base}/subscribe", data=form, headers=network) as answer:
            assert answer.url.path == "/check-inbox", answer.status

    async def confirm(self, site: aiohttp.ClientSession, mail: EmailMessage) -> None:
        link = CONFIRM.search(text(mail, "plain"))
        assert link is not None
        for method in ("GET", "POST"):
            async with site.request(method, link[0], allow_redirects=False) as answer:
                assert answer.status in (200, 303), answer.status

    async def first_digest(self, victim: "subprocess.Popen[bytes]") -> list[EmailMessage]:
        sending = asyncio.create_task(self.command("digest", "send", "weekly"))
        while len(self.new_files()) < len(self.readers) // 3:
            await asyncio.sleep(0.01)
        victim.send_signal(signal.SIGKILL)
        await sending
        mails = await self.arrived(len(self.readers))
        counts = Counter(str(mail["To"]).strip("<>") for mail in mails)
        self.found.expect("first digest: missed", len(set(self.readers) - set(counts)), 0)
        doubled = sum(counts.values()) - len(counts)
        self.found.checked["first digest: sent twice (worker killed)"] = doubled
        ids = {str(mail["To"]): str(mail["Message-ID"]) for mail in mails}
        other = [m for m in mails if ids[str(m["To"])] != str(m["Message-ID"])]
        self.found.expect("first digest: second Message-IDs", len(other), 0)
        faulty = Counter(fault for mail in mails for fault in faults(mail))
        self.found.expect("first digest: faults of form", dict(faulty), {})
        return mails

    async def some_leave(self, mails: list[EmailMessage]) -> set[str]:
        links = {str(mail["To"]): one_click(mail) for mail in mails}
        chosen = dict(list(links.items())[:LEAVERS])
        async with aiohttp.ClientSession() as site:
            statuses = [await self.leave(site, link) for link in chosen.values()]
        self.found.expect("one-click answers", Counter(statuses), {200: len(chosen)})
        return {to.strip("<>") for to in chosen}

    async def leave(self, site: aiohttp.ClientSession, link: str) -> int:
        body = {"List-Unsubscribe": "One-Click"}
        async with site.post(link, data=body, allow_redirects=False) as answer:
            return answer.status

    async def second_digest(self, leavers: set[str]) -> None:
        article = '{"external_id": "walk", "language": "en", "title": "One more", "url": null}'
        await self.command("article", "add", "weekly", given=article.replace(', "url": null', ""))
        await self.command("digest", "send", "weekly")
        mails = await self.arrived(len(self.readers) - len(leavers))
        counts = Counter(str(mail["To"]).strip("<>") for mail in mails)
        self.found.expect("second digest: to who left", len(leavers & set(counts)), 0)
        stayed = set(self.readers) - leavers
        self.found.expect("second digest: missed", len(stayed - set(counts)), 0)
        self.found.expect("second digest: most mails to one reader", max(counts.values()), 1)

    async def record(self, left: int) -> None:
        said = await self.command("consent", "verify")
        self.found.checked["consent verify"] = said.strip()
        exported = await self.command("consent", "export", "--format", "jsonl")
        for kind, wanted in (("confirmed", len(self.readers)), ("withdrawn", left)):
            many = exported.count(f'"type": "consent.{kind}"')
            self.found.expect(f"exported consent.{kind}", many, wanted)
        dump = await self.dump()
        hits = [email for email in self.readers if any(s in dump for s in spelt(email))]
        self.found.expect("addresses in a dump of the database", len(hits), 0)

    async def dump(self) -> str:
        async with self.here.pool.acquire() as conn:
            tables = await conn.fetch("select tablename from pg_tables where schemaname='public'")
            rows = [
                row["row"]
                for table in tables
                for row in await conn.fetch(f'select t::text as row from "{table["tablename"]}" t')
            ]
        return "\n".join(rows)

    # the mails that came

    def new_files(self) -> list[Path]:
        return [path for path in self.mails.iterdir() if path not in self.seen]

    async def arrived(self, many: int) -> list[EmailMessage]:
        """Mails since the last time: `many`, and what comes within a second more."""
        end = time.monotonic() + 120
        while len(self.new_files()) < many and time.monotonic() < end:
            await asyncio.sleep(LOOK_SECONDS)
        await asyncio.sleep(1)
        files = self.new_files()
        self.seen.update(files)
        return [read(path) for path in files]


async def each(
    of: "list[object] | list[str] | list[EmailMessage]", do: Callable[..., Awaitable[None]]
) -> None:
    """A few at a time."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(thing: object) -> None:
        async with free:
            await do(thing)

    await asyncio.gather(*(one(thing) for thing in of))


def read(path: Path) -> EmailMessage:
    """The sink puts its own lines before the mail, and ends lines as Unix does."""
    raw = path.read_bytes()
    mail = message_from_bytes(raw, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return mail


def text(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    return str(part.get_content()) if part else ""


def faults(mail: EmailMessage) -> list[str]:
    """What is not as mails should be."""
    found = [f"no {name}" for name in HEADERS if name not in mail]
    found += [f"no text/{kind}" for kind in ("plain", "html") if not text(mail, kind).strip()]
    body = mail.as_bytes().partition(b"\n\n")[2]
    found += ["a line above 76"] if any(len(line) > 76 for line in body.split(b"\n")) else []
    return found + (["no one-click link"] if not ONE_CLICK.search(mail["List-Unsubscribe"]) else [])


def one_click(mail: EmailMessage) -> str:
    link = ONE_CLICK.search(mail["List-Unsubscribe"])
    return link[1] if link else ""


def spelt(email: str) -> tuple[str, ...]:
    return email, email.encode().hex(), base64.b64encode(email.encode()).decode()[:-4]


if __name__ == "__main__":
    asyncio.run(main())
