"""Receipts: what one person agreed to, in the forms that others read.

    kantara   Kantara Consent Receipt 1.1, for one newsletter
    linked    a record as ISO/IEC TS 27560 has it, in the Data Privacy Vocabulary (JSON-LD)
    files     both, everything held as one JSON object (GDPR, Articles 15 and 20), the notices

Receipts and records hold no address, so they may be shown to somebody else. What the controller
never told us is not invented: they say nothing of where the data is stored.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mailer import consent, notices, people, render
from mailer.consent import Actor, Event
from mailer.db import Connection
from mailer.errors import Unknown
from mailer.notices import Notice
from mailer.subscriptions import Own
from mailer.vault import Vault

KANTARA = "KI-CR-v1.1.0"
DPV_PROFILE = "https://w3id.org/dpv/schema/dpv-27560#record-eu-gdpr"
JURISDICTION = "EU"
"""Whose law the record is kept by, as ISO 3166 spells it; in DPV: loc:EU."""

BELIEFS = "Political opinions, religious or philosophical beliefs: the subscription may reveal them"
"""Why the consent is explicit and the data counts as sensitive (GDPR, Article 9(1))."""

CONTACT_REQUESTED, CONTACT_DATA = "4 - Contact Requested", "2 - Contact"
"""Kantara's own lists of purposes and kinds of data."""

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


# Kantara Consent Receipt 1.1


def kantara(record: Record, slug: str) -> dict[str, Any]:
    """The receipt for the latest agreement to one newsletter. Raises Unknown."""
    event = record.agreements().get(slug)
    if event is None:
        raise Unknown("There is no consent to this newsletter to give a receipt for.")
    content = event.content
    notice = record.notices[content["notice"]["id"]]
    responsible = controller(notice.controller)
    given_at = content["evidence"].get("agreed", content)["at"]
    return {
        "version": KANTARA,
        "jurisdiction": JURISDICTION,
        "consentTimestamp": int(datetime.fromisoformat(given_at).timestamp()),
        "collectionMethod": how(content, notice.language),
        "consentReceiptID": content["id"],
        "language": notice.language,
        "piiPrincipalId": content["subject"],
        "piiControllers": [
            {
                "piiController": responsible.name,
                "onBehalf": False,
                "contact": responsible.text,
                "address": {"streetAddress": responsible.address},
                "email": responsible.email,
                "phone": responsible.phone,
            }
        ],
        "policyUrl": f"{record.base_url}/notice/{notice.id}",
        "services": [
            {
                "service": record.titles.get(slug, slug),
                "purposes": [purpose(notice, n) for n in range(len(notice.purposes))],
            }
        ],
        "sensitive": True,
        "spiCat": [render.translate(BELIEFS, notice.language)],
    }


def purpose(notice: Notice, number: int) -> dict[str, Any]:
    third = {"thirdPartyName": notice.recipients} if discloses(notice) else {}
    return {
        "purpose": notice.purposes[number],
        "purposeCategory": [CONTACT_REQUESTED],
        "consentType": "EXPLICIT",
        "piiCategory": [CONTACT_DATA],
        "primaryPurpose": number == 0,
        "termination": f"{notice.retention} / {notice.withdrawal}",
        "thirdPartyDisclosure": bool(third),
        **third,
    }


# ISO/IEC TS 27560 in DPV

CONTEXT = {
    "dct": "http://purl.org/dc/terms/",
    "dpv": "https://w3id.org/dpv#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "loc": "https://w3id.org/dpv/loc#",
    "pd": "https://w3id.org/dpv/pd#",
    "schema": "https://schema.org/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    **{
        name: {"@type": "@id"}
        for name in (
            "dct:conformsTo",
            "dpv:hasApplicableLaw",
            "dpv:hasDataSource",
            "dpv:hasJurisdiction",
            "dpv:hasLegalBasis",
            "dpv:hasProcessing",
            "dpv:isExercisedAt",
            "dpv:isIndicatedBy",
        )
    },
    **{
        name: {"@type": "xsd:dateTime"}
        for name in ("dct:created", "dct:issued", "dct:modified", "dpv:isIndicatedAtTime")
    },
}
STATUS = {
    "subscription.requested": ("dpv:ConsentRequested",),
    "consent.confirmed": ("dpv:ConsentGiven", "dpv:ExplicitlyExpressedConsent"),
    "consent.renewed": ("dpv:RenewedConsentGiven", "dpv:ExplicitlyExpressedConsent"),
    "consent.refused": ("dpv:ConsentRefused",),
    "consent.expired": ("dpv:ConsentExpired",),
    "consent.withdrawn": ("dpv:ConsentWithdrawn",),
}
REVOKED = ("dpv:ConsentRevoked",)
"""Ended by the controller, not by the person."""


def linked(record: Record) -> dict[str, Any]:
    """A consent record for each newsletter that the events speak of."""
    slugs = dict.fromkeys(
        event.content["newsletter"] for event in record.events if event.content["type"] in STATUS
    )
    return {"@context": CONTEXT, "@graph": [linked_one(record, slug) for slug in slugs]}


