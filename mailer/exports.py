"""Records as files: CSV for people and spreadsheets, JSON Lines as the exact form."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal, TypeAlias

from mailer.consent import Event

Format: TypeAlias = Literal["csv", "jsonl"]

COLUMNS = (
    "event_id",
    "subject_id",
    "seq",
    "type",
    "at",
    "newsletter",
    "notice_id",
    "notice_sha256",
    "language",
    "actor",
    "evidence",
    "leaf_index",
    "commitment",
)
"""Of consent events."""

EMAIL = "email"

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What makes a spreadsheet run a cell (OWASP, CSV injection)."""


def header(format_: Format, columns: Sequence[str], *, with_addresses: bool) -> str:
    return csv_line((*columns, EMAIL) if with_addresses else columns) if format_ == "csv" else ""


def line(format_: Format, cells: Mapping[str, object], email: str | None) -> str:
    """One record; `email` is None where addresses were not asked for, "" where there is none."""
    whole = dict(cells) if email is None else {**cells, EMAIL: email}
    if format_ == "csv":
        return csv_line(as_text(cell) for cell in whole.values())
    return json.dumps(whole, ensure_ascii=False, default=exact) + "\n"


def event(recorded: Event) -> Mapping[str, object]:
    """A consent event by COLUMNS."""
    content = recorded.content
    notice = content["notice"] or {"id": None, "sha256": None}
    found = (
        content["id"],
        content["subject"],
        content["seq"],
        content["type"],
        content["at"],
        content["newsletter"],
        notice["id"],
        notice["sha256"],
        content["language"],
        content["actor"],
        content["evidence"],
        recorded.leaf,
        recorded.commitment.hex(),
    )
    return dict(zip(COLUMNS, found, strict=True))


def exact(cell: object) -> str:
    """What JSON has no form of."""
    return cell.isoformat() if isinstance(cell, datetime) else str(cell)


def as_text(cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, dict):
        return json.dumps(cell, ensure_ascii=False, sort_keys=True)
    return guarded(exact(cell))


def guarded(text: str) -> str:
    """Also what looks guarded already: so that whoever takes one ' off has what there was."""
    return f"'{text}" if text.lstrip("'").startswith(FORMULA) else text


def unguarded(text: str) -> str:
    return text[1:] if text[:1] == "'" and guarded(text[1:]) == text else text


def csv_line(cells: Iterable[str]) -> str:
    """RFC 4180."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(list(cells))
    return out.getvalue()
