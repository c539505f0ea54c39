"""Approving a digest, beginning to send it, and what does both by itself."""

import logging
from collections.abc import Sequence
from datetime import datetime

from mailer import digests, newsletters, outbox, schedules
from mailer.config import Settings
from mailer.db import Connection
from mailer.digests import SCHEDULE, Digest, Group
from mailer.editions.checks import Finding, findings
from mailer.editions.composing import compose, one
from mailer.errors import Conflict, Refusal
from mailer.newsletters import Newsletter

log = logging.getLogger(__name__)


async def approve(
    conn: Connection,
    settings: Settings,
    digest: Digest,
    *,
    by: str,
    at: datetime | None = None,
    despite_warnings: bool = False,
) -> list[Finding]:
    """Freeze the draft as it was seen; what was found in it and put aside or only noted.

    It begins at that time; without one, whoever approves it begins it. Raises Conflict for what
    can't go, for warnings, or if somebody changed it since.
    """
    await digests.lock(conn, digest.newsletter)
    newsletter, composed = await compose(conn, settings, digest)
    found = await findings(conn, settings, digest, newsletter, composed)
    if stops := [f for f in found if f.level == "refused"]:
        raise Conflict("It can't go: {why}", why=joined(stops))
    warnings = [f for f in found if f.level == "warning"]
    if warnings and not despite_warnings:
        raise Conflict(
            "Before it goes: {why} Mend it, or approve it despite warnings.", why=joined(warnings)
        )
    await digests.approve(
        conn,
        digest,
        [c.edition for c in composed],
        by=by,
        at=at,
        despite=[str(f) for f in warnings],
    )
    return found


def joined(found: Sequence[Finding]) -> str:
    return " ".join(map(str, found))


async def begin(conn: Connection, settings: Settings, digest: Digest) -> int:
    """Put a mail for each reader in the outbox; how many."""
    await digests.lock(conn, digest.newsletter)
    await digests.begin(conn, digest)
    newsletter = await newsletters.get(conn, digest.newsletter)
    digest = await digests.get(conn, digest.id)
    mails = await outbox.put_digest(conn, digest.id)
    groups = await digests.catching_up(conn, digest)
    if groups:
        mails += await catch_up(conn, settings, newsletter, digest, groups)
        await digests.advance(conn, digest)
    return mails


async def catch_up(
    conn: Connection,
    settings: Settings,
    newsletter: Newsletter,
    digest: Digest,
    groups: Sequence[Group],
) -> int:
    """To readers who changed cadence or language: what they have not had."""
    made = {(e.language, tuple(e.articles)): e.id for e in await digests.editions(conn, digest.id)}
    mails = 0
    for group in groups:
        left = tuple(await digests.remaining(conn, digest, group))
        if not left:
            continue
        key = group.language, left
        if key not in made:
            items = await digests.these(conn, left)
            fitted = one(settings, newsletter, digest, items, group.language, main=False)
            made[key] = await digests.freeze(conn, fitted.edition)
        edition = made[key]
        assert edition is not None, "frozen editions have an id"
        mails += await outbox.put_edition(conn, digest.id, edition, group.subscriptions)
    return mails


async def make_due(conn: Connection, settings: Settings) -> bool:
    """Make the digest of a schedule that is due; whether there was one."""
    schedule = await schedules.take_due(conn)
    if schedule is None:
        return False
    newsletter = await newsletters.get(conn, schedule.newsletter)
    if not await schedules.put_off(conn, schedule, newsletter):
        return False
    digest = await digests.create_or_extend(conn, newsletter, schedule.cadence)
    if digest is not None and newsletter.approval == "automatic":
        await go_by_itself(conn, settings, newsletter, digest)
    return True


async def go_by_itself(
    conn: Connection, settings: Settings, newsletter: Newsletter, digest: Digest
) -> None:
    """Unless there is something an editor must see: then it waits for one and says why.

    A language without articles is no such thing: its readers are passed by this time.
    """
    try:
        _, composed = await compose(conn, settings, digest)
        found = await findings(conn, settings, digest, newsletter, composed)
        stops = [f for f in found if f.level != "note" and not f.of_language]
        if not stops:
            await approve(conn, settings, digest, by=SCHEDULE, despite_warnings=True)
            return
        problem = joined(stops)
    except Refusal as error:
        problem = str(error)
    log.warning("digest %s of %s waits: %s", digest.number, newsletter.slug, problem)
    await digests.complain(conn, digest, problem)


async def begin_due(conn: Connection, settings: Settings) -> bool:
    """Begin an approved digest whose time has come; whether there was one."""
    digest = await digests.to_begin(conn)
    if digest is None:
        return False
    try:
        await begin(conn, settings, digest)
    except Conflict:  # another worker was first, or an editor took it back
        return False
    return True
