"""`mailer staff …`."""

import click

from mailer import acts, factors, invitations, render, sessions, staff
from mailer.cli import door
from mailer.cli.door import House
from mailer.consent import STAFF
from mailer.errors import Conflict
from mailer.staff import ROLES, Account, Role
from mailer.vault import Vault

why = click.option("--reason", default="", help="Why; recorded.")


@click.group("staff")
def command() -> None:
    """Accounts of those who run the service."""


@command.command()
@click.argument("email")
@click.option("--role", type=click.Choice(ROLES), required=True)
@click.option("--language", type=click.Choice(render.DESK), default=render.SOURCE,
              show_default=True, help="Of letters to them, and of their pages.")  # fmt: skip
@click.option("--invite", is_flag=True, help="They choose a password behind a link in a letter.")
@click.option("--password", help="Asked for if neither is given.")
@door.run
async def add(email: str, role: Role, language: str, invite: bool, password: str | None) -> None:
    """Add an account."""
    hashed = None if invite else staff.hash_password(password or asked())
    async with door.house() as house, house.conn.transaction():
        id_ = await staff.add(house.conn, house.vault, email, role, hashed, language)
        if invite:
            await invitations.send(house.conn, id_, "invitation")
        await record(house, "account.added", f"{STAFF}{id_}", "", role=role)
    door.say(f"Added {email} as {role}." + (" A letter is on its way." if invite else ""))


@command.command()
@click.argument("email")
@click.option("--password", help="Asked for if not given.")
@why
@door.run
async def password(email: str, password: str | None, reason: str) -> None:
    """Set a new password; whoever is signed in with the account is out."""
    hashed = staff.hash_password(password or asked())
    async with door.house() as house, house.conn.transaction():
        account = await staff.find(house.conn, house.vault, email)
        await staff.set_password(house.conn, account.id, hashed)
        await sessions.end_others(house.conn, account.id, None)
        await record(house, "password.set", account.actor, reason, by="command")
    door.say("The password is set.")


@command.command()
@click.argument("email")
@why
@door.run
async def disable(email: str, reason: str) -> None:
    """Let nobody in with the account any more."""
    async with door.house() as house, house.conn.transaction():
        account = await staff.find(house.conn, house.vault, email)
        if not await staff.disable(house.conn, account.id):
            raise Conflict("It is disabled already.")
        await record(house, "account.disabled", account.actor, reason)
    door.say("The account is disabled.")


@command.command()
@click.argument("email")
@why
@door.run
async def enable(email: str, reason: str) -> None:
    """Let the account in again."""
    async with door.house() as house, house.conn.transaction():
        account = await staff.find(house.conn, house.vault, email)
        if not await staff.enable(house.conn, account.id):
            raise Conflict("It is not disabled.")
        await record(house, "account.enabled", account.actor, reason)
    door.say("The account can be used again.")


@command.command("reset-factor")
@click.argument("email")
@why
@door.run
async def reset_factor(email: str, reason: str) -> None:
    """Take app, passkeys and recovery codes away from an account that has lost them."""
    async with door.house() as house, house.conn.transaction():
        account = await staff.find(house.conn, house.vault, email)
        await factors.reset(house.conn, account.id)
        await record(house, "factor.reset", account.actor, reason)
    door.say("The account has no second factor; who needs one sets it up at the next sign-in.")


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
        "second_factor": account.has_factor,
        "invited": account.password is None,
        "disabled": account.disabled_at is not None,
        "created_at": account.created_at,
    }


async def record(house: House, act: str, on: str, reason: str, **details: object) -> None:
    await acts.record(house.conn, house.vault, door.actor(), act, on, reason=reason, **details)


def asked() -> str:
    given: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return given
