"""`mailer newsletter …`."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

import click

from mailer import newsletters, schedules, subscriptions
from mailer.cli import door
from mailer.db import Connection
from mailer.newsletters import CADENCES, Newsletter

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


@click.group("newsletter")
def command() -> None:
    """Named series, with languages and cadences."""


def titles(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """LANG=TITLE, for each language."""
    pairs = [text.partition("=") for text in given]
    if not all(language and title for language, _, title in pairs):
        raise click.BadParameter("give it as LANG=TITLE, such as en='Weekly news'")
    return {language: title for language, _, title in pairs}


def schedules_(
    ctx: click.Context, param: click.Parameter, given: tuple[str, ...]
) -> dict[str, str | None]:
    """CADENCE, for its usual time; or CADENCE=CRON; or CADENCE=off."""
    found: dict[str, str | None] = {}
    for text in given:
        cadence, named, cron = text.partition("=")
        if cadence not in CADENCES:
            raise click.BadParameter(f"{cadence} is none of {', '.join(CADENCES)}")
        found[cadence] = cron if named else schedules.USUAL[cadence]
    return found


settings = [
    click.option("--schedule", "scheduled", multiple=True, callback=schedules_,
                 metavar="CADENCE[=CRON]",
                 help="Make its digests by themselves: at nine, on Mondays, on the first; or as "
                 "cron says, such as weekly='0 9 * * 1,4'; weekly=off ends it."),
    click.option("--approval", type=click.Choice(["editor", "automatic"]),
                 help="Whether digests made by a schedule wait for an editor."),
    click.option("--untranslated", type=click.Choice(["shown", "omitted"]),
                 help="What becomes of articles that are not in a reader's language."),
    click.option("--fewest", type=int, help="Articles without which a schedule makes no digest."),
    click.option("--most", type=int, help="Articles in one digest; the rest comes next time."),
    click.option("--images/--no-images", default=None,
                 help="Show images: mail programs then ask your site for them (see docs)."),
]  # fmt: skip


def with_settings(command: Decorated) -> Decorated:
    for option in reversed(settings):
        command = option(command)
    return command


@command.command()
@click.argument("slug")
@click.option(
    "--title",
    "titled",
    multiple=True,
    required=True,
    callback=titles,
    metavar="LANG=TITLE",
    help="Its title in a language; once for each language.",
)
@click.option("--fallback", help="For readers of other languages (the first, if not given).")
@click.option(
    "--cadence",
    "cadences",
    multiple=True,
    type=click.Choice(CADENCES),
    default=("weekly",),
    show_default=True,
    help="How often; may be given again.",
)
@click.option("--timezone", default="UTC", show_default=True)
@click.option("--archive/--no-archive", default=True, help="Show sent digests in public.")
@with_settings
@door.as_json
@door.run
async def add(
    slug: str,
    titled: dict[str, str],
    fallback: str | None,
    cadences: tuple[str, ...],
    timezone: str,
    archive: bool,
    scheduled: dict[str, str | None],
    as_json: bool,
    **chosen: object,
) -> None:
    """Add a newsletter."""
    async with door.house() as house, house.conn.transaction():
        added = await newsletters.add(
            house.conn,
            slug,
            titled,
            fallback=fallback or next(iter(titled)),
            cadences=cadences,
            timezone=timezone,
            archived=archive,
        )
        added = await newsletters.change(house.conn, added, **given(chosen))
        await schedule(house.conn, added, scheduled)
    if as_json:
        door.show_one(asdict(added), as_json=True)
    else:
        door.say(f"Added {slug}. Publish a notice in each language next: mailer notice add")


def given(chosen: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in chosen.items() if value is not None}


async def schedule(
    conn: Connection, newsletter: Newsletter, scheduled: Mapping[str, str | None]
) -> None:
    for cadence, cron in scheduled.items():
        if cron == "off":
            await schedules.remove(conn, newsletter, cadence)
        else:
            await schedules.put(conn, newsletter, cadence, cron)


@command.command()
@click.argument("slug")
@click.option(
    "--title",
    "titled",
    multiple=True,
    callback=titles,
    metavar="LANG=TITLE",
    help="Instead of all it has; once for each language.",
)
@click.option("--fallback", help="For readers of other languages.")
@click.option(
    "--cadence",
    "cadences",
    multiple=True,
    type=click.Choice(CADENCES),
    help="Instead of all it has; may be given again.",
)
@click.option("--timezone")
@click.option(
    "--archive/--no-archive", "archived", default=None, help="Show sent digests in public."
)
@with_settings
@door.as_json
@door.run
async def change(
    slug: str,
    titled: dict[str, str],
    cadences: tuple[str, ...],
    scheduled: dict[str, str | None],
    as_json: bool,
    **chosen: object,
) -> None:
    """Change what is named; the rest stays. The slug stays for ever."""
    chosen = {**chosen, "titles": titled or None, "cadences": list(cadences) or None}
    async with door.house() as house, house.conn.transaction():
        found = await newsletters.find(house.conn, slug)
        changed = await newsletters.change(house.conn, found, **given(chosen))
        await schedules.fit(house.conn, changed)
        await schedule(house.conn, changed, scheduled)
        row = await as_row(house.conn, changed)
    if as_json:
        door.show_one(row, as_json=True)
    else:
        door.say(f"Changed {slug}.")


@command.command("list")
@door.as_json
@door.run
async def list_(as_json: bool) -> None:
    """Every newsletter."""
    async with door.house() as house:
        listed = await newsletters.all_(house.conn)
    door.show(map(asdict, listed), as_json=as_json)


@command.command()
@click.argument("slug")
@door.as_json
@door.run
async def show(slug: str, as_json: bool) -> None:
    """One newsletter."""
    async with door.house() as house:
        row = await as_row(house.conn, await newsletters.find(house.conn, slug))
    door.show_one(row, as_json=as_json)


async def as_row(conn: Connection, newsletter: Newsletter) -> dict[str, object]:
    due = {s.cadence: s for s in await schedules.of(conn, newsletter)}
    return {
        **asdict(newsletter),
        "schedule": {cadence: s.cron or "as published" for cadence, s in due.items()},
        "left_because": {
            r.reason: r.count for r in await subscriptions.reasons(conn, newsletter.id)
        },
        "due": {cadence: s.due_at for cadence, s in due.items()},
    }
