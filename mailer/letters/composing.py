"""Composing: three templates become a letter, and only here do slots come in."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from mailer import render
from mailer.config import Settings
from mailer.letters import prose
from mailer.letters.headers import sent_by
from mailer.tokens import LENGTH, SLOTS, Purpose

PATHS: Mapping[Purpose, str] = {
    "confirm": "confirm",
    "refuse": "refuse",
    "leave": "u",
    "manage": "me",
    "address": "address",
    "renew": "renew",
    "desk": "staff/come",
}
MOST_SUBJECT = 140


@dataclass(frozen=True)
class Letter:
    """`headers`: structured fields, beside those that every mail has; `sender`: an address.

    `shortened`: its HTML has less than there was to say.
    """

    subject: str
    text: str
    html: str | None
    sender: str
    sender_name: str
    headers: tuple[tuple[str, str], ...]
    shortened: bool = False


def composed(
    letter: str,
    settings: Settings,
    title: str,
    language: str,
    headers: tuple[tuple[str, str], ...],
    **values: object,
) -> Letter:
    """Render the three templates of a letter; only here do slots come in."""
    marks = {purpose: secrets.token_urlsafe(LENGTH)[:LENGTH] for purpose in PATHS}
    links = {p: f"{settings.base_url}/{path}/{marks[p]}" for p, path in PATHS.items()}
    name, sender = sent_by(settings, title)
    given = {"title": title, "links": links, "controller": controller(settings, title), **values}
    said = prose.line(render.text(f"mail/{letter}/subject.txt", language, **given), MOST_SUBJECT)
    text = prose.wrapped(render.text(f"mail/{letter}/body.txt", language, **given))
    html = render.mjml(f"mail/{letter}/body.mjml", language, subject=said, **given)
    return Letter(said, slotted(text, marks), slotted(html, marks), sender, name, headers)


def slotted(text: str, marks: Mapping[Purpose, str]) -> str:
    for slot in SLOTS.values():
        text = text.replace(slot, "…")
    for purpose, mark in marks.items():
        text = text.replace(mark, SLOTS[purpose])
    return text


def controller(settings: Settings, title: str) -> list[str]:
    """Who is responsible, in lines: the postal address that every digest must carry."""
    given = (settings.controller or f"{title}\n{settings.domain}").replace("\\n", "\n")
    return list(dict.fromkeys(said for row in given.split("\n") if (said := row.strip())))
