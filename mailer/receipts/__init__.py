"""Receipts: what one person agreed to, in the forms that others read.

    record    their events, in words
    kantara   Kantara Consent Receipt 1.1, for one newsletter
    linked    a record as ISO/IEC TS 27560 has it, in the Data Privacy Vocabulary (JSON-LD)
    files     both, everything held as one JSON object (GDPR, Articles 15 and 20), the notices

Receipts and records hold no address, so they may be shown to somebody else. What the controller
never told us is not invented: they say nothing of where the data is stored.
"""

import json
from collections.abc import Mapping
from typing import Any

from mailer import notices, people
from mailer.consent import Actor
from mailer.db import Connection
from mailer.receipts import kantara, linked
from mailer.receipts.record import Controller, Entry, Record, controller, gather, told
from mailer.vault import Vault

__all__ = [
    "Controller",
    "Entry",
    "Record",
    "controller",
    "files",
    "gather",
    "kantara",
    "linked",
    "pretty",
    "told",
]


async def files(
    conn: Connection, keys: Vault, record: Record, *, actor: Actor
) -> Mapping[str, str]:
    """All that a person can take along, by file name; that they did is recorded."""
    held = await people.export(conn, keys, record.own, actor=actor)
    return {
        "everything.json": pretty(held),
        "consent-record.jsonld": pretty(linked.records(record)),
        **{
            f"receipt-{slug}.json": pretty(kantara.receipt(record, slug))
            for slug in record.agreements()
        },
        **{f"notices/{id_}.json": pretty(notices.content(n)) for id_, n in record.notices.items()},
    }


def pretty(content: Mapping[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"
