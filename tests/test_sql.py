"""Every statement fits the schema, and its columns the dataclass that they fill."""

import dataclasses
import importlib
import re
from pathlib import Path

import pytest

import mailer
from mailer import db, resources
from mailer.db import Connection, Statement

RUN_BY_HAND = "roles"
FILES = sorted(path for path in resources("sql").glob("*.sql") if path.stem != RUN_BY_HAND)
PACKAGE = Path(mailer.__file__).parent
STATEMENTS = [
    pytest.param(noun, statement, id=f"{noun}.{statement.name}")
    for noun in (path.stem for path in FILES)
    for statement in db.statements(noun).parsed
]


def row(dotted: str) -> type:
    module, _, kind = dotted.rpartition(".")
    found: type = getattr(importlib.import_module(module), kind)
    return found


@pytest.mark.parametrize(("noun", "statement"), STATEMENTS)
async def test_a_statement_fits_the_schema_and_its_row(
    conn: Connection, noun: str, statement: Statement
) -> None:
    prepared = await conn.prepare(statement.text)
    if statement.row is not None:
        columns = [attribute.name for attribute in prepared.get_attributes()]
        kind = row(statement.row)
        if dataclasses.is_dataclass(kind):
            assert sorted(columns) == sorted(field.name for field in dataclasses.fields(kind))
        else:
            assert columns == list(kind._fields)  # type: ignore[attr-defined]  # a named tuple


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_statements_are_named_once_and_used(path: Path) -> None:
    named = [statement.name for statement in db.parse(path.read_text("utf-8"))]
    assert named
    assert len(named) == len(set(named))
    rooms = [PACKAGE / f"{path.stem}.py", *(PACKAGE / path.stem).glob("*.py")]
    source = "".join(room.read_text("utf-8") for room in rooms if room.is_file())
    unused = [name for name in named if not re.search(rf"SQL\.{name}\b", source)]
    assert unused == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_name_holds_one_statement(path: Path) -> None:
    for statement in db.parse(path.read_text("utf-8")):
        bare = re.sub(r"--[^\n]*", "", statement.text)
        assert bare.strip().count(";") == 1
        assert bare.strip().endswith(";")


def test_migrations_use_no_extension() -> None:
    for path in (resources("sql") / "migrations").glob("*.sql"):
        assert "create extension" not in path.read_text("utf-8").lower()
