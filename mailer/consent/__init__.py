"""Consent events: the append-only record of who agreed to what, when and in which words.

An event is one JSON object. Its commitment is

    SHA-256("mailer/consent-event/v1\\n" | salt | RFC 8785 form of the event)

with a salt that is derived from the subject's key, so that it means nothing once that key is
destroyed. Each event names the commitment of the same subject's previous one (`prev`) and a number
without gaps (`seq`). The event itself is sealed; the columns beside it are there to filter by.
"""

from mailer.consent.events import (
    PLACE,
    STAFF,
    SUBJECT,
    SYSTEM,
    TYPES,
    VERSION,
    Actor,
    Entry,
    Event,
    Filter,
    Pause,
    Type,
    canonical,
    commit,
    count,
    erase,
    of,
    of_type,
    pause,
    record,
    record_all,
    stream,
    timestamp,
    uuid7,
)
from mailer.consent.verification import Finding, Verification, extent, verify

__all__ = [
    "PLACE",
    "STAFF",
    "SUBJECT",
    "SYSTEM",
    "TYPES",
    "VERSION",
    "Actor",
    "Entry",
    "Event",
    "Filter",
    "Finding",
    "Pause",
    "Type",
    "Verification",
    "canonical",
    "commit",
    "count",
    "erase",
    "extent",
    "of",
    "of_type",
    "pause",
    "record",
    "record_all",
    "stream",
    "timestamp",
    "uuid7",
    "verify",
]
