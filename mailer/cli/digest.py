"""`mailer digest …`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from mailer import (
    db,
    digests,
    editions,
    newsletters,
    outbox,
    render,
    schedules,
)
from mailer.bounces import health
from mailer.cli import door
from mailer.cli.door import House
from mailer.db import Connection
from mailer.digests import Digest, Item, Status
from mailer.editions import Composed
from mailer.errors import Invalid, Misconfigured, Refusal
from mailer.newsletters import Newsletter
from mailer.worker import DATABASE_CONNECTIONS, Worker

WATCH_SECONDS = 0.5

Written: TypeAlias = tuple[str, str]

despite_warnings = click.option(
    "--despite-warnings", is_flag=True, help="Put aside what was found in it."
)


Verb: TypeAlias = Callable[[Connection, Digest], Awaitable[None]]


def named(command: Callable[..., None]) -> Callable[..., None]:
    """A command about one digest."""
    return click.argument("newsletter")(click.argument("number", type=int)(command))


async def to(verb: Verb, slug: str, number: int) -> None:
    """Do it to one digest."""
    async with door.house() as house, house.conn.transaction():
        await verb(house.conn, await digests.find(house.conn, slug, number))


@click.group("digest")
def command() -> None:
    """Issues of a newsletter, named by NEWSLETTER and NUMBER."""


@command.command()
@click.argument("newsletter")
@click.option("--cadence", help="The newsletter's first, if not given.")
@click.option("--introduction", "introduced", multiple=True, metavar="LANG=TEXT")
@door.as_json
@door.run
async def create(
    newsletter: str, cadence: str | None, introduced: tuple[str, ...], as_json: bool
) -> None:
    """Make a draft of what was published since the last one."""
    async with door.house() as house, house.conn.transaction():
        digest = await draft(house, newsletter, cadence, introduced)
        status = await digests.status(house.conn, digest)
    if as_json:
        door.show_one(as_row(status, ()), as_json=True)
    else:
        door.say(f"Digest {digest.number} of {newsletter}: {status.articles} articles.")


async def draft(
    house: House, slug: str, cadence: str | None, introduced: tuple[str, ...] = ()
) -> Digest:
    newsletter = await newsletters.find(house.conn, slug)
    digest = await digests.create(
        house.conn, newsletter, cadence or newsletter.cadences[0], by=door.actor()
    )
    if introduced:
        await digests.introduce(house.conn, digest, introduction(newsletter, introduced))
    return await digests.get(house.conn, digest.id)


def introduction(newsletter: Newsletter, introduced: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in introduced]
    if not all(language in newsletter.languages and said for language, _, said in pairs):
        raise Invalid(
            "Give the introduction as LANG=TEXT in {known}.",
            known=", ".join(newsletter.languages),
        )
    return {language: said for language, _, said in pairs}


@command.command()
@named
@door.as_json
@door.run
async def show(newsletter: str, number: int, as_json: bool) -> None:
    """The articles of a digest, in their order, and the version of the draft."""
    async with door.house() as house:
        digest = await digests.find(house.conn, newsletter, number)
        items = await digests.contents(house.conn, digest)
    rows = [as_line(item) for item in items]
    if as_json:
        door.show_one({"version": digest.version, "articles": rows}, as_json=True)
    else:
        door.show(rows, as_json=False)
        door.say(f"Version {digest.version}, {digest.state}.")


def as_line(item: Item) -> dict[str, object]:
    article = item.article
    return {
        "id": article.id,
        "language": article.language,
        "title": article.title,
        "pinned": item.pinned,
        "work": article.work,
        "files": len(item.attachments),
    }


@command.command()
@named
@click.option("--pick", type=int, multiple=True, metavar="ID", help="Put an article in.")
@click.option("--skip", type=int, multiple=True, metavar="ID", help="Leave it out, for good.")
@click.option(
    "--later", type=int, multiple=True, metavar="ID", help="Leave it for the next digest."
)
@click.option("--pin", type=int, multiple=True, metavar="ID", help="Keep it at the top.")
@click.option("--unpin", type=int, multiple=True, metavar="ID")
@click.option("--order", metavar="ID,ID,…", help="These first, in this order.")
@click.option(
    "--introduction",
    "introduced",
    multiple=True,
    metavar="LANG=TEXT",
    help="Instead of what was said so far.",
)
@click.option("--version", type=int, help="The one you have seen: refused if it is another by now.")
@door.run
async def edit(
    newsletter: str,
    number: int,
    pick: tuple[int, ...],
    skip: tuple[int, ...],
    later: tuple[int, ...],
    pin: tuple[int, ...],
    unpin: tuple[int, ...],
    order: str | None,
    introduced: tuple[str, ...],
    version: int | None,
) -> None:
    """Change a draft. An article's id (`digest show`) means its translations, too."""
    async with door.house() as house, house.conn.transaction():
        conn = house.conn
        digest = await digests.find(conn, newsletter, number)
        await digests.edit(conn, digest, version)
        for id_ in pick:
            await digests.pick(conn, digest, id_)
        for id_ in skip:
            await digests.skip(conn, digest, id_)
        for id_ in later:
            await digests.put_back(conn, digest, id_)
        for id_ in pin:
            await digests.pin(conn, digest, id_)
        for id_ in unpin:
            await digests.pin(conn, digest, id_, pinned=False)
        if order:
            await digests.reorder(conn, digest, numbers(order))
        if introduced:
            weekly = await newsletters.get(conn, digest.newsletter)
            await digests.introduce(conn, digest, introduction(weekly, introduced))
        digest = await digests.get(conn, digest.id)
    door.say(f"Version {digest.version}.")


def numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise Invalid(
            "Give the order as ids with commas, such as 12,9,14.", field="order"
        ) from None


@command.command()
@named
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path(),
              help="A folder for the files; else here.")  # fmt: skip
@door.run
async def preview(newsletter: str, number: int, out: Path) -> None:
    """Write each edition to a file, as HTML and as text, and a page that shows them all at full and
    at phone width; say what is wrong with them."""
    async with door.house() as house:
        digest = await digests.find(house.conn, newsletter, number)
        weekly, composed = await editions.compose(house.conn, house.settings, digest)
        found = await editions.findings(house.conn, house.settings, digest, weekly, composed)
    for finding in found:
        door.complain(f"{finding.level}: {finding}")
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in files(f"{newsletter}-{number}", weekly, composed):
            (out / name).write_text(content, "utf-8")
            door.say(str(out / name))
    except OSError as error:
        raise Refusal("{path} can't be written: {why}.", path=out, why=error.strerror) from None


def files(stem: str, newsletter: Newsletter, composed: Sequence[Composed]) -> Iterator[Written]:
    """By name: each edition as HTML and as text, and all of them beside one another."""
    for each in composed:
        edition = each.edition
        for suffix, content in (("html", edition.html), ("txt", edition.text)):
            yield f"{stem}-{edition.language}.{suffix}", editions.without_slots(content)
    shown = [each.edition for each in composed]
    yield (
        f"{stem}.html",
        render.page("preview.html", "en", stem=stem, newsletter=newsletter, editions=shown),
    )


@command.command()
@named
@click.option("--to", required=True, help="The address of one of the staff.")
@click.option("--language", help="The newsletter's fallback, if not given.")
@door.run
async def test(newsletter: str, number: int, to: str, language: str | None) -> None:
    """Send one edition to one of the staff; its personal links lead nowhere."""
    async with door.house() as house, house.conn.transaction():
        digest = await digests.find(house.conn, newsletter, number)
        await editions.try_out(house.conn, house.settings, house.vault, digest, to, language)
    door.say("It waits in the outbox; a worker sends it.")


@command.command()
@named
@click.option("--at", metavar="TIME", help="When to begin, such as 2026-03-01T09:00, on the "
              "newsletter's clock; else at once.")  # fmt: skip
@despite_warnings
@door.run
async def approve(newsletter: str, number: int, at: str | None, despite_warnings: bool) -> None:
    """Freeze its text and begin to send it."""
    async with door.house() as house, house.conn.transaction():
        digest = await digests.find(house.conn, newsletter, number)
        when = await time(house, digest, at)
        await approved(house, digest, despite_warnings, when)
        if when is None:
            mails = await editions.begin(house.conn, house.settings, digest)
    if when is None:
        door.say(f"{mails} mails are on their way.")
    else:
        door.say(f"It begins at {when:%Y-%m-%d %H:%M %Z}.")


async def time(house: House, digest: Digest, text: str | None) -> datetime | None:
    """On the newsletter's clock unless it names another zone."""
    if text is None:
        return None
    return schedules.moment(text, (await newsletters.get(house.conn, digest.newsletter)).zone)


async def approved(
    house: House, digest: Digest, despite_warnings: bool, at: datetime | None = None
) -> None:
    found = await editions.approve(
        house.conn, house.settings, digest, by=door.actor(), at=at,
        despite_warnings=despite_warnings,
    )  # fmt: skip
    for finding in found:
        door.complain(f"{finding.level}: {finding}")


