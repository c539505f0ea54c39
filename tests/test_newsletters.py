"""Newsletters: what one may be called, and what it offers whom."""

import asyncio

import pytest

from mailer import newsletters
from mailer.db import Connection, Pool
from mailer.errors import Conflict, Invalid, Unknown
from mailer.newsletters import Newsletter

TITLES = {"en": "Rights Weekly", "ru": "Права за неделю"}


async def add(conn: Connection, slug: str = "weekly", **more: object) -> Newsletter:
    given = {"fallback": "en", **more}
    return await newsletters.add(conn, slug, TITLES, **given)  # type: ignore[arg-type]  # tests give what they like


async def test_one_that_was_added_is_found_by_its_slug(conn: Connection) -> None:
    added = await add(conn, cadences=("weekly", "daily"), timezone="Europe/Berlin")
    assert await newsletters.find(conn, "weekly") == added
    assert await newsletters.get(conn, added.id) == added
    assert await newsletters.all_(conn) == [added]


async def test_a_language_it_lacks_gets_the_fallback(conn: Connection) -> None:
    weekly = await add(conn, fallback="ru")
    assert [weekly.offered(code) for code in ("en", "ru", "de")] == ["en", "ru", "ru"]
    assert weekly.title("en") == "Rights Weekly"
    assert weekly.title("de") == "Права за неделю"


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("slug", {"slug": "Not a slug"}),
        ("slug", {"slug": "-"}),
        ("slug", {"slug": "a\n"}),
        ("fallback", {"fallback": "de"}),
        ("cadence", {"cadences": ("hourly",)}),
        ("cadence", {"cadences": ()}),
        ("timezone", {"timezone": "Mars/Olympus"}),
    ],
)
async def test_what_is_wrong_is_refused_with_its_field(
    conn: Connection, field: str, wrong: dict[str, object]
) -> None:
    with pytest.raises(Invalid) as refused:
        await add(conn, **wrong)  # type: ignore[arg-type]  # tests give what they like
    assert refused.value.field == field
    assert await newsletters.all_(conn) == []


async def test_the_same_slug_twice_is_refused_even_at_once(pool: Pool) -> None:
    async def one() -> str:
        async with pool.acquire() as conn:
            try:
                await add(conn)
            except Conflict:
                return "refused"
            return "added"

    assert sorted(await asyncio.gather(*(one() for _ in range(4)))) == ["added"] + ["refused"] * 3


@pytest.mark.parametrize("slug", ["nosuch", "", "../etc", "weekly\x00", "w" * 1000])
async def test_an_unknown_slug_is_unknown_whatever_it_is(conn: Connection, slug: str) -> None:
    await add(conn)
    with pytest.raises(Unknown):
        await newsletters.find(conn, slug)
