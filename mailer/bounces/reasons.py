"""Why a mail came back: a mail server's words and codes, judged.

Words go before codes, since codes are used loosely: of real bounces that were not for good, one in
four bears a 5.x.x. And words that clear the person (a block list, a full mailbox) go before words
that condemn the address: a wrong "no such mailbox" costs a reader who wants the mail, a missed one
costs a mail.

Codes: RFC 5321 4.2.3, RFC 3463 with the registry of RFC 5248, RFC 7505 (null MX), RFC 7372
(authentication).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from mailer.bounces.phrases import (
    ADDRESS_STATUS,
    AT_RCPT,
    CONDEMNING,
    GENERIC,
    LISTED,
    LISTS,
    NOISE,
    PHRASES,
    PREFIX,
    STATUSES,
)

Kind: TypeAlias = Literal[
    "hard", "soft", "policy", "complaint", "auto-reply", "unsubscribe", "unknown"
]

Stage: TypeAlias = Literal["mail", "rcpt", "data"]

KINDS: Mapping[str, Kind] = {
    "no-mailbox": "hard",
    "no-domain": "hard",
    "no-mail": "hard",
    "moved": "hard",
    "full": "soft",
    "disabled": "soft",
    "late": "soft",
    "delayed": "soft",
    "trouble": "soft",
    "unsaid": "soft",
    "doubtful": "soft",
    "blocked": "policy",
    "spam": "policy",
    "authentication": "policy",
    "rate": "policy",
    "rules": "policy",
    "content": "policy",
    "size": "policy",
    "setup": "policy",
    "complaint": "complaint",
    "absence": "auto-reply",
    "delivered": "auto-reply",
    "leave": "unsubscribe",
    "no-complaint": "unknown",
    "unclear": "unknown",
}
"""The class of each reason."""

WORDS: Mapping[str, str] = {
    "no-mailbox": "there is no such mailbox",
    "no-domain": "there is no such domain",
    "no-mail": "the domain takes no mail at all",
    "moved": "the person has moved to another address",
    "full": "the mailbox is full",
    "disabled": "the mailbox is switched off at present",
    "late": "their mail server could not be reached in time",
    "delayed": "it is late, but they still try",
    "trouble": "their mail server is in trouble",
    "doubtful": "it was called unknown, but not in answer to the address",
    "unsaid": "it came back without a reason",
    "blocked": "their mail server does not take mail from our server's address",
    "spam": "it was taken for spam",
    "authentication": "what proves that mails are ours (SPF, DKIM, DMARC) did not hold",
    "rate": "too many mails came from us at once",
    "rules": "their rules do not let this sender through",
    "content": "something in the mail itself was not accepted",
    "size": "the mail is too large for them",
    "setup": "a mail server on the way is not set up for this",
    "complaint": "the person reported it as spam",
    "absence": "an answer written by a machine, such as a note of absence",
    "delivered": "a note that the mail arrived, or was passed on",
    "leave": "the person asks to leave",
    "no-complaint": "a report that complains of nothing",
    "unclear": "nobody can tell from what it says",
}
"""The same, in plain words."""

CODE = re.compile(r"(?<![\d.\[#-])(?P<code>[45][0-5]\d)(?=[ :\-]|$)")
ENHANCED = re.compile(r"(?<![\d.])#?(?P<status>[245]\.\d{1,2}\.\d{1,3})(?![\d.]*\d)")


@dataclass(frozen=True)
class Reply:
    """What a mail server said. `code`: 0 if it gave none; `status`: as 5.1.1, of its own words.

    `stage`: at which command, if that is told.
    """

    text: str
    code: int = 0
    status: str | None = None
    stage: Stage | None = None

    @property
    def lasting(self) -> bool:
        """Whether it says that trying again is of no use."""
        if self.status is not None:
            return self.status.startswith("5")
        return self.code // 100 == 5

    @property
    def passing(self) -> bool:
        """Whether it says that trying again may be of use."""
        if self.status is not None and not self.status.endswith(".0.0"):
            return self.status.startswith("4")
        return self.code // 100 == 4 or (self.status or "").startswith("4")


MOST_WORDS = 4000


def reply(text: str, status: str | None = None, stage: Stage | None = None) -> Reply:
    """Words with the codes in them; `status`: what a report says where the words say nothing."""
    line = " ".join(text[:MOST_WORDS].split())
    code, own = CODE.search(line), ENHANCED.search(line)
    said = own["status"] if own else status
    return Reply(line, int(code["code"]) if code else 0, said, stage or stage_of(line))


STAGES: tuple[tuple[Stage, re.Pattern[str]], ...] = (
    (
        "data",
        re.compile(
            r"(?:in reply to|after|on|following|during) (?:the )?(?:end of |pipelined )?data\b"
            r"|after (?:i sent|sending) the message|\(state 1[5-8]\)|\[(?:BODY|DATA)\]"
            r"|>>> ?DATA\s+<<< ?[45]",
            re.IGNORECASE,
        ),
    ),
    (
        "mail",
        re.compile(
            r"(?:in reply to|after|on|following|our) (?:pipelined )?mail from"
            r"|liked? (?:the )?sender|sender was rejected|\(state 9\)|\[MAIL_FROM\]"
            r"|>>> ?MAIL FROM:[^\n<]{0,20}<[^>\n]{0,254}>[^\n<]{0,100}\s+<<< ?[45]",
            re.IGNORECASE,
        ),
    ),
    (
        "rcpt",
        re.compile(
            r"(?:in reply to|after|on|following|our) (?:pipelined )?rcpt\b|rcpt to:|smtp:rcpt"
            r"|rcpt command|does not like recipient|rejected (?:the )?recipient|\(state 14\)"
            r"|\[RCPT_TO\]",
            re.IGNORECASE,
        ),
    ),
)
"""How mail systems tell which command was answered."""


def stage_of(text: str) -> Stage | None:
    return next((stage for stage, told in STAGES if told.search(text)), None)


def judge(said: Reply) -> str:
    """The reason (a key of `KINDS`) that a mail server's words and codes give."""
    return by_words(said) or by_status(said)


