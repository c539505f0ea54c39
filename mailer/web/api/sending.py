"""Digests through the API on their way: tried, approved, paused, cancelled."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mailer import digests, editions
from mailer.db import Connection
from mailer.errors import Invalid
from mailer.web.api.digests import AS_IT_IS, FINDINGS, ONE, as_json, found, in_words, unchanged
from mailer.web.api.operation import Answer, Call, Operation
from mailer.web.api.shapes import LANGUAGE, Flag, Moment, Schema, Text, Thing, exactly, ref


async def test(call: Call, conn: Connection) -> Answer:
    await editions.try_out(
        conn,
        call.settings,
        call.keys,
        await found(call, conn),
        call.body["to"],
        call.body.get("language"),
    )
    return Answer({"status": "waiting"})


async def approve(call: Call, conn: Connection) -> Answer:
    digest = await unchanged(call, conn)
    at: datetime | None = call.body.get("at")
    if at is not None and at <= datetime.now(UTC):
        raise Invalid("That time is over: give one to come.", field="at")
    findings = await editions.approve(
        conn,
        call.settings,
        digest,
        by=call.actor,
        at=at,
        despite_warnings=call.body.get("despite_warnings", False),
    )
    if at is None:
        await editions.begin(conn, call.settings, digest)
    shown = await as_json(conn, digest)
    return Answer({"digest": shown, "findings": in_words(call, findings)})


async def recall(call: Call, conn: Connection) -> Answer:
    return await step(call, conn, digests.recall)


async def pause(call: Call, conn: Connection) -> Answer:
    return await step(call, conn, digests.pause)


async def resume(call: Call, conn: Connection) -> Answer:
    return await step(call, conn, digests.resume)


async def cancel(call: Call, conn: Connection) -> Answer:
    return await step(call, conn, digests.cancel)


async def step(call: Call, conn: Connection, verb: Any) -> Answer:
    digest = await found(call, conn)
    await verb(conn, digest)
    return Answer(await as_json(conn, digest))


SCHEMAS: Mapping[str, Schema] = {}


def verb(name: str, act: str, summary: str, handle: Any) -> Operation:
    """Something that needs no more than to be said."""
    return Operation(
        "POST",
        f"{ONE}/{name}",
        f"{name}Digest",
        summary,
        "digests:send",
        AS_IT_IS,
        handle,
        refuses=(409,),
        once=True,
        act=act,
    )


OPERATIONS = (
    Operation(
        "POST",
        f"{ONE}/test",
        "testDigest",
        "Send one edition to one of the staff, to look at. Its personal links lead nowhere.",
        "digests:send",
        {200: ("It waits in the outbox.", exactly({"status": {"const": "waiting"}}))},
        test,
        act="digest.tested",
        body=Thing(
            {
                "to": Text(320),
                "language": Text(35, pattern=f"^{LANGUAGE}$"),
            },
            ("to",),
        ),
        once=True,
    ),
    Operation(
        "POST",
        f"{ONE}/approve",
        "approveDigest",
        "Freeze its text and begin to send it, at once or at a time.",
        "digests:send",
        {
            200: (
                "It goes, or will.",
                exactly({"digest": ref("Digest"), "findings": FINDINGS}),
            )
        },
        approve,
        act="digest.approved",
        body=Thing(
            {
                "at": Moment("When to begin; else at once."),
                "despite_warnings": Flag("Put aside what was found in it."),
            }
        ),
        edits=True,
        once=True,
    ),
    verb(
        "recall",
        "digest.recalled",
        "Make an approved digest that has not begun a draft again.",
        recall,
    ),
    verb("pause", "digest.paused", "Send no more of it for the present.", pause),
    verb("resume", "digest.resumed", "Go on sending it.", resume),
    verb(
        "cancel",
        "digest.cancelled",
        "Send no more of it, ever. Before it began, its articles come again.",
        cancel,
    ),
)
