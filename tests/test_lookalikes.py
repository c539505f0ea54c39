"""Lookalikes: what only seems to be an address is refused, what was mistyped is asked about."""

import os
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer import address, config, disposable, limits, lookalikes, subscriptions
from mailer.db import Connection
from mailer.errors import Invalid
from mailer.subscriptions import Domains
from mailer.vault import Vault
from tests import world
from tests.world import HOURS

CORPUS = Path(os.environ.get("MAILER_CORPUS", Path(__file__).parents[2] / "shared/corpus"))
ISEMAIL = CORPUS / "addresses/isemail.xml"


def refused(email: str) -> Invalid | None:
    try:
        lookalikes.check(address.parse(email))
    except Invalid as error:
        return error
    return None


@pytest.mark.parametrize(
    "email",
    [
        "anna@gm\u0430il.com",  # one Cyrillic letter
        "\u0430nna@example.org",
        "anna@exampl\u0435.org",
        "anna@\u0443\u0430.ru",  # all Cyrillic, and looks like ya.ru
        "anna@\u043e\u0440.pl",
        "anna@xn--80a1b.ru",  # the same by its ASCII name
        "anna@\u03bfnet.pl",
        "anna@gma\u0131l.com",  # a dotless i
    ],
)
def test_what_only_looks_like_an_address_is_refused_with_its_field(email: str) -> None:
    error = refused(email)
    assert error is not None
    assert error.field == "email"


@pytest.mark.parametrize(
    "email",
    [
        "anna@gmail.com",
        "вера@пример.рф",
        "vera.вера@example.org",
        "vera+вера@пример.рф",
        "anna@bücher.example",
        "άννα@παράδειγμα.gr",
        "用户@例子.广告",
        "ユーザー名@ドメイン.テスト",
        "anna@मेल.भारत",
        "оля1@почта.рф",
        "anna@mäil.com",
        "anna@ya.ru",
    ],
)
def test_addresses_of_every_script_are_taken(email: str) -> None:
    assert refused(email) is None


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("gmial.com", "gmail.com"),
        ("gmail.con", "gmail.com"),
        ("gmail.co", "gmail.com"),
        ("gnail.com", "gmail.com"),
        ("GMAIL.COMM", "gmail.com"),
        ("hotmial.com", "hotmail.com"),
        ("outlok.com", "outlook.com"),
        ("yaho.com", "yahoo.com"),
        ("yandx.ru", "yandex.ru"),
        ("mali.ru", "mail.ru"),
        ("ukr.ner", "ukr.net"),
        ("gmx.dee", "gmx.de"),
        ("wb.de", "web.de"),
        ("ornage.fr", "orange.fr"),
        ("protonmial.com", "protonmail.com"),
        ("gmail.com", None),
        ("ya.ru", None),
        ("wp.pl", None),
        ("example.org", None),
        ("email.com", None),
        ("posteo.de", None),
        ("amnesty.org", None),
        ("x.y", None),
        ("", None),
    ],
)
def test_a_slip_in_a_known_domain_is_seen(typed: str, meant: str | None) -> None:
    assert lookalikes.meant(f"anna@{typed}") == meant


@given(st.text(max_size=60))
def test_whatever_is_typed_what_was_meant_is_known_or_nothing(text: str) -> None:
    assert lookalikes.meant(text) in lookalikes.KNOWN | {None}


WORDS = st.text(alphabet="abc", max_size=7)


@given(WORDS, WORDS, WORDS)
def test_slips_are_a_distance(one: str, other: str, third: str) -> None:
    most = 20
    assert (lookalikes.slips(one, other, most) == 0) == (one == other)
    assert lookalikes.slips(one, other, most) == lookalikes.slips(other, one, most)
    assert lookalikes.slips(one, other, most) <= max(len(one), len(other))
    assert lookalikes.slips(one, other, 1) == min(2, lookalikes.slips(one, other, most))
    assert lookalikes.slips(one + third, other + third, most) <= lookalikes.slips(one, other, most)


# throw-away addresses


async def test_throw_away_addresses_are_counted_and_asked_like_others(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    emails = ("a@mailinator.com", "b@x.yopmail.com", "c@example.org", "d@a.own.example.net")
    for email in emails:
        await subscriptions.request(conn, vault, weekly.wish(email))
    domains = (await subscriptions.waiting(conn, vault, 50)).values()
    known = Domains(thrown_away=disposable.among(domains, {"own.example.net"}))
    await subscriptions.admit(conn, vault, HOURS, 50, known=known)
    assert await disposable.lately(conn) == 3
    assert await conn.fetchval("select count(*) from outbox") == 4
    hits = await conn.fetch("select key from hit")
    assert not any(b"mailinator" in row["key"] for row in hits)
    await limits.add(conn, {disposable.KEY: 3}, disposable.DAY_SECONDS)
    assert await disposable.lately(conn) == 6


def test_a_list_of_ones_own_is_read_as_people_keep_them(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_text(
        "# ours\nOne.example\ntwo.example  # of last year\nthree.example, four.example\n"
    )
    told = config.load({"MAILER_THROWAWAY_DOMAINS_FILE": str(file)}, tmp_path / "none")
    assert told.throwaway_domains == {f"{n}.example" for n in ("one", "two", "three", "four")}


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(".".join))
def test_a_domain_is_one_if_it_or_what_it_lies_in_is_named(domain: str) -> None:
    for named in ("b", "a.b", "c.a.b"):
        said = disposable.among([domain], {named})
        assert bool(said) == (domain == named or domain.endswith(f".{named}"))


# what others have collected


def examples() -> list[tuple[str, str, str]]:
    """Address, category, diagnosis; control characters stand as pictures of themselves."""
    if not ISEMAIL.exists():
        return []
    found = []
    for test in ElementTree.parse(ISEMAIL).iter("test"):
        given_, category, diagnosis = (
            test.findtext(name) or "" for name in ("address", "category", "diagnosis")
        )
        text = "".join(chr(ord(c) - 0x2400) if 0x2400 <= ord(c) <= 0x2420 else c for c in given_)
        found.append((text, category.strip(), diagnosis.strip()))
    return found


VALID = ("ISEMAIL_VALID_CATEGORY", "ISEMAIL_DNSWARN")
UNREACHED = {
    "test@io": "domains without a dot have no mail (ICANN, SSAC 053; RFC 7085)",
}
"""Valid by the letter, and refused all the same."""


def test_nothing_invalid_is_taken_and_nothing_refused_that_mail_can_really_reach() -> None:
    if not ISEMAIL.exists():
        pytest.skip("the corpus is not here")
    taken, turned_away = [], []
    for email, category, diagnosis in examples():
        if email != email.strip(" \t"):
            continue  # spaces around it are not part of an address
        ok = refused_by_parse(email) is None
        if ok and category not in VALID:
            taken.append((email, diagnosis))
        if not ok and category in VALID and email not in UNREACHED:
            turned_away.append((email, diagnosis))
    assert taken == []
    assert turned_away == []


def refused_by_parse(email: str) -> Invalid | None:
    try:
        return refused(email)
    except UnicodeError:
        pytest.fail(f"{email!r} is no refusal but a fault")
