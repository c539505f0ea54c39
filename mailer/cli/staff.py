"""`mailer staff …`."""

import click

from mailer import render, staff
from mailer.cli import door
from mailer.staff import ROLES, Account, Role
from mailer.vault import Vault


@click.group("staff")
def command() -> None:
    """Accounts of those who run the service."""


@command.command()
@click.argument("email")
@click.option("--role", type=click.Choice(ROLES), required=True)
@click.option("--language", type=click.Choice(render.DESK),
              help="Of letters to them, and of their pages.")  # fmt: skip
@click.password_option(help="Asked for if not given.")
@door.run
async def add(email: str, role: Role, language: str | None, password: str) -> None:
    """Add an account."""
    hashed = staff.hash_password(password)
    async with door.house() as house, house.conn.transaction():
        await staff.add(house.conn, house.vault, email, role, hashed, language)
    door.say(f"Added {email} as {role}.")


@command.command("list")
@door.as_json
@door.run
async def list_(as_json: bool) -> None:
    """Every account."""
    async with door.house() as house:
        listed = await staff.all_(house.conn)
        door.show((as_row(house.vault, account) for account in listed), as_json=as_json)


def as_row(keys: Vault, account: Account) -> dict[str, object]:
    return {
        "email": account.email(keys),
        "role": account.role,
        "language": account.language,
        "disabled": account.disabled_at is not None,
        "created_at": account.created_at,
    }
