"""Mailgun.

https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks
"""

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

from mailer import hooks
from mailer.bounces.reading import Outcome
from mailer.hooks import Event, Unproven

OLDEST_SECONDS = 9 * 3600
"""They try again for eight hours. Within, what was told before is known by its id."""


def events(body: bytes, key: str, now: float | None = None) -> list[Event]:
    """Raises Unproven, or Malformed."""
    said = proven(body, key, time.time() if now is None else now)
    with hooks.sense("Mailgun"):
        data = said["event-data"]
        id_ = f"{data['id']} {data['timestamp']}"
        return [Event(id_, outcome(data), str(data["recipient"]), json.dumps(data))]


def proven(body: bytes, key: str, now: float) -> Mapping[str, Any]:
    try:
        said = hooks.parsed(body)
        signature = said["signature"]
        at, token = str(signature["timestamp"]), str(signature["token"])
        given, age = str(signature["signature"]), now - float(at)
    except (ValueError, LookupError, TypeError):
        raise Unproven("not signed") from None
    made = hmac.new(key.encode(), f"{at}{token}".encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(made.encode(), given.encode()):
        raise Unproven("the signature does not hold")
    if abs(age) > OLDEST_SECONDS:
        raise Unproven("told long ago")
    found: Mapping[str, Any] = said
    return found


def outcome(data: Mapping[str, Any]) -> Outcome:
    event = data["event"]
    if event == "failed":
        status = data.get("delivery-status") or {}
        words = " ".join(str(status.get(name) or "") for name in ("code", "message", "description"))
        lasting = data.get("severity") == "permanent"
        return hooks.bounced(words, status.get("enhanced-code"), lasting=lasting)
    known = {
        "complained": hooks.COMPLAINED,
        "unsubscribed": hooks.LEFT,
        "delivered": hooks.DELIVERED,
    }
    return known.get(event, hooks.UNKNOWN)
