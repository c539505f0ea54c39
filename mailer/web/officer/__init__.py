"""The privacy officer's desk: people and what they may demand, requests, extracts of the record."""

from mailer.web.officer.acting import asking, doing
from mailer.web.officer.extracting import ONE, consent_page, extract
from mailer.web.officer.finding import find, find_page, look, look_page
from mailer.web.officer.register import (
    close,
    extend,
    listing,
    new,
    new_page,
    of_person,
    of_person_page,
    open_,
    show,
)

__all__ = [
    "ONE",
    "asking",
    "close",
    "consent_page",
    "doing",
    "extend",
    "extract",
    "find",
    "find_page",
    "listing",
    "look",
    "look_page",
    "new",
    "new_page",
    "of_person",
    "of_person_page",
    "open_",
    "show",
]
