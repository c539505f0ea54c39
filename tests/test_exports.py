"""Consent records as files: columns, formulas, exactness."""

import csv
import io
import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from mailer import exports
from mailer.consent import Event


def event(**more: object) -> Event:
    content = {
        "v": 1,
        "origin": "mailer/test",
        "id": "0198",
        "subject": "s",
        "seq": 1,
        "prev": None,
        "type": "consent.confirmed",
        "at": datetime(2026, 1, 31, tzinfo=UTC).isoformat(),
        "actor": "subject",
        "newsletter": "weekly",
        "notice": {"id": "n", "sha256": "ff"},
        "language": "en",
        "purposes": [],
        "evidence": {"page": "confirm/1"},
        **more,
    }
    return Event(content, b"\x01" * 32, 660)


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


def test_the_columns_are_the_fixed_ones_with_the_address_last() -> None:
    assert exports.header("csv", exports.COLUMNS, with_addresses=False).strip() == (
        "event_id,subject_id,seq,type,at,newsletter,notice_id,notice_sha256,language,actor,"
        "evidence,leaf_index,commitment"
    )
    assert (
        exports.header("csv", exports.COLUMNS, with_addresses=True)
        .strip()
        .endswith(",commitment,email")
    )
    line = read(exports.line("csv", exports.event(event()), "anna@example.org"))[0]
    assert (len(line), line[-1]) == (14, "anna@example.org")
    assert (line[11], line[12]) == ("660", "01" * 32)


def test_json_lines_are_exact() -> None:
    held = json.loads(exports.line("jsonl", exports.event(event(language="=1+1")), None))
    assert held["language"] == "=1+1"
    assert held["evidence"] == {"page": "confirm/1"}
    assert "email" not in held


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_no_cell_begins_like_a_formula_and_nothing_is_lost(text: str) -> None:
    line = exports.line("csv", exports.event(event(language=text)), None)
    cell = read(line)[0][8]
    assert not cell.startswith(exports.FORMULA)
    assert cell in (text, f"'{text}")
    assert exports.unguarded(cell) == text
