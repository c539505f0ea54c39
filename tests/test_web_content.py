"""Newsletters, notices and feeds at the staff's desk: added, changed, published, decided on."""

import asyncio
import html
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from mailer import acts, articles, feeds, newsletters, notices, schedules
from mailer.db import Connection, Pool
from mailer.feeds import Feed
from mailer.vault import Vault
from tests import desk, world
from tests.desk import Seat
from tests.test_feeds import document, many
from tests.world import ANNA, World

WEEKLY = "/staff/newsletters/weekly"
NEW_NOTICE = "/staff/notices/new"


@dataclass
class Office:
    """An owner in front of a newsletter in two languages."""

    owner: Seat
    conn: Connection
    vault: Vault
    weekly: World

    async def text(self, path: str) -> str:
        answer = await self.owner.get(path)
        assert answer.status == 200, await answer.text()
        return await answer.text()

    async def acts(self) -> list[str]:
        listed = await acts.listed(self.conn, self.vault, acts.Filter(), before=None, most=20)
        return [f"{a.evidence.get('act') or a.type} {a.evidence.get('on', '')}" for a in listed]


@pytest.fixture
async def office(conn: Connection, pool: Pool, vault: Vault) -> AsyncIterator[Office]:
    weekly = await world.make(conn, vault)
    async with desk.signed_in(pool, vault, "owner") as owner:
        yield Office(owner, conn, vault, weekly)


def form(text: str, action: str) -> dict[str, str]:
    """What the form with this action would send, untouched."""
    inside = re.search(rf'<form[^>]*action="{re.escape(action)}"[^>]*>(.*?)</form>', text, re.S)
    assert inside, action
    sent: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", inside[1]):
        given = {n: html.unescape(v) for n, v in re.findall(r'([\w-]+)="([^"]*)"', tag)}
        if given.get("type") != "checkbox" or re.search(r"\schecked", tag):
            sent[given["name"]] = given.get("value", "")
    for name, chosen in re.findall(
        r'<select[^>]*name="([\w-]+)"[^>]*>(.*?)</select>', inside[1], re.S
    ):
        picked = re.search(r'<option value="([^"]*)" selected', chosen)
        sent[name] = picked[1] if picked else ""
    for name, typed in re.findall(
        r'<textarea[^>]*name="([\w-]+)"[^>]*>\n(.*?)</textarea>', inside[1], re.S
    ):
        sent[name] = html.unescape(typed)
    return sent


# newsletters


async def test_a_newsletter_is_added_and_set_up(office: Office) -> None:
    given = {"slug": "monthly-news", "title": "News", "language": "en"}
    answer = await office.owner.post("/staff/newsletters", given)
    assert answer.headers["Location"] == "/staff/newsletters/monthly-news?done=added"
    assert "monthly-news" in await office.text("/staff/newsletters")
    page = "/staff/newsletters/monthly-news"
    sent = form(await office.text(page), page) | {
        "language-1": "ru", "title-1": "Новости", "fallback": "ru", "timezone": "Europe/Berlin",
        "cadence-monthly": "yes", "schedule-monthly": "0 9 1 * *", "schedule-weekly": "",
        "cadence-published": "yes", "schedule-published": "yes",
        "approval": "automatic", "untranslated": "omitted", "images": "yes",
        "fewest": "2", "most": "7",
    }  # fmt: skip
    sent.pop("archived")
    answer = await office.owner.post(page, sent)
    assert answer.status == 303, await answer.text()
    found = await newsletters.find(office.conn, "monthly-news")
    assert found.titles == {"en": "News", "ru": "Новости"}
    assert (found.fallback, found.timezone, found.images, found.archived) == (
        "ru", "Europe/Berlin", True, False,
    )  # fmt: skip
    assert (found.approval, found.untranslated) == ("automatic", "omitted")
    assert (found.fewest, found.most) == (2, 7)
    assert set(found.cadences) == {"weekly", "monthly", "published"}
    due = {s.cadence: s.cron for s in await schedules.of(office.conn, found)}
    assert due == {"monthly": "0 9 1 * *", "published": None}
    assert form(await office.text(page), page).keys() >= sent.keys() - {"seen"}
    assert (await office.acts())[:2] == [
        "newsletter.changed monthly-news", "newsletter.added monthly-news",
    ]  # fmt: skip


async def test_saving_what_is_there_changes_and_records_nothing(office: Office) -> None:
    before = await newsletters.find(office.conn, "weekly")
    answer = await office.owner.post(WEEKLY, form(await office.text(WEEKLY), WEEKLY))
    assert answer.status == 303
    assert await newsletters.find(office.conn, "weekly") == before
    assert "newsletter.changed weekly" not in await office.acts()


