"""The privacy officer's desk: a person's record, what they may demand, extracts of the record."""

from mailer.web.officer.acting import DEEDS, asking, doing
from mailer.web.officer.extracting import ONE, consent_page, extract
from mailer.web.officer.finding import find, find_page, look, look_page

__all__ = [
    "DEEDS",
    "ONE",
    "asking",
    "consent_page",
    "doing",
    "extract",
    "find",
    "find_page",
    "look",
    "look_page",
]
