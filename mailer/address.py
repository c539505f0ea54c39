"""E-mail addresses: which are accepted, and the normal form by which a person is found."""

import re
import unicodedata
from dataclasses import dataclass, field

import idna
from email_validator import EmailNotValidError, validate_email

from mailer.errors import Invalid

FIELD = "email"
MALFORMED = "Enter an e-mail address such as name@example.org."

RESERVED = ("test", "example", "invalid", "localhost", "example.com", "example.net", "example.org")


@dataclass(frozen=True)
class Address:
    """`given`: where mail goes; `normal`: by which the person is found, never written to."""

    given: str = field(repr=False)
    normal: str = field(repr=False)
    domain: str


def parse(text: str) -> Address:
    """Accept what mail can reach (RFC 5321, 6531), syntax only: no DNS is asked.

    The domain is put into IDNA form where mail needs it. Raises Invalid.
    """
    try:
        found = validate_email(
            text.strip(" \t"),
            strict=True,
            check_deliverability=False,
            allow_smtputf8=True,
            test_environment=True,  # .test and .example are for MAILER_* of trials; DNS decides
        )
    except EmailNotValidError:
        raise Invalid(MALFORMED, field=FIELD) from None
    return Address(
        found.normalized, normal(found.local_part, found.ascii_domain), found.ascii_domain
    )


def reserved(domain: str) -> bool:
    """Whether it is a name for trials and examples, where nobody is (RFC 2606, 6761)."""
    return any(domain == name or domain.endswith(f".{name}") for name in RESERVED)


def known(given: str) -> Address:
    """The address whose `given` this is: `parse` made it before, and need not look at it again.

    In a thirtieth of the time, for where each of a million is opened.
    """
    local, _, domain = given.rpartition("@")
    return Address(given, normal(local, ascii_(domain)), ascii_(domain))


def normal(local: str, domain: str) -> str:
    """Version 1: NFC, ASCII domain, lower case. Dots and +tags are the person's own: kept."""
    return f"{unicodedata.normalize('NFC', local)}@{domain}".lower()


def masked(given: str) -> str:
    """Enough to know one's own address by, too little for who looks over a shoulder."""
    local, _, domain = given.rpartition("@")
    return f"{local[:1]}…\N{WORD JOINER}@{domain}"


def wire(given: str) -> str:
    """The address as mail servers take it: the domain in ASCII. Raises Invalid."""
    local, _, domain = given.rpartition("@")
    return given if domain.isascii() else f"{local}@{ascii_(domain)}"


def ascii_(domain: str) -> str:
    """A domain as it goes over the wire. Raises Invalid."""
    if domain.isascii():
        return domain
    try:
        return idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        raise Invalid(MALFORMED, field=FIELD) from None


LIKE = re.compile(
    r"[^\s<>()\[\],;:\"'/]{1,254}(?:@|=40|%40)[^\s<>()\[\],;:\"'/]{1,254}", re.IGNORECASE
)


def scrubbed(text: str, given: str) -> str:
    """Someone else's words without anything that looks like an address, or names its owner."""
    text = LIKE.sub("…", text)
    local = given.rpartition("@")[0]
    for name in sorted({local, local.partition("+")[0]} - {""}, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "…", text, flags=re.IGNORECASE)
    return text
