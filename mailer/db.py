"""PostgreSQL: connections, statements kept in files, rows as dataclasses.

Transactions are opened by the rooms where work enters (a handler, a worker's step, a command);
everything that takes `conn` only uses it.
"""

import json
import re
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from urllib.parse import urlsplit

import asyncpg

from mailer import __version__, resources
from mailer.errors import Unavailable

if TYPE_CHECKING:
    Connection: TypeAlias = (
        asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    )
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
else:
    Connection = asyncpg.Connection
    Pool = asyncpg.Pool

Kind = TypeVar("Kind")

CONNECT_SECONDS = 10
SILENCE = {
    "TCP_KEEPIDLE": 5,
    "TCP_KEEPINTVL": 3,
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": 14_000,
}
"""Seconds, and a count; the last in milliseconds (tcp(7))."""

HEADER = re.compile(r"^-- name: (?P<name>\w+)(?: -> (?P<row>[\w.]+))?$", re.MULTILINE)


A_TURN = 100
"""Rows of a cursor at once, where each costs work: between them, others have a turn."""


@dataclass(frozen=True)
class Statement:
    """One named statement of sql/<noun>.sql; `row`: the dotted dataclass its columns fill."""

    name: str
    row: str | None
    text: str


class Statements:
    """The statements of one noun, as attributes: `SQL.claim` is the text named `claim`."""

    def __init__(self, noun: str) -> None:
        self.noun = noun
        self.parsed = parse((resources("sql") / f"{noun}.sql").read_text("utf-8"))
        self._texts = {s.name: s.text for s in self.parsed}

    def __getattr__(self, name: str) -> str:
        try:
            return self._texts[name]
        except KeyError:
            raise AttributeError(f"sql/{self.noun}.sql has no statement {name!r}") from None


def statements(noun: str) -> Statements:
    return Statements(noun)


def parse(source: str) -> list[Statement]:
    """Split a file at its `-- name:` lines; what follows one, comments too, is its statement."""
    headers = list(HEADER.finditer(source))
    ends = [h.start() for h in headers[1:]] + [len(source)]
    return [
        Statement(h["name"], h["row"], source[h.end() : end].strip())
        for h, end in zip(headers, ends, strict=True)
    ]


async def fetch(
    conn: Connection, kind: Callable[..., Kind], text: str, *args: object
) -> list[Kind]:
    """Every row as a `kind`: a dataclass whose fields bear the names of the columns."""
    return [kind(**row) for row in await conn.fetch(text, *args)]


async def first(
    conn: Connection, kind: Callable[..., Kind], text: str, *args: object
) -> Kind | None:
    """The first row as a `kind`, or None."""
    row = await conn.fetchrow(text, *args)
    return kind(**row) if row else None


async def prepare(conn: Connection) -> None:
    """What every connection needs: JSON as Python values, and to notice that a server is gone."""
    for name in ("json", "jsonb"):
        await conn.set_type_codec(name, encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
    notice_silence(conn)


def notice_silence(conn: Connection) -> None:
    """Let the kernel give up on a server that was cut off, in seconds instead of a quarter of an
    hour: when it acknowledges nothing, or is silent while we wait for an answer."""
    found = conn._transport.get_extra_info("socket")  # type: ignore[union-attr]  # asyncpg has no setting for it
    if found is None or found.family not in (socket.AF_INET, socket.AF_INET6):
        return
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in SILENCE.items():
        if hasattr(socket, name):  # each system has its own
            found.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def writable(url: str) -> Mapping[str, Any]:
    """Of several servers, the one that takes writes, unless the URL says otherwise."""
    several = "," in urlsplit(url).netloc or url.count("host=") > 1 or "%2C" in url
    asked = "target_session_attrs" in url
    return {"target_session_attrs": "read-write"} if several and not asked else {}


def beside(url: str, name: str) -> str:
    """The URL of another database of the same server."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/{name}" + (f"?{parts.query}" if parts.query else "")


def named(name: str) -> dict[str, str]:
    """What PostgreSQL shows of who is connected, and `migrate` asks for."""
    return {"application_name": f"mailer {name} {__version__}"}


@asynccontextmanager
async def connection(url: str, name: str = "command") -> AsyncIterator[Connection]:
    """One connection for a command. Raises Unavailable if the database does not answer."""
    async with reachable():
        conn = await asyncpg.connect(
            url, timeout=CONNECT_SECONDS, server_settings=named(name), **writable(url)
        )
    try:
        await prepare(conn)
        yield conn
    finally:
        await conn.close()


@asynccontextmanager
async def pool(url: str, *, size: int = 10, name: str = "command") -> AsyncIterator[Pool]:
    """At most `size` connections, opened as needed. Raises Unavailable like `connection`."""
    async with reachable():
        opened = await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=size,
            init=prepare,
            timeout=CONNECT_SECONDS,
            server_settings=named(name),
            **writable(url),
        )
    try:
        yield opened
    finally:
        await opened.close()


@asynccontextmanager
async def reachable() -> AsyncIterator[None]:
    """Turn what a failed connect raises into one sentence; it names no password."""
    try:
        yield
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise Unavailable(
            "PostgreSQL does not accept the connection ({reason}): "
            "check MAILER_DATABASE_URL and that the server runs.",
            reason=str(error) or type(error).__name__,
        ) from error
