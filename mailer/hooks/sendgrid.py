"""SendGrid: many events a request.

https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mailer import hooks
from mailer.bounces.reading import Outcome
from mailer.hooks import Event, Unproven

SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP = "X-Twilio-Email-Event-Webhook-Timestamp"
LEAVING = ("unsubscribe", "group_unsubscribe")


def events(body: bytes, signature: str, timestamp: str, key: str) -> list[Event]:
    """`key`: as SendGrid shows it. Raises Unproven, or Malformed."""
    verify(body, signature, timestamp, key)
    with hooks.sense("SendGrid"):
        return [
            Event(str(said["sg_event_id"]), outcome(said), said.get("email"), json.dumps(said))
            for said in hooks.parsed(body)
        ]


def verify(body: bytes, signature: str, timestamp: str, key: str) -> None:
    try:
        public = load_der_public_key(base64.b64decode(key))
        assert isinstance(public, ec.EllipticCurvePublicKey)
        given = base64.b64decode(signature, validate=True)
        public.verify(given, timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError, AssertionError, binascii.Error):
        raise Unproven("the signature does not hold") from None


def outcome(said: Mapping[str, Any]) -> Outcome:
    event = said["event"]
    if event in ("bounce", "dropped", "blocked"):
        # "blocked" is what they call a bounce that says nothing of the address.
        lasting = event == "bounce" and said.get("type", "bounce") == "bounce"
        return hooks.bounced(str(said.get("reason") or ""), said.get("status"), lasting=lasting)
    if event in LEAVING:
        return hooks.LEFT
    return {"spamreport": hooks.COMPLAINED, "delivered": hooks.DELIVERED}.get(event, hooks.UNKNOWN)
