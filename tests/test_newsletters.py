"""Newsletters: what one may be called, what it offers whom, and what may change."""

import asyncio

import pytest

from mailer import articles, newsletters
from mailer.articles import Draft
from mailer.db import Connection, Pool
from mailer.errors import Conflict, Invalid, Unknown
from mailer.newsletters import Newsletter
from mailer.vault import Vault
from tests import world
from tests.world import ANNA

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
    assert (weekly.offered("en-GB"), weekly.title("en-GB")) == ("en", "Rights Weekly")


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


# changing


async def test_settings_are_changed_one_by_one(conn: Connection) -> None:
    added = await newsletters.add(conn, "weekly", {"en": "Weekly"}, fallback="en")
    assert (added.untranslated, added.approval, added.images) == ("shown", "editor", False)
    changed = await newsletters.change(
        conn, added, titles={"en": "Weekly", "ar": "أسبوعية"}, untranslated="omitted",
        approval="automatic", fewest=3, most=12, images=True,
    )  # fmt: skip
    assert changed == await newsletters.find(conn, "weekly")
    assert list(changed.languages) == ["en", "ar"]
    assert (changed.fewest, changed.most, changed.cadences) == (3, 12, ["weekly"])


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"fewest": 0}, "fewest"),
        ({"fewest": 9, "most": 8}, "fewest"),
        ({"most": 201}, "fewest"),
        ({"untranslated": "hidden"}, "untranslated"),
        ({"approval": "nobody"}, "approval"),
        ({"titles": {"ru": "Неделя"}}, "fallback"),
        ({"timezone": "Mars"}, "timezone"),
        ({"cadences": []}, "cadence"),
    ],
)
async def test_what_can_not_be_is_named(
    conn: Connection, changed: dict[str, object], field: str
) -> None:
    added = await newsletters.add(conn, "weekly", {"en": "Weekly"}, fallback="en")
    with pytest.raises(Invalid) as refused:
        await newsletters.change(conn, added, **changed)
    assert refused.value.field == field


async def test_what_readers_have_stays(conn: Connection, vault: Vault) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA, "ru", cadence="daily"))
    for changed in ({"titles": {"en": "Weekly"}}, {"cadences": ["weekly"]}):
        with pytest.raises(Conflict, match="1 readers"):
            await newsletters.change(conn, weekly.newsletter, **changed)
    await articles.add(conn, weekly.newsletter.id, Draft("1", "One", "en"))
    await newsletters.change(conn, weekly.newsletter, cadences=["daily"])
