"""Operations: one declaration for each thing the API does. Routes, checks and description are made
of it, and of nothing else."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from aiohttp import web

from mailer.access import Scope, Token
from mailer.config import Settings
from mailer.consent import Actor
from mailer.db import Connection
from mailer.vault import Vault
from mailer.web import page
from mailer.web.api.shapes import Schema, Shape, Text, Whole

ROOT = "/api/v1"


@dataclass(frozen=True)
class Part:
    """A variable part of a path: what it is, and how a route knows it."""

    shape: Text | Whole
    pattern: str


SLUG = Part(Text(63, pattern="^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"), r"[a-z0-9-]{1,63}")
PARTS: Mapping[str, Part] = {
    "id": Part(Whole(10**18 - 1), r"[1-9]\d{0,17}"),
    "number": Part(Whole(10**9 - 1), r"[1-9]\d{0,8}"),
    "newsletter": SLUG,
    "notice": Part(Text(32, 32, pattern="^[0-9a-f]{32}$"), r"[0-9a-f]{32}"),
}


@dataclass(frozen=True)
class Call:
    """A request that has been let in and read."""

    request: web.Request
    token: Token
    path: Mapping[str, Any]
    query: Mapping[str, Any]
    body: Any

    @property
    def actor(self) -> Actor:
        """For the record: a program that staff let in."""
        return f"staff:api/{self.token.name}"

    @property
    def settings(self) -> Settings:
        return self.request.app[page.SETTINGS]

    @property
    def keys(self) -> Vault:
        return self.request.app[page.VAULT]

    def url(self, path: str) -> str:
        return f"{self.settings.base_url}{ROOT}{path}"


@dataclass(frozen=True)
class Answer:
    """What is answered; `body` is made JSON. `on`: what was made, if the path does not name it."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    on: str | None = None


Within: TypeAlias = Callable[[Call, Connection], Awaitable[Answer]]
Beside: TypeAlias = Callable[[Call], Awaitable[web.StreamResponse | Answer]]
Good: TypeAlias = tuple[str, Mapping[str, Schema] | Schema]


@dataclass(frozen=True)
class Operation:
    """`scope`: None for what anybody may. `handle` works in one transaction; `beside` where there
    is something that no transaction may wait for: a mail server, or who reads a long answer.

    `serve`: what anybody is answered.

    `good`: by status, what it means and its schema; other than JSON, by type. `refuses`: statuses
    besides those that every operation may answer. `tagged`: it answers an ETag; `edits`: what is
    changed must be what its ETag, in If-Match, says was seen. `once`: it takes an Idempotency-Key.
    `act`: as what it goes on record (`acts`), if nothing else of it does.
    """

    method: str
    path: str
    name: str
    summary: str
    scope: Scope | None
    good: Mapping[int, Good]
    handle: Within | None = None
    beside: Beside | None = None
    serve: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
    query: Mapping[str, Shape] = field(default_factory=dict)
    body: Shape | None = None
    refuses: Sequence[int] = ()
    tagged: bool = False
    edits: bool = False
    once: bool = False
    act: str | None = None

    @property
    def parts(self) -> Sequence[str]:
        return re.findall(r"\{(\w+)\}", self.path)

    @property
    def route(self) -> str:
        """The path as the table of routes has it."""
        spelt = re.sub(r"\{(\w+)\}", lambda m: f"{{{m[1]}:{PARTS[m[1]].pattern}}}", self.path)
        return ROOT + spelt
