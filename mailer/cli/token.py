"""`mailer token …`."""

import json

import click

from mailer import access, newsletters
from mailer.access import SCOPES, Token
from mailer.cli import door


@click.group("token")
def command() -> None:
    """Tokens with which other programs use the API."""


@command.command()
@click.argument("name")
@click.option(
    "--scope", "scopes", type=click.Choice(SCOPES), multiple=True, required=True, help="Repeatable."
)
@click.option("--newsletter", help="The only one it may be used for; else all of them.")
@click.option("--days", default=365, show_default=True, help="How long it holds.")
@door.as_json
@door.run
async def add(
    name: str, scopes: tuple[str, ...], newsletter: str | None, days: int, as_json: bool
) -> None:
    """Make a token for the program NAME. It is shown once."""
    async with door.house() as house, house.conn.transaction():
        only = await newsletters.find(house.conn, newsletter) if newsletter else None
        issued, words = await access.issue(
            house.conn, name, scopes, days, newsletter=only.id if only else None, by=door.actor()
        )
    if as_json:
        door.say(json.dumps({"name": name, "token": words, "expires_at": str(issued.expires_at)}))
    else:
        door.complain(f"Keep it now: it is not shown again. It holds until {issued.expires_at:%F}.")
        door.say(words)


@command.command("list")
@door.as_json
@door.run
async def list_(as_json: bool) -> None:
    """Every token there was, without what opens anything."""
    async with door.house() as house:
        listed = await access.all_(house.conn)
        slugs = {each.id: each.slug for each in await newsletters.all_(house.conn)}
    door.show((as_row(token, slugs) for token in listed), as_json=as_json)


def as_row(token: Token, slugs: dict[int, str]) -> dict[str, object]:
    names = ("name", "scopes", "created_by", "created_at", "expires_at", "revoked_at")
    return {
        **{name: getattr(token, name) for name in names},
        "last_used_at": token.last_used_at,
        "newsletter": slugs[token.newsletter] if token.newsletter else None,
    }


@command.command()
@click.argument("name")
@door.run
async def revoke(name: str) -> None:
    """The token NAME opens nothing from now on."""
    async with door.house() as house, house.conn.transaction():
        await access.revoke(house.conn, name)
    door.say("Revoked.")
