"""Acts of staff: in the record, in whose chain, and listed."""

from mailer import acts, consent, people, subjects
from mailer.acts import Filter
from mailer.consent import Verification
from mailer.db import Connection
from mailer.vault import HOUSE, Vault
from tests import desk, world
from tests.test_log_verification import meddle
from tests.world import ANNA

ALL = Filter()


async def listed(conn: Connection, vault: Vault, wanted: Filter = ALL) -> list[acts.Act]:
    return await acts.listed(conn, vault, wanted, before=None, most=100)


async def test_an_act_is_in_the_chain_of_who_did_it(conn: Connection, vault: Vault) -> None:
    who = await desk.member(conn, vault, "editor")
    await acts.record(conn, vault, who.actor, "digest.approved", "weekly/3", reason="it is Monday")
    (act,) = await listed(conn, vault)
    assert (act.subject, act.actor, act.reason) == (who.id, who.actor, "it is Monday")
    assert act.evidence["on"] == "weekly/3"


async def test_an_act_at_a_terminal_is_in_the_chain_of_the_house(
    conn: Connection, vault: Vault
) -> None:
    await acts.record(conn, vault, "staff:root", "account.disabled")
    (act,) = await listed(conn, vault)
    assert (act.subject, act.staff) == (HOUSE, "root")


async def test_what_staff_did_not_cause_is_not_listed(conn: Connection, vault: Vault) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    assert {act.staff for act in await listed(conn, vault)} == {"nina"}, "who published the notices"


async def test_that_a_person_was_looked_at_stays_known_once_they_are_erased(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    who = await desk.member(conn, vault, "privacy")
    own = await people.view(conn, vault, ANNA, what="record", reason="a letter", actor=who.actor)
    await people.erase(conn, vault, own, never_again=False, actor=who.actor)
    erasing, looking = await listed(conn, vault, Filter(staff=str(who.id)))
    assert (looking.type, looking.erased, looking.reason) == ("staff.viewed", True, "")
    assert erasing.type == "subject.erased"


async def test_lists_brought_over_are_shown_only_when_asked_for(
    conn: Connection, vault: Vault
) -> None:
    house = await subjects.house(conn, vault)
    await consent.record(conn, house, "subject.imported", actor="staff:root")
    assert await listed(conn, vault) == []
    assert len(await listed(conn, vault, Filter(type="subject.imported"))) == 1


async def test_the_list_goes_on_where_it_stopped(conn: Connection, vault: Vault) -> None:
    for number in range(5):
        await acts.record(conn, vault, "staff:root", "digest.approved", str(number))
    first = await acts.listed(conn, vault, ALL, before=None, most=2)
    rest = await acts.listed(conn, vault, ALL, before=first[-1].id, most=9)
    assert [act.evidence["on"] for act in (*first, *rest)] == ["4", "3", "2", "1", "0"]


async def test_an_act_put_down_to_somebody_else_is_found(conn: Connection, vault: Vault) -> None:
    await acts.record(conn, vault, "staff:root", "digest.approved", "weekly/3")
    await meddle(conn, "update consent_event set staff = 'boris'")
    async with conn.transaction():
        found = [finding async for finding in consent.verify(conn, vault, Verification())]
    assert [finding.what for finding in found] == ["it is not what was committed to"]
