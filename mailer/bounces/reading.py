"""What a mail that came back says: pure functions on bytes, which never raise.

Three standard forms (RFC 3464 delivery reports, RFC 5965 feedback reports, RFC 3834 automatic
answers) and the many that are none. Only the class is read off the words; whose mail it was is
told by tokens that nobody can guess.
"""

import email
import email.policy
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import parseaddr
from html import unescape
from typing import Any
from uuid import UUID

from flufl.bounce import all_failures  # type: ignore[import-untyped]  # it has no types

from mailer.bounces.reasons import (
    CODE,
    ENHANCED,
    KINDS,
    Kind,
    Reply,
    by_status,
    by_words,
    judge,
    reply,
    stage_of,
)
from mailer.tokens import Purpose, parse

MOST_BYTES = 256 * 1024
"""What is read of a mail: reports come first, the mail they are about last."""

MOST_TEXT = 16 * 1024
MOST_HUMAN = 6000
MOST_PARTS = 50
MOST_TOKENS = 20
MOST_FALLBACK = 32 * 1024
"""Beyond it the fallback, whose expressions are not ours, is not asked."""

REPORTS = re.compile(rb"message/(?:global-)?(delivery-status|feedback-report)", re.IGNORECASE)
REPORT = "text/delivery-status"
FEEDBACK = "text/feedback-report"
"""What we call them while we read: the parser would make an object of each of their blocks."""

ORIGINALS = ("message/rfc822", "text/rfc822-headers", "message/global", "text/rfc822")

NO_COMPLAINTS = ("not-spam", "auth-failure", "dmarc")
"""Feedback types that blame nobody (RFC 5965, 6430, 6591); any other is a complaint."""

DELIVERED = ("delivered", "relayed", "expanded", "deliverable")
DAEMON = re.compile(
    r"mailer[-_. ]?daemon|post\s?master|mdaemon|mail[-_. ]?(?:deliver|system|admin|daemon|gateway)"
    r"|delivery[-_. ](?:system|subsystem)|^no[-_.]?reply|bounce",
    re.IGNORECASE,
)
CAME_BACK = re.compile(
    r"un(?:deliver|zustell)|returned (?:mail|to sender)|return(?:ing)? message|failure notice"
    r"|(?:mail|message|delivery)[\w ]{0,20}(?:fail|error|problem|report|notification|status|block)"
    r"|(?:not|n't|unable to|cannot|could not)\s(?:be )?(?:deliver|sent)|non (?:remis|distribu)"
    r"|nicht (?:zugestellt|ausgeliefert)|не\s?достав|не может быть (?:достав|отправ)"
    r"|送信できません|送信エラー|no se (?:ha podido|pudo) entregar|n[aã]o (?:p[oô]de|foi) entreg"
    r"|退信|投递失败|not delivered|rejected|delivery to .{0,60} failed|did not reach",
    re.IGNORECASE,
)
AWAY = re.compile(
    r"out of (?:the )?office|auto(?:matic|mated)?[- ]?(?:reply|response|antwort|svar|answer)"
    r"|^auto ?:|vacation|holiday|on leave|away from|absence|abwesen|автоответ|отпуск"
    r"|\babsente?\b|fora do escrit|\bausente\b|fuera de (?:la )?oficina|fuori (?:sede|ufficio)"
    r"|afwezig|nieobecn|poissa|fr[åa]nvar|frav[æe]r|не на работе|відпуст"
    r"|r[eé]ponse automatique|respuesta autom|risposta automatica|resposta autom"
    r"|自動(?:応答|返信)|自动(?:回复|答复)|automatische? (?:antwort|antwoord)|autoreply|autosvar",
    re.IGNORECASE,
)
LEAVE = re.compile(
    r"^\s*(?:re:\s*)?(?:unsubscribe|remove|отпис\w+|abmelden|d[eé]sabonn\w+)\b", re.I
)

BELOW = re.compile(
    r"^[> \t]{0,20}(?:[-=*_][-=*_ ]{1,79}.{0,40}?\b(?:original|copy|returned|unsent|enclosed|header"
    r"|forwarded)|below this line|original message follows|(?:original )?message headers"
    r"|the header of the original"
    r"|(?:received|return-path|dkim-signature|x-received|delivered-to|arc-seal"
    r"|x-google-smtp-source|x-mailer|mime-version)\s*:)",
    re.IGNORECASE | re.MULTILINE,
)
"""Where the mail that came back begins."""

