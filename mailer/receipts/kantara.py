"""Kantara Consent Receipt 1.1, for one newsletter."""

from datetime import datetime
from typing import Any

from mailer import render
from mailer.errors import Unknown
from mailer.notices import Notice
from mailer.receipts.record import JURISDICTION, Record, controller, discloses, how

VERSION = "KI-CR-v1.1.0"

BELIEFS = "Political opinions, religious or philosophical beliefs: the subscription may reveal them"
"""Why the consent is explicit and the data counts as sensitive (GDPR, Article 9(1))."""

CONTACT_REQUESTED, CONTACT_DATA = "4 - Contact Requested", "2 - Contact"
"""Kantara's own lists of purposes and kinds of data."""


def receipt(record: Record, slug: str) -> dict[str, Any]:
    """The receipt for the latest agreement to one newsletter. Raises Unknown."""
    event = record.agreements().get(slug)
    if event is None:
        raise Unknown("There is no consent to this newsletter to give a receipt for.")
    content = event.content
    notice = record.notices[content["notice"]["id"]]
    responsible = controller(notice.controller)
    given_at = content["evidence"].get("agreed", content)["at"]
    return {
        "version": VERSION,
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
