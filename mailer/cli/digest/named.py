"""The digest that a command is about, by NEWSLETTER and NUMBER."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import click

from mailer import digests
from mailer.cli import door
from mailer.db import Connection
from mailer.digests import Digest

Verb: TypeAlias = Callable[[Connection, Digest], Awaitable[None]]


def named(command: Callable[..., None]) -> Callable[..., None]:
    """A command about one digest."""
    return click.argument("newsletter")(click.argument("number", type=int)(command))


async def to(verb: Verb, slug: str, number: int) -> None:
    """Do it to one digest."""
    async with door.house() as house, house.conn.transaction():
        await verb(house.conn, await digests.find(house.conn, slug, number))