TAGS = re.compile(
    r"<(?:style|script|head)\b.*?</(?:style|script|head)>|<[^<>]{0,2000}>", re.I | re.S
)
TRANSPORT = re.compile(r"^\s*(?:smtp|dns|x-[\w-]{1,40}|unix|rfc822)\s*;\s*", re.IGNORECASE)
FIELD = re.compile(
    r"(action|status|diagnostic-code)[ \t]{0,9}:[ \t]{0,9}(.*)", re.IGNORECASE | re.DOTALL
)
COMMENT = re.compile(r"^[\d.]*\s*\(?(.*?)\)?$")
STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
FEEDBACK_TYPE = re.compile(r"^feedback-type[ \t]*:[ \t]*([\w-]{1,40})", re.I | re.M)

NOTIFICATION = re.compile(r'"(?:notification|event)Type"\s*:')
COMPLAINT = re.compile(r'"(?:notification|event)Type"\s*:\s*"Complaint"')

TOKENS: Sequence[tuple[Purpose, re.Pattern[str]]] = (
    ("bounce", re.compile(r"(?<![A-Za-z0-9])b(?:\+|=2B|%2B)([A-Za-z0-9_-]{27})(?:@|=40|=3D|=)")),
    ("leave", re.compile(r"(?<![A-Za-z0-9])u(?:\+|=2B|%2B)([A-Za-z0-9_-]{27})(?:@|=40|=)")),
    ("leave", re.compile(r"/u/([A-Za-z0-9_-]{27})(?![A-Za-z0-9_-])")),
    ("leave", re.compile(r"unsubscribe(?:%20|\+|\s|=20)([A-Za-z0-9_-]{27})(?![A-Za-z0-9_-])")),
)
MESSAGE = re.compile(
    r"<([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})@", re.IGNORECASE
)


@dataclass(frozen=True)
class Claim:
    """A token that a mail bears, and what it would be good for if it is a true one."""

    purpose: Purpose
    text: str


@dataclass(frozen=True)
class Reading:
    """What a mail says. `status`: the code it gives, as 5.1.1 or 550; `words`: the reply.

    `claims`: tokens found in it; `messages`: ids as we give to mails. Both are still to be proven.
    """

    reason: str
    status: str | None = None
    words: str = ""
    claims: tuple[Claim, ...] = ()
    messages: tuple[UUID, ...] = ()

    @property
    def kind(self) -> Kind:
        return KINDS[self.reason]


@dataclass(frozen=True)
class Part:
    """One part of a mail: its media type and its text."""

    kind: str
    text: str


@dataclass(frozen=True)
class Outcome:
    """What became of the mail, as far as a report tells."""

    reason: str
    reply: Reply


NOTHING = Outcome("unclear", Reply(""))


def read(raw: bytes) -> Reading:
    """The class of a mail that came back, and whose it may be. Any bytes will do."""
    raw = REPORTS.sub(rb"text/\1", raw[:MOST_BYTES])
    try:
        message = email.message_from_bytes(raw, policy=email.policy.compat32)
        parts = list(parts_of(message))
        outcome = judged(message, parts)
        texts = [*headers(message), *(part.text for part in parts), raw.decode("latin-1")]
        return reading(outcome, texts)
    except Exception:  # the parser of broken MIME promises nothing
        return reading(NOTHING, [raw.decode("latin-1")])


def reading(outcome: Outcome, texts: Sequence[str]) -> Reading:
    said = outcome.reply
    code = said.status or (str(said.code) if said.code else None)
    return Reading(outcome.reason, code, said.text[:1000], claims(texts), messages(texts))


def claims(texts: Sequence[str]) -> tuple[Claim, ...]:
    """Tokens in the order of what they are good for: of a mail first, then of leaving."""
    found: dict[Claim, None] = {}
    for purpose, pattern in TOKENS:
        for text in texts:
            for hit in pattern.finditer(text):
                if parse(hit[1]) is not None and len(found) < MOST_TOKENS:
                    found[Claim(purpose, hit[1])] = None
    return tuple(found)


def messages(texts: Sequence[str]) -> tuple[UUID, ...]:
    hits = (UUID(hit[1]) for text in texts for hit in MESSAGE.finditer(text))
    return tuple(dict.fromkeys(hits))[:MOST_TOKENS]


# the parts of a mail


def headers(message: Message) -> Iterator[str]:
    for name, value in message.items():
        yield f"{name}: {value}"


def parts_of(message: Message, depth: int = 0) -> Iterator[Part]:
    """Texts and reports in their order; not what is inside the mail that came back."""
    kind = message.get_content_type()
    payload = message.get_payload()
    if kind in (REPORT, FEEDBACK):
        yield Part(kind, decoded(message)[:MOST_TEXT])
    elif kind in ORIGINALS:
        yield Part(kind, "")
    elif isinstance(payload, list):
        for part in payload[:MOST_PARTS] if depth < 5 else ():
            if isinstance(part, Message):
                yield from parts_of(part, depth + 1)
    elif kind.startswith("text/"):
        text = decoded(message)[:MOST_TEXT]
        yield Part(kind, plain(text) if kind == "text/html" else text)


