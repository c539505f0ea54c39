"""Metrics: numbers for those who watch the service, read from the database when they are asked for.

They count; they name newsletters and providers, never a person. What a web process knows of itself
is in `web.metrics`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily

from mailer import db, feeds
from mailer.db import Connection

SQL = db.statements("metrics")


@dataclass(frozen=True)
class Sample:
    """One number, and what it is the number of."""

    labels: Sequence[str]
    value: float


@dataclass(frozen=True)
class Family:
    """A metric: the statement that reads its samples, the names of its labels, what it says."""

    statement: str
    labels: tuple[str, ...]
    help: str


FAMILIES: Mapping[str, Family] = {
    "mailer_subscriptions": Family(
        SQL.newsletters, ("newsletter", "state"), "Subscriptions: pending, confirmed or left."
    ),
    "mailer_requests_waiting": Family(
        SQL.requests, (), "Forms that came and that no worker has taken up."
    ),
    "mailer_requests_oldest_seconds": Family(
        SQL.requests_age, (), "How long the oldest of them has waited."
    ),
    "mailer_outbox_mails": Family(SQL.outbox, ("kind",), "Mails that wait to go."),
    "mailer_outbox_oldest_seconds": Family(
        SQL.outbox_age, ("kind",), "How long the oldest of them has waited, retries included."
    ),
    "mailer_digest_mails": Family(
        SQL.verdicts,
        ("provider", "what"),
        "Mails of digests by large provider: sent, deferred, refused, or the reason of a bounce.",
    ),
    "mailer_digests": Family(SQL.digests, ("state",), "Digests by state."),
    "mailer_workers": Family(SQL.workers, (), "Workers that live."),
    "mailer_log_events_waiting": Family(
        SQL.log_waiting, (), "Consent events that are not sealed into the log yet."
    ),
    "mailer_log_oldest_seconds": Family(
        SQL.log_age, (), "How long the oldest of them has waited: more than a few is wrong."
    ),
    "mailer_log_objections": Family(
        SQL.log_objections, (), "Workers that refuse to seal, because the log is not what it was."
    ),
    "mailer_alarms": Family(
        SQL.alarms, ("kind",), "Alarms about bounces and complaints that nobody has lifted."
    ),
}

FEEDS = "mailer_feeds"
FEEDS_HELP = "Feeds by health: well, failing, silent, held (new items wait for an editor) or gone."


async def read(conn: Connection) -> list[GaugeMetricFamily]:
    """Every family as it is now."""
    found = [
        gauge(name, family.help, family.labels, await db.fetch(conn, Sample, family.statement))
        for name, family in FAMILIES.items()
    ]
    return [*found, gauge(FEEDS, FEEDS_HELP, ("health",), list(healths(await feeds.all_(conn))))]


def gauge(
    name: str, meaning: str, labels: Sequence[str], samples: Sequence[Sample]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, meaning, labels=labels)
    for each in samples:
        family.add_metric(each.labels, each.value)
    return family


def healths(standings: Sequence[feeds.Standing]) -> Iterator[Sample]:
    """Each health with the number of feeds, none left out: an alert needs its nought."""
    counted = dict.fromkeys(("well", "failing", "silent", "held", "gone"), 0)
    for each in standings:
        counted[health(each)] += 1
    yield from (Sample((name,), many) for name, many in counted.items())


def health(standing: feeds.Standing) -> str:
    if standing.gone:
        return "gone"
    if standing.problem:
        return "failing"
    if standing.held:
        return "held"
    return "silent" if standing.silent else "well"
