"""Schedules: when a newsletter's cadence makes its next digest, on the clock of its readers.

A cron expression in the newsletter's time zone; at a change of daylight saving, a time that is left
out is made up for at once, and one that comes twice counts once (as with Debian's cron). After a
pause, however long, what was missed is made up for by one digest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from mailer import db
from mailer.db import Connection
from mailer.errors import Conflict, Invalid
from mailer.newsletters import Newsletter

SQL = db.statements("schedules")

USUAL: Mapping[str, str | None] = {
    "published": None,
    "daily": "0 9 * * *",
    "weekly": "0 9 * * 1",
    "monthly": "0 9 1 * *",
}
"""At nine; on Mondays; on the first."""

AS_PUBLISHED = timedelta(minutes=1)
"""How often it is looked whether there is something for `published`."""


@dataclass(frozen=True)
class Schedule:
    """`cron` is None for `published`."""

    newsletter: int
    cadence: str
    cron: str | None
    due_at: datetime


async def put(conn: Connection, newsletter: Newsletter, cadence: str, cron: str | None) -> None:
    """Make digests of a cadence by themselves. Raises Invalid or Conflict."""
    if cadence not in newsletter.cadences:
        raise Conflict(
            "{slug} has no cadence {cadence}; it has {known}.",
            slug=newsletter.slug,
            cadence=cadence,
            known=", ".join(newsletter.cadences),
        )
    if (cron is None) != (cadence == "published"):
        raise Invalid(
            "A schedule is a cron expression; only published has none, as it follows the articles.",
            field="schedule",
        )
    due_at = following(cron, newsletter.zone, await conn.fetchval(SQL.now))
    await conn.execute(SQL.put, newsletter.id, cadence, cron, due_at)


async def remove(conn: Connection, newsletter: Newsletter, cadence: str) -> None:
    """From now on its digests are made by hand."""
    await conn.execute(SQL.remove, newsletter.id, cadence)


async def of(conn: Connection, newsletter: Newsletter) -> list[Schedule]:
    return await db.fetch(conn, Schedule, SQL.of, newsletter.id)


async def fit(conn: Connection, newsletter: Newsletter) -> None:
    """After a change of the newsletter: times in its zone, and none for a cadence it lost."""
    for schedule in await of(conn, newsletter):
        if schedule.cadence in newsletter.cadences:
            await put(conn, newsletter, schedule.cadence, schedule.cron)
        else:
            await remove(conn, newsletter, schedule.cadence)


async def take_due(conn: Connection) -> Schedule | None:
    """One that is due; its newsletter is locked until this transaction ends."""
    return await db.first(conn, Schedule, SQL.take_due)


async def put_off(conn: Connection, schedule: Schedule, newsletter: Newsletter) -> bool:
    """Until its next time from now, whatever times went by. False: somebody else was first."""
    due_at = following(schedule.cron, newsletter.zone, await conn.fetchval(SQL.now))
    mine = await conn.fetchval(SQL.put_off, schedule.newsletter, schedule.cadence, due_at)
    return bool(mine)


def following(cron: str | None, zone: ZoneInfo, after: datetime) -> datetime:
    """The first time after `after`. Raises Invalid for what is no cron expression."""
    if cron is None:
        return after + AS_PUBLISHED
    try:
        return next(CronSim(cron, after.astimezone(zone)))
    except (CronSimError, StopIteration):
        raise Invalid(
            "{cron} is not a time in cron's form, such as 0 9 * * 1 for Mondays at nine.",
            field="schedule",
            cron=cron,
        ) from None


def moment(text: str, zone: ZoneInfo) -> datetime:
    """A time to come, on that clock unless the text names another. Raises Invalid."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid("Give the time as 2026-03-01T09:00.", field="at") from None
    found = found if found.tzinfo else found.replace(tzinfo=zone)
    if found <= datetime.now(UTC):
        raise Invalid("That time is over: give one to come.", field="at")
    return found.astimezone(zone)