def linked_one(record: Record, slug: str) -> dict[str, Any]:
    told = [
        event.content
        for event in record.events
        if event.content["newsletter"] == slug and event.content["type"] in STATUS
    ]
    shown = dict.fromkeys(content["notice"]["id"] for content in told)
    notice = record.notices[told[-1]["notice"]["id"]]
    return {
        "@id": f"urn:uuid:{told[0]['id']}",
        "@type": ["dpv:ConsentRecord"],
        "dct:identifier": told[0]["id"],
        "dct:conformsTo": [DPV_PROFILE],
        "dct:created": told[0]["at"],
        "dct:modified": told[-1]["at"],
        "dpv:hasDataSubject": [
            {
                "@id": f"urn:uuid:{told[0]['subject']}",
                "@type": ["dpv:DataSubject"],
                "dct:identifier": told[0]["subject"],
            }
        ],
        "dpv:hasDataController": [linked_controller(record, notice)],
        "dpv:hasJurisdiction": [f"loc:{JURISDICTION}"],
        "dpv:hasApplicableLaw": ["eu-gdpr:GDPR"],
        "dpv:hasNotice": [linked_notice(record, record.notices[id_]) for id_ in shown],
        "dpv:hasProcess": [linked_process(record, slug, notice)],
        "dpv:hasConsentStatus": [linked_status(record, content) for content in told],
    }


def linked_controller(record: Record, notice: Notice) -> dict[str, Any]:
    said = controller(notice.controller)
    contact = [text for text in (said.email, said.phone) if text]
    return {
        "@id": f"{record.base_url}/#controller",
        "@type": ["dpv:DataController"],
        "dpv:hasName": said.name,
        "dpv:hasAddress": said.address,
        "dpv:hasContact": contact or [said.text],
    }


def linked_notice(record: Record, notice: Notice) -> dict[str, Any]:
    return {
        "@id": f"{record.base_url}/notice/{notice.id}",
        "@type": ["dpv:ConsentNotice"],
        "dct:identifier": notice.id,
        "dct:language": notice.language,
        "dct:issued": consent.timestamp(notice.valid_from),
        "dct:description": in_language(notice, notice.wording),
        "schema:sha256": notice.sha256.hex(),
    }


def linked_process(record: Record, slug: str, notice: Notice) -> dict[str, Any]:
    def described(kind: str, text: str) -> dict[str, Any]:
        return {"@type": [kind], "dct:description": in_language(notice, text)}

    return {
        "@type": ["dpv:Process"],
        "dpv:hasService": [{"@type": ["dpv:Service"], "dct:title": record.titles.get(slug, slug)}],
        "dpv:hasPurpose": [described("dpv:Purpose", text) for text in notice.purposes],
        "dpv:hasLegalBasis": ["eu-gdpr:A6-1-a", "eu-gdpr:A9-2-a"],
        "dpv:hasPersonalData": [
            {"@type": ["pd:EmailAddress"], "dpv:hasDataSource": ["dpv:DataSubject"]}
        ],
        "dpv:hasProcessing": ["dpv:Collect", "dpv:Store", "dpv:Use"],
        "dpv:hasRecipient": [described("dpv:Recipient", notice.recipients)]
        if discloses(notice)
        else [],
        "dpv:hasStorageCondition": [described("dpv:StorageDuration", notice.retention)],
        "dpv:hasConsentControl": [
            {
                **described("dpv:WithdrawConsent", notice.withdrawal),
                "dpv:isExercisedAt": [record.base_url],
            }
        ],
        "dpv:hasRight": [
            {
                "@type": ["dpv:DataSubjectRight", f"eu-gdpr:{article}"],
                "dct:title": translated(notice, title),
                "dpv:isExercisedAt": [record.base_url],
            }
            for article, title in RIGHTS.items()
        ],
    }


RIGHTS = {
    "A7-3": "Right to withdraw consent",
    "A15": "Right of access",
    "A16": "Right to rectification",
    "A17": "Right to erasure",
    "A18": "Right to restriction of processing",
    "A20": "Right to data portability",
    "A77": "Right to lodge a complaint with a supervisory authority",
}


def linked_status(record: Record, content: Mapping[str, Any]) -> dict[str, Any]:
    by_person = content["actor"] == consent.SUBJECT or is_complaint(content)
    withdrawn = content["type"] == "consent.withdrawn"
    kind = REVOKED if withdrawn and not by_person else STATUS[content["type"]]
    notice = record.notices[content["notice"]["id"]]
    return {
        "@id": f"urn:uuid:{content['id']}",
        "@type": list(kind),
        "dpv:isIndicatedBy": ["dpv:DataSubject" if by_person else "dpv:DataController"],
        "dpv:isIndicatedAtTime": content["at"],
        "dpv:hasIndicationMethod": how(content, notice.language),
        "dpv:hasNotice": [{"@id": f"{record.base_url}/notice/{notice.id}"}],
    }


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


def translated(notice: Notice, sentence: str) -> dict[str, str]:
    """A sentence of ours, in the language of a notice."""
    spoken = render.spoken(notice.language)
    return {"@value": render.translate(sentence, spoken), "@language": spoken}


def in_language(notice: Notice, text: str) -> dict[str, str]:
    return {"@value": text, "@language": notice.language}


# everything


async def files(
    conn: Connection, keys: Vault, record: Record, *, actor: Actor
) -> Mapping[str, str]:
    """All that a person can take along, by file name; that they did is recorded."""
    held = await people.export(conn, keys, record.own, actor=actor)
    return {
        "everything.json": pretty(held),
        "consent-record.jsonld": pretty(linked(record)),
        **{f"receipt-{slug}.json": pretty(kantara(record, slug)) for slug in record.agreements()},
        **{f"notices/{id_}.json": pretty(notices.content(n)) for id_, n in record.notices.items()},
    }


def pretty(content: Mapping[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"
