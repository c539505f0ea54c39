"""The import that a path names, as far as it has come."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from aiohttp import web
from babel.numbers import format_decimal

from mailer import imports
from mailer.db import Connection
from mailer.imports import Import, files
from mailer.imports.files import File

Phase: TypeAlias = Literal["command", "uploaded", "reading", "read", "going", "done", "stopped"]
"""`command`: somebody reads it at a terminal; `uploaded`: it is not said, or wrongly, how to."""


@dataclass(frozen=True)
class Seen:
    """`file`: None, if it was brought by a command."""

    brought: Import
    file: File | None

    @property
    def phase(self) -> Phase:
        if self.brought.state != "reading":
            return self.brought.state
        if self.brought.whole:
            return "read"
        if self.file is None:
            return "command"
        return "uploaded" if self.file.manner is None or self.file.problem else "reading"


MOVES: tuple[Phase, ...] = ("command", "reading", "going")
"""What it does by itself."""


def far(seen: Seen, language: str) -> Mapping[str, object]:
    """How far it is, for the page and for its script."""
    brought, file = seen.brought, seen.file
    done, total = brought.staged - brought.waiting, brought.staged
    said = f"{shown(done, language)} / {shown(total, language)}"
    if seen.phase in ("command", "reading"):
        done, total = (file.read_bytes, file.bytes) if file else (0, 0)
        said = shown(brought.staged, language)
    return {"state": seen.phase, "done": done, "total": total, "said": said}


def shown(many: int, language: str) -> str:
    return str(format_decimal(many, locale=language))


def number(request: web.Request) -> int:
    return int(request.match_info["id"])


def path(request: web.Request) -> str:
    return f"/staff/import/{number(request)}"


async def seen(conn: Connection, request: web.Request) -> Seen:
    """Raises Unknown."""
    id_ = number(request)
    return Seen(await imports.find(conn, id_), await files.find(conn, id_))
