"""The whole loop with a real Postfix: what it gives back ends with us, and who is gone is left out.

    python -m bench.postfix          as root; Postfix from the system's packages

    worker → Postfix → a mail server that refuses → Postfix's own report → our LMTP listener

Two readers, of whom one has no mailbox any more. A digest: the report comes back, a strike. Some
days later (the strike is dated back) another digest: the second strike, and the reader is
suppressed and out. A third digest goes to the other one alone. Postfix runs in a folder of its own
on ports of its own and takes mail from this machine only. Exit status 1 if anything fares
otherwise.
"""

import asyncio
import grp
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from bench import place
from bench.place import Place
from mailer import address, articles, digests, editions, subscribers, subscriptions, suppressions
from mailer.articles import Draft
from mailer.db import Connection
from mailer.subscriptions import Wish

HOST = "127.0.0.1"
ALIVE, GONE = "anna@readers.example.org", "gone@readers.example.org"
BOUNCES = "bounces.example.org"
PATIENCE = 120.0

MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
daemon_directory = {daemons}
command_directory = {commands}
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
myhostname = mx.news.example.org
mydestination =
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
relay_domains = readers.example.org, {bounces}
transport_maps = inline:{{
  readers.example.org=smtp:[{host}]:{sink}, {bounces}=lmtp:inet:{host}:{lmtp} }}
smtp_dns_support_level = disabled
smtp_tls_security_level = none
smtpd_tls_security_level = none
smtpd_recipient_restrictions = permit_mynetworks, reject
alias_maps =
alias_database =
"""

MASTER = """\
{host}:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
"""


class Readers:
    """The readers' mail server: one of them has no mailbox any more."""

    def __init__(self) -> None:
        self.got: list[str] = []

    async def handle_RCPT(  # noqa: N802  # the name aiosmtpd calls
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: object
    ) -> str:
        if address == GONE:
            return f"550 5.1.1 <{address}>: Recipient address rejected: User unknown"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802  # the name aiosmtpd calls
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        self.got += envelope.rcpt_tos
        return "250 2.0.0 Kept"


@asynccontextmanager
async def readers_server() -> AsyncIterator[tuple[Readers, int]]:
    them = Readers()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(them, hostname="mx.readers"), HOST, 0)
    try:
        yield them, server.sockets[0].getsockname()[1]
    finally:
        server.close()


@contextmanager
def postfix(port: int, sink: int, lmtp: int) -> Iterator[None]:
    """Postfix in a folder of its own."""
    program = place.tool("postfix")
    folder = Path(tempfile.mkdtemp(prefix="mailer-postfix-"))
    folder.chmod(0o755)
    filled = {
        "folder": folder, "daemons": Path(place.tool("smtpd")).parent, "host": HOST,
        "commands": Path(program).parent, "bounces": BOUNCES, "port": port, "sink": sink,
        "lmtp": lmtp,
    }  # fmt: skip
    (folder / "main.cf").write_text(MAIN.format(**filled))
    (folder / "master.cf").write_text(MASTER.format(**filled))
    furnish(folder)
    try:
        subprocess.run([program, "-c", folder, "start"], check=True, capture_output=True)
        try:
            yield
        finally:
            subprocess.run([program, "-c", folder, "stop"], check=False, capture_output=True)
    except BaseException:
        log = folder / "log"
        sys.stderr.write(log.read_text() if log.exists() else "Postfix said nothing.\n")
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def furnish(folder: Path) -> None:
    """The folders of a queue, and whose they are (as postfix-files has it)."""
    owner = pwd.getpwnam("postfix").pw_uid
    dropping = grp.getgrnam("postdrop").gr_gid
    (folder / "queue").mkdir()
    (folder / "data").mkdir(mode=0o700)
    os.chown(folder / "data", owner, -1)
    private = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming",
               "private", "saved", "trace")  # fmt: skip
    for name in private:
        (folder / "queue" / name).mkdir(mode=0o700)
        os.chown(folder / "queue" / name, owner, -1)
    for name, mode in (("maildrop", 0o730), ("public", 0o710)):
        (folder / "queue" / name).mkdir()
        os.chown(folder / "queue" / name, owner, dropping)
        (folder / "queue" / name).chmod(mode)
    (folder / "queue" / "pid").mkdir(mode=0o755)


