"""`mailer bounce …`."""

import sys
from uuid import UUID

import click

from mailer import bounces, digests, people
from mailer.bounces import Taken, health, reading
from mailer.bounces.reasons import KINDS, WORDS, Kind
from mailer.cli import door
from mailer.cli.door import House

MOST_BYTES = 25_000_000


@click.group("bounce", invoke_without_command=True)
@click.option("--to", multiple=True, metavar="ADDRESS",
              help="The recipient on the envelope, where headers don't tell.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only say what it is.")
@door.as_json
@click.pass_context
def command(ctx: click.Context, to: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Take one bounce, complaint or wish to leave on standard input, and act on it.

    With a subcommand: see what came back, and take back what was done because of it.
    """
    if ctx.invoked_subcommand is None:
        take(to, dry_run=dry_run, as_json=as_json)


@door.run
async def take(to: tuple[str, ...], *, dry_run: bool, as_json: bool) -> None:
    raw = sys.stdin.buffer.read(MOST_BYTES)
    found = reading.read(raw)
    taken = Taken(found.kind, found.reason)
    if not dry_run:
        async with door.house() as house, house.conn.transaction():
            report = bounces.mailed("stdin", raw, found, to)
            taken = await bounces.take(house.conn, house.vault, report)
    if as_json:
        door.show_one({**vars(taken), "words": WORDS[taken.reason]}, as_json=True)
    else:
        door.say(f"{taken.kind}: {WORDS[taken.reason]}{'' if dry_run else outcome(taken)}")


def outcome(taken: Taken) -> str:
    if taken.again:
        return "; it was told before"
    if taken.probe:
        return "; it is the mail of mailer check --bounce-loop, and has come back"
    if taken.bounce is None:
        return "; it bears no token of ours: counted, and nothing done"
    return f"; kept as bounce {taken.bounce}" + (f", {taken.act}" if taken.act else "")


@command.command("list")
@click.option("--email", help="Of this person only.")
@click.option("--kind", type=click.Choice(sorted(set(KINDS.values()))))
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@door.why
@door.as_json
@door.run
async def list_(
    email: str | None, kind: Kind | None, limit: int, reason: str, as_json: bool
) -> None:
    """What came back lately, newest first. To look at a person (--email) is recorded."""
    async with door.house() as house:
        person = await whose(house, email, reason)
        lines = await bounces.latest(house.conn, person, kind, limit)
        strays = await bounces.strays(house.conn)
    door.show((vars(line) for line in lines), as_json=as_json)
    lost = sum(stray.count for stray in strays)
    if lost and not as_json:
        door.say(f"Besides, {lost} in the last 30 days bore no token of ours: nothing was done.")


async def whose(house: House, email: str | None, reason: str) -> UUID | None:
    if email is None:
        return None
    async with house.conn.transaction():
        own = await people.view(
            house.conn, house.vault, email, what="bounces", reason=reason, actor=door.actor()
        )
    return own.subscriber.id


@command.command()
@click.argument("bounce", type=int)
@door.as_json
@door.run
async def show(bounce: int, as_json: bool) -> None:
    """One of them, with what was said; addresses are masked."""
    async with door.house() as house, house.conn.transaction():
        found = bounces.described(*await bounces.get(house.conn, house.vault, bounce))
    door.show_one(found, as_json=as_json)


@command.command()
@click.argument("bounce", type=int)
@door.run
async def undo(bounce: int) -> None:
    """It was a mistake: it never counts again, and who was suppressed for it is a reader again."""
    async with door.house() as house, house.conn.transaction():
        await bounces.undo(house.conn, house.vault, bounce, door.actor())
    door.say(f"Bounce {bounce} is undone.")


@command.command()
@click.argument("newsletter")
@click.argument("number", type=int)
@click.argument("provider")
@door.run
async def lift(newsletter: str, number: int, provider: str) -> None:
    """A storm was none: bounces of that digest at that provider count. Or: an alarm was seen."""
    async with door.house() as house, house.conn.transaction():
        digest = await digests.find(house.conn, newsletter, number)
        await health.lift(house.conn, digest.id, provider, door.actor())
    door.say("The alarm is lifted.")
