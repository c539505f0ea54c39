"""From approval to the last mail: when it goes, and stopping it."""

from datetime import datetime

import click

from mailer import digests, editions, newsletters, schedules
from mailer.cli import door
from mailer.cli.digest.named import named, to
from mailer.cli.door import House
from mailer.digests import Digest

despite_warnings = click.option(
    "--despite-warnings", is_flag=True, help="Put aside what was found in it."
)


@click.command()
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


@click.command()
@named
@door.run
async def recall(newsletter: str, number: int) -> None:
    """Make an approved digest that has not begun a draft again."""
    await to(digests.recall, newsletter, number)
    door.say("It is a draft again.")


@click.command()
@named
@door.run
async def pause(newsletter: str, number: int) -> None:
    """Send no more of it for the present."""
    await to(digests.pause, newsletter, number)
    door.say("Paused.")


@click.command()
@named
@door.run
async def resume(newsletter: str, number: int) -> None:
    """Go on sending it."""
    await to(digests.resume, newsletter, number)
    door.say("Resumed.")


@click.command()
@named
@door.run
async def cancel(newsletter: str, number: int) -> None:
    """Send no more of it, ever. If it has not begun, its articles come with the next digest."""
    await to(digests.cancel, newsletter, number)
    door.say("Cancelled.")