# the loop


async def main() -> None:
    if os.geteuid():
        raise SystemExit("Postfix is started by root: run this as root.")
    ports = [place.free_port() for _ in range(2)]
    settings = {
        "MAILER_SMTP_URL": f"smtp://{HOST}:{ports[0]}",
        "MAILER_LMTP_LISTEN": f"{HOST}:{ports[1]}",
        "MAILER_BOUNCE_DOMAIN": BOUNCES,
    }
    async with readers_server() as (them, sink), place.place(**settings) as here:
        with postfix(ports[0], sink, ports[1]), place.process(place.mailer("work"), here.environ):
            await loop(here, them)


async def loop(here: Place, them: Readers) -> None:
    async with here.pool.acquire() as conn:
        for email in (ALIVE, GONE):
            await subscribe(here, conn, email)
        for number in (1, 2):
            await send(here, conn, number)
            await until(f"bounce {number} is back", partial(back, conn, number))
            say(f"digest {number}: Postfix's report came back, {await state(here, conn)}")
            await conn.execute("update bounce set created_at = created_at - interval '7 days'")
        await until("the reader is out", lambda: out(here, conn))
        before = them.got.count(ALIVE)
        put = await send(here, conn, 3)
        await until("the third digest arrived", lambda: arrived(them, before))
        say(f"digest 3: put for {put} reader, {await state(here, conn)}")
        told = await conn.fetchrow("select kind, reason, status, channel, act from bounce "
                                   "order by id desc limit 1")  # fmt: skip
        place.report({"digests": 3, "mails_to_the_other_reader": them.got.count(ALIVE),
                      "last_bounce": dict(told or {})})  # fmt: skip
        if put != 1 or GONE in them.got:
            raise SystemExit("the reader who is gone was written to again")


async def subscribe(here: Place, conn: Connection, email: str) -> None:
    """As after form and button, without the mail in between."""
    wish = Wish(email, (here.newsletter.slug,), here.notice.id, "en", evidence={"origin": "bench"})
    async with conn.transaction():
        await subscriptions.request(conn, here.vault, wish)
        await subscriptions.admit(conn, here.vault, 72, 10)
        person = await subscribers.by_address(conn, here.vault, address.parse(email))
        assert person is not None
        own = await subscriptions.own(conn, here.vault, person)
        found = own.subscriptions[0]
        token = str(found.subscription.token(found.subject, "confirm"))
        await subscriptions.confirm(conn, here.vault, token, {"page": "bench"})


async def send(here: Place, conn: Connection, number: int) -> int:
    """A digest to everybody who is still a reader; to how many."""
    async with conn.transaction():
        url = f"https://example.org/rulings/{number}"
        article = Draft(f"ruling-{number}", "The order is void", "en", url, "<p>So it is.</p>")
        await articles.add(conn, here.newsletter.id, article)
        digest = await digests.create(conn, here.newsletter, "weekly", by="bench")
        await editions.approve(conn, here.settings, digest, by="bench", despite_warnings=True)
        return await editions.begin(conn, here.settings, digest)


async def back(conn: Connection, number: int) -> bool:
    return bool(await conn.fetchval("select count(*) >= $1 from bounce", number))


async def out(here: Place, conn: Connection) -> bool:
    return await suppressions.reason(conn, here.vault, address.parse(GONE)) == "bounce"


async def arrived(them: Readers, before: int) -> bool:
    return them.got.count(ALIVE) > before


async def state(here: Place, conn: Connection) -> str:
    why = await suppressions.reason(conn, here.vault, address.parse(GONE))
    states = await conn.fetch("select state, count(*) from subscription group by state order by 1")
    told = ", ".join(f"{row['count']} {row['state']}" for row in states)
    return f"suppressed: {why or 'no'}; subscriptions: {told}"


async def until(what: str, so: Callable[[], Awaitable[bool]]) -> None:
    end = time.monotonic() + PATIENCE
    while not await so():
        if time.monotonic() > end:
            raise SystemExit(f"not within {PATIENCE:.0f} s: {what}")
        await asyncio.sleep(0.2)


def say(text: str) -> None:
    place.progress(text)


if __name__ == "__main__":
    asyncio.run(main())
