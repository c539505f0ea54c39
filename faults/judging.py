"""What came of it: what was lost, what came twice, what waits for ever, what does not verify."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench.place import Place
from faults.house import WIRE, House
from faults.post import Mail
from mailer import address, digests, subscribers, verifications
from mailer.db import Connection
from mailer.log import verification
from mailer.log.keep import Keep
from mailer.verifications import Seen

DRAIN_SECONDS = 90.0
MORE_MEMORY = 1.5
"""How many times the memory from before a house may have at the end: it has composed a digest
meanwhile, which it had not before."""


@dataclass
class Row:
    """One fault's line of the table. Times in seconds, memory in MB; `wrong`: sentences."""

    fault: str
    what: str
    seconds: float = 0.0
    acknowledged: int = 0
    confirmed: int = 0
    readers: int = 0
    lost: int = 0
    doubled: int = 0
    allowed: int = 0
    recovery: float = 0.0
    memory_before: float = 0.0
    memory_after: float = 0.0
    wrong: list[str] = field(default_factory=list)
    skipped: str = ""

    def lose(self, those: int, what: str) -> None:
        if those:
            self.lost += those
            self.wrong.append(f"{those} {what}")


async def drained(house: House) -> list[str]:
    """Wait until nothing waits; what still does when the time is over."""
    end = time.monotonic() + DRAIN_SECONDS
    while True:
        async with house.here.pool.acquire() as conn:
            # What a mail server put off, or a dying one left open, is due in minutes: not here.
            await conn.execute(
                "update batch b set due_at = now() where due_at > now() and exists"
                " (select from outbox o where o.batch = b.id and o.attempts > 0)"
            )
            waiting = await waits(conn, house)
        if not waiting or time.monotonic() > end:
            return waiting
        await asyncio.sleep(0.5)


WAITING = {
    "mails wait": "select count(*) from outbox where state = 'waiting'",
    "requests wait": "select count(*) from request",
    "events are not sealed": "select count(*) from consent_event where leaf is null",
}


async def waits(conn: Connection, house: House) -> list[str]:
    found = {what: await conn.fetchval(text) for what, text in WAITING.items()}
    wrong = [f"{many} {what} for ever" for what, many in found.items() if many]
    if house.crowd.digest is not None:
        state = (await digests.get(conn, house.crowd.digest.id)).state
        wrong += [f"the digest stays {state!r}"] if state != "sent" else []
    return wrong


async def judge(house: House, row: Row) -> None:
    """Everything that was promised to anybody, counted again."""
    crowd = house.crowd
    row.acknowledged, row.confirmed = len(crowd.thanked), len(crowd.sure)
    row.readers = len(crowd.readers)
    row.allowed = house.cuts * WIRE
    row.wrong += await drained(house)
    async with house.here.pool.acquire() as conn:
        states = await kept(conn, house.here, crowd.thanked)
        bounced = await conn.fetchval("select count(*) from bounce where channel = 'lmtp'")
    row.lose(len(set(crowd.thanked) - set(states)), "acknowledged forms are gone")
    unsealed = [email for email in crowd.sure if states.get(email) != "sealed"]
    row.lose(len(unsealed), "confirmed consents are not sealed")
    row.lose(len(crowd.unsure()), "who were thanked could not confirm")
    row.lose(max(0, len(crowd.bounced) - bounced), "bounces that were taken are gone")
    if crowd.digest is not None:
        got = {mail.recipient for mail in house.post.digests()}
        row.lose(len(set(crowd.readers) - got - house.post.refused), "readers have no digest")
    row.doubled, wrong = doubled(house.post.mails, house.cuts)
    row.wrong += wrong
    if row.doubled > row.allowed:
        row.wrong.append(f"{row.doubled} mails came twice, {row.allowed} were allowed to")
    async with house.here.pool.acquire() as conn:
        row.wrong += await verified(conn, house.here)
    if row.memory_after > MORE_MEMORY * row.memory_before:
        row.wrong.append("memory is not back")


async def kept(conn: Connection, here: Place, emails: Iterable[str]) -> dict[str, str]:
    """What is on record of each: `sealed`, or the state of the subscription."""
    found = {}
    for email in emails:
        person = await subscribers.by_address(conn, here.vault, address.parse(email))
        if person is None:
            continue
        found[email] = await conn.fetchval(
            "select case when exists (select from consent_event e where e.subject = $1"
            "    and e.type = 'consent.confirmed' and e.leaf is not null) then 'sealed'"
            " else state end from subscription where subscriber = $1",
            person.id,
        )
    return found


def doubled(mails: Sequence[Mail], cuts: int) -> tuple[int, list[str]]:
    """How many came again; and whether one came with another Message-ID, or too often."""
    by_kind: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for mail in mails:
        one = mail.digest or mail.link is not None  # of these, a person gets one
        by_kind[mail.recipient, mail.digest, mail.link, one or mail.message].append(mail.message)
    again = sum(len(ids) - 1 for ids in by_kind.values())
    other = sum(len(set(ids)) > 1 for ids in by_kind.values())
    most = max(map(len, by_kind.values()), default=0)
    wrong = [f"{other} mails came again with another Message-ID"] if other else []
    wrong += [f"one mail came {most} times"] if most > 1 + cuts else []
    return again, wrong


async def verified(conn: Connection, here: Place) -> list[str]:
    """What `mailer consent verify` finds, beside the checkpoint kept on this machine."""
    kept = await verification.kept(conn, here.vault, Keep(here.settings.data_dir))
    async with conn.transaction(isolation="repeatable_read"):
        found = [
            verifications.line(finding)
            async for finding in verifications.found(conn, here.vault, kept, Seen())
        ]
    return [f"the record does not verify: {found[0]}"] if found else []
