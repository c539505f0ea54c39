"""What became of a mail, in the server's words, and which words speak of us and not of the mail."""

import re
from typing import Literal, NamedTuple, TypeAlias

from mailer import address
from mailer.config import Smtp
from mailer.errors import Refusal

Stage: TypeAlias = Literal["mail", "rcpt", "data"]
Kind: TypeAlias = Literal["sent", "later", "never"]

MOST_REPLY = 300

ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?!\S)")

OF_US = {421, 432, 454, 530, 534, 535, 538}
"""Not available, or not without TLS or a login: true of every mail (RFC 5321, 3207, 4954)."""


class RoadClosed(Refusal):
    """No mail can go at present, whichever; it costs none of them an attempt.

    `code`: what the server said, 0 if it said nothing.
    """

    code: int = 0


class Verdict(NamedTuple):
    """What became of one mail. `stage`: at which command; 5xx at rcpt speaks of the person.

    `reply`: the server's words, without addresses; `code` 0: it said nothing.
    """

    kind: Kind
    stage: Stage
    code: int
    enhanced: str | None
    reply: str
    server: str


def judged(kind: Kind, stage: Stage, code: int, said: str, recipient: str, server: str) -> Verdict:
    """A verdict with the enhanced status (RFC 2034), if its class is that of the code."""
    found = ENHANCED.match(said)
    enhanced = found[0] if found and found[0][0] == str(code)[0] else None
    return Verdict(kind, stage, code, enhanced, masked(said, recipient), server)


def closed(server: Smtp, reason: str, code: int = 0) -> RoadClosed:
    problem = RoadClosed(
        "The mail server {server} does not take mail now ({reason}): "
        "check MAILER_SMTP_URL and that server.",
        server=repr(server),
        reason=reason.rstrip("."),
    )
    problem.code = code
    return problem


def masked(reply: str, recipient: str) -> str:
    """A reply in one short line, without anything that looks like an address or its owner."""
    local = recipient.rpartition("@")[0]
    return reply if harmless(reply, local) else cleaned(reply, recipient)


def cleaned(reply: str, recipient: str) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in reply).split())
    line = address.scrubbed(line, recipient)
    return line if len(line) <= MOST_REPLY else line[: MOST_REPLY - 1] + "…"


def harmless(reply: str, local: str) -> bool:
    """Seen at a glance, as most replies are: nothing in it that `masked` would change."""
    return (
        len(reply) <= MOST_REPLY
        and reply.isascii()
        and reply.isprintable()
        and "@" not in reply
        and "40" not in reply
        and "  " not in reply
        and reply == reply.strip()
        and local.isascii()
        and local.partition("+")[0].lower() not in reply.lower()
    )
