"""Digests at the staff's desk: the whole road of an issue on one page, whatever its state."""

from mailer.web.issues.draft import edit, show
from mailer.web.issues.going import (
    approve,
    approve_page,
    cancel,
    cancel_page,
    live,
    pause,
    recall,
    resume,
)
from mailer.web.issues.listing import create, listing
from mailer.web.issues.looking import as_typed, html, preview, try_out

__all__ = [
    "approve",
    "approve_page",
    "as_typed",
    "cancel",
    "cancel_page",
    "create",
    "edit",
    "html",
    "listing",
    "live",
    "pause",
    "preview",
    "recall",
    "resume",
    "show",
    "try_out",
]
