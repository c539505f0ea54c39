"""Pictures of articles, kept here: whoever opens a mail asks nobody else for them.

A worker brings them once from the site, by the rules of feeds; a newsletter that wants no images
has none brought. They are drawn anew (`fetch.redraw`), so that nothing is in them but what is seen.
Their address with us is their content's hash, and the same for every reader. They go when no mail
shows them and no digest will.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mailer import db
from mailer.db import Connection

SQL = db.statements("pictures")

ATTEMPTS = 4


@dataclass(frozen=True)
class Picture:
    """`type`: its media type; pixels."""

    type: str
    width: int
    height: int
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Frame:
    """What a letter needs to know of the picture that came from `url`."""

    url: str
    sha256: bytes
    width: int
    height: int

    @property
    def path(self) -> str:
        """Where it is with us."""
        return f"/picture/{self.sha256.hex()}"


async def claim(conn: Connection) -> str | None:
    """The address of one to fetch."""
    await conn.execute(SQL.want)
    url: str | None = await conn.fetchval(SQL.claim, ATTEMPTS)
    return url


async def keep(conn: Connection, url: str, picture: Picture) -> None:
    sha256 = hashlib.sha256(picture.data).digest()
    await conn.execute(
        SQL.keep, url, sha256, picture.type, picture.width, picture.height, picture.data
    )


async def fail(conn: Connection, url: str, problem: str) -> None:
    await conn.execute(SQL.fail, url, problem)


async def frames(conn: Connection, urls: Sequence[str]) -> Mapping[str, Frame]:
    """Of those that are here, by where they came from."""
    found = await db.fetch(conn, Frame, SQL.frames, list(urls)) if urls else []
    return {frame.url: frame for frame in found}


async def find(conn: Connection, sha256: bytes) -> Picture | None:
    return await db.first(conn, Picture, SQL.find, sha256)


async def unwanted(conn: Connection) -> int:
    """How many no mail shows, and no digest will."""
    counted: int = await conn.fetchval(SQL.unwanted)
    return counted


async def forget(conn: Connection, limit: int) -> int:
    """Delete up to `limit` of those; how many there were."""
    status: str = await conn.execute(SQL.forget, limit)
    return int(status.rsplit(maxsplit=1)[-1])
