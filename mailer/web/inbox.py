"""The inbox of `mailer dev`: the mails that went nowhere, to be read like in a mail program."""

import re

from aiohttp import web

from mailer.errors import Unknown
from mailer.mailbox import Mailbox, Parsed
from mailer.web import page

MAILBOX = web.AppKey("mailbox", Mailbox)

LINK = re.compile(r"(https?://[^\s<>\"]+[^\s<>\".,;:!?)])")
TARGET = re.compile(r'\starget="_blank"')
HEAD = re.compile(r"<head\b[^>]*>")


async def listing(request: web.Request) -> web.Response:
    """GET /inbox, newest first"""
    return page.answer(request, "inbox/list.html", mails=request.app[MAILBOX].list())


async def mail(request: web.Request) -> web.Response:
    """GET /inbox/ID"""
    found = find(request)
    return page.answer(
        request,
        "inbox/mail.html",
        headers=page.FRAMING,
        mail=found.mail,
        headers_of=found.headers,
        html=found.html is not None,
        # Every second part is a link.
        parts=LINK.split(found.text or ""),
    )


async def html(request: web.Request) -> web.Response:
    """GET /inbox/ID/html: as the mail has it, in a sandbox; links open instead of our page."""
    found = find(request)
    if found.html is None:
        raise page.REFUSALS[404]
    text = HEAD.sub(lambda head: head[0] + '<base target="_top">', TARGET.sub("", found.html), 1)
    return web.Response(text=text, content_type="text/html", headers=page.MAIL_TO_READ)


def find(request: web.Request) -> Parsed:
    """Raises Unknown."""
    found = request.app[MAILBOX].read(request.match_info["id"])
    if found is None:
        raise Unknown("This mail is not kept any more.")
    return found
