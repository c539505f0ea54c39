"""Extracts: what is taken out of the house as a file, line by line, in constant memory.

The consent record (`events`) or the list of who subscribed (`people`). Each begins with its header
(JSON Lines has none); addresses only where they are asked for. That something is taken out is on
record, beside what, why and how much.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias, get_args

from mailer import consent, exports, newsletters, notices, subjects, subscribers, subscriptions
from mailer.consent import Actor, Filter, timestamp
from mailer.db import Connection
from mailer.exports import Format
from mailer.subscriptions import LISTED, Wanted
from mailer.vault import Vault

What: TypeAlias = Literal["consent", "subscribers"]
WHATS: tuple[What, ...] = get_args(What)
TIMES = ("since", "until")
"""The fields of a filter that are times."""


@dataclass(frozen=True)
class Order:
    """What somebody wants to take out, for whose key (age; None: not encrypted), and why."""

    format: Format
    wanted: Filter | Wanted
    with_addresses: bool
    recipient: str | None
    reason: str

    @property
    def what(self) -> What:
        return "consent" if isinstance(self.wanted, Filter) else "subscribers"

    @property
    def file(self) -> str:
        """The name of the file that it makes."""
        return f"{self.what}.{self.format}" + (".age" if self.recipient else "")

    def said(self) -> Mapping[str, object]:
        """As it goes on record."""
        return {
            "what": self.what,
            "reason": self.reason,
            **said(self.format, self.wanted, with_addresses=self.with_addresses),
            "encrypted": self.recipient is not None,
        }


def noted(order: Order) -> Mapping[str, object]:
    """For whoever carries it out later (`ordered`)."""
    return {**order.said(), "recipient": order.recipient}


def ordered(noted: Mapping[str, Any]) -> Order:
    """As it was given to `noted`."""
    kind: Any = Filter if noted["what"] == "consent" else Wanted
    fields = {
        name: datetime.fromisoformat(value) if name in TIMES and value else value
        for name, value in noted["filter"].items()
    }
    return Order(
        noted["format"],
        kind(**fields),
        noted["addresses"],
        noted["recipient"],
        noted["reason"],
    )


async def check(conn: Connection, wanted: Filter | Wanted) -> None:
    """Nothing is found under a name that was mistyped. Raises Unknown."""
    if wanted.newsletter is not None:
        await newsletters.find(conn, wanted.newsletter)
    if isinstance(wanted, Filter) and wanted.notice is not None:
        await notices.find(conn, wanted.notice)


def lines(
    conn: Connection,
    keys: Vault,
    format_: Format,
    wanted: Filter | Wanted,
    *,
    with_addresses: bool,
) -> AsyncIterator[str]:
    """The header, then a line each; in the caller's transaction."""
    if isinstance(wanted, Filter):
        return events(conn, keys, format_, wanted, with_addresses=with_addresses)
    return people(conn, keys, format_, wanted, with_addresses=with_addresses)


async def events(
    conn: Connection, keys: Vault, format_: Format, wanted: Filter, *, with_addresses: bool
) -> AsyncIterator[str]:
    yield exports.header(format_, exports.COLUMNS, with_addresses=with_addresses)
    async for event, subject, sealed in consent.stream(conn, keys, wanted):
        email = None
        if with_addresses:
            email = subscribers.open_address(subject, sealed).given if sealed else ""
        yield exports.line(format_, exports.event(event), email)


async def people(
    conn: Connection, keys: Vault, format_: Format, wanted: Wanted, *, with_addresses: bool
) -> AsyncIterator[str]:
    yield exports.header(format_, LISTED, with_addresses=with_addresses)
    async for cells, email in subscriptions.listing(
        conn, keys, wanted, with_addresses=with_addresses
    ):
        yield exports.line(format_, cells, email)


async def count(conn: Connection, wanted: Filter | Wanted) -> int:
    """How many lines there will be, below the header."""
    if isinstance(wanted, Filter):
        return await consent.count(conn, wanted)
    return await subscriptions.how_many(conn, wanted)


def said(format_: Format, wanted: Filter | Wanted, *, with_addresses: bool) -> Mapping[str, object]:
    """What an extract is of, as it goes on record."""
    return {
        "format": format_,
        "filter": {
            name: timestamp(value) if isinstance(value, datetime) else value
            for name, value in asdict(wanted).items()
        },
        "addresses": with_addresses,
    }


async def record(
    conn: Connection, keys: Vault, evidence: Mapping[str, object], *, actor: Actor
) -> None:
    await consent.record(
        conn, await subjects.house(conn, keys), "staff.exported", actor=actor, evidence=evidence
    )
