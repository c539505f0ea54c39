"""Postmark: nothing is signed; whoever has the user and password of ours is believed.

https://postmarkapp.com/developer/webhooks/bounce-webhook
"""

import base64
import binascii
import hmac
from collections.abc import Mapping
from typing import Any

from mailer import hooks
from mailer.bounces.reading import Outcome
from mailer.hooks import Event, Unproven

PASSING = ("SoftBounce", "Transient", "DnsError", "AutoResponder", "AddressChange")


def events(body: bytes, authorization: str, secret: str) -> list[Event]:
    """`secret`: user:password. Raises Unproven, or Malformed."""
    scheme, _, given = authorization.partition(" ")
    try:
        sent = base64.b64decode(given.strip(), validate=True)
    except (binascii.Error, ValueError):
        sent = b""
    if scheme.lower() != "basic" or not hmac.compare_digest(sent, secret.encode()):
        raise Unproven("another user or password")
    with hooks.sense("Postmark"):
        said = hooks.parsed(body)
        told = outcome(said)
        id_ = f"{said['RecordType']} {said.get('ID') or said['MessageID']} {when(said)}"
        email = said.get("Email") or said.get("Recipient")
        return [Event(id_, told, email, body.decode("utf-8", "replace"))]


def when(said: Mapping[str, Any]) -> str:
    return str(said.get("BouncedAt") or said.get("DeliveredAt") or said.get("ChangedAt") or "")


def outcome(said: Mapping[str, Any]) -> Outcome:
    kind = said["RecordType"]
    if kind == "Bounce":
        words = f"{said.get('Details') or ''} {said.get('Description') or ''}"
        if said.get("Type") == "SpamComplaint":
            return hooks.COMPLAINED
        return hooks.bounced(words, lasting=said.get("Type") not in PASSING)
    if kind == "SubscriptionChange":
        return hooks.LEFT if said.get("SuppressSending") else hooks.UNKNOWN
    return {"SpamComplaint": hooks.COMPLAINED, "Delivery": hooks.DELIVERED}.get(kind, hooks.UNKNOWN)
