"""`mailer request …`."""

from datetime import datetime

import click

from mailer import acts, people, subject_requests
from mailer.cli import door
from mailer.subject_requests import ASKS, OUTCOMES, ROADS, STATES, Asked, Details, Filter, Request

SHOWN = 1000
DAY = click.DateTime(["%Y-%m-%d"])
BY_STAFF = [road for road in ROADS if road != "page"]


@click.group("request")
def command() -> None:
    """What people ask about their data, and by when they must have an answer."""


@command.command()
@click.option("--email", help="The address it is about.")
@click.option("--asks", multiple=True, required=True, type=click.Choice(ASKS),
              help="May be given again.")  # fmt: skip
@click.option("--road", type=click.Choice(BY_STAFF), required=True, help="How it arrived.")
@click.option("--received", type=DAY, required=True, help="The day on which it arrived.")
@click.option("--note", default="", help="Where the letter is kept …; sealed.")
@click.option("--sender", default="", help="Where the answer goes, if not to EMAIL; sealed.")
@door.run
async def add(
    email: str | None, asks: list[str], road: str, received: datetime, note: str, sender: str
) -> None:
    """Put a request into the register; the answer is due a month after the day it arrived."""
    async with door.house() as house, house.conn.transaction():
        own = await people.with_address(house.conn, house.vault, email) if email else None
        noted = Details(note, sender or ("" if own else email or ""))
        arrived = Asked(
            [each for each in ASKS if each in asks],
            next(each for each in ROADS if each == road),
            received.date(),
            noted,
        )
        number = await people.ask(house.conn, house.vault, own, arrived, actor=door.actor())
        due = (await subject_requests.find(house.conn, number)).due_on
    door.say(f"Request {number}: the answer is due on {due}.")


@command.command("list")
@click.option("--state", type=click.Choice(STATES), default="open", show_default=True)
@click.option("--asks", type=click.Choice(ASKS))
@click.option("--road", type=click.Choice(ROADS))
@door.as_json
@door.run
async def list_(state: str, asks: str | None, road: str | None, as_json: bool) -> None:
    """Requests: what is overdue first."""
    wanted = Filter(next(each for each in STATES if each == state), asks, road)
    async with door.house() as house:
        found = await subject_requests.listed(house.conn, wanted, after=None, most=SHOWN)
    door.show((line(each) for each in found), as_json=as_json)


def line(request: Request) -> dict[str, object]:
    """Without what was noted."""
    return {
        "number": request.id,
        "asks": list(request.asks),
        "road": request.road,
        "received": request.received_on.isoformat(),
        "due": request.due_on.isoformat(),
        "state": request.state,
        "outcome": request.outcome,
        "closed_by": request.closed_by,
        "closed_at": request.closed_at,
    }


@command.command()
@click.argument("number", type=int)
@door.as_json
@door.run
async def show(number: int, as_json: bool) -> None:
    """One request, with what was noted; that you looked is recorded."""
    async with door.house() as house, house.conn.transaction():
        found, noted = await people.look_at(house.conn, house.vault, number, actor=door.actor())
    door.show_one({**line(found), **vars(noted)}, as_json=as_json)


@command.command()
@click.argument("number", type=int)
@click.option("--reason", required=True, help="As the person is told.")
@door.run
async def extend(number: int, reason: str) -> None:
    """Two months more; the person must be told so, and why, within the first month."""
    async with door.house() as house, house.conn.transaction():
        found = await subject_requests.extend(house.conn, house.vault, number, reason)
        await acts.record(house.conn, house.vault, door.actor(), "request.extended", str(number))
    door.say(f"The answer is due on {found.due_on} now. Write so to the person today.")


@command.command()
@click.argument("number", type=int)
@click.option("--outcome", type=click.Choice(OUTCOMES), required=True)
@click.option("--answer", default="", help="What was said, in words; sealed.")
@door.run
async def close(number: int, outcome: str, answer: str) -> None:
    """It is answered."""
    came = next(each for each in OUTCOMES if each == outcome)
    async with door.house() as house, house.conn.transaction():
        await people.answer(house.conn, house.vault, number, came, answer, actor=door.actor())
    door.say(f"Request {number} is closed.")
