"""Forms as they come: urlencoded, multipart or JSON, into plain fields and then into a wish.

Nothing here looks anything up: what is wrong is wrong whoever the address is.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from aiohttp import web

from mailer import address, lookalikes
from mailer.errors import Invalid, Refusal
from mailer.subscriptions import Wish

Fields: TypeAlias = Mapping[str, Sequence[str]]
Faults: TypeAlias = Mapping[str, Refusal]

CHARACTERS = 320
"""No field of ours is longer than the longest address."""

NEWSLETTERS = 20
LANGUAGE = re.compile(r"([A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*)?")
VERSION = re.compile(r"[a-z0-9/.-]{1,40}")
UNSEEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029"
    r"\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
)
"""Control characters, halves of others, ends of lines; what turns the direction of text or isn't
seen at all: an address with it misleads."""


@dataclass(frozen=True)
class Filled:
    """What somebody filled in, as it came.

    `stamp`: when the form was shown (`guard`). `puzzle`: a solution (`puzzles`). `remark`: a field
    that people don't see, and that programs fill in.
    """

    email: str = ""
    newsletters: tuple[str, ...] = ()
    consent: bool = False
    notice: str = ""
    language: str = ""
    cadence: str | None = None
    form: str = ""
    stamp: str = ""
    puzzle: str = ""
    remark: str = ""


# bodies


async def read(request: web.Request) -> Fields:
    """The fields of a body. Raises Invalid; HTTP's 413 and 415 for what isn't one of ours."""
    return parse(request.headers.get("Content-Type", ""), await request.read())


def parse(content_type: str, body: bytes) -> Fields:
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        return gathered(parse_qsl(decoded(body), keep_blank_values=True))
    if kind == "multipart/form-data":
        return gathered(parts(content_type, body))
    if kind == "application/json":
        return from_json(body)
    raise web.HTTPUnsupportedMediaType


def gathered(pairs: Iterator[tuple[str, str]] | list[tuple[str, str]]) -> Fields:
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields


def decoded(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise Invalid("Send the form in UTF-8.") from None


def parts(content_type: str, body: bytes) -> Iterator[tuple[str, str]]:
    """The parts of multipart/form-data (RFC 7578) that have a name; what is broken has none."""
    head = b"Content-Type: " + content_type.encode("ascii", "replace") + b"\r\n\r\n"
    whole = BytesParser(policy=HTTP).parsebytes(head + body)
    for part in whole.get_payload() if whole.is_multipart() else ():
        assert isinstance(part, Message)
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            yield name, decoded(content)


def from_json(body: bytes) -> Fields:
    try:
        content = json.loads(decoded(body))
    except (ValueError, RecursionError):
        raise Invalid("This is not JSON: send one object with the fields of the form.") from None
    if not isinstance(content, dict):
        raise Invalid("This is not JSON: send one object with the fields of the form.")
    return {name: texts(name, value) for name, value in content.items() if value is not None}


def texts(name: str, value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    if value is True:
        return ["yes"]
    if not all(isinstance(text, str) for text in values):
        raise Invalid("This must be text.", field=name[:40])
    return values


# fields


def filled(fields: Fields) -> Filled:
    return Filled(
        email=one(fields, "email").strip(" \t"),
        newsletters=tuple(dict.fromkeys(fields.get("newsletter", ()))),
        consent=one(fields, "consent") == "yes",
        notice=one(fields, "notice"),
        language=one(fields, "lang"),
        cadence=one(fields, "cadence") or None,
        form=one(fields, "form"),
        stamp=one(fields, "stamp"),
        puzzle=one(fields, "puzzle"),
        remark=one(fields, "remark"),
    )


def one(fields: Fields, name: str) -> str:
    return next(iter(fields.get(name, ())), "")


def faults(given: Filled) -> dict[str, Refusal]:
    """What is wrong, by field, in the order of the form."""
    checks = {
        "email": check_email,
        "newsletter": check_newsletters,
        "lang": check_language,
        "cadence": lambda g: check_text(g.cadence or "", "cadence"),
        "notice": lambda g: check_text(g.notice, "notice"),
        "consent": check_consent,
    }
    found: dict[str, Refusal] = {}
    for field, check in checks.items():
        try:
            check(given)
        except Refusal as refused:
            found[field] = refused
    return found


def check_email(given: Filled) -> None:
    check_text(given.email, "email")
    lookalikes.check(address.parse(given.email))


def check_newsletters(given: Filled) -> None:
    if not given.newsletters or not all(given.newsletters):
        raise Invalid("Choose at least one newsletter.", field="newsletter")
    if len(given.newsletters) > NEWSLETTERS:
        raise Invalid("Choose at most {most} newsletters.", field="newsletter", most=NEWSLETTERS)
    for slug in given.newsletters:
        check_text(slug, "newsletter")


def check_language(given: Filled) -> None:
    if not LANGUAGE.fullmatch(given.language):
        raise Invalid("Give the language as a code, such as en.", field="lang")


def check_consent(given: Filled) -> None:
    if not given.consent:
        raise Invalid(
            "Tick the box if you agree: without it we may not write to you.", field="consent"
        )


def check_text(text: str, field: str) -> None:
    if len(text) > CHARACTERS:
        raise Invalid("This is too long: {most} characters at most.", field=field, most=CHARACTERS)
    if UNSEEN.search(text):
        raise Invalid(
            "This has invisible characters in it: type it instead of pasting.", field=field
        )


# wishes


def wish(given: Filled, language: str, evidence: Mapping[str, Any]) -> Wish:
    return Wish(
        email=given.email,
        newsletters=given.newsletters,
        notice=given.notice,
        language=language,
        cadence=given.cadence,
        evidence={
            **evidence,
            "boxes": {"consent": "ticked" if given.consent else "not ticked"},
            "form": given.form if VERSION.fullmatch(given.form) else "unknown",
        },
    )
