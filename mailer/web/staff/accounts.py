"""Accounts of the staff, for owners: invite, change, disable, help who lost their second factor."""

from uuid import UUID

from aiohttp import web

from mailer import acts, factors, invitations, render, sessions, staff
from mailer.db import Connection
from mailer.errors import Invalid, Refusal
from mailer.staff import ROLES, Account, Role
from mailer.vault import Vault
from mailer.web import desk, forms, page
from mailer.web.desk import Who
from mailer.web.forms import Fields


async def listing(request: web.Request, who: Who) -> web.Response:
    """GET /staff/accounts"""
    return await listed(request, who, None, {})


async def listed(
    request: web.Request, who: Who, fault: Refusal | None, given: dict[str, str]
) -> web.Response:
    keys = request.app[page.VAULT]
    async with request.app[page.POOL].acquire() as conn:
        accounts = await staff.all_(conn)
    return desk.answer(
        request,
        who,
        "staff/accounts.html",
        status=page.STATUS[type(fault)] if fault else 200,
        faults=desk.refused(request, who, fault) if fault else {},
        accounts=[(account, account.email(keys)) for account in accounts],
        roles=ROLES,
        given=given,
    )


async def invite(request: web.Request, who: Who) -> web.Response:
    """POST /staff/accounts: an account without a password, and a letter."""
    sent = await forms.read(request)
    email, language = forms.one(sent, "email").strip(), forms.one(sent, "language")
    keys = request.app[page.VAULT]
    try:
        role = chosen(sent)
        spoken = language if language in render.DESK else render.SOURCE
        async with request.app[page.POOL].acquire() as conn, conn.transaction():
            id_ = await staff.add(conn, keys, email, role, None, spoken)
            await invitations.send(conn, id_, "invitation")
            await acts.record(conn, keys, who.actor, "account.added", f"staff:{id_}", role=role)
    except Refusal as fault:
        given = {"email": email, "role": forms.one(sent, "role"), "language": language}
        return await listed(request, who, fault, given)
    return desk.see_other(request, "/staff/accounts", done="invited")


def chosen(sent: Fields) -> Role:
    """Raises Invalid."""
    role = forms.one(sent, "role")
    if role not in ROLES:
        raise Invalid("Choose a role.", field="role")
    return role


# one of them


async def show(request: web.Request, who: Who) -> web.Response:
    """GET /staff/accounts/ID"""
    return await shown(request, who, None)


async def shown(request: web.Request, who: Who, fault: Refusal | None) -> web.Response:
    keys = request.app[page.VAULT]
    async with request.app[page.POOL].acquire() as conn:
        account = await staff.get(conn, UUID(request.match_info["id"]))
        held = await sessions.of(conn, account.id)
    return desk.answer(
        request,
        who,
        "staff/one_account.html",
        status=page.STATUS[type(fault)] if fault else 200,
        faults=desk.refused(request, who, fault) if fault else {},
        account=account,
        email=account.email(keys),
        seen_at=held[0].seen_at if held else None,
        roles=ROLES,
    )


async def act(request: web.Request, who: Who) -> web.Response:
    """POST /staff/accounts/ID: what a button of the page says, and why."""
    sent = await forms.read(request)
    keys = request.app[page.VAULT]
    try:
        reason = desk.text(sent, "reason")
        async with request.app[page.POOL].acquire() as conn, conn.transaction():
            account = await staff.get(conn, UUID(request.match_info["id"]))
            done = await do(conn, keys, who, account, sent, reason)
    except Refusal as fault:
        return await shown(request, who, fault)
    return desk.see_other(request, f"/staff/accounts/{account.id}", done=done)


async def do(
    conn: Connection, keys: Vault, who: Who, account: Account, sent: Fields, reason: str
) -> str:
    """What was done. Raises Invalid or Conflict."""
    action = forms.one(sent, "action")
    details: dict[str, object] = {}
    if action == "role":
        role = chosen(sent)
        await staff.set_role(conn, account.id, role)
        details = {"from": account.role, "to": role}
    elif action == "disable":
        await staff.disable(conn, account.id)
    elif action == "enable":
        await staff.enable(conn, account.id)
    elif action == "factor":
        await factors.reset(conn, account.id)
    elif action == "letter":
        await invitations.send(
            conn, account.id, "invitation" if account.password is None else "password"
        )
    else:
        raise Invalid("Press one of the buttons of the page.")
    await acts.record(conn, keys, who.actor, DEEDS[action], account.actor, reason=reason, **details)
    return action


DEEDS = {
    "role": "role.changed",
    "disable": "account.disabled",
    "enable": "account.enabled",
    "factor": "factor.reset",
    "letter": "letter.sent",
}
