"""An editor's whole road on a digest's page: made, changed, looked at, approved, watched."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from email import message_from_bytes, policy

import pytest

from mailer import digests, outbox
from mailer.config import Settings
from mailer.db import Connection, Pool
from mailer.digests import Digest
from mailer.vault import Vault
from tests import desk, world
from tests.desk import Seat
from tests.test_delivery import Post, verdict
from tests.test_whole_road import publish
from tests.world import ANNA, VERA, World

PAGE = "/staff/digests/weekly/1"


@pytest.fixture
def post(settings: Settings, pool: Pool, vault: Vault, conn: Connection) -> Post:
    return Post(settings, pool, vault, conn)


@dataclass
class Office:
    """An editor in front of a newsletter with three new articles."""

    editor: Seat
    conn: Connection
    weekly: World

    async def digest(self) -> Digest:
        return await digests.find(self.conn, "weekly", 1)

    async def titles(self) -> list[str]:
        return [i.article.title for i in await digests.contents(self.conn, await self.digest())]

    async def do(
        self, verb: str, fields: Mapping[str, str] | None = None, version: int | None = None
    ) -> int:
        """Press a button of the draft; the status of the answer."""
        seen = version if version is not None else (await self.digest()).version
        sent = {"do": verb, "version": str(seen), **(fields or {})}
        return (await self.editor.post(PAGE, sent)).status

    async def text(self, path: str = PAGE) -> str:
        answer = await self.editor.get(path)
        assert answer.status == 200, await answer.text()
        return await answer.text()


@pytest.fixture
async def office(conn: Connection, pool: Pool, vault: Vault) -> AsyncIterator[Office]:
    weekly = await world.make(conn, vault)
    await publish(conn, weekly, "First", "Second one", "Third of them")
    async with desk.signed_in(pool, vault, "editor") as editor:
        made = await editor.post("/staff/digests", {"of": "weekly/weekly"})
        assert made.headers["Location"].startswith(PAGE)
        yield Office(editor, conn, weekly)


async def ids(office: Office) -> list[int]:
    return [i.article.id for i in await digests.contents(office.conn, await office.digest())]


async def test_a_draft_holds_what_is_new_and_says_so(office: Office) -> None:
    text = await office.text()
    for title in ("First", "Second one", "Third of them"):
        assert title in text
    assert "3 articles" in text
    listing = await office.text("/staff/digests")
    assert "Rights Weekly · 1" in listing
    again = await office.editor.post("/staff/digests", {"of": "weekly/weekly"})
    assert again.status == 409
    assert "Nothing new was published" in await again.text()


async def test_articles_are_moved_pinned_left_out_and_picked_again(office: Office) -> None:
    first, second, third = await ids(office)
    assert await office.do(f"down {first}") == 303
    assert await office.titles() == ["Second one", "First", "Third of them"]
    assert await office.do(f"up {third}") == 303
    assert await office.titles() == ["Second one", "Third of them", "First"]
    assert await office.do("order", {"order": f"{first},{second},{third}"}) == 303
    assert await office.titles() == ["First", "Second one", "Third of them"]
    assert await office.do(f"pin {third}") == 303
    assert (await office.titles())[0] == "Third of them"
    assert await office.do(f"skip {first}") == 303
    assert await office.do(f"later {second}") == 303
    assert await office.titles() == ["Third of them"]
    text = await office.text()
    assert "left out once" in text
    assert await office.do(f"pick {first}") == 303
    assert await office.titles() == ["Third of them", "First"]


@pytest.mark.parametrize("verb", ["", "up", "up x", "order", "explode 1", f"pick {'9' * 30}"])
async def test_what_no_button_says_is_refused(office: Office, verb: str) -> None:
    assert await office.do(verb) == 422
    assert len(await office.titles()) == 3


async def test_two_editors_do_not_overwrite_each_other(office: Office) -> None:
    seen = (await office.digest()).version
    mine = {"introduction-en": "Mine & <b>bold</b>."}
    assert await office.do("introduce", {"introduction-en": "Theirs."}, seen) == 303
    answer = await office.editor.post(PAGE, {"do": "introduce", "version": str(seen), **mine})
    text = await answer.text()
    assert answer.status == 409
    assert "was changed meanwhile" in text
    assert "Mine &amp; &lt;b&gt;bold&lt;/b&gt;." in text  # what was typed is not lost
    assert "Theirs." in text
    assert (await office.digest()).introduction == {"en": "Theirs."}
    assert await office.do("introduce", mine) == 303
    assert (await office.digest()).introduction == {"en": mine["introduction-en"]}


async def test_changes_at_the_same_moment_are_made_by_one(office: Office) -> None:
    seen = (await office.digest()).version
    texts = [f"Version {number}" for number in range(4)]
    statuses = await asyncio.gather(
        *(office.do("introduce", {"introduction-en": text}, seen) for text in texts)
    )
    assert sorted(statuses) == [303, 409, 409, 409]


async def test_an_introduction_that_is_too_long_or_hides_something_is_refused(
    office: Office,
) -> None:
    for text in ("a" * 5001, "turned \u202e around"):
        assert await office.do("introduce", {"introduction-en": text}) == 422
    assert await office.do("introduce", {"introduction-en": "Two\r\n\r\nparagraphs"}) == 303
    assert (await office.digest()).introduction == {"en": "Two\n\nparagraphs"}


async def test_the_preview_shows_each_edition_and_nothing_in_it_can_act(office: Office) -> None:
    text = await office.text(f"{PAGE}/preview")
    assert 'src="/staff/digests/weekly/1/mail/en"' in text
    answer = await office.editor.get(f"{PAGE}/mail/en")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert "First" in await answer.text()
    assert (await office.editor.get(f"{PAGE}/mail/xx")).status == 404


async def test_a_test_mail_goes_to_staff_with_links_that_lead_nowhere(
    office: Office, post: Post
) -> None:
    answer = await office.editor.post(f"{PAGE}/test", {"language": "en"})
    assert answer.status == 303
    ((mail, _, recipient),) = (await post.round(verdict("sent"))).handed
    assert recipient == office.editor.member.email
    whole = message_from_bytes(mail, policy=policy.default)
    assert whole["Subject"].startswith("Test: ")
    body = whole.get_body(("plain",))
    assert body is not None
    token = re.search(r"/u/([\w-]{27})", body.get_content())
    assert token
    assert (await office.editor.client.post(f"/u/{token[1]}")).status == 200  # and nobody left
    assert (await office.editor.post(f"{PAGE}/test", {"language": "xx"})).status == 404
    assert (await office.editor.post(f"{PAGE}/test", {"to": "nobody"})).status == 422


async def approved(office: Office, **fields: str) -> tuple[int, str]:
    version = str((await office.digest()).version)
    sent = {"version": version, "when": "now", "despite": "yes", **fields}
    answer = await office.editor.post(f"{PAGE}/approve", sent)
    return answer.status, await answer.text()


async def test_approving_says_to_whom_and_sends_it(office: Office, vault: Vault) -> None:
    for email, language in ((ANNA, "en"), (VERA, "ru")):
        await world.confirmed(office.conn, vault, office.weekly.wish(email, language))
    assert "It goes to 2 readers" in await office.text(f"{PAGE}/approve")
    assert (await approved(office))[0] == 303
    digest = await office.digest()
    assert digest.state == "sending"
    assert digest.approved_by == office.editor.member.actor
    assert (await outbox.progress(office.conn, digest.id))["waiting"] == 2
    text = await office.text()
    assert "On its way" in text
    assert office.editor.member.email in text


async def test_what_was_changed_since_or_warned_of_is_not_sent(office: Office) -> None:
    seen = (await office.digest()).version
    await office.do("introduce", {"introduction-en": "Changed."})
    status, text = await approved(office, despite="")
    assert status == 409
    assert "The introduction is missing in ru." in text
    status, text = await approved(office, version=str(seen))
    assert status == 409
    assert "changed meanwhile" in text
    assert (await office.digest()).state == "draft"


async def test_it_may_go_at_a_time_and_be_called_back(office: Office) -> None:
    status, text = await approved(office, when="at", at="2020-01-01T09:00")
    assert status == 422
    assert "That time is over" in text
    assert (await approved(office, when="at", at="2199-01-01T09:00"))[0] == 303
    assert (await office.digest()).state == "approved"
    assert "Make it a draft again" in await office.text()
    assert (await office.editor.post(f"{PAGE}/recall")).status == 303
    assert (await office.digest()).state == "draft"


async def test_it_is_paused_goes_on_and_is_cancelled(office: Office, vault: Vault) -> None:
    await world.confirmed(office.conn, vault, office.weekly.wish(ANNA))
    assert (await approved(office))[0] == 303
    for verb, state in (("pause", "paused"), ("resume", "sending"), ("cancel", "cancelled")):
        assert (await office.editor.post(f"{PAGE}/{verb}")).status == 303
        assert (await office.digest()).state == state
    again = await office.editor.post(f"{PAGE}/resume")
    assert again.status == 409
    deeds = await office.conn.fetchval(
        "select count(*) from consent_event where type = 'staff.acted'"
    )
    assert deeds == 5  # created, approved, paused, resumed, cancelled


async def test_its_progress_is_told_live_until_it_is_over(office: Office, vault: Vault) -> None:
    await world.confirmed(office.conn, vault, office.weekly.wish(ANNA))
    await approved(office)
    answer = await office.editor.get(f"{PAGE}/live")
    assert answer.headers["Content-Type"] == "text/event-stream"
    first = await answer.content.readuntil(b"\n\n")
    told = json.loads(first.partition(b"data: ")[2])
    assert (told["state"], told["waiting"]) == ("sending", 1)
    await office.editor.post(f"{PAGE}/cancel")
    rest = await asyncio.wait_for(answer.content.read(), 30)
    assert b'"state": "cancelled"' in rest


async def test_who_only_looks_on_sees_numbers_and_no_buttons(
    office: Office, pool: Pool, vault: Vault
) -> None:
    async with desk.signed_in(pool, vault, "viewer") as viewer:
        text = await (await viewer.get(PAGE)).text()
        assert "First" in text
        assert 'name="do"' not in text
        assert "Approve and send" not in text
        assert (await viewer.post(PAGE, {"do": "up 1"})).status == 403
        assert (await viewer.get(f"{PAGE}/approve")).status == 403
