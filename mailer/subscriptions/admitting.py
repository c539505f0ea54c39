"""Admitting: requests are taken up, in their turn.

    promote  slow → prompt, whose puzzle has been solved since
    admit    request → asked, or nothing

Two queues. Requests are prompt, unless nothing speaks for them: the form was filled in faster than
people can, a flood is on, or many are for one small domain; then they are slow. A solved puzzle
(`puzzles`) makes any of them prompt, also when it comes later than the form. On both queues, first
come those whose networks have asked least: each network once, then each a second time, and so on.
On the slow one, before all others, come those that are ordinary: they wait for nothing but that a
flood is on.
"""

import json
import logging
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from math import ceil
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidTag

from mailer import (
    address,
    consent,
    db,
    disposable,
    floods,
    limits,
    newsletters,
    notices,
    providers,
    subscribers,
    suppressions,
    vault,
)
from mailer.address import Address
from mailer.db import Connection
from mailer.errors import Invalid
from mailer.floods import Flood
from mailer.subscriptions.asking import MAIL_AGAIN, Choice, ask
from mailer.subscriptions.requests import PLACE, Request, Wish
from mailer.vault import Subject, Vault

SQL = db.statements("subscriptions")
log = logging.getLogger(__name__)

DOMAIN_WINDOW_SECONDS = 3600
DOMAIN_MOST = 50
DOMAIN_MOST_PROVEN = 500
"""Requests for addresses of one domain in a sliding window that go on at once: what comes on top is
slow. But not of the large providers, nor of names for trials, where nobody is."""

NOWHERE = "invalid"

SLOW_TURN = "slow requests"
SLOW_SECONDS = 10
ORDINARY_A_TURN = 20
"""A turn comes once in so many seconds, for all workers together. Of it come so many mails of
ordinary requests and, if no more of those wait, one of the others. Whoever wants to be ordinary has
to seem so in many networks; by solving puzzles, ten a second and more with one core, they would get
further."""


@dataclass(frozen=True)
class Asking:
    """A request opened."""

    request: Request
    subject: Subject
    wish: Wish
    address: Address
    lookup: bytes


@dataclass(frozen=True)
class Domains:
    """What a worker knows of the domains it takes requests for.

    `dead`: mail can't reach them, and none is tried. `thrown_away`: of throw-away addresses.
    """

    dead: Container[str] = ()
    thrown_away: Container[str] = ()


UNKNOWN = Domains()


async def promote(conn: Connection) -> None:
    """Make those prompt whose puzzle has been solved since they came."""
    await conn.execute(SQL.promote)


async def waiting(conn: Connection, keys: Vault, limit: int) -> dict[UUID, str]:
    """The prompt requests that are next, and the domain that each is for.

    One that can't be opened is among them, for a domain that is none: who takes it drops it.
    """
    return domains(keys, await db.fetch(conn, Request, SQL.prompt_requests, limit))


async def waiting_longest(conn: Connection, keys: Vault, limit: int) -> dict[UUID, str]:
    """Likewise slow ones, in their order, if it is time for a mail to one of them."""
    return domains(keys, await db.fetch(conn, Request, SQL.slow_requests, SLOW_TURN, limit))


def domains(keys: Vault, rows: Sequence[Request]) -> dict[UUID, str]:
    opened = {row.id: open_request(keys, row) for row in rows}
    return {id_: asking.address.domain if asking else NOWHERE for id_, asking in opened.items()}


async def admit(
    conn: Connection,
    keys: Vault,
    confirm_hours: int,
    limit: int,
    *,
    among: Iterable[UUID] | None = None,
    known: Domains = UNKNOWN,
) -> int:
    """Turn prompt requests into subscriptions and mails; how many were taken.

    `among`: only these. Those that came before a flood was seen, and are still here, wait as well.
    """
    ids = list(among) if among is not None else None
    taken = await db.fetch(conn, Request, SQL.take_requests, limit, ids)
    opened = opened_of(keys, taken)
    braked = unproven_of_floods(opened, await floods.on(conn))
    slowed = await over_of_domains(conn, keys, [a for a in opened if a.request.id not in braked])
    await conn.execute(SQL.brake, list(braked))
    await conn.execute(SQL.slow_down, list(slowed))
    await conn.execute(SQL.drop_requests, [r.id for r in taken if r.id not in braked | slowed])
    prompt = [each for each in opened if each.request.id not in braked | slowed]
    await admit_each(conn, keys, prompt, confirm_hours, known)
    return len(taken)


async def admit_slow(
    conn: Connection,
    keys: Vault,
    confirm_hours: int,
    ids: Iterable[UUID],
    known: Domains = UNKNOWN,
) -> bool:
    """Take slow requests, in their order, until as many mails come of them as may in a turn; False:
    some did, or it is not our turn.

    Those that no mail comes of, because somebody was asked before, cost nobody a turn.
    """
    if not await conn.fetchval(SQL.take_turn, SLOW_TURN, timedelta(seconds=SLOW_SECONDS)):
        return False
    taken = mails = 0
    for id_ in ids:
        row = await db.first(conn, Request, SQL.take_slow, id_)
        if row is None:
            continue
        taken += 1
        mails += await admit_slow_one(conn, keys, confirm_hours, row, known)
        if mails >= (ORDINARY_A_TURN if row.ordinary else 1):
            break
    if mails == 0:
        await conn.execute(SQL.give_turn_back, SLOW_TURN)
    return taken > 0 and mails == 0


