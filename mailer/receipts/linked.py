"""A record as ISO/IEC TS 27560 has it, in the Data Privacy Vocabulary (JSON-LD)."""

from collections.abc import Mapping
from typing import Any

from mailer import consent, render
from mailer.notices import Notice
from mailer.receipts.record import (
    JURISDICTION,
    Record,
    controller,
    discloses,
    how,
    is_complaint,
)

DPV_PROFILE = "https://w3id.org/dpv/schema/dpv-27560#record-eu-gdpr"
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


def records(record: Record) -> dict[str, Any]:
    """A consent record for each newsletter that the events speak of."""
    slugs = dict.fromkeys(
        event.content["newsletter"] for event in record.events if event.content["type"] in STATUS
    )
    return {"@context": CONTEXT, "@graph": [one(record, slug) for slug in slugs]}


def one(record: Record, slug: str) -> dict[str, Any]:
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
        "dpv:hasDataController": [responsible(record, notice)],
        "dpv:hasJurisdiction": [f"loc:{JURISDICTION}"],
        "dpv:hasApplicableLaw": ["eu-gdpr:GDPR"],
        "dpv:hasNotice": [noticed(record, record.notices[id_]) for id_ in shown],
        "dpv:hasProcess": [process(record, slug, notice)],
        "dpv:hasConsentStatus": [status(record, content) for content in told],
    }


def responsible(record: Record, notice: Notice) -> dict[str, Any]:
    said = controller(notice.controller)
    contact = [text for text in (said.email, said.phone) if text]
    return {
        "@id": f"{record.base_url}/#controller",
        "@type": ["dpv:DataController"],
        "dpv:hasName": said.name,
        "dpv:hasAddress": said.address,
        "dpv:hasContact": contact or [said.text],
    }


def noticed(record: Record, notice: Notice) -> dict[str, Any]:
    return {
        "@id": f"{record.base_url}/notice/{notice.id}",
        "@type": ["dpv:ConsentNotice"],
        "dct:identifier": notice.id,
        "dct:language": notice.language,
        "dct:issued": consent.timestamp(notice.valid_from),
        "dct:description": in_language(notice, notice.wording),
        "schema:sha256": notice.sha256.hex(),
    }


def process(record: Record, slug: str, notice: Notice) -> dict[str, Any]:
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


def status(record: Record, content: Mapping[str, Any]) -> dict[str, Any]:
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


# in words


def translated(notice: Notice, sentence: str) -> dict[str, str]:
    """A sentence of ours, in the language of a notice."""
    spoken = render.spoken(notice.language)
    return {"@value": render.translate(sentence, spoken), "@language": spoken}


def in_language(notice: Notice, text: str) -> dict[str, str]:
    return {"@value": text, "@language": notice.language}
