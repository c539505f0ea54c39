"""Addresses: which are accepted, and which are the same person."""

import pytest
from hypothesis import given as given_
from hypothesis import strategies

from mailer import address
from mailer.errors import Invalid


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("anna@example.org", "anna@example.org"),
        (" Anna@EXAMPLE.org\t", "anna@example.org"),
        ("a.n.n.a+digest@example.org", "a.n.n.a+digest@example.org"),
        ("вера@пример.рф", "вера@xn--e1afmkfd.xn--p1ai"),
        ("vera@xn--e1afmkfd.xn--p1ai", "vera@xn--e1afmkfd.xn--p1ai"),
        ("e\u0301va@example.org", "\u00e9va@example.org"),
    ],
)
def test_spellings_of_one_address_have_one_normal_form(given: str, normal: str) -> None:
    assert address.parse(given).normal == normal


@pytest.mark.parametrize(
    "text",
    [
        "",
        "anna",
        "@example.org",
        "anna@",
        "anna@example..org",
        "anna@example.org\r\nBcc: boris@example.org",
        "anna@example.org\x00",
        "an\u202ena@example.org",
        '"anna"@example.org ',
        "anna@[127.0.0.1]",
        f"{'a' * 65}@example.org",
        "anna@localhost",
        "anna@example.org, boris@example.org",
        "Anna <anna@example.org>",
    ],
)
def test_what_mail_cannot_reach_is_refused_and_names_the_field(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        address.parse(text)
    assert refused.value.field == "email"


def test_mail_goes_to_the_address_as_given_with_its_domain_in_ascii() -> None:
    found = address.parse("Вера@Пример.рф")
    assert found.given.startswith("Вера@")
    assert address.wire(found.given) == "Вера@xn--e1afmkfd.xn--p1ai"


def test_an_address_shows_in_no_log_by_accident() -> None:
    assert "anna" not in repr(address.parse("anna@example.org"))


@given_(
    strategies.one_of(
        strategies.emails(),
        strategies.builds(
            "{}@{}".format,
            strategies.sampled_from(["anna", "Вера", "e\u0301va", "a.b+c", "ANNA"]),
            strategies.sampled_from(
                ["пример.рф", "bücher.example", "EXAMPLE.org", "straße.example"]
            ),
        ),
    )
)
def test_an_address_known_is_what_it_was_when_it_was_parsed(text: str) -> None:
    try:
        found = address.parse(text)
    except Invalid:
        return
    assert address.known(found.given) == found