async def admit_slow_one(
    conn: Connection, keys: Vault, confirm_hours: int, row: Request, known: Domains
) -> int:
    """How many mails come of it; none of an ordinary one that is too many for its domain, which
    waits on among the others."""
    opened = opened_of(keys, [row])
    if row.ordinary and await over_of_domains(conn, keys, opened):
        await conn.execute(SQL.slow_down, [row.id])
        return 0
    await conn.execute(SQL.drop_requests, [row.id])
    return await admit_each(conn, keys, opened, confirm_hours, known)


def opened_of(keys: Vault, taken: Sequence[Request]) -> list[Asking]:
    return [asking for row in taken if (asking := open_request(keys, row)) is not None]


def open_request(keys: Vault, row: Request) -> Asking | None:
    subject = keys.unwrap(row.id, row.dek)
    try:
        wish = wished(json.loads(vault.unseal(subject, PLACE, row.payload)))
        reached = address.parse(wish.email)
    except InvalidTag:
        log.error("request %s was changed in the database and is dropped", row.id)
        return None
    except Invalid:  # an older version of this program let it in
        log.warning("request %s is for an address that is no longer accepted", row.id)
        return None
    return Asking(row, subject, wish, reached, keys.lookup(reached.normal))


def wished(said: Mapping[str, Any]) -> Wish:
    """Web processes of another release may say more, while both run: that is theirs to read."""
    return Wish(**{each.name: said[each.name] for each in fields(Wish) if each.name in said})


def unproven_of_floods(opened: Sequence[Asking], on: Sequence[Flood]) -> frozenset[UUID]:
    flooded = {flood.newsletter for flood in on}
    return frozenset(
        asking.request.id
        for asking in opened
        if not asking.request.proven and (None in flooded or flooded & {*asking.wish.newsletters})
    )


async def over_of_domains(
    conn: Connection, keys: Vault, opened: Sequence[Asking]
) -> frozenset[UUID]:
    """Those that are too many for their domains at once, the latest first."""
    by_domain: dict[bytes, list[Asking]] = {}
    for asking in opened:
        domain = asking.address.domain
        if providers.of(domain) is None and not address.reserved(domain):
            key = keys.form(f"domain {domain}")
            by_domain.setdefault(key, []).append(asking)
    counts = {key: len(those) for key, those in by_domain.items()}
    slowed: list[UUID] = []
    for key, weight_ in (await limits.slide(conn, counts, DOMAIN_WINDOW_SECONDS)).items():
        those = by_domain[key]
        unproven = [each.request.id for each in those if not each.request.proven]
        slowed += over(unproven, weight_ - DOMAIN_MOST)
        if weight_ > DOMAIN_MOST_PROVEN:
            slowed += over([each.request.id for each in those], weight_ - DOMAIN_MOST_PROVEN)
    return frozenset(slowed)


def over(ids: Sequence[UUID], many: float) -> Sequence[UUID]:
    """So many at the end of them."""
    return ids[max(0, len(ids) - ceil(many)) :] if many > 0 else ()


async def admit_each(
    conn: Connection,
    keys: Vault,
    askings: Sequence[Asking],
    confirm_hours: int,
    known: Domains,
) -> int:
    """How many mails come of it.

    Whoever was asked lately is passed over at once, as `ask` would: in a flood that is nearly all.
    """
    await disposable.count(conn, sum(a.address.domain in known.thrown_away for a in askings))
    mails, done = 0, await asked_lately(conn, askings)
    # In the order of the index, so that two workers never wait for each other in a ring.
    for asking in sorted(askings, key=lambda a: a.lookup):
        about = {(asking.lookup, slug) for slug in asking.wish.newsletters}
        if asking.address.domain not in known.dead and not about <= done:
            done |= about
            mails += await admit_one(conn, keys, asking, confirm_hours)
    unreached = sum(asking.address.domain in known.dead for asking in askings)
    if unreached:
        log.info("%d requests were for domains that take no mail", unreached)
    return mails


async def asked_lately(conn: Connection, askings: Sequence[Asking]) -> set[tuple[bytes, str]]:
    """Whom of them, and about which newsletter; by look-up and slug."""
    lookups = [asking.lookup for asking in askings]
    found = await conn.fetch(SQL.asked_lately, lookups, MAIL_AGAIN)
    return {(row["lookup"], row["slug"]) for row in found}


async def admit_one(conn: Connection, keys: Vault, asking: Asking, confirm_hours: int) -> int:
    if await suppressions.reason(conn, keys, asking.address) is not None:
        return 0
    wish, mails = asking.wish, 0
    subscriber = await subscribers.keep(conn, keys, asking.subject, asking.address, wish.language)
    notice = await notices.find(conn, wish.notice)
    evidence = {
        **(wish.evidence or {}),
        "received": consent.timestamp(asking.request.created_at),
    }
    for slug in wish.newsletters:
        newsletter = await newsletters.find(conn, slug)
        choice = Choice(
            newsletter,
            notice,
            newsletter.offered(wish.language),
            wish.cadence or newsletter.cadences[0],
            evidence,
        )
        mails += await ask(conn, keys, subscriber, choice, confirm_hours)
    await subscribers.forget_unasked(conn, subscriber.id)
    return mails
