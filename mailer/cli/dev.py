"""`mailer dev`: the whole service on this machine, to try it out and to develop it."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import click
from aiohttp import web

from mailer import (
    config,
    db,
    example,
    feeds,
    fetch,
    migrate,
    newsletters,
    notices,
    staff,
    subjects,
    vault,
)
from mailer.cli import door, process
from mailer.config import DEV_FILE, Settings
from mailer.db import Connection, Pool
from mailer.errors import Unavailable
from mailer.example import Site
from mailer.mailbox import Mailbox
from mailer.notices import Notice, Words
from mailer.vault import Vault
from mailer.web import app
from mailer.worker import Worker

HOST = "127.0.0.1"
STAFF = "staff@example.org"
PASSWORD_FILE = "staff-password"  # noqa: S105 - the name of a file

WELCOME = """
  Subscribe    {base}/form?newsletter={slug}
  On a site    {site}      as an element; {site}/plain in its own HTML
  Inbox        {base}/inbox      every mail ends here
  Archive      {base}/archive
  Staff        {base}/staff      as {staff}, password in {password}

  Send a digest, from another terminal:  ./run digest send {slug}

  Data in {data}. Stop with Ctrl+C.
"""


@click.command("dev")
@click.option("--port", type=click.IntRange(1, 65534), default=8080, show_default=True,
              help="Of the service; the example site takes the next one.")  # fmt: skip
@click.option("--data", type=click.Path(file_okay=False, path_type=Path),
              help="Instead of MAILER_DATA_DIR.")  # fmt: skip
@door.run
async def command(port: int, data: Path | None) -> None:
    """Run everything on this machine: database, web, worker, a mailbox that catches all mail."""
    environ = {**os.environ, **({"MAILER_DATA_DIR": str(data)} if data else {})}
    data_dir = config.load(environ).data_dir
    async with caught(data_dir) as (caught_mail, smtp_port):
        settings = prepare(environ, data_dir, port, smtp_port)
        process.begin(settings)
        async with door.database(settings) as url, db.connection(url) as conn:
            await migrate.run(conn)
            keys = await subjects.open_vault(conn, door.secret_key(settings))
            size = settings.smtp_connections + 16
            async with db.pool(url, size=size, name="dev") as pool:
                await run(settings, conn, pool, keys, caught_mail, port)


@asynccontextmanager
async def caught(data_dir: Path) -> AsyncIterator[tuple[Mailbox, int]]:
    """The mailbox where everything ends, and its port."""
    box = Mailbox(data_dir / "inbox")
    port = await box.start(HOST)
    try:
        yield box, port
    finally:
        await box.stop()


def prepare(environ: dict[str, str], data_dir: Path, port: int, smtp_port: int) -> Settings:
    """Leave what other commands need to join; what is set by hand goes before, but for the mail
    server: nothing sent from here reaches anybody."""
    kept = config.content(data_dir / DEV_FILE).get("MAILER_SECRET_KEY") or vault.new_master()
    left = {
        "MAILER_SECRET_KEY": kept,
        "MAILER_LISTEN": f"{HOST}:{port}",
        "MAILER_BASE_URL": f"http://{HOST}:{port}",
        "MAILER_SMTP_URL": f"smtp://{HOST}:{smtp_port}",
        "MAILER_FROM": "Field Notes <notes@example.org>",
        "MAILER_CONTROLLER": "Field Notes, 1 Example Street, Example City; privacy@example.org",
        "MAILER_FEED_NETWORKS": "127.0.0.0/8",
    }
    text = "".join(f'{name}="{value}"\n' for name, value in left.items())
    write_private(data_dir / DEV_FILE, text)
    settings = config.load(environ)
    return replace(settings, smtp=(config.smtp(left["MAILER_SMTP_URL"]),))


def write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


async def run(
    settings: Settings, conn: Connection, pool: Pool, keys: Vault, box: Mailbox, port: int
) -> None:
    """Everything at once, until Ctrl+C."""
    stop = asyncio.Event()
    process.stop_on_signals(stop)
    site = Site(f"http://{HOST}:{port + 1}", settings.base_url)
    async with published(site, port + 1), asyncio.TaskGroup() as tasks:
        await furnish(settings, conn, keys, site)
        site.publish()
        site.notices = await current_notices(conn)
        tasks.create_task(app.serve(settings, pool, keys, stop, box))
        tasks.create_task(Worker(settings, pool, keys, stop).run())
        door.say(
            WELCOME.format(
                base=settings.base_url,
                slug=example.SLUG,
                site=site.url,
                staff=STAFF,
                password=settings.data_dir / PASSWORD_FILE,
                data=settings.data_dir,
            )
        )


@asynccontextmanager
async def published(site: Site, port: int) -> AsyncIterator[None]:
    """The example site on its own port. Raises Unavailable if somebody has it."""
    runner = web.AppRunner(example.make(site), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
    except OSError as error:
        await runner.cleanup()
        raise Unavailable(
            "Port {port} can't be used ({why}): name another with --port.",
            port=port,
            why=error.strerror,
        ) from None
    try:
        yield
    finally:
        await runner.cleanup()


async def furnish(settings: Settings, conn: Connection, keys: Vault, site: Site) -> None:
    """The example newsletter with articles waiting for its first digest; only once."""
    if any(n.slug == example.SLUG for n in await newsletters.all_(conn)):
        return
    async with conn.transaction():
        newsletter = await newsletters.add(
            conn, example.SLUG, example.TITLES, fallback="en", cadences=("weekly", "daily")
        )
        # Each language has a feed of its own, and no feed says what is a translation of what.
        newsletter = await newsletters.change(conn, newsletter, untranslated="omitted")
        house = await subjects.house(conn, keys)
        for language, said in example.NOTICES.items():
            words = Words(
                newsletter=newsletter.id,
                language=language,
                controller=settings.controller or "",
                **said,  # type: ignore[arg-type]  # the other parts of a notice
            )
            await notices.publish(conn, house, words, actor="system")
        added = [await feeds.add(conn, newsletter.id, site.feed(lang)) for lang in example.TITLES]
        await add_staff(settings, conn, keys)
    await read(settings, conn, added)  # what is there at the first look is never sent
    site.publish()
    await read(settings, conn, [await feeds.find(conn, feed.id) for feed in added])


async def current_notices(conn: Connection) -> dict[str, Notice]:
    newsletter = await newsletters.find(conn, example.SLUG)
    found = [await notices.current(conn, newsletter.id, code) for code in newsletter.languages]
    return {notice.language: notice for notice in found if notice}


async def read(settings: Settings, conn: Connection, listed: list[feeds.Feed]) -> None:
    policy = fetch.Policy(settings.feed_networks)
    async with fetch.session(settings.base_url, policy) as session:
        for feed in listed:
            fetched = await fetch.fetch(session, feed)
            async with conn.transaction():
                await feeds.store(conn, feed, fetched)


async def add_staff(settings: Settings, conn: Connection, keys: Vault) -> None:
    password = secrets.token_urlsafe(12)
    hashed = await asyncio.to_thread(staff.hash_password, password)
    await staff.add(conn, keys, STAFF, "owner", hashed)
    write_private(settings.data_dir / PASSWORD_FILE, password + "\n")
