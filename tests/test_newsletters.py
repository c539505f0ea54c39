"""Newsletters: their settings, and what can't be changed under the readers' feet."""

import pytest

from mailer import articles, newsletters
from mailer.articles import Draft
from mailer.db import Connection
from mailer.errors import Conflict, Invalid
from mailer.vault import Vault
from tests import world
from tests.world import ANNA


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
