"""Subscribers through the API: counted, asked, found by their address, erased.

No address is ever in a path or query, where logs might keep it.
"""

from collections.abc import Mapping
from typing import Any, get_args

from mailer import people, subscriptions, suppressions
from mailer.db import Connection
from mailer.newsletters import CADENCES
from mailer.subscriptions import State
from mailer.web import door, forms, guard, page
from mailer.web.api.lists import NEWSLETTER
from mailer.web.api.operation import PARTS, Answer, Call, Operation
from mailer.web.api.reach import everything, only, reached
from mailer.web.api.shapes import (
    LANGUAGE,
    NUMBER,
    TIME,
    WORD,
    Flag,
    Listed,
    OneOf,
    Schema,
    Text,
    Thing,
    Web,
    exactly,
    list_of,
    ref,
    some,
)
from mailer.web.forms import NEWSLETTERS, Filled

PATH = "/subscribers"
VERSION = "api/1"
EMAIL = Text(320, description="In the body and nowhere else: paths end up in logs.")
REASON = Text(500, description="Why; it is recorded.")


async def count(call: Call, conn: Connection) -> Answer:
    slug = await only(conn, call.token, call.query.get("newsletter"))
    counted = [
        {
            "newsletter": each.newsletter,
            "language": each.language,
            "state": each.state,
            "count": each.count,
        }
        for each in await subscriptions.counts(conn)
        if slug in (None, each.newsletter)
    ]
    return Answer({"counts": counted})


async def ask(call: Call) -> Answer:
    """By the door that forms come in by: one answer, whoever the address is."""
    given = call.body
    async with call.request.app[page.POOL].acquire() as conn:
        for slug in given["newsletters"]:
            await reached(conn, call.token, slug)
    filled = Filled(
        email=given["email"].strip(" \t"),
        newsletters=tuple(dict.fromkeys(given["newsletters"])),
        consent=given["consent"],
        notice=given["notice"],
        language=given.get("language", ""),
        cadence=given.get("cadence"),
        form=VERSION,
    )
    for fault in forms.faults(filled).values():
        raise fault
    network = guard.ip(given.get("ip", "")) or guard.visitor(call.request)
    evidence = {
        "origin": given.get("origin"),
        "ip": guard.kept(network, call.settings.consent_ip),
        "through": call.actor,
    }
    known = {name: value for name, value in evidence.items() if value is not None}
    outcome = await door.leave(call.request, filled, network, known)
    if outcome.refused:
        raise outcome.refused
    return Answer({"status": "check_inbox"}, 202)


async def look_up(call: Call, conn: Connection) -> Answer:
    """Raises Unknown."""
    slug = await only(conn, call.token, None)
    own = await people.view(
        conn,
        call.keys,
        call.body["email"],
        what="subscriptions",
        reason=call.body["reason"],
        actor=call.actor,
    )
    shown = [
        people.describe(found)
        for found in own.subscriptions
        if slug in (None, found.newsletter.slug)
    ]
    return Answer(
        {
            "subject": str(own.subscriber.id),
            "language": own.subscriber.language,
            "restricted_at": people.stamp(own.subscriber.restricted_at),
            "suppressed": await suppressions.reason(conn, call.keys, own.address),
            "subscriptions": shown,
        }
    )


async def erase(call: Call, conn: Connection) -> Answer:
    """Raises Unknown."""
    everything(call.token)
    own = await people.find(conn, call.keys, call.body["email"])
    await people.erase(
        conn,
        call.keys,
        own,
        never_again=call.body.get("never_again", False),
        actor=call.actor,
    )
    return Answer({"status": "erased"})


SUBSCRIPTION: Mapping[str, Schema] = {
    "newsletter": WORD,
    "state": {"enum": list(get_args(State))},
    "language": WORD,
    "cadence": {"enum": list(CADENCES)},
    "notice": WORD,
    "asked_at": TIME,
    "confirmed_at": some(TIME),
    "left_at": some(TIME),
    "paused_until": some(TIME),
}
SCHEMAS: Mapping[str, Schema] = {
    "Count": exactly(
        {
            "newsletter": WORD,
            "language": WORD,
            "state": {"enum": list(get_args(State))},
            "count": NUMBER,
        }
    ),
    "Person": exactly(
        {
            "subject": WORD,
            "language": WORD,
            "restricted_at": some(TIME),
            "suppressed": some({"enum": list(get_args(suppressions.Reason))}),
            "subscriptions": list_of(exactly(SUBSCRIPTION)),
        }
    ),
}
OPERATIONS: tuple[Any, ...] = (
    Operation(
        "GET",
        f"{PATH}/counts",
        "countSubscribers",
        "How many there are, by newsletter, language and state.",
        "subscribers:count",
        {200: ("The counts.", exactly({"counts": list_of(ref("Count"))}))},
        count,
        query={"newsletter": NEWSLETTER},
    ),
    Operation(
        "POST",
        PATH,
        "askSubscriber",
        "Ask for a subscription, as the form does: the person is mailed and has to confirm it. The "
        "answer says nothing of whether the address is known.",
        "subscribers:subscribe",
        {202: ("The person is asked.", exactly({"status": {"const": "check_inbox"}}))},
        beside=ask,
        body=Thing(
            {
                "email": EMAIL,
                "newsletters": Listed(NEWSLETTER, NEWSLETTERS, 1),
                "notice": PARTS["notice"].shape,
                "consent": Flag("true: the box beside these words was ticked by the person."),
                "language": Text(35, pattern=f"^{LANGUAGE}$"),
                "cadence": OneOf(CADENCES),
                "origin": Web(200, "The site whose form it was."),
                "ip": Text(45, description="Whose network counts, if it is not the caller's."),
            },
            ("email", "newsletters", "notice", "consent"),
        ),
        refuses=(404,),
        once=True,
    ),
    Operation(
        "POST",
        f"{PATH}/lookup",
        "lookUpSubscriber",
        "What the person with this address is subscribed to. That it was looked at is recorded.",
        "subscribers:lookup",
        {200: ("The person.", ref("Person"))},
        look_up,
        body=Thing({"email": EMAIL, "reason": REASON}, ("email", "reason")),
        refuses=(404,),
    ),
    Operation(
        "POST",
        f"{PATH}/erase",
        "eraseSubscriber",
        "Destroy all that is held about the person with this address, at once and for good.",
        "subscribers:erase",
        {200: ("It is done.", exactly({"status": {"const": "erased"}}))},
        erase,
        body=Thing(
            {
                "email": EMAIL,
                "never_again": Flag("Keep a keyed hash, so that nobody writes there again."),
            },
            ("email",),
        ),
        refuses=(404,),
        once=True,
    ),
)
