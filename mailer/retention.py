"""Retention: what has had its time goes, without anybody's asking (GDPR, Article 5(1)(e)).

    what                          goes
    what a form left              with its link, if no worker took it
    unconfirmed subscriptions     MAILER_CONFIRM_HOURS after the asking
    new addresses                 likewise
    people who left everything    MAILER_PROOF_DAYS after the last leaving, until when the record is
                                  kept to prove that their consent was there, and for nothing else
    requests about data           MAILER_PROOF_DAYS after they were answered
    settled mails                 DELIVERY_DAYS after: bounces come late; totals stay
    reports that came back        REPORT_DAYS after: what a mail server said, addresses masked
    bounces                       BOUNCE_DAYS after: a habit of coming back shows over months
    marks of reports              with the reports: by which the same one told twice is known
    that somebody was asked in    a year after the last asking: a keyed hash and a number
      vain
    counts of forms, solutions    a day after
      of puzzles
    pictures of articles          when no mail shows them, and no digest will

Whoever has had the use of their data restricted (Article 18) is passed over until that is lifted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from mailer import answers, db, keys, limits, outbox, pictures, subscribers, subscriptions
from mailer.config import Settings
from mailer.consent import SYSTEM
from mailer.db import Connection
from mailer.subscriptions import Subscription
from mailer.vault import Vault

SQL = db.statements("retention")

BATCH = 100
"""In one transaction: nobody waits long for what it holds."""

DELIVERY_DAYS = 30
REPORT_DAYS = 90
BOUNCE_DAYS = 400
REPORTS = timedelta(days=REPORT_DAYS)
BOUNCES = timedelta(days=BOUNCE_DAYS)
ROWS = 5000


@dataclass(frozen=True)
class Terms:
    """How long what is kept."""

    confirm: timedelta
    proof: timedelta


def terms(settings: Settings) -> Terms:
    return Terms(timedelta(hours=settings.confirm_hours), timedelta(days=settings.proof_days))


@dataclass(frozen=True)
class Due:
    """How many have had their time, how many have not yet (if that was counted), and when the next
    one has."""

    due: int
    later: int | None
    next: datetime | None


async def outlook(conn: Connection, for_: Terms) -> Mapping[str, Due]:
    """What would go, and when; by the names that `sweep` counts under."""
    return {
        "requests": await look(conn, SQL.requests_due, for_.confirm),
        "unconfirmed subscriptions": await look(conn, SQL.unconfirmed_due),
        "new addresses": await look(conn, SQL.addresses_due),
        "people who left": await look(conn, SQL.withdrawn_due, for_.proof),
        "requests about data": await look(conn, SQL.answered_due, for_.proof),
        "settled mails": await settled_mails(conn),
        "asked in vain": await look(conn, SQL.in_vain_due, subscriptions.IN_VAIN),
        "reports that came back": await look(conn, SQL.reports_due, REPORTS),
        "bounces": await look(conn, SQL.bounces_due, BOUNCES),
        "marks of reports": await look(conn, SQL.told_due, REPORTS),
        "counts of forms": await look(conn, SQL.counts_due),
        "pictures": Due(await pictures.unwanted(conn), None, None),
    }


async def settled_mails(conn: Connection) -> Due:
    found = await outbox.settled_due(conn, DELIVERY_DAYS)
    return Due(found.due, None, found.next)


async def look(conn: Connection, statement: str, *args: object) -> Due:
    found = await db.first(conn, Due, statement, *args)
    assert found is not None, "it counts"
    return found


async def sweep(conn: Connection, held: Vault, for_: Terms) -> Mapping[str, int]:
    """Delete a batch of each; what there was of it. Empty: nothing has had its time."""
    await limits.forget_old(conn)
    await answers.forget_old(conn)
    await keys.bury_silent(conn)
    await conn.execute(SQL.forget_spent)
    await conn.execute(SQL.forget_strays, BOUNCES)
    await conn.execute(SQL.forget_probes)
    gone = {
        "requests": await conn.fetchval(SQL.forget_requests, for_.confirm, ROWS),
        "unconfirmed subscriptions": await forget_unconfirmed(conn, held),
        "new addresses": await conn.fetchval(SQL.forget_addresses, ROWS),
        "people who left": await forget_withdrawn(conn, held, for_.proof),
        "requests about data": await conn.fetchval(SQL.forget_answered, for_.proof, ROWS),
        "settled mails": await outbox.forget_settled(conn, DELIVERY_DAYS, ROWS),
        "asked in vain": await conn.fetchval(SQL.forget_in_vain, subscriptions.IN_VAIN, ROWS),
        "bounces": await conn.fetchval(SQL.forget_bounces, BOUNCES, ROWS),
        "reports that came back": await conn.fetchval(SQL.forget_reports, REPORTS, ROWS),
        "marks of reports": await conn.fetchval(SQL.forget_told, REPORTS, ROWS),
        "pictures": await pictures.forget(conn, ROWS),
    }
    return {what: count for what, count in gone.items() if count}


async def forget_unconfirmed(conn: Connection, held: Vault) -> int:
    """Whoever has other subscriptions, or once confirmed this one, keeps the record of it."""
    lapsed = await db.fetch(conn, Subscription, SQL.unconfirmed, BATCH)
    for subscription in lapsed:
        found = await subscriptions.open_subscription(conn, held, subscription)
        assert found is not None, "the subscription is locked"
        await subscriptions.lapse(conn, held, found, {"reason": "not confirmed in time"})
    return len(lapsed)


async def forget_withdrawn(conn: Connection, held: Vault, proof: timedelta) -> int:
    """Whoever is busy with their own page just now is left for the next time."""
    gone = 0
    for row in await conn.fetch(SQL.withdrawn, proof, BATCH):
        person: UUID = row["subscriber"]
        if await conn.fetchval(SQL.lock_withdrawn, person, proof):
            gone += await subscribers.erase(conn, held, person, "retention", SYSTEM)
    return gone
