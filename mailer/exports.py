"""Consent records as files: CSV for people and spreadsheets, JSON Lines as the exact form."""

import csv
import io
import json
from collections.abc import Iterable
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
EMAIL = "email"

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What makes a spreadsheet run a cell (OWASP, CSV injection)."""


def header(format_: Format, *, with_addresses: bool) -> str:
    return csv_line((*COLUMNS, EMAIL) if with_addresses else COLUMNS) if format_ == "csv" else ""


def line(format_: Format, event: Event, email: str | None) -> str:
    """One event; `email` is None where addresses were not asked for, "" where there is none."""
    cells = values(event)
    if email is not None:
        cells[EMAIL] = email
    if format_ == "csv":
        return csv_line(as_text(cell) for cell in cells.values())
    return json.dumps(cells, ensure_ascii=False) + "\n"


def values(event: Event) -> dict[str, object]:
    content = event.content
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
        event.leaf,
        event.commitment.hex(),
    )
    return dict(zip(COLUMNS, found, strict=True))


def as_text(cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, dict):
        return json.dumps(cell, ensure_ascii=False, sort_keys=True)
    return guarded(str(cell))


def guarded(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text


def csv_line(cells: Iterable[str]) -> str:
    """RFC 4180."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(list(cells))
    return out.getvalue()
