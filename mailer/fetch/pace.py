"""How often a feed wants to be asked, and when not: `ttl`, `skipHours` and `skipDays` of RSS, and
`updatePeriod` with `updateFrequency` of the module of RDF Site Summary for syndication.
"""

from datetime import timedelta
from typing import Any

HOURS = 24
DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
PERIODS = {
    "hourly": timedelta(hours=1),
    "daily": timedelta(days=1),
    "weekly": timedelta(days=7),
    "monthly": timedelta(days=30),
    "yearly": timedelta(days=365),
}
MOST_MINUTES = 10_000
SKIPPED = {"hour": "skiphours", "day": "skipdays"}


def begin_skipped(name: str) -> Any:
    """feedparser would keep the last of several alone."""

    def begin(parser: Any, attributes: Any) -> None:
        parser.push(name, 1)

    return begin


def end_skipped(name: str) -> Any:
    def end(parser: Any) -> None:
        said = parser.pop(name)
        if any(element[0] == SKIPPED[name] for element in parser.elementstack):
            parser.feeddata.setdefault(f"skipped_{name}s", []).append(said)

    return end


def teach(mixin: Any) -> None:
    """Make feedparser keep them all."""
    for name in SKIPPED:
        setattr(mixin, f"_start_{name}", begin_skipped(name))
        setattr(mixin, f"_end_{name}", end_skipped(name))


def pause(feed: Any) -> timedelta | None:
    """The longest time between two questions that the feed asks for."""
    asked = [minutes(feed.get("ttl")), period(feed)]
    return max((each for each in asked if each), default=None)


def minutes(text: str | None) -> timedelta | None:
    try:
        return timedelta(minutes=min(int(text or ""), MOST_MINUTES))
    except ValueError:
        return None


def period(feed: Any) -> timedelta | None:
    """Once a day, if it says so; a day over the frequency, if it says that as well."""
    whole = PERIODS.get(str(feed.get("sy_updateperiod") or "").lower())
    if whole is None:
        return None
    try:
        often = int(feed.get("sy_updatefrequency") or 1)
    except ValueError:
        often = 1
    return whole / often if often > 0 else whole


def hours(feed: Any) -> tuple[int, ...]:
    """Hours in which nobody should ask, 0 to 23 in UTC (some write 24 for midnight)."""
    said = [str(each).strip() for each in feed.get("skipped_hours") or ()]
    found = {int(each) % HOURS for each in said if each.isdecimal() and int(each) <= HOURS}
    return tuple(sorted(found)) if len(found) < HOURS else ()


def days(feed: Any) -> tuple[int, ...]:
    """Days on which nobody should ask, Sunday as 0; none, if that would be all."""
    said = [str(each).strip().lower() for each in feed.get("skipped_days") or ()]
    found = {DAYS.index(each) for each in said if each in DAYS}
    return tuple(sorted(found)) if len(found) < len(DAYS) else ()
