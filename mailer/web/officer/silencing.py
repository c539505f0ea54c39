"""An address, whether anybody has it or not: may mail go there, may none, may it again."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from mailer import acts, address, people, suppressions, withdrawals
from mailer.address import Address
from mailer.config import Settings
from mailer.db import Connection
from mailer.errors import Conflict, Invalid, Refusal
from mailer.vault import Vault
from mailer.web import desk, forms, page
from mailer.web.desk import Who
from mailer.web.forms import Fields

RECORDED_AS: Mapping[str, str] = {
    "check": "address.checked",
    "suppress": "person.suppressed",
    "release": "person.released",
}
"""What may be done."""


@dataclass(frozen=True)
class Answer:
    """What was done about an address, and why it is suppressed now; None: it is not."""

    deed: str
    reason: suppressions.Reason | None


async def suppression_page(request: web.Request, who: Who) -> web.Response:
    """GET /staff/people/address"""
    return shown(request, who, None, {}, None)


async def suppression(request: web.Request, who: Who) -> web.Response:
    """POST /staff/people/address"""
    sent = await forms.read(request)
    keys, deed = request.app[page.VAULT], forms.one(sent, "deed")
    try:
        email, why = desk.text(sent, "email"), desk.reason(sent)
        if deed not in RECORDED_AS:
            raise Invalid("Choose what to do.", field="deed")
        async with request.app[page.POOL].acquire() as conn, conn.transaction():
            if deed == "suppress":
                await people.suppress(conn, keys, email, actor=who.actor)
            elif deed == "release":
                settings = request.app[page.SETTINGS]
                await release(conn, keys, settings, address.parse(email))
            now = await people.check_suppression(conn, keys, email, reason=why, actor=who.actor)
            await acts.record(conn, keys, who.actor, RECORDED_AS[deed], reason=why)
    except Refusal as fault:
        return shown(request, who, fault, sent, None)
    return shown(request, who, None, {}, Answer(deed, now))


def shown(
    request: web.Request, who: Who, fault: Refusal | None, sent: Fields, answer: Answer | None
) -> web.Response:
    return desk.answer(
        request,
        who,
        "staff/address.html",
        status=page.STATUS[type(fault)] if fault else 200,
        faults=desk.refused(request, who, fault) if fault else {},
        given={name: forms.one(sent, name) for name in sent},
        answer=answer,
    )


async def release(conn: Connection, keys: Vault, settings: Settings, reached: Address) -> None:
    """The address may be subscribed again. Raises Conflict."""
    if not await suppressions.remove(conn, keys, reached):
        raise Conflict("This address is not suppressed.")
    await withdrawals.lifted(settings.data_dir, keys.suppression(reached.normal))
