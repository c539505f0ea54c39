"""How every command comes in: settings, database and vault; and how it answers."""

import asyncio
import getpass
import json
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

import click

from mailer import config, db, embedded, migrate, render, subjects
from mailer.config import Settings
from mailer.db import Connection
from mailer.errors import Misconfigured
from mailer.vault import Vault

P = ParamSpec("P")
R = TypeVar("R")

COUNT_EVERY = 1000
MEGABYTE = 1_000_000

as_json = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"])
why = click.option("--reason", default="", help="Why you look; recorded.")


@dataclass(frozen=True)
class House:
    """What a command works with."""

    settings: Settings
    conn: Connection
    vault: Vault


def run(command: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, R]:
    """Let click call a coroutine."""

    @wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        return asyncio.run(command(*args, **kwargs))

    return wrapper


@asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[str]:
    """The URL of the PostgreSQL to use: the one named, else the embedded one."""
    if settings.database_url:
        yield settings.database_url
        return
    async with embedded.server(settings.data_dir) as url:
        yield url


@asynccontextmanager
async def house() -> AsyncIterator[House]:
    """Everything open. Raises Misconfigured, Unavailable or Conflict (the schema is not ours)."""
    settings = config.load()
    render.use(settings.templates_dir)
    async with database(settings) as url, db.connection(url) as conn:
        await migrate.check(conn)
        vault = await subjects.open_vault(conn, secret_key(settings))
        yield House(settings, conn, vault)


def secret_key(settings: Settings) -> str:
    if settings.secret_key is None:
        raise Misconfigured(
            "MAILER_SECRET_KEY is not set: make one with `openssl rand -base64 32`, "
            "keep it safe and set it here and for every other process."
        )
    return settings.secret_key


def as_utc(moment: datetime | None) -> datetime | None:
    """UTC unless it says otherwise."""
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def actor() -> str:
    """Who is at the keyboard, for the record."""
    return f"staff:{getpass.getuser()}"


# answers


def say(text: str) -> None:
    click.echo(text)


def complain(text: str) -> None:
    click.echo(text, err=True)


def show(rows: Iterable[Mapping[str, object]], *, as_json: bool) -> None:
    """A list: JSON, or a table for people."""
    listed = list(rows)
    if as_json:
        say(json.dumps(listed, ensure_ascii=False, indent=2, default=plain))
    elif listed:
        table(listed)


def show_one(row: Mapping[str, object], *, as_json: bool) -> None:
    """One thing: JSON, or a line a property."""
    if as_json:
        say(json.dumps(row, ensure_ascii=False, indent=2, default=plain))
        return
    width = max(len(name) for name in row)
    for name, value in row.items():
        say(f"{name:<{width}}  {cell(value)}")


def table(rows: list[Mapping[str, object]]) -> None:
    names = list(rows[0])
    cells = [names, *([cell(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
    for line in cells:
        padded = (text.ljust(width) for text, width in zip(line, widths, strict=True))
        say("  ".join(padded).rstrip())


def cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, list | tuple):
        return ", ".join(map(cell, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {cell(each)}" for name, each in value.items())
    return str(value)


def plain(value: object) -> object:
    """What JSON has no form of."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, UUID | Path):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return list(value) if isinstance(value, Iterable) else str(value)


@contextmanager
def counting(what: str, every: int = COUNT_EVERY) -> Iterator[Callable[[int], None]]:
    """Show on a terminal how far long work has come; quiet in a pipe."""
    watched = interactive()

    def count(done: int) -> None:
        if watched and done % every == 0:
            click.echo(f"\r{done} {what}", nl=False, err=True)

    yield count
    if watched:
        click.echo("\r", nl=False, err=True)


@contextmanager
def counting_bytes() -> Iterator[Callable[[int], None]]:
    """As `counting`, of megabytes."""
    with counting("MB", 1) as count:
        shown = -1

        def told(done: int) -> None:
            nonlocal shown
            if done // MEGABYTE > shown:
                shown = done // MEGABYTE
                count(shown)

        yield told


def interactive() -> bool:
    """Whether someone watches: progress is for terminals, not for pipes."""
    return sys.stderr.isatty()
