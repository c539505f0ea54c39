"""Bodies of forms, whatever they hold: fields, or a refusal that says so; never anything else."""

import json

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from mailer.errors import Invalid, Refusal
from mailer.web import forms

KINDS = ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json")
TEXT = st.text(max_size=60)


def multipart(sent: dict[str, str]) -> bytes:
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in sent.items()
    ]
    return ("".join(parts) + "--x--\r\n").encode()


def test_the_three_bodies_mean_the_same() -> None:
    sent = {"email": "вера@пример.рф", "consent": "yes", "notice": ""}
    urlencoded = "email=%D0%B2%D0%B5%D1%80%D0%B0@пример.рф&consent=yes&notice=".encode()
    bodies = (urlencoded, multipart(sent), json.dumps(sent).encode())
    for kind, body in zip(KINDS, bodies, strict=True):
        assert forms.parse(kind, body) == {name: [value] for name, value in sent.items()}


@given(st.sampled_from(KINDS), st.binary(max_size=300))
def test_any_bytes_are_fields_or_refused(kind: str, body: bytes) -> None:
    try:
        fields = forms.parse(kind, body)
    except Invalid:
        return
    assert all(isinstance(text, str) for texts in fields.values() for text in texts)
    forms.faults(forms.filled(fields))


@given(st.dictionaries(st.sampled_from(["email", "lang", "notice", "x"]), TEXT))
def test_what_is_sent_as_json_arrives_as_it_was(sent: dict[str, str]) -> None:
    fields = forms.parse("application/json", json.dumps(sent).encode())
    assert fields == {name: [value] for name, value in sent.items()}


@given(st.text(min_size=1))
def test_no_field_passes_that_a_line_or_a_direction_hides_in(text: str) -> None:
    given_ = forms.Filled("anna@example.org", ("weekly",), True, text, "en", text)
    faults = forms.faults(given_)
    hidden = {"\r", "\n", "\0", "\u202e", "\u2028", "\x85"} & set(text)
    assert not hidden or {"notice", "cadence"} <= set(faults)


def test_consent_is_yes_and_nothing_else() -> None:
    for said in ("", "no", "on", "YES", "1"):
        assert not forms.filled({"consent": [said]}).consent
    assert forms.filled(forms.parse("application/json", b'{"consent": true}')).consent
    assert not forms.filled(forms.parse("application/json", b'{"consent": null}')).consent


@pytest.mark.parametrize("kind", ["", "text/plain", "application/xml", "multipart/mixed"])
def test_other_bodies_are_refused(kind: str) -> None:
    with pytest.raises(web.HTTPUnsupportedMediaType):
        forms.parse(kind, b"email=anna@example.org")


def test_a_twentieth_newsletter_is_the_last() -> None:
    many = tuple(f"n{number}" for number in range(forms.NEWSLETTERS + 1))
    faults: dict[str, Refusal] = forms.faults(forms.Filled("anna@example.org", many, True))
    assert str(faults["newsletter"]) == "Choose at most 20 newsletters."
