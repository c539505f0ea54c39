"""Hooks: what mail services tell of our mails by HTTP, each proven as its service documents it.

    ses         Amazon SES through SNS: a signature by a certificate of Amazon's, and our topic
    mailgun     HMAC-SHA256 with the signing key
    postmark    a user and password of ours
    sendgrid    ECDSA over the raw bytes, with the public key of the webhook

Pure functions on headers and bytes. A service that is believed may name a reader by address.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from mailer.bounces import Channel, Report
from mailer.bounces.reading import NOTHING, Outcome, Reading, claims
from mailer.bounces.reasons import KINDS, Reply, judge, reply


class Unproven(Exception):
    """It does not come from the service that it says it comes from, or was told long ago."""


class Malformed(Exception):
    """It is proven, and still makes no sense."""


@dataclass(frozen=True)
class Event:
    """What a service tells of one mail. `id`: of the event, as the service gave it."""

    id: str
    outcome: Outcome
    email: str | None = field(repr=False)
    text: str = field(default="", repr=False)

    def report(self, channel: Channel) -> Report:
        said = self.outcome.reply
        status = said.status or (str(said.code) if said.code else None)
        found = Reading(self.outcome.reason, status, said.text, claims([self.text]))
        return Report(channel, self.id.encode(), found, said.text, (), self.email)


@contextmanager
def sense(of: str) -> Iterator[None]:
    """What can't be read in the block makes no sense. Raises Malformed."""
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError):
        raise Malformed(f"not what {of} tells") from None


def parsed(body: str | bytes) -> Any:
    """JSON of others. Raises ValueError, also where it is too deep."""
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError from None


def bounced(words: str, status: str | None = None, *, lasting: bool = True) -> Outcome:
    """A bounce in a service's words; `lasting`: whether it gave up."""
    said = reply(words, status or None)
    reason = judge(said)
    if KINDS[reason] == "hard" and not lasting:
        reason = "trouble"
    return Outcome("unsaid" if reason == "unclear" else reason, said)


COMPLAINED = Outcome("complaint", Reply(""))
LEFT = Outcome("leave", Reply(""))
DELIVERED = Outcome("delivered", Reply(""))
UNKNOWN = NOTHING
