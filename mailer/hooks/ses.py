"""Amazon SES, told through SNS: JSON in JSON.

https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html
"""

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from mailer.bounces.reading import notified
from mailer.hooks import UNKNOWN, Event, Unproven, parsed, sense

HOST = re.compile(r"sns\.[a-z0-9-]{4,30}\.amazonaws\.com(?:\.cn)?")
HASHES: Mapping[str, hashes.HashAlgorithm] = {"1": hashes.SHA1(), "2": hashes.SHA256()}  # noqa: S303 - version 1 of theirs
SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        *("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    ),
}
SIGNED["UnsubscribeConfirmation"] = SIGNED["SubscriptionConfirmation"]
"""The fields that are signed, in their order; those that are absent are left out."""


def envelope(body: bytes, topics: str) -> Mapping[str, Any]:
    """What SNS sent, if it is about a topic of ours; not proven yet. Raises Unproven."""
    try:
        said = parsed(body)
        fits = said["TopicArn"] in topics.split() and said["Type"] in SIGNED
    except (ValueError, TypeError, LookupError):
        raise Unproven("not a message of SNS") from None
    if not fits:
        raise Unproven("about another topic")
    found: Mapping[str, Any] = said
    return found


def certificate(said: Mapping[str, Any]) -> str:
    """Where its certificate is. Raises Unproven unless that is with Amazon."""
    return amazons(said.get("SigningCertURL"), ending=".pem")


def confirmation(said: Mapping[str, Any]) -> str | None:
    """What is to be fetched to confirm a subscription of ours, if it asks for that."""
    if said["Type"] != "SubscriptionConfirmation":
        return None
    return amazons(said.get("SubscribeURL"))


def amazons(url: object, ending: str = "") -> str:
    try:
        parts = urlsplit(str(url))
        good = (
            parts.scheme == "https" and HOST.fullmatch(parts.netloc) and parts.path.endswith(ending)
        )
    except ValueError:
        good = None
    if not good:
        raise Unproven("a link that does not lead to Amazon")
    return str(url)


def verify(said: Mapping[str, Any], pem: bytes) -> None:
    """Raises Unproven unless the certificate's key signed it."""
    try:
        found = x509.load_pem_x509_certificate(pem)
        now = datetime.now(UTC)
        if not found.not_valid_before_utc <= now <= found.not_valid_after_utc:
            raise Unproven("the certificate is out of date")
        key = found.public_key()
        assert isinstance(key, RSAPublicKey)
        signature = base64.b64decode(str(said["Signature"]), validate=True)
        key.verify(signature, canonical(said), PKCS1v15(), HASHES[said["SignatureVersion"]])
    except (InvalidSignature, ValueError, LookupError, AssertionError, binascii.Error):
        raise Unproven("the signature does not hold") from None


def canonical(said: Mapping[str, Any]) -> bytes:
    names = [name for name in SIGNED[said["Type"]] if said.get(name) is not None]
    return "".join(f"{name}\n{said[name]}\n" for name in names).encode()


def events(said: Mapping[str, Any]) -> list[Event]:
    """What the message tells, a reader at a time. Raises Malformed."""
    if said["Type"] != "Notification":
        return []
    text = str(said["Message"])
    if not text.startswith("{"):
        return []  # a greeting of SNS, or of whoever owns the topic
    with sense("SES"):
        message = parsed(text)
        emails = [who["emailAddress"] for who in told_of(message)]
        outcome = notified(message) or UNKNOWN
    return [Event(f"{said['MessageId']} {n}", outcome, e, text) for n, e in enumerate(emails)]


def told_of(message: Mapping[str, Any]) -> list[Mapping[str, str]]:
    kind = message.get("notificationType") or message.get("eventType")
    if kind == "Bounce":
        return list(message["bounce"]["bouncedRecipients"])
    if kind == "Complaint":
        return list(message["complaint"]["complainedRecipients"])
    return []
