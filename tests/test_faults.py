"""The fault suite does what it says: a small house under a small load, one fault, and a thief."""

import asyncio
from dataclasses import replace

from faults import __main__ as suite
from faults import judging
from faults.catalogue import BY_NAME
from faults.house import House
from faults.judging import Row
from faults.post import Mail


def test_a_killed_worker_costs_nobody_anything_and_a_theft_does_not_go_unseen() -> None:
    """The thief takes one confirmed subscription after all was judged well."""
    robbed = Row("", "")

    async def steal(house: House) -> None:
        async with house.here.pool.acquire() as conn:
            await conn.execute(
                "delete from subscription where id in"
                " (select id from subscription where state = 'confirmed' order by id limit 1)"
            )
        await judging.judge(house, robbed)

    fault = replace(BY_NAME["worker"], afterwards=steal)
    row = asyncio.run(suite.under_load(fault, readers=16))
    assert row.wrong == []
    assert row.acknowledged == row.confirmed > row.readers == 16
    assert robbed.lost == 1
    assert any("not sealed" in each for each in robbed.wrong)
    assert any("does not verify" in each for each in robbed.wrong)


def mail(message: str) -> Mail:
    return Mail(0, "b@example.org", "anna@example.org", message, digest=True, link=None)


def test_a_mail_may_come_again_only_as_itself_and_once_for_each_cut() -> None:
    assert judging.doubled([mail("one")], 0) == (0, [])
    assert judging.doubled([mail("one"), mail("one")], 1) == (1, [])
    again, wrong = judging.doubled([mail("one")] * 3, 1)
    assert again == 2
    assert wrong == ["one mail came 3 times"]
    assert judging.doubled([mail("one"), mail("two")], 1)[1] == [
        "1 mails came again with another Message-ID"
    ]


def test_what_cannot_be_tried_here_is_skipped_and_says_why() -> None:
    fault = replace(BY_NAME["clock-back"], lacking=lambda: "there is no clock")
    row = suite.tried(fault, 1)
    assert row.skipped == "there is no clock"
    assert "skipped" in suite.cells(row)