def decoded(message: Message) -> str:
    payload = message.get_payload(decode=True)
    raw = payload if isinstance(payload, bytes) else str(message.get_payload()).encode()
    charset = message.get_content_charset() or "utf-8"
    for name in (charset, "utf-8"):
        try:
            return raw.decode(name).replace("\r\n", "\n")
        except (LookupError, UnicodeError, ValueError):
            continue
    return raw.decode("latin-1").replace("\r\n", "\n")


def plain(html: str) -> str:
    return unescape(TAGS.sub(" ", html))


# judging


def judged(message: Message, parts: Sequence[Part]) -> Outcome:
    for shape in (feedback, delivery_report, notification, absence, letter, fallback):
        found = shape(message, parts)
        if found is not None:
            return found
    return NOTHING


def feedback(message: Message, parts: Sequence[Part]) -> Outcome | None:
    """RFC 5965, and what looks like it."""
    reported = "feedback-report" in str(message.get("Content-Type", "")).lower()
    own = [part.text for part in parts if part.kind == FEEDBACK]
    if not own and not reported and "X-HmXmrOriginalRecipient" not in message:
        return None
    type_ = next((h[1] for text in own or texts(parts) if (h := FEEDBACK_TYPE.search(text))), "")
    blames = type_.lower() not in NO_COMPLAINTS
    return Outcome("complaint" if blames else "no-complaint", Reply(f"Feedback-Type: {type_}"))


def texts(parts: Sequence[Part]) -> list[str]:
    return [part.text for part in parts if part.text]


def delivery_report(message: Message, parts: Sequence[Part]) -> Outcome | None:
    """RFC 3464: each address it speaks of; the kindest verdict, if there are several.

    (An address may stand for several; it is dead only if all are.)
    """
    found = [
        fields
        for part in parts
        if part.kind == REPORT or "diagnostic-code" in part.text.lower()
        for block in blocks(part.text)
        if (fields := fields_of(block)).keys() & {"action", "status", "diagnostic-code"}
    ]
    outcomes = [recipient(fields, parts) for fields in found]
    failed = [outcome for outcome in outcomes if outcome.reason != "delivered"]
    for outcome in failed:
        if KINDS[outcome.reason] != "hard":
            return outcome
    return next(iter(failed or outcomes), None)


def blocks(text: str) -> list[str]:
    """Parts of a text between empty lines (or such with nothing but a mark of quotation)."""
    marked = (line if line.strip(" \t>") else "" for line in text.splitlines())
    return "\n".join(marked).split("\n\n")


def fields_of(block: str) -> dict[str, str]:
    """The fields of one block, long ones unfolded (RFC 3464, 2.1.2)."""
    unfolded: list[str] = []
    for line in block.splitlines():
        if line[:1] in (" ", "\t") and unfolded:
            unfolded[-1] += line
        else:
            unfolded.append(line)
    hits = (FIELD.match(line) for line in unfolded)
    return {hit[1].lower(): " ".join(hit[2].split()) for hit in hits if hit}


def recipient(fields: dict[str, str], parts: Sequence[Part]) -> Outcome:
    action = fields.get("action", "").lower().partition(" ")[0]
    found = STATUS.search(fields.get("status", ""))
    status = found[0] if found else None
    words = TRANSPORT.sub("", fields.get("diagnostic-code", "")) or COMMENT.sub(
        r"\1", fields.get("status", "")
    )
    said = reply(words, status, stage_of(words) or stage_of(human(parts)))
    if action in DELIVERED and not (status or "2").startswith(("4", "5")):
        return Outcome("delivered", said)
    reason = by_words(said)
    if reason is None:
        said, reason = spoken(parts, said)
    reason = reason or by_status(said)
    if action == "delayed":
        return Outcome("delayed", said)
    return Outcome("unsaid" if reason == "unclear" else reason, said)


def spoken(parts: Sequence[Part], said: Reply) -> tuple[Reply, str | None]:
    """What the part for people says, where the one for machines says nothing."""
    text = human(parts)
    answers = " ".join(replies(text))
    stage = said.stage or stage_of(text)
    told = reply(answers, said.status, stage) if answers else said
    found = by_words(told) if answers else None
    whole = by_words(Reply(text, told.code, told.status, stage))
    if found is None or (KINDS[found] == "hard" and whole in ("full", "disabled")):
        found = whole
    if not answers:
        told = Reply(" ".join(text.split()), said.code, said.status, stage)
    return told, found


