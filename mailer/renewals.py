"""Renewals: asking readers who agreed to older words to agree to the ones valid now.

    begin     staff set the date by which an answer is wanted
    ask       worker: everyone confirmed under an older version gets one mail with a button
    renew     the button: consent.renewed, under the very words that were shown
    end       worker, after the date: who was reached and said nothing leaves (consent.expired)

No answer changes nothing until the date.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Literal, TypeAlias
from zoneinfo import ZoneInfo

from mailer import consent, db, notices, outbox, subscriptions
from mailer.consent import Actor
from mailer.db import Connection
from mailer.errors import Conflict, Invalid, Unknown
from mailer.newsletters import Newsletter
from mailer.notices import Notice
from mailer.subscriptions import MAIL_AGAIN, MAILED_MOST, Found
from mailer.vault import Vault

SQL = db.statements("renewals")

LEAST = timedelta(days=7)
"""Between the beginning and the date."""

LEAST_TO_ANSWER = timedelta(days=3)
"""Nobody is asked later than this before the date."""

Outcome: TypeAlias = Literal["renewed", "expired"]
Standing: TypeAlias = Literal["asked", "already", "left", "unknown"]
"""asked: there is something to answer; already: nothing is left to answer."""


@dataclass(frozen=True)
class Renewal:
    """`answer_by`: until then no answer changes nothing; `ended_at` None: it runs."""

    id: int
    newsletter: int
    answer_by: datetime
    created_by: Actor
    created_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True)
class Asked:
    """One reader's question: `notice` is the id of the words they are asked to agree to."""

    renewal: int
    subscription: int
    notice: str
    asked_at: datetime
    answer_by: datetime


@dataclass(frozen=True)
class Summary:
    """A renewal in numbers; `newsletter`: its slug, `silent`: subscribed still, without answer."""

    id: int
    newsletter: str
    answer_by: datetime
    created_by: Actor
    created_at: datetime
    ended_at: datetime | None
    asked: int
    renewed: int
    expired: int
    left: int
    silent: int


async def begin(
    conn: Connection, newsletter: Newsletter, answer_by: datetime, *, by: Actor
) -> tuple[Renewal, int]:
    """Begin to ask; and how many will be. Raises Invalid, Conflict."""
    if not await conn.fetchval(SQL.is_far_enough, answer_by, LEAST):
        raise Invalid(
            "Give readers at least {days} days to answer.", field="until", days=LEAST.days
        )
    outdated: int = await conn.fetchval(SQL.outdated, newsletter.id)
    if not outdated:
        raise Conflict("Every reader of {slug} agreed to current words.", slug=newsletter.slug)
    begun = await db.first(conn, Renewal, SQL.begin, newsletter.id, answer_by, by)
    if begun is None:
        raise Conflict("A renewal of {slug} is running already.", slug=newsletter.slug)
    await outbox.wake(conn, "renewal")
    return begun, outdated


def end_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The last second of it, on that clock."""
    return datetime.combine(day, time(23, 59, 59), zone)


async def stop(conn: Connection, newsletter: Newsletter) -> None:
    """Ask nobody any more, and let nobody leave for not answering. Raises Unknown."""
    if await conn.fetchval(SQL.stop, newsletter.id) is None:
        raise Unknown("No renewal of {slug} is running.", slug=newsletter.slug)
    await outbox.drop_renewals(conn, newsletter.id)


async def summaries(conn: Connection) -> list[Summary]:
    """All, the latest first."""
    return await db.fetch(conn, Summary, SQL.listed)


# the worker's part


async def ask(conn: Connection, limit: int) -> int:
    """Mail the question to up to `limit` readers of each; how many were mailed."""
    mailed = 0
    for renewal in await db.fetch(conn, Renewal, SQL.running, LEAST_TO_ANSWER):
        asked = await conn.fetch(
            SQL.ask, renewal.id, renewal.newsletter, limit, MAIL_AGAIN, MAILED_MOST
        )
        for row in asked:
            await outbox.put(conn, "renew", row["id"])
        mailed += len(asked)
    return mailed


async def end(conn: Connection, keys: Vault, limit: int) -> int:
    """Let up to `limit` go whose time is over; a renewal with none left ends. How many went."""
    overdue = await db.fetch(conn, Asked, SQL.overdue, limit)
    for asked in overdue:
        found = await subscriptions.locked(conn, keys, asked.subscription)
        assert found is not None, "the statement locked it"
        evidence = {
            "renewal": asked.renewal,
            "asked": asked.notice,
            "asked_at": consent.timestamp(asked.asked_at),
            "answer_by": consent.timestamp(asked.answer_by),
        }
        await subscriptions.lapse(conn, keys, found, evidence)
        await settle(conn, asked, "expired")
    if len(overdue) < limit:
        for ended in await conn.fetch(SQL.end_done):
            await outbox.drop_renewals(conn, ended["newsletter"])
    return len(overdue)


async def settle(conn: Connection, asked: Asked, outcome: Outcome) -> None:
    await conn.execute(SQL.settle, asked.renewal, asked.subscription, outcome)


# the reader's part


@dataclass(frozen=True)
class Question:
    """What stands behind the link of a reader's mail; `asked` and `notice` while it is open."""

    standing: Standing
    found: Found | None = None
    asked: Asked | None = None
    notice: Notice | None = None


async def asked(conn: Connection, subscription: int) -> Asked | None:
    """What a subscription is asked at present."""
    return await db.first(conn, Asked, SQL.asked, subscription)


async def last_asked(conn: Connection, subscription: int) -> Asked:
    """What the latest mail to a subscription is about, answered or not."""
    found = await db.first(conn, Asked, SQL.last_asked, subscription)
    assert found is not None, "it is kept before the mail is put"
    return found


async def look(conn: Connection, keys: Vault, text: str) -> Question:
    """What a link is about; changes nothing."""
    return await question(conn, await subscriptions.look(conn, keys, text, "renew"))


async def question(conn: Connection, found: Found | None) -> Question:
    if found is None:
        return Question("unknown")
    if found.subscription.state != "confirmed":
        return Question("left", found)
    open_ = await asked(conn, found.subscription.id)
    if open_ is None:
        return Question("already", found)
    return Question("asked", found, open_, await notices.find(conn, open_.notice))


async def renew(
    conn: Connection, keys: Vault, text: str, shown: str, evidence: Mapping[str, Any]
) -> Question:
    """The button was pressed beside the words `shown`. What was found is as it was before.

    Beside other words than those asked about it means nothing.
    """
    before = await question(conn, await subscriptions.take(conn, keys, text, "renew"))
    found, open_, notice = before.found, before.asked, before.notice
    if found is None or open_ is None or notice is None or notice.id != shown:
        return before
    said = {
        **evidence,
        "from": {"notice": found.notice.id, "sha256": found.notice.sha256.hex()},
        "renewal": open_.renewal,
        "asked_at": consent.timestamp(open_.asked_at),
    }
    await subscriptions.renew(conn, found, notice, said)
    await settle(conn, open_, "renewed")
    return before