async def test_two_who_change_one_newsletter_do_not_overwrite_each_other(office: Office) -> None:
    mine = form(await office.text(WEEKLY), WEEKLY) | {"most": "10"}
    theirs = form(await office.text(WEEKLY), WEEKLY) | {"most": "20", "title-0": "Rights Now"}
    assert (await office.owner.post(WEEKLY, theirs)).status == 303
    answer = await office.owner.post(WEEKLY, mine)
    text = await answer.text()
    assert answer.status == 412
    assert "Somebody else has changed this newsletter" in text
    assert "<dd>20</dd>" in text
    assert "<dd>Rights Now</dd>" in text
    assert form(text, WEEKLY)["most"] == "10"
    assert (await newsletters.find(office.conn, "weekly")).most == 20
    # Having seen theirs, they may decide.
    assert (await office.owner.post(WEEKLY, form(text, WEEKLY))).status == 303
    assert (await newsletters.find(office.conn, "weekly")).most == 10


async def test_of_two_who_save_at_once_one_is_told_of_the_other(office: Office) -> None:
    seen = form(await office.text(WEEKLY), WEEKLY)
    answers = await asyncio.gather(
        *(office.owner.post(WEEKLY, seen | {"most": most}) for most in ("11", "12"))
    )
    assert sorted(answer.status for answer in answers) == [303, 412]


@pytest.mark.parametrize(
    ("field", "value", "status"),
    [
        ("fewest", "many", 422),
        ("most", "201", 422),
        ("timezone", "Europe/Nowhere", 422),
        ("fallback", "fr", 422),
        ("title-1", "", 422),
        ("language-0", "no language", 422),
        ("schedule-weekly", "on Mondays", 422),
        ("approval", "nobody", 422),
        ("cadence-weekly", "", 409),
    ],
)
async def test_a_setting_that_can_t_be_is_refused_and_nothing_saved(
    office: Office, field: str, value: str, status: int
) -> None:
    await world.confirmed(office.conn, office.vault, office.weekly.wish(ANNA))
    before = await newsletters.find(office.conn, "weekly")
    sent = form(await office.text(WEEKLY), WEEKLY) | {"images": "yes", field: value}
    answer = await office.owner.post(WEEKLY, sent)
    assert answer.status == status, await answer.text()
    assert form(await answer.text(), WEEKLY)["images"] == "yes"
    assert await newsletters.find(office.conn, "weekly") == before


async def test_a_viewer_sees_settings_but_no_form(pool: Pool, vault: Vault, office: Office) -> None:
    async with desk.signed_in(pool, vault, "viewer") as seat:
        text = await (await seat.get(WEEKLY)).text()
    assert "Rights Weekly" in text
    assert f'action="{WEEKLY}"' not in text
    assert "wait for an editor" in text


# notices


def new_words(office: Office, **more: str) -> dict[str, str]:
    said = notices.said(world.words("en"))
    return {**said, "newsletter": "", "do": "preview", **more}


async def test_a_notice_is_published_after_it_was_shown(office: Office) -> None:
    await world.confirmed(office.conn, office.vault, office.weekly.wish(ANNA))
    old = office.weekly.notices["en"]
    answer = await office.owner.post(NEW_NOTICE, new_words(office, wording="Yes, send it to me."))
    shown = await answer.text()
    assert answer.status == 200
    assert "1 reader agreed to the words valid now." in shown
    assert "<ins>" in shown
    assert len(await notices.all_(office.conn)) == 2
    sent = form(shown, NEW_NOTICE) | {"do": "publish"}
    answer = await office.owner.post(NEW_NOTICE, sent)
    assert answer.status == 303, await answer.text()
    current = await notices.current(office.conn, office.weekly.newsletter.id, "en")
    assert current is not None
    assert (current.wording, current.id != old.id) == ("Yes, send it to me.", True)
    page = await office.text(f"/staff/notices/{current.id}")
    assert "<del>" in page
    assert "1 reader agreed to older words." in await office.text("/staff/notices")
    assert (await office.acts())[0].startswith("notice.published")
    like = form(await office.text(f"{NEW_NOTICE}?like={current.id}"), NEW_NOTICE)
    assert like["wording"] == "Yes, send it to me."


async def test_words_that_were_not_shown_are_not_published(office: Office) -> None:
    shown = await (await office.owner.post(NEW_NOTICE, new_words(office, wording="One."))).text()
    sent = form(shown, NEW_NOTICE) | {"do": "publish"}
    answer = await office.owner.post(NEW_NOTICE, {**sent, "wording": "Another."})
    assert answer.status == 412
    # Nor if somebody else published others in the meantime.
    theirs = await (await office.owner.post(NEW_NOTICE, new_words(office, wording="Two."))).text()
    answer = await office.owner.post(NEW_NOTICE, form(theirs, NEW_NOTICE) | {"do": "publish"})
    assert answer.status == 303
    answer = await office.owner.post(NEW_NOTICE, sent)
    text = await answer.text()
    assert answer.status == 412
    assert "<del>Two</del>" in text
    assert len(await notices.all_(office.conn)) == 3
    answer = await office.owner.post(NEW_NOTICE, form(text, NEW_NOTICE) | {"do": "publish"})
    assert answer.status == 303


