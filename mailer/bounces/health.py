"""Health: how each digest fared with each large provider, storms, and alarms.

A storm: one provider calls more readers of one digest unknown than can be so. On 14 December 2020
Gmail answered 550 5.1.1 for people who existed. Which provider a person is with is worked out from
the address when it is needed and kept nowhere; kept are sums, and in them small providers are one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from mailer import db, providers
from mailer.bounces.reasons import KINDS
from mailer.db import Connection
from mailer.errors import Unknown

SQL = db.statements("bounces")

HARD = [reason for reason, kind in KINDS.items() if kind == "hard"]
OTHER = "other"
ALL = "all"

STORM_BOUNCES = 5
STORM_SHARE = 0.05
STORM_TIMES = 3.0
"""More hard bounces than that share of a provider's mails, and so many times the usual."""

COMPLAINTS: Mapping["Alarming", float] = {"complaints": 0.001, "many-complaints": 0.003}
"""Large providers want less than 0.1 %, and bar who comes near 0.3 %."""

BACK = timedelta(days=14)
"""How old a digest may be for an alarm."""

Alarming: TypeAlias = Literal["storm", "complaints", "many-complaints"]


@dataclass(frozen=True)
class Tally:
    """Something (`what`) that happened to mails of a digest, to a provider; None: a small one."""

    digest: int
    provider: str | None
    what: str


@dataclass(frozen=True)
class Storm:
    """A provider's hard bounces of one digest, and how many mails it was sent."""

    digest: int
    provider: str
    hard: int
    tried: int


@dataclass(frozen=True)
class Complained:
    """The complaints about a digest."""

    digest: int
    complaints: int
    sent: int


@dataclass(frozen=True)
class Alarm:
    """What somebody should look at. `share`: of mails sent, 0 to 1."""

    id: int
    newsletter: str
    digest: int
    kind: Alarming
    provider: str
    share: float
    created_at: datetime
    lifted_at: datetime | None

    def __str__(self) -> str:
        where = f"digest {self.digest} of {self.newsletter}"
        if self.kind == "storm":
            return (
                f"{self.share:.1%} of the mails of {where} to {self.provider} came back as "
                "unknown, more than can be so: nobody is suppressed for it. Once you know that "
                f"it is true: mailer bounce lift {self.newsletter} {self.digest} {self.provider}"
            )
        return (
            f"{self.share:.2%} of the readers of {where} reported it as spam; large providers "
            "want less than 0.1 %, and bar senders at 0.3 %. Ask yourself who of them remembers "
            "having subscribed."
        )


@dataclass(frozen=True)
class Count:
    """One number of one digest and provider."""

    newsletter: str
    digest: int
    provider: str
    what: str
    count: int


def provider(domain: str) -> str:
    return providers.of(domain) or OTHER


async def add(conn: Connection, tallies: Mapping[Tally, int]) -> None:
    """Count them, in one statement."""
    if tallies:
        rows = [(each.digest, each.provider or OTHER, each.what) for each in tallies]
        digests, names, what = (list(column) for column in zip(*rows, strict=True))
        await conn.execute(SQL.tally, digests, names, what, list(tallies.values()))


# storms


async def frozen(conn: Connection, digest: int | None, domain: str) -> bool:
    """Whether a bounce of that digest strikes nobody at that domain."""
    if digest is None:
        return False
    found: bool = await conn.fetchval(
        SQL.frozen, digest, provider(domain), HARD, STORM_BOUNCES, STORM_SHARE, STORM_TIMES
    )
    return found


async def new_storms(conn: Connection) -> list[Storm]:
    return await db.fetch(
        conn, Storm, SQL.storms, HARD, STORM_BOUNCES, STORM_SHARE, STORM_TIMES, BACK
    )


async def raise_alarms(conn: Connection, storms: Sequence[Storm]) -> list[Alarm]:
    """Keep what is new; the alarms raised."""
    raised: set[tuple[int, Alarming, str]] = set()
    for storm in storms:
        raised.add((storm.digest, "storm", storm.provider))
        share = storm.hard / storm.tried
        await conn.execute(SQL.alarm, storm.digest, "storm", storm.provider, share)
    for kind, least in COMPLAINTS.items():
        for each in await db.fetch(conn, Complained, SQL.complained, least, kind, BACK):
            raised.add((each.digest, kind, ALL))
            share = each.complaints / max(each.sent, 1)
            await conn.execute(SQL.alarm, each.digest, kind, ALL, share)
    return [a for a in await alarms(conn) if (a.id, a.kind, a.provider) in raised]


async def lift(conn: Connection, digest: int, name: str, actor: str) -> None:
    """Bounces of a storm count from now on; alarms about complaints are seen. Raises Unknown."""
    if not await conn.fetchval(SQL.lift, digest, name, actor):
        raise Unknown("There is no such alarm: see mailer health.")


async def alarms(conn: Connection, *, lifted: bool = False) -> list[Alarm]:
    """Newest first."""
    return await db.fetch(conn, Alarm, SQL.alarms, lifted)


# listing


NAMES = ("newsletter", "digest", "provider")


@dataclass
class Row:
    """How a digest fared with a provider: mails by what became of them, reasons by how often."""

    newsletter: str
    digest: int
    provider: str
    sent: int = 0
    deferred: int = 0
    refused: int = 0
    hard: int = 0
    soft: int = 0
    policy: int = 0
    complaint: int = 0
    unsubscribe: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    @property
    def bounced(self) -> int:
        """Refused at once, or came back; a note that it is late is neither."""
        return self.hard + self.soft + self.policy - self.reasons.get("delayed", 0)

    @property
    def delivered(self) -> int:
        """Taken by the mail server, and not come back since."""
        return max(0, self.sent - (self.bounced - self.refused))

    def described(self) -> Mapping[str, object]:
        return {
            "newsletter": self.newsletter,
            "digest": self.digest,
            "provider": self.provider,
            "delivered": self.delivered,
            **{name: value for name, value in vars(self).items() if name not in NAMES},
        }


async def fared(conn: Connection, slug: str | None, number: int | None) -> list[Row]:
    """Latest digest first."""
    rows: dict[tuple[str, int, str], Row] = {}
    for count in await db.fetch(conn, Count, SQL.fared, slug, number):
        key = (count.newsletter, count.digest, count.provider)
        row = rows.setdefault(key, Row(*key))
        column = KINDS.get(count.what, count.what)
        if hasattr(row, column):
            setattr(row, column, getattr(row, column) + count.count)
        if count.what in KINDS:
            row.reasons[count.what] = count.count
    return list(rows.values())


def totals(rows: Sequence[Row]) -> Mapping[str, int]:
    """Of several together, in four numbers."""
    return {
        "delivered": sum(row.delivered for row in rows),
        "deferred": sum(row.deferred for row in rows),
        "bounced": sum(row.bounced for row in rows),
        "complaints": sum(row.complaint for row in rows),
    }
