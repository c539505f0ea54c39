"""Editions: a digest rendered in each language, to look at, to check, to approve and to begin."""

from mailer.editions.checks import Finding, findings
from mailer.editions.composing import Composed, compose
from mailer.editions.going import approve, begin, begin_due, make_due
from mailer.editions.trying import in_language, try_out, without_slots

__all__ = [
    "Composed",
    "Finding",
    "approve",
    "begin",
    "begin_due",
    "compose",
    "findings",
    "in_language",
    "make_due",
    "try_out",
    "without_slots",
]
