"""`mailer check`: what is right and what is wrong, one line each."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import click

from mailer import (
    config,
    db,
    dkim,
    domain,
    floods,
    letters,
    log,
    migrate,
    outbox,
    render,
    smtp,
    subjects,
)
from mailer.bounces import health, loop
from mailer.cli import door
from mailer.config import Listen, Settings
from mailer.db import Connection
from mailer.errors import Refusal
from mailer.letters import specimens
from mailer.render import faults
from mailer.render.shelf import BadTemplate

ANSWER_SECONDS = 5
RETURN_SECONDS = 90
"""A mailbox is read once a minute."""

LOOK_SECONDS = 0.5


@click.command("check")
@click.option("--bounce-loop", is_flag=True,
              help="Also mail the bounce domain, and wait for it to come back.")  # fmt: skip
@door.run
async def command(bounce_loop: bool) -> None:
    """Check configuration, database, mail server and DNS; exit status 1 if anything is wrong."""
    settings = config.load()
    door.say("ok    configuration")
    wrong = 0
    async for name, problem in findings(settings, bounce_loop=bounce_loop):
        door.say(f"ok    {name}" if problem is None else f"FAIL  {name}: {problem}")
        wrong += problem is not None
    if wrong:
        raise Refusal("{count} of these must be mended.", count=wrong)


async def findings(
    settings: Settings, *, bounce_loop: bool
) -> AsyncIterator[tuple[str, str | None]]:
    """What was looked at, and what is wrong with it in a sentence, if anything."""
    for name, given in (
        ("MAILER_CONTROLLER", settings.controller),
        ("MAILER_FROM", settings.sender),
        ("MAILER_SECRET_KEY", settings.secret_key),
    ):
        yield name, None if given else "is not set"
    for found in templates(settings):
        yield found
    yield signatures(settings)
    async for found in database(settings):
        yield found
    async for found in mail_servers(settings):
        yield found
    async for found in domain.findings(settings, domain.Names()):
        yield found
    if settings.lmtp_listen is not None:
        yield await listening(settings.lmtp_listen)
    if bounce_loop:
        yield await looped(settings)


def templates(settings: Settings) -> Iterator[tuple[str, str | None]]:
    """The operator's own: each fault with its file and line; then every letter is tried."""
    render.use(settings.templates_dir)
    wrong = faults.found()
    try:
        for language in () if wrong else render.LANGUAGES:
            for _ in specimens.every(settings, language):
                pass
    except BadTemplate as error:
        wrong = [str(error)]
    yield from (("templates", fault) for fault in wrong)
    if not wrong:
        yield "templates", None


def signatures(settings: Settings) -> tuple[str, str | None]:
    try:
        signers = dkim.signers(settings)
    except Refusal as error:
        return "DKIM", str(error)
    if not signers:
        return "DKIM: no key is set, so the mail server must sign (or: mailer dkim key)", None
    named = " and ".join(f"{signer.algorithm} by {signer.name}" for signer in signers)
    if not dkim.aligned(settings, signers[0].domain):
        return f"DKIM ({named})", "MAILER_FROM is of another domain, so DMARC won't count it"
    return f"DKIM ({named})", None


async def database(settings: Settings) -> AsyncIterator[tuple[str, str | None]]:
    try:
        async with door.database(settings) as url, db.connection(url) as conn:
            yield "database", None
            await migrate.check(conn)
            yield "schema", None
            if settings.secret_key:
                await subjects.open_vault(conn, settings.secret_key)
                yield "secret key opens the vault", None
            for alarm in await health.alarms(conn):
                yield "alarm", str(alarm)
            for flood in await floods.on(conn):
                yield "flood of forms", str(flood)
            yield "consent log", await log.objection(conn)
            working = await outbox.workers(conn)
            yield "workers", None if working else "none is running: start one with mailer work"
    except Refusal as error:
        yield "database", str(error)


async def mail_servers(settings: Settings) -> AsyncIterator[tuple[str, str | None]]:
    if not settings.smtp:
        yield "mail server", "MAILER_SMTP_URL is not set"
    for server in settings.smtp:
        try:
            async with smtp.Road([server], 1) as road:
                await road.try_out()
        except Refusal as error:
            yield f"mail server {server}", str(error)
        else:
            yield f"mail server {server}", None


async def listening(where: Listen) -> tuple[str, str | None]:
    """Whether a worker takes what comes back."""
    name = f"bounces at {where.host}:{where.port}"
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection(where.host, where.port)
            greeting = await reader.readline()
            writer.close()
    except (OSError, TimeoutError):
        greeting = b""
    if greeting.startswith(b"220"):
        return name, None
    return name, "nobody takes them: start a worker on this machine (mailer work)"


async def looped(settings: Settings) -> tuple[str, str | None]:
    """Whether a mail to the bounce domain reaches us again."""
    for setting, given in (
        ("MAILER_BOUNCE_DOMAIN", settings.bounce_domain),
        ("MAILER_SMTP_URL", settings.smtp),
    ):
        if not given:
            return "bounce loop", f"{setting} is not set"
    name = f"bounce loop through {settings.bounce_domain}"
    try:
        async with door.database(settings) as url, db.connection(url) as conn:
            token = await loop.begin(conn)
            if problem := await sent(settings, token):
                return name, problem
            returned = await waited(conn, token)
    except Refusal as error:
        return name, str(error)
    if returned is None:
        return name, (
            f"the mail did not come back within {RETURN_SECONDS} seconds: look at the mail "
            "server's log for what became of it; its domain must lead to MAILER_LMTP_LISTEN, to "
            "the mailbox of MAILER_BOUNCE_IMAP or to `mailer bounce`, and a worker must run"
        )
    seconds = returned.after.total_seconds()
    return f"{name}: came back by {returned.channel} in {seconds:.1f} s", None


async def sent(settings: Settings, token: str) -> str | None:
    """What the mail server had against it, if anything."""
    sender = letters.sent_by(settings, "")[1]
    mail, recipient = loop.mail(settings, sender, token)
    async with smtp.Road(settings.smtp, 1) as road:
        verdict = await road.send(mail, sender, recipient)
    return None if verdict.kind == "sent" else f"the mail server refused the mail: {verdict.reply}"


async def waited(conn: Connection, token: str) -> loop.Returned | None:
    with suppress(TimeoutError):
        async with asyncio.timeout(RETURN_SECONDS):
            while True:
                if returned := await loop.came_back(conn, token):
                    return returned
                await asyncio.sleep(LOOK_SECONDS)
    return None
