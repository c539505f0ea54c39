"""`mailer digest …`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from mailer import address, db, digests, dkim, editions, letters, mime, newsletters, outbox, smtp
from mailer.cli import door
from mailer.cli.door import House
from mailer.digests import Digest, Status
from mailer.errors import Invalid, Misconfigured, Refusal
from mailer.tokens import LENGTH, SLOTS
from mailer.worker import DATABASE_CONNECTIONS, Worker

WATCH_SECONDS = 0.5
DEAD_LINK = "x" * LENGTH
"""In a preview or test mail: a token that opens nothing."""


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
        door.show_one(as_row(status), as_json=True)
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
        pairs = [text.partition("=") for text in introduced]
        if not all(language in newsletter.languages and said for language, _, said in pairs):
            raise Invalid(
                "Give the introduction as LANG=TEXT in {known}.",
                known=", ".join(newsletter.languages),
            )
        await digests.introduce(house.conn, digest, {lang: said for lang, _, said in pairs})
    return await digests.get(house.conn, digest.id)


@command.command()
@click.argument("newsletter")
@click.argument("number", type=int)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path(),
              help="A folder for the files; else here.")  # fmt: skip
@door.run
async def preview(newsletter: str, number: int, out: Path) -> None:
    """Write each edition to a file, as HTML and as text."""
    async with door.house() as house:
        digest = await digests.find(house.conn, newsletter, number)
        _, composed = await editions.compose(house.conn, house.settings, digest)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for edition, _ in composed:
            stem = f"{newsletter}-{number}-{edition.language}"
            for suffix, content in (("html", edition.html), ("txt", edition.text)):
                (out / f"{stem}.{suffix}").write_text(without_slots(content), "utf-8")
                door.say(str(out / f"{stem}.{suffix}"))
    except OSError as error:
        raise Refusal("{path} can't be written: {why}.", path=out, why=error.strerror) from None


def without_slots(content: str) -> str:
    """With links that lead nowhere, where a reader's own would be."""
    for slot in SLOTS.values():
        content = content.replace(slot, DEAD_LINK)
    return content


@command.command()
@click.argument("newsletter")
@click.argument("number", type=int)
@click.option("--to", required=True, help="An address.")
@click.option("--language", help="The newsletter's fallback, if not given.")
@door.run
async def test(newsletter: str, number: int, to: str, language: str | None) -> None:
    """Send one edition to yourself; its personal links lead nowhere."""
    reached = address.parse(to)
    async with door.house() as house:
        settings = house.settings
        digest = await digests.find(house.conn, newsletter, number)
        found, composed = await editions.compose(house.conn, settings, digest)
    spoken = found.offered(language or found.fallback)
    letter = next(letter for edition, letter in composed if edition.language == spoken)
    mould = dkim.signed(mime.mould(letter, settings.domain), dkim.signers(settings))
    mail = mould.cast(
        address.wire(reached.given), uuid4(), dict.fromkeys(SLOTS, DEAD_LINK), datetime.now(UTC)
    )
    sender = letters.return_path(settings, found, DEAD_LINK)
    async with smtp.Road(settings.smtp, 1) as road:
        verdict = await road.send(mail, sender, reached.given)
    if verdict.kind != "sent":
        raise Refusal("The mail server refused it: {reply}", reply=verdict.reply)
    door.say("Sent.")


@command.command()
@click.argument("newsletter")
@click.argument("number", type=int)
@door.run
async def approve(newsletter: str, number: int) -> None:
    """Freeze its text and begin to send it."""
    async with door.house() as house, house.conn.transaction():
        digest = await digests.find(house.conn, newsletter, number)
        mails = await approved(house, digest)
    door.say(f"{mails} mails are on their way.")


async def approved(house: House, digest: Digest) -> int:
    _, composed = await editions.compose(house.conn, house.settings, digest)
    frozen = [edition for edition, _ in composed]
    return await digests.approve(house.conn, digest, frozen, by=door.actor())


@command.command()
@click.argument("newsletter")
@click.argument("number", type=int)
@door.run
async def pause(newsletter: str, number: int) -> None:
    """Send no more of it for the present."""
    async with door.house() as house, house.conn.transaction():
        await digests.pause(house.conn, await digests.find(house.conn, newsletter, number))
    door.say("Paused.")


@command.command()
@click.argument("newsletter")
@click.argument("number", type=int)
@door.run
async def resume(newsletter: str, number: int) -> None:
    """Go on sending it."""
    async with door.house() as house, house.conn.transaction():
        await digests.resume(house.conn, await digests.find(house.conn, newsletter, number))
    door.say("Resumed.")


@command.command()
@click.argument("newsletter")
@click.argument("number", type=int)
@door.run
async def cancel(newsletter: str, number: int) -> None:
    """Send no more of it, ever. The articles of a draft come with the next digest."""
    async with door.house() as house, house.conn.transaction():
        await digests.cancel(house.conn, await digests.find(house.conn, newsletter, number))
    door.say("Cancelled.")


@command.command()
@click.argument("newsletter", required=False)
@click.argument("number", type=int, required=False)
@door.as_json
@door.run
async def status(newsletter: str | None, number: int | None, as_json: bool) -> None:
    """How one digest stands; or all of a newsletter; or all."""
    async with door.house() as house:
        if newsletter and number:
            chosen = await digests.find(house.conn, newsletter, number)
            found = as_row(await digests.status(house.conn, chosen))
            door.show_one(found, as_json=as_json)
            return
        listed = await digests.all_(house.conn, newsletter)
        rows = [as_row(await digests.status(house.conn, digest)) for digest in listed]
    door.show(rows, as_json=as_json)


def as_row(status: Status) -> dict[str, object]:
    digest = status.digest
    return {
        "newsletter": status.newsletter,
        "number": digest.number,
        "cadence": digest.cadence,
        "state": digest.state,
        "articles": status.articles,
        **status.mails,
        "approved_by": digest.approved_by,
        "approved_at": digest.approved_at,
        "finished_at": digest.finished_at,
    }


@command.command()
@click.argument("newsletter")
@click.option("--cadence", help="The newsletter's first, if not given.")
@door.run
async def send(newsletter: str, cadence: str | None) -> None:
    """Create, approve and watch until it is done."""
    async with door.house() as house:
        async with house.conn.transaction():
            digest = await draft(house, newsletter, cadence)
            mails = await approved(house, digest)
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
