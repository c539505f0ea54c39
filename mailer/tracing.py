"""Tracing: which request a line of the log is about; by an id that is random and tells nothing."""

import secrets
from contextvars import ContextVar

REQUEST: ContextVar[str | None] = ContextVar("request", default=None)
"""Of the request that is being answered, wherever below its handler something is logged."""


def begin() -> str:
    """A new id, current from here on in this task and those it starts."""
    made = secrets.token_hex(8)
    REQUEST.set(made)
    return made
