"""Floods: when they are seen to begin and to end, and what they are told apart from."""

import pytest

from mailer import floods
from mailer.db import Connection
from mailer.vault import Vault
from tests import world
from tests.world import World

ENOUGH = floods.ENOUGH_ASKED


async def came(conn: Connection, weekly: World, forms: int) -> None:
    await floods.count(conn, {weekly.newsletter.id: forms})


async def asked(
    conn: Connection, vault: Vault, weekly: World, many: int, minutes: int = 10
) -> None:
    """People who were mailed so long ago."""
    for n in range(many):
        await world.ask(conn, vault, weekly.wish(f"reader{n}@example.org"))
    await conn.execute(
        "update outbox set created_at = created_at - make_interval(mins => $1)", minutes
    )


async def answered(conn: Connection, many: int) -> None:
    await conn.execute(
        """update subscription set state = 'confirmed', confirmed_at = now()
           where id in (select id from subscription order by id limit $1)""",
        many,
    )


async def names(conn: Connection) -> set[str | None]:
    await floods.watch(conn)
    return {flood.newsletter for flood in await floods.on(conn)}


async def test_where_there_is_no_newsletter_yet_there_is_none(conn: Connection) -> None:
    assert await floods.watch(conn) == ([], [])


async def test_on_a_quiet_day_there_is_none(conn: Connection, vault: Vault) -> None:
    weekly = await world.make(conn, vault)
    await came(conn, weekly, floods.SOME)
    assert await names(conn) == set()


async def test_very_many_forms_are_one_though_nobody_could_answer_yet(
    conn: Connection, vault: Vault
) -> None:
    weekly, other = await world.make(conn, vault), await world.make(conn, vault, "other")
    await came(conn, weekly, floods.MANY + 1)
    await came(conn, other, 5)
    began, ended = await floods.watch(conn)
    assert [(f.newsletter, f.forms) for f in began] == [("weekly", floods.MANY + 1)]
    assert ended == []
    assert (await floods.watch(conn)) == ([], [])


async def test_spread_over_several_newsletters_it_is_one_over_all_of_them(
    conn: Connection, vault: Vault
) -> None:
    for n in range(3):
        each = await world.make(conn, vault, f"series-{n}")
        await came(conn, each, floods.MANY * floods.OF_ALL // 3 + 1)
    assert await names(conn) == {None}


async def test_fewer_are_one_when_hardly_anybody_answers(conn: Connection, vault: Vault) -> None:
    weekly = await world.make(conn, vault)
    await asked(conn, vault, weekly, ENOUGH)
    await came(conn, weekly, floods.SOME + 1)
    assert await names(conn) == {"weekly"}


async def test_while_people_answer_there_is_none_however_many_come(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    await asked(conn, vault, weekly, ENOUGH)
    await answered(conn, ENOUGH // 5)
    await came(conn, weekly, 10 * floods.MANY)
    assert await names(conn) == set()


async def test_whoever_was_mailed_a_moment_ago_need_not_have_answered(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    await asked(conn, vault, weekly, ENOUGH, minutes=1)
    await came(conn, weekly, floods.SOME + 1)
    assert await names(conn) == set()


@pytest.mark.parametrize("left", [floods.MANY // 2 + 1, floods.MANY // 2])
async def test_it_is_over_when_half_as_many_come(conn: Connection, vault: Vault, left: int) -> None:
    weekly = await world.make(conn, vault)
    await came(conn, weekly, floods.MANY + 1)
    assert await names(conn) == {"weekly"}
    await conn.execute("update hit set count = $1", left)
    _, ended = await floods.watch(conn)
    assert [f.newsletter for f in ended] == ([] if left > floods.MANY / 2 else ["weekly"])


async def test_forms_of_long_ago_count_no_more(conn: Connection, vault: Vault) -> None:
    weekly = await world.make(conn, vault)
    await came(conn, weekly, floods.MANY + 1)
    await conn.execute("update hit set window_start = window_start - interval '11 minutes'")
    assert await names(conn) == set()


async def test_of_what_nobody_has_looked_at_for_long_nothing_is_known(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    await came(conn, weekly, floods.MANY + 1)
    await floods.watch(conn)
    await conn.execute("update flood set seen_at = now() - interval '6 minutes'")
    assert await floods.on(conn) == []


async def test_what_is_said_of_it_names_no_person(conn: Connection, vault: Vault) -> None:
    weekly = await world.make(conn, vault)
    await came(conn, weekly, floods.MANY + 1)
    (flood,), _ = await floods.watch(conn)
    assert str(flood).startswith(f"{floods.MANY + 1} forms in 10 minutes for weekly; of 0 who")
