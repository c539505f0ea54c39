"""One person's record, in words: what happened, who is responsible, how it was said."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mailer import consent, notices, render
from mailer.consent import Event
from mailer.db import Connection
from mailer.notices import Notice
from mailer.subscriptions import Own

JURISDICTION = "EU"
"""Whose law the record is kept by, as ISO 3166 spells it; in DPV: loc:EU."""

NOBODY = frozenset(
    {
        "nobody", "nobody else", "no one", "no one else", "no-one", "none",
        "никто", "никто другой", "больше никто", "никому", "нет",
        "ніхто", "ніхто інший", "більше ніхто", "нікому", "немає",
        "nikt", "nikt inny", "nikt więcej", "nikomu", "brak",
        "ешкім", "басқа ешкім", "ешкімге", "жоқ",
        "personne", "personne d'autre", "personne d’autre", "aucun", "aucun destinataire",
        "niemand", "niemand sonst", "sonst niemand", "niemandem", "keine",
        "لا أحد", "لا أحد غيرنا", "لا أحد آخر", "لا يوجد",
    }
)  # fmt: skip
"""How a notice says that nobody else gets the data; anything else names somebody."""

AGREEING = ("consent.confirmed", "consent.renewed")

HOW = {
    "consent.confirmed": "Web form, then a button on the page behind a mailed link",
    "consent.renewed": "Button on the page behind a mailed link",
}
ELSEWHERE = (
    "Brought over from another list by the controller, with evidence of an earlier consent: "
    "{how} ({source}), to: {words}"
)

MAIL = re.compile(r"[^\s,;<>]+@[^\s,;<>]+")
PHONE = re.compile(r"\+?\d[\d ()/.-]{5,}\d")


@dataclass(frozen=True)
class Record:
    """One person's events, the notices that they name, by id, and `titles` of newsletters."""

    own: Own
    notices: Mapping[str, Notice]
    titles: Mapping[str, str]
    base_url: str

    @property
    def events(self) -> Sequence[Event]:
        return self.own.record

    def agreements(self) -> Mapping[str, Event]:
        """By newsletter: the latest event by which the person agreed to something."""
        return {
            event.content["newsletter"]: event
            for event in self.events
            if event.content["type"] in AGREEING
        }


async def gather(conn: Connection, own: Own, titles: Mapping[str, str], base_url: str) -> Record:
    return Record(own, await notices.named(conn, notice_ids(own)), titles, base_url)


def notice_ids(own: Own) -> list[str]:
    found = (event.content["notice"] for event in own.record)
    return sorted({notice["id"] for notice in found if notice})


# events in words

FACTS = (
    "origin",
    "ip",
    "form",
    "cadence",
    "server",
    "reply",
    "message_id",
    "reason",
    "answer_by",
    "agreed_at",
    "agreed_how",
    "agreed_words",
    "agreed_source",
)
"""What of the evidence is shown in words; all of it is in the download."""


@dataclass(frozen=True)
class Entry:
    """One consent event as the page tells it; `facts`: evidence by name.

    `restricted`: what the use of the data became, if that changed; `pause`: likewise.
    """

    number: int
    type: str
    at: datetime
    actor: str
    newsletter: str | None
    channel: str | None
    restricted: bool | None
    pause: consent.Pause | None
    notice: Notice | None
    facts: Mapping[str, str]
    commitment: str


def told(record: Record, event: Event) -> Entry:
    """An event for whoever may read the record."""
    content = event.content
    evidence = content["evidence"]
    earlier = {f"agreed_{name}": said for name, said in evidence.get("agreed", {}).items()}
    facts = {**evidence, **earlier}
    return Entry(
        content["seq"],
        content["type"],
        datetime.fromisoformat(content["at"]),
        content["actor"].partition(":")[0],
        content["newsletter"],
        evidence.get("channel"),
        evidence.get("to", {}).get("restricted"),
        consent.pause(content),
        record.notices[content["notice"]["id"]] if content["notice"] else None,
        {name: str(facts[name]) for name in FACTS if facts.get(name)},
        event.commitment.hex(),
    )


# who is responsible


@dataclass(frozen=True)
class Controller:
    """What the text of a notice says of the controller, in parts; "" where it does not say."""

    text: str
    name: str
    address: str
    email: str
    phone: str


def controller(text: str) -> Controller:
    """The name stands first, as legal texts have it: up to the line's end, else the first comma."""
    whole = text.replace("\\n", "\n").strip()
    parts = [part.strip() for part in whole.split("\n" if "\n" in whole else ",")]
    email, phone = MAIL.search(whole), PHONE.search(whole)
    contacts = [found[0] for found in (email, phone) if found]
    address = [part for part in parts[1:] if not any(found in part for found in contacts)]
    return Controller(
        whole,
        parts[0],
        ", ".join(address),
        email[0] if email else "",
        phone[0].strip() if phone else "",
    )


def discloses(notice: Notice) -> bool:
    return notice.recipients.strip(" .!").casefold() not in NOBODY


# in which way


def how(content: Mapping[str, Any], language: str) -> str:
    """In which way it was said; of a consent that was given elsewhere, by what was told of it."""
    if earlier := content["evidence"].get("agreed"):
        told = {name: earlier[name] for name in ("how", "source", "words")}
        return render.translate(ELSEWHERE, language).format(**told)
    said = render.translate(HOW.get(content["type"], ""), language)
    return said or str(content["evidence"].get("channel", ""))


def is_complaint(content: Mapping[str, Any]) -> bool:
    """It was the person who said it, to their mail provider."""
    return bool(content["evidence"].get("channel") == "complaint")