async def test_from_the_preview_the_words_go_back_into_the_form(office: Office) -> None:
    given = new_words(office, wording="One.", purposes="news\nappeals")
    shown = await (await office.owner.post(NEW_NOTICE, given)).text()
    sent = form(shown, NEW_NOTICE) | {"do": "edit"}
    text = await (await office.owner.post(NEW_NOTICE, sent)).text()
    assert form(text, NEW_NOTICE)["purposes"] == "news\nappeals"
    answer = await office.owner.post(NEW_NOTICE, new_words(office, retention=" "))
    assert answer.status == 422


async def test_readers_are_asked_anew_and_that_is_stopped(office: Office) -> None:
    await world.confirmed(office.conn, office.vault, office.weekly.wish(ANNA))
    page = "/staff/notices/renew/weekly"
    day = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    assert (await office.owner.post(page, {"until": day})).status == 409
    sent = form(
        await (await office.owner.post(NEW_NOTICE, new_words(office, wording="Now."))).text(),
        NEW_NOTICE,
    )
    await office.owner.post(NEW_NOTICE, sent | {"do": "publish"})
    assert "1 reader who agreed to older words" in await office.text(page)
    for wrong in ("", "soon", "9999-12-31", datetime.now(UTC).date().isoformat()):
        assert (await office.owner.post(page, {"until": wrong})).status == 422, wrong
    assert (await office.owner.post(page, {"until": day})).status == 303
    assert (await office.owner.post(page, {"until": day})).status == 409
    text = await office.text("/staff/notices")
    assert f"{page}/stop" in text
    assert office.owner.member.email in text
    assert (await office.owner.post(f"{page}/stop")).status == 303
    assert (await office.owner.post(f"{page}/stop")).status == 404
    assert (await office.acts())[:2] == ["renewal.stopped weekly", "renewal.begun weekly"]


# feeds


async def held(office: Office) -> Feed:
    """A feed of which eleven articles wait."""
    feed = await feeds.add(office.conn, office.weekly.newsletter.id, "https://example.org/feed.xml")
    await feeds.store(office.conn, feed, document())
    await feeds.store(office.conn, feed, many(range(11)))
    return feed


async def test_a_feed_is_added_hastened_and_removed(office: Office) -> None:
    given = {"newsletter": "weekly", "url": "https://example.org/feed.xml", "language": ""}
    answer = await office.owner.post("/staff/feeds", given)
    (feed,) = await feeds.all_(office.conn)
    page = f"/staff/feeds/{feed.id}"
    assert answer.headers["Location"].startswith(page)
    assert (await office.owner.post("/staff/feeds", given)).status == 409
    assert (await office.owner.post("/staff/feeds", {**given, "url": "feed"})).status == 422
    assert "Not read yet" in await office.text("/staff/feeds")
    await feeds.store(office.conn, feed, feeds.Gone())
    assert "Gone for good" in await office.text(page)
    assert (await office.owner.post(f"{page}/poll")).status == 303
    assert [due.id for due in await feeds.due(office.conn, 5)] == [feed.id]
    assert "https://example.org/feed.xml" in await office.text(f"{page}/remove")
    assert (await office.owner.post(f"{page}/remove")).status == 303
    assert await feeds.all_(office.conn) == []
    assert (await office.owner.post(f"{page}/remove")).status == 404
    what = f"weekly/{feed.id}"
    assert (await office.acts())[:3] == [
        f"feed.removed {what}", f"feed.hastened {what}", f"feed.added {what}",
    ]  # fmt: skip


@pytest.mark.parametrize(("verdict", "known"), [("release", False), ("dismiss", True)])
async def test_what_waits_is_decided_on(office: Office, verdict: str, known: bool) -> None:
    feed = await held(office)
    page = f"/staff/feeds/{feed.id}"
    text = await office.text(page)
    assert "11 articles came at once" in text
    assert "Story 3" in text
    sent = form(text, f"{page}/{verdict}")
    assert (await office.owner.post(f"{page}/{verdict}", sent)).status == 303
    latest = await articles.latest(office.conn, feed.id, 20)
    assert {(a.held, a.known) for a in latest} == {(False, known)}
    assert (await office.owner.post(f"{page}/{verdict}", sent)).status == 409


async def test_nothing_is_decided_that_was_not_on_the_page(office: Office) -> None:
    feed = await held(office)
    page = f"/staff/feeds/{feed.id}"
    sent = form(await office.text(page), f"{page}/dismiss")
    await feeds.store(office.conn, feed, many(range(40)))
    answer = await office.owner.post(f"{page}/dismiss", sent)
    assert answer.status == 409
    assert "More has come since you opened this page" in await answer.text()
    assert len(await articles.held(office.conn, feed.id)) == 40


# in a browser