def human(parts: Sequence[Part]) -> str:
    """The words of whoever sends the mail back, without the mail that came back."""
    for kind in ("text/plain", "text/html"):
        for part in parts:
            if part.kind in ORIGINALS:
                break
            if part.kind == kind and part.text.strip():
                return above(part.text)[:MOST_HUMAN]
    return ""


def above(text: str) -> str:
    """The text up to where the mail that came back begins."""
    for below in BELOW.finditer(text):
        head = text[: below.start()]
        if len(head.split()) > 3:
            return head
    return text


def replies(text: str) -> list[str]:
    """Each answer of a mail server quoted in a text: from its code to the end of the paragraph."""
    found = []
    for paragraph in blocks(text):
        line = " ".join(paragraph.split())
        hit = CODE.search(line) or ENHANCED.search(line)
        if hit is not None:
            found.append(line[hit.start() :])
    return found


def notification(message: Message, parts: Sequence[Part]) -> Outcome | None:
    """What Amazon SES tells in JSON, by mail."""
    for text in texts(parts):
        start = text.find("{")
        if start < 0 or not NOTIFICATION.search(text):
            continue
        try:
            return notified(json.JSONDecoder(strict=False).raw_decode(text, start)[0])
        except (ValueError, LookupError, TypeError, AttributeError):
            # Mail systems fold long lines, in the midst of a string: what kind it is can be seen.
            told = COMPLAINT.search(text)
            return Outcome("complaint", Reply("")) if told else Outcome("unsaid", Reply(""))
    return None


def notified(said: Mapping[str, Any]) -> Outcome | None:
    kind = said.get("notificationType") or said.get("eventType")
    if kind == "Complaint":
        type_ = str(said["complaint"].get("complaintFeedbackType") or "abuse")
        return Outcome("no-complaint" if type_ in NO_COMPLAINTS else "complaint", Reply(type_))
    if kind == "Delivery":
        return Outcome("delivered", reply(str(said.get("delivery", {}).get("smtpResponse", ""))))
    if kind != "Bounce":
        return None
    bounce = said["bounce"]
    first = (bounce.get("bouncedRecipients") or [{}])[0]
    answer = reply(str(first.get("diagnosticCode") or ""), first.get("status"))
    reason = judge(answer)
    if KINDS[reason] == "hard" and bounce.get("bounceType") == "Transient":
        reason = "trouble"
    if reason == "unclear" and bounce.get("bounceSubType") == "MailboxFull":
        reason = "full"
    return Outcome("unsaid" if reason == "unclear" else reason, answer)


def absence(message: Message, parts: Sequence[Part]) -> Outcome | None:
    """RFC 3834, and what looks like it."""
    if DAEMON.search(header(message, "From")):
        return None
    marked = any(
        str(message.get(name, "no")).lower().strip() not in ("", "no", "normal", "bulk", "list")
        for name in ("Auto-Submitted", "X-Autoreply", "X-Autorespond", "X-Autoresponse")
    ) or str(message.get("Precedence", "")).lower() in ("auto_reply", "auto-reply")
    subject = header(message, "Subject")
    if AWAY.search(subject) or (marked and not CAME_BACK.search(subject)):
        return Outcome("absence", Reply(subject[:200]))
    return None


def letter(message: Message, parts: Sequence[Part]) -> Outcome | None:
    """A bounce of no standard form; or somebody who writes that they want to leave."""
    subject = header(message, "Subject")
    if LEAVE.search(subject) and not is_daemon(message):
        return Outcome("leave", Reply(""))
    text = human(parts)
    if not (is_daemon(message) or CAME_BACK.search(subject) or CAME_BACK.search(text[:4000])):
        return None
    told, reason = spoken(parts, Reply(""))
    reason = reason or by_status(told)
    return Outcome(reason, told) if reason != "unclear" else None


def fallback(message: Message, parts: Sequence[Part]) -> Outcome | None:
    """Whether flufl.bounce sees a bounce in it. What it calls permanent is no reason to give up."""
    size = sum(len(part.text) for part in parts)
    if is_daemon(message) or (size <= MOST_FALLBACK and any(all_failures(message))):
        return Outcome("unsaid", Reply(""))
    return None


def is_daemon(message: Message) -> bool:
    sender = header(message, "From")
    name, reached = parseaddr(sender)
    empty = str(message.get("Return-Path", "")).strip() == "<>"
    return empty or bool(DAEMON.search(reached.partition("@")[0]) or DAEMON.search(name))


def header(message: Message, name: str) -> str:
    """One header as text, whatever it was encoded in."""
    found = (value for key, value in message.raw_items() if key.lower() == name.lower())
    raw = str(next(found, "")).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    try:
        return str(make_header(decode_header(raw)))
    except (LookupError, ValueError, HeaderParseError):
        return raw
