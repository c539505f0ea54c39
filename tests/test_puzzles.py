"""Puzzles: a right solution is known, and nothing else is taken for one."""

import base64
import json
from datetime import UTC, datetime, timedelta

from altcha import v1
from hypothesis import given
from hypothesis import strategies as st

from mailer import puzzles
from mailer.vault import Vault, new_master
from mailer.vault import masters as masters_of


def vault() -> Vault:
    made = Vault(masters_of(new_master()))
    made.take_key("form", made.new_key("form"))
    return made


KEYS = vault()


def solution(posed: str, **changed: object) -> str:
    """As a browser finds it."""
    puzzle = json.loads(posed)
    found = v1.solve_challenge(puzzle["challenge"], puzzle["salt"], max_number=puzzle["maxNumber"])
    assert found is not None
    return packed({**puzzle, "number": found.number, **changed})


def packed(said: object) -> str:
    return base64.b64encode(json.dumps(said).encode()).decode()


def test_a_solution_is_known_by_its_puzzle() -> None:
    posed = puzzles.pose(KEYS, 100)
    first, again = solution(posed), solution(posed)
    assert puzzles.solved(KEYS, first) == puzzles.solved(KEYS, again) != None  # noqa: E711 - chained
    assert puzzles.solved(KEYS, solution(puzzles.pose(KEYS, 100))) != puzzles.solved(KEYS, first)


def test_one_puzzle_has_one_name_however_its_solution_is_written() -> None:
    posed = puzzles.pose(KEYS, 100)
    names = {
        puzzles.solved(KEYS, text)
        for text in (
            solution(posed),
            solution(posed, more="x"),
            solution(posed, took=3),
            solution(posed, algorithm="SHA-512"),
            base64.b64encode(b"  " + base64.b64decode(solution(posed)) + b"\n").decode(),
        )
    }
    assert len(names - {None}) == 1


def test_what_was_posed_by_somebody_else_is_no_puzzle() -> None:
    assert puzzles.solved(KEYS, solution(puzzles.pose(vault(), 100))) is None


def test_a_wrong_number_or_a_changed_puzzle_solves_nothing() -> None:
    posed = puzzles.pose(KEYS, 100)
    number = json.loads(base64.b64decode(solution(posed)))["number"]
    salt = json.loads(posed)["salt"]
    later = salt.replace(salt[-11:-1], str(int(salt[-11:-1]) + 999))
    for changed in (
        {"number": number + 1},
        {"number": str(number)},
        {"number": True},
        {"number": None},
        {"number": 10**400},
        {"salt": later},
        {"salt": salt + "1", "number": 1},
        {"salt": salt.replace("?", "??")},
        {"salt": 5},
        {"signature": "0" * 64},
        {"challenge": "0" * 64},
    ):
        assert puzzles.solved(KEYS, solution(posed, **changed)) is None, changed


def test_a_puzzle_ends() -> None:
    options = v1.ChallengeOptions(
        max_number=50,
        hmac_key=puzzles.key(KEYS),
        expires=datetime.now(UTC) - timedelta(seconds=2),
    )
    posed = json.dumps(v1.create_challenge(options).to_dict())
    assert puzzles.solved(KEYS, solution(posed)) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)


@given(st.one_of(st.text(max_size=200), st.builds(packed, JSON)))
def test_whatever_is_sent_it_is_just_no_solution(text: str) -> None:
    assert puzzles.solved(KEYS, text) is None
    assert puzzles.solved(KEYS, "[" * 5000) is None