@command.command()
@named
@door.run
async def recall(newsletter: str, number: int) -> None:
    """Make an approved digest that has not begun a draft again."""
    await to(digests.recall, newsletter, number)
    door.say("It is a draft again.")


@command.command()
@named
@door.run
async def pause(newsletter: str, number: int) -> None:
    """Send no more of it for the present."""
    await to(digests.pause, newsletter, number)
    door.say("Paused.")


@command.command()
@named
@door.run
async def resume(newsletter: str, number: int) -> None:
    """Go on sending it."""
    await to(digests.resume, newsletter, number)
    door.say("Resumed.")


@command.command()
@named
@door.run
async def cancel(newsletter: str, number: int) -> None:
    """Send no more of it, ever. If it has not begun, its articles come with the next digest."""
    await to(digests.cancel, newsletter, number)
    door.say("Cancelled.")


@command.command()
@click.argument("newsletter", required=False)
@click.argument("number", type=int, required=False)
@door.as_json
@door.run
async def status(newsletter: str | None, number: int | None, as_json: bool) -> None:
    """How one digest stands, and fared with each provider; or all of a newsletter; or all."""
    async with door.house() as house:
        fared = await health.fared(house.conn, newsletter, number)
        if newsletter and number:
            chosen = await digests.find(house.conn, newsletter, number)
            found = as_row(await digests.status(house.conn, chosen), fared)
            show_with_providers(found, fared, as_json=as_json)
            return
        listed = await digests.all_(house.conn, newsletter)
        rows = [as_row(await digests.status(house.conn, digest), fared) for digest in listed]
    door.show(rows, as_json=as_json)


def show_with_providers(
    found: Mapping[str, object], fared: Sequence[health.Row], *, as_json: bool
) -> None:
    providers = [row.described() for row in fared]
    if as_json:
        door.show_one({**found, "providers": providers}, as_json=True)
        return
    door.show_one(found, as_json=False)
    if providers:
        door.say("")
        door.show(providers, as_json=False)


def as_row(status: Status, fared: Sequence[health.Row]) -> dict[str, object]:
    digest = status.digest
    own = [r for r in fared if (r.newsletter, r.digest) == (status.newsletter, digest.number)]
    return {
        "newsletter": status.newsletter,
        "number": digest.number,
        "cadence": digest.cadence,
        "state": digest.state,
        "articles": status.articles,
        **status.mails,
        **health.totals(own),
        "approved_by": digest.approved_by,
        "approved_at": digest.approved_at,
        "send_at": digest.send_at,
        "finished_at": digest.finished_at,
        "problem": digest.problem,
    }


@command.command()
@click.argument("newsletter")
@click.option("--cadence", help="The newsletter's first, if not given.")
@despite_warnings
@door.run
async def send(newsletter: str, cadence: str | None, despite_warnings: bool) -> None:
    """Create, approve and watch until it is done."""
    async with door.house() as house:
        async with house.conn.transaction():
            digest = await draft(house, newsletter, cadence)
            await approved(house, digest, despite_warnings)
            mails = await editions.begin(house.conn, house.settings, digest)
        door.complain(f"Digest {digest.number} of {newsletter} to {mails} readers.")
        async with somebody_works(house):
            done = await watch(house, digest, mails)
    counted = ", ".join(f"{count} {state}" for state, count in done.mails.items() if count)
    door.say(f"{done.digest.state.capitalize()}: {counted or 'no readers'}.")
    if done.mails["failed"]:
        raise Refusal("{count} mails were refused for good.", count=done.mails["failed"])


@asynccontextmanager
async def somebody_works(house: House) -> AsyncIterator[None]:
    """Where no worker runs, work here until the digest is done."""
    if await outbox.workers(house.conn):
        yield
        return
    if not house.settings.smtp:
        raise Misconfigured("No worker is running: start one, or set MAILER_SMTP_URL.")
    door.complain("No worker is running: sending from here.")
    stop = asyncio.Event()
    async with (
        door.database(house.settings) as url,
        db.pool(url, size=DATABASE_CONNECTIONS) as pool,
    ):
        working = asyncio.create_task(Worker(house.settings, pool, house.vault, stop).run())
        try:
            yield
        finally:
            stop.set()
            await working


async def watch(house: House, digest: Digest, mails: int) -> Status:
    """Show progress to whoever watches, until nothing of it waits."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True, quiet=not door.interactive())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=mails)
        while True:
            now = await digests.status(house.conn, digest)
            progress.update(task, completed=mails - now.mails["waiting"])
            if now.digest.state not in ("sending", "paused"):
                return now
            await asyncio.sleep(WATCH_SECONDS)
