"""Access tokens: shown once, kept as hashes, named, scoped, ending."""

import pytest

from mailer import access
from mailer.access import Token
from mailer.db import Connection
from mailer.errors import Conflict, Invalid, Unknown
from tests import site


async def issue(conn: Connection, name: str = "cms", *, days: int = 30) -> tuple[Token, str]:
    return await access.issue(conn, name, ["articles:write"], days, by="staff:anna")


async def test_its_words_open_and_no_others_do(conn: Connection) -> None:
    token, words = await issue(conn)
    admitted = await access.admit(conn, words)
    assert admitted is not None
    assert (admitted.id, admitted.name, admitted.scopes) == (token.id, "cms", ["articles:write"])
    _, other = await issue(conn, "other")
    secret = words.rpartition("_")[2]
    wrong = [
        "",
        words[:-1],
        words + "x",
        words.upper(),
        words.replace("mailer_1_", "mailer_2_"),
        words.replace("mailer_1_", "mailer_99_"),
        words.replace("mailer_1_", "mailer_" + "9" * 30 + "_"),
        f"mailer_1_{other.rpartition('_')[2]}",
        secret,
        words + "\n",
    ]
    for each in wrong:
        assert await access.admit(conn, each) is None, each


async def test_the_database_holds_nothing_that_opens(conn: Connection) -> None:
    _, words = await issue(conn)
    whole = str(await site.content(conn))
    assert words not in whole
    assert words.split("_", 2)[2] not in whole


async def test_what_is_revoked_or_over_opens_nothing(conn: Connection) -> None:
    _, words = await issue(conn)
    await access.revoke(conn, "cms")
    assert await access.admit(conn, words) is None
    with pytest.raises(Unknown):
        await access.revoke(conn, "cms")
    _, again = await issue(conn)  # the name is free again
    assert await access.admit(conn, again) is not None
    await conn.execute("update access_token set expires_at = now() - interval '1 second'")
    assert await access.admit(conn, again) is None


async def test_a_name_is_given_once(conn: Connection) -> None:
    await issue(conn)
    with pytest.raises(Conflict):
        await issue(conn)


async def test_its_use_is_seen_to_the_minute(conn: Connection) -> None:
    _, words = await issue(conn)
    assert (await access.all_(conn))[0].last_used_at is None
    await access.admit(conn, words)
    used = (await access.all_(conn))[0].last_used_at
    assert used is not None
    assert used.second == used.microsecond == 0


@pytest.mark.parametrize(
    ("name", "scopes", "days", "field"),
    [
        ("", ["articles:read"], 1, "name"),
        ("x" * 65, ["articles:read"], 1, "name"),
        ("a\nb", ["articles:read"], 1, "name"),
        ("cms", [], 1, "scope"),
        ("cms", ["everything"], 1, "scope"),
        ("cms", ["articles:read"], 0, "days"),
        ("cms", ["articles:read"], 99_999, "days"),
    ],
)
async def test_what_is_wrong_is_named(
    conn: Connection, name: str, scopes: list[str], days: int, field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await access.issue(conn, name, scopes, days, by="staff:anna")
    assert refused.value.field == field