def by_words(said: Reply) -> str | None:
    if LISTS.search(said.text):
        return "blocked"
    text = PREFIX.sub(" ", NOISE.sub(" ", said.text))
    if said.status == "5.4.1" and "access denied" in text.lower():
        return "no-mailbox"  # Microsoft's directory says so of whoever is not in it
    for reason, phrases in PHRASES:
        if phrases.search(text):
            return reason
    condemned = next((reason for reason, phrases in CONDEMNING if phrases.search(text)), None)
    return condemn(said, condemned) if condemned else None


def condemn(said: Reply, reason: str) -> str:
    """Whether words that condemn an address are to be believed; "4xx unknown user" may mean that
    a directory is away."""
    if said.passing:
        return "trouble"
    if said.stage == "mail" and reason in ("no-domain", "no-mailbox"):
        return "rules"  # it is the sender who is unknown
    if re.fullmatch(r"5\.2\.[12]", said.status or "") and said.stage != "rcpt":
        return "disabled"
    if reason == "no-mailbox" and not LISTED.search(said.text):
        return believed(said)
    return reason


def believed(said: Reply) -> str:
    if not said.lasting:
        return "unclear"
    sure = said.stage == "rcpt" or ADDRESS_STATUS.fullmatch(said.status or "")
    clear = AT_RCPT.search(said.text) or not GENERIC.search(said.text)
    return "no-mailbox" if sure or clear else "doubtful"


def by_status(said: Reply) -> str:
    status = said.status or ""
    found = next((reason for reason, codes in STATUSES if codes.fullmatch(status)), None)
    if found is None and said.code // 100 == 4:
        return "trouble"
    return found or "unclear"
