"""The privacy officer's desk: people and what they may demand, requests, extracts of the record."""

from mailer.web.officer.acting import asking, doing
from mailer.web.officer.extracting import consent_page, extract
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
from mailer.web.officer.silencing import suppression, suppression_page
from mailer.web.officer.working import file, live, remove, verify
from mailer.web.officer.working import show as show_job

__all__ = [
    "asking",
    "close",
    "consent_page",
    "doing",
    "extend",
    "extract",
    "file",
    "find",
    "find_page",
    "listing",
    "live",
    "look",
    "look_page",
    "new",
    "new_page",
    "of_person",
    "of_person_page",
    "open_",
    "remove",
    "show",
    "show_job",
    "suppression",
    "suppression_page",
    "verify",
]
