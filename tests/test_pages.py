"""The pages: links of mails, a person's own page, archive, inbox, headers, errors, health."""

import asyncio
import json
import logging
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import aiohttp
import asyncpg
import feedparser  # type: ignore[import-untyped]
import pytest
from yarl import URL

from mailer import (
    address,
    articles,
    consent,
    notices,
    people,
    render,
    subjects,
    subscribers,
    subscriptions,
    suppressions,
    tokens,
)
from mailer.articles import Draft
from mailer.config import Listen
from mailer.db import Connection, Pool
from mailer.errors import Unavailable
from mailer.mailbox import Mailbox
from mailer.tokens import SLOTS
from mailer.vault import Vault
from mailer.web import app
from tests import site, world
from tests.site import JSON, Client
from tests.world import ANNA, BORIS, World

ONE_CLICK = {"List-Unsubscribe": "One-Click"}
NOBODY = str(tokens.Token(7, b"x" * 16))


@dataclass(frozen=True)
class Here:
    """The site, its database, a newsletter; Anna has confirmed it, Boris was asked to."""

    client: Client
    conn: Connection
    vault: Vault
    weekly: World

    async def link(self, email: str, purpose: tokens.Purpose) -> str:
        return await world.link(self.conn, self.vault, email, purpose)

    async def me(self, email: str) -> str:
        own = await people.find(self.conn, self.vault, email)
        return f"/me/{own.subscriber.manage_token(self.vault)}"

    async def state(self, email: str) -> str:
        return (await world.found(self.conn, self.vault, email)).subscription.state

    async def events(self, email: str) -> list[consent.Event]:
        return list((await people.find(self.conn, self.vault, email)).record)

    async def expire(self) -> None:
        await self.conn.execute(
            "update subscription set expires_at = now() - interval '1 hour',"
            " mailed_at = mailed_at - interval '73 hours'"
        )


@pytest.fixture
async def here(pool: Pool, vault: Vault) -> AsyncIterator[Here]:
    async with site.opened(pool, vault) as client, pool.acquire() as conn:
        weekly = await world.make(conn, vault)
        await world.confirmed(conn, vault, weekly.wish(ANNA))
        await world.ask(conn, vault, weekly.wish(BORIS))
        yield Here(client, conn, vault, weekly)


async def sent_digest(here: Here, html: str, state: str = "sent") -> None:
    number = await here.conn.fetchval(
        """insert into digest (newsletter, number, cadence, state, created_by, send_at, finished_at)
           values ($1, 1, 'weekly', $2, 'staff:anna', now(), now()) returning id""",
        here.weekly.newsletter.id,
        state,
    )
    for language, subject in (("en", "Order 660"), ("ru", "Приказ №660")):
        await here.conn.execute(
            "insert into edition (digest, language, subject, html, text) values ($1,$2,$3,$4,'')",
            number,
            language,
            subject,
            html,
        )


# GET changes nothing


async def paths(here: Here) -> list[str]:
    boris = [f"/{path}/{await here.link(BORIS, purpose)}" for path, purpose in MAILED]
    anna = [f"/{path}/{await here.link(ANNA, purpose)}" for path, purpose in MAILED]
    return [*boris, *anna, await here.me(ANNA), await here.me(BORIS)]


MAILED: tuple[tuple[str, tokens.Purpose], ...] = (
    ("confirm", "confirm"),
    ("refuse", "refuse"),
    ("u", "leave"),
)


async def test_get_and_head_show_a_page_and_change_nothing(here: Here) -> None:
    before = await site.content(here.conn)
    for path in await paths(here):
        for method in ("GET", "HEAD"):
            for more in ("", "?List-Unsubscribe=One-Click&action=leave-all&never_again=yes"):
                answer = await here.client.request(method, path + more)
                assert answer.status == 200
                assert bool(await answer.read()) == (method == "GET")
    assert await site.content(here.conn) == before


async def test_pages_behind_a_token_are_kept_by_nobody_and_tell_nobody(here: Here) -> None:
    for path in [*await paths(here), f"/confirm/{NOBODY}", f"/me/{NOBODY}"]:
        answer = await here.client.get(path)
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Robots-Tag"] == "noindex"
        assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    "path",
    ["/", "/check-inbox", "/archive", "/nothing", "/confirm/x", "/me/x", "/healthz", "/readyz"],
)
async def test_every_answer_is_strict(here: Here, path: str) -> None:
    answer = await here.client.get(path)
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "script-src" not in policy
    assert "unsafe" not in policy
    assert ("frame-ancestors 'none'" in policy) == (path != "/check-inbox")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Strict-Transport-Security" not in answer.headers
    assert "Server" not in answer.headers


async def test_https_is_remembered(pool: Pool, vault: Vault) -> None:
    async with site.opened(pool, vault, MAILER_BASE_URL="https://news.example.org") as client:
        answer = await client.get("/")
        assert "max-age" in answer.headers["Strict-Transport-Security"]


async def test_nothing_is_fetched_from_elsewhere(here: Here) -> None:
    for path in ["/", "/form?newsletter=weekly", "/check-inbox", *await paths(here)]:
        page = await (await here.client.get(path)).text()
        assert not re.search(r"<script|\son\w+=|\sstyle=|@import", page)
        for address_ in re.findall(r'(?:src|href|action)="([^"]*)"', page):
            assert address_.startswith(("/", "?", "#", "data:"))
            assert not address_.startswith("//")


async def test_links_stay_below_the_path_of_the_base_url(pool: Pool, vault: Vault) -> None:
    async with site.opened(pool, vault, MAILER_BASE_URL="http://example.org/news") as client:
        page = await (await client.get("/archive")).text()
        assert re.findall(r'(?:src|href)="/(?!news/)[^"]*"', page) == []


# confirm


async def test_the_button_confirms_and_shows_what_was_agreed_to(here: Here) -> None:
    token = await here.link(BORIS, "confirm")
    page = await (await here.client.get(f"/confirm/{token}")).text()
    assert f'action="/confirm/{token}"' in page
    assert here.weekly.notices["en"].wording in page
    answer = await here.client.post(f"/confirm/{token}", allow_redirects=False)
    assert answer.status == 303
    assert await here.state(BORIS) == "confirmed"
    done = await here.client.get(answer.headers["Location"])
    page = await done.text()
    assert done.status == 200
    assert "is confirmed" in page
    assert here.weekly.notices["en"].wording in page
    assert await here.me(BORIS) in page
    last = (await here.events(BORIS))[-1].content
    assert last["type"] == "consent.confirmed"
    assert last["evidence"]["page"] == "confirm/1"


async def test_confirming_again_says_already_and_opens_no_other_page(here: Here) -> None:
    token = await here.link(ANNA, "confirm")
    for method in ("GET", "POST"):
        answer = await here.client.request(method, f"/confirm/{token}", allow_redirects=False)
        page = await answer.text()
        assert answer.status == 200
        assert "Already confirmed" in page
        assert "/me/" not in page


async def test_two_clicks_at_once_confirm_once(here: Here) -> None:
    token = await here.link(BORIS, "confirm")
    both = [here.client.post(f"/confirm/{token}", allow_redirects=False) for _ in range(2)]
    assert sorted([a.status for a in await asyncio.gather(*both)]) == [200, 303]
    types = [event.content["type"] for event in await here.events(BORIS)]
    assert types.count("consent.confirmed") == 1


async def test_an_expired_link_offers_a_new_mail(here: Here) -> None:
    await here.expire()
    token = await here.link(BORIS, "confirm")
    for method in ("GET", "POST"):
        page = await (await here.client.request(method, f"/confirm/{token}")).text()
        assert "has expired" in page
        assert f'action="/confirm/{token}/again"' in page
    assert await here.state(BORIS) == "pending"
    mails = await here.conn.fetchval("select count(*) from outbox")
    answer = await here.client.post(f"/confirm/{token}/again", allow_redirects=False)
    assert answer.status == 303
    assert answer.headers["Location"].startswith("/check-inbox")
    assert await here.conn.fetchval("select count(*) from outbox") == mails + 1
    fresh = await here.link(BORIS, "confirm")
    await here.client.post(f"/confirm/{fresh}")
    assert await here.state(BORIS) == "confirmed"


@pytest.mark.parametrize("path", ["/confirm/{}", "/refuse/{}", "/me/{}", "/me/{}/confirmed/weekly"])
async def test_an_unknown_link_gets_a_kind_page(here: Here, path: str) -> None:
    pages = set()
    for token in (NOBODY, "x", "%00", "Ж" * 27, await here.link(ANNA, "bounce")):
        answer = await here.client.get(path.format(token))
        assert answer.status == 404
        pages.add(await answer.text())
    assert len(pages) == 1
    assert "know this link" in pages.pop()


async def test_posting_to_an_unknown_link_is_no_error_of_ours(here: Here) -> None:
    before = await site.content(here.conn)
    for path in ("/confirm/{}", "/refuse/{}"):
        assert (await here.client.post(path.format(NOBODY))).status == 404
    sent = {"action": "leave-all"}
    assert (await here.client.post(f"/me/{NOBODY}", data=sent)).status == 404
    again = await here.client.post(f"/confirm/{NOBODY}/again", allow_redirects=False)
    assert again.status == 303
    assert await site.content(here.conn) == before


# this was not me


@pytest.mark.parametrize("never_again", [True, False])
async def test_this_was_not_me_forgets_the_address(here: Here, never_again: bool) -> None:
    token = await here.link(BORIS, "refuse")
    page = await (await here.client.get(f"/refuse/{token}")).text()
    box = re.search(r"<input[^>]*never_again[^>]*>", page)
    assert box
    assert "checked" not in box[0]
    sent = {"never_again": "yes"} if never_again else {}
    answer = await here.client.post(f"/refuse/{token}", data=sent)
    assert answer.status == 200
    reached = address.parse(BORIS)
    assert await subscribers.by_address(here.conn, here.vault, reached) is None
    known = await suppressions.reason(here.conn, here.vault, reached)
    assert (known == "person") == never_again


# leave


@pytest.mark.parametrize("kind", ["urlencoded", "multipart"])
async def test_one_click_leaves_without_cookie_or_redirect(here: Here, kind: str) -> None:
    token = await here.link(ANNA, "leave")
    for _ in range(2):
        form = aiohttp.FormData(ONE_CLICK, default_to_multipart=kind == "multipart")
        answer = await here.client.post(f"/u/{token}", data=form)
        assert (answer.status, answer.history) == (200, ())
        assert "Set-Cookie" not in answer.headers
    assert await here.state(ANNA) == "left"
    left = [e.content for e in await here.events(ANNA) if e.content["type"] == "consent.withdrawn"]
    assert [event["evidence"]["channel"] for event in left] == ["one-click"]


async def test_the_button_of_the_page_leaves_too(here: Here) -> None:
    token = await here.link(ANNA, "leave")
    page = await (await here.client.get(f"/u/{token}")).text()
    assert f'action="/u/{token}"' in page
    answer = await here.client.post(f"/u/{token}", allow_redirects=False)
    page = await answer.text()
    assert answer.status == 200
    assert "You have left" in page
    assert f'action="/u/{token}/again"' in page
    assert await here.state(ANNA) == "left"
    assert (await here.events(ANNA))[-1].content["evidence"]["channel"] == "page"


async def test_odd_bodies_keep_nobody_from_leaving(here: Here) -> None:
    token = await here.link(ANNA, "leave")
    headers = {"Content-Type": "application/octet-stream"}
    assert (await here.client.post(f"/u/{token}", data=b"\xff", headers=headers)).status == 200
    assert await here.state(ANNA) == "left"


async def test_unknown_tokens_are_answered_alike_when_leaving(here: Here) -> None:
    token = await here.link(ANNA, "leave")
    told = set()
    for each in (token, NOBODY, "x"):
        answer = await here.client.post(f"/u/{each}", data=ONE_CLICK)
        headers = {k: v for k, v in answer.headers.items() if k != "Date"}
        told.add((answer.status, str(headers), await answer.text()))
        assert (await here.client.get(f"/u/{each}")).status == 200
    assert len(told) == 1


async def test_leaving_is_undone_by_confirming_anew_and_by_nothing_less(here: Here) -> None:
    token = await here.link(ANNA, "leave")
    await here.client.post(f"/u/{token}")
    answer = await here.client.post(f"/u/{token}/again", allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, "/check-inbox?lang=en")
    assert await here.state(ANNA) == "pending"
    await here.client.post(f"/confirm/{await here.link(ANNA, 'confirm')}")
    assert await here.state(ANNA) == "confirmed"
    unknown = await here.client.post(f"/u/{NOBODY}/again", allow_redirects=False)
    assert (unknown.status, unknown.headers["Location"]) == (303, "/check-inbox?lang=en")


async def test_a_reason_may_be_told_and_is_asked_for_once(here: Here) -> None:
    token = await here.link(ANNA, "leave")
    question = f'action="/u/{token}/reason"'
    page = await (await here.client.post(f"/u/{token}")).text()
    assert question in page
    assert "checked" not in page
    for why in ("", "explode"):
        answer = await here.client.post(f"/u/{token}/reason", data={"why": why})
        assert question in await answer.text()
    answer = await here.client.post(f"/u/{token}/reason", data={"why": "unsafe"})
    page = await answer.text()
    assert "is counted" in page
    assert "have everything we hold about you erased" in page
    assert f'href="/u/{token}?lang=ru"' in page, "where GET finds it in another language"
    assert question not in await (await here.client.get(f"/u/{token}")).text()
    unknown = await here.client.post(f"/u/{NOBODY}/reason", data={"why": "often"})
    assert (unknown.status, "know this link" in await unknown.text()) == (200, True)
    assert await here.conn.fetchval("select count from leaving where reason = 'unsafe'") == 1


# one's own page


async def test_ones_own_page_shows_subscriptions_and_leads_to_the_record(here: Here) -> None:
    await world.make(here.conn, here.vault, "cases")
    page = await (await here.client.get(await here.me(ANNA))).text()
    assert "Rights Weekly" in page
    assert ANNA not in page
    assert "a…\N{WORD JOINER}@example.org" in page
    assert f"{await here.me(ANNA)}/record" in page
    assert "/form?newsletter=cases" in page


async def test_language_and_cadence_can_be_changed(here: Here) -> None:
    me = await here.me(ANNA)
    sent = {"action": "change", "newsletter": "weekly", "lang": "ru", "cadence": "daily"}
    answer = await here.client.post(me, data=sent)
    assert "Saved." in await answer.text()
    held = (await world.found(here.conn, here.vault, ANNA)).subscription
    assert (held.language, held.cadence) == ("ru", "daily")


@pytest.mark.parametrize(
    "sent",
    [
        {"action": "change", "newsletter": "weekly", "lang": "de", "cadence": "daily"},
        {"action": "change", "newsletter": "weekly", "lang": "en", "cadence": "hourly"},
        {"action": "leave", "newsletter": "nosuch"},
        {"action": "explode"},
        {},
    ],
)
async def test_a_wrong_change_gets_a_sentence_and_changes_nothing(
    here: Here, sent: dict[str, str]
) -> None:
    before = await site.content(here.conn)
    answer = await here.client.post(await here.me(ANNA), data={"x": "y", **sent})
    assert answer.status == 422
    assert 'role="alert"' in await answer.text()
    assert await site.content(here.conn) == before


async def test_a_pause_is_set_shown_and_ended(here: Here) -> None:
    me = await here.me(ANNA)
    until = (date.today() + timedelta(days=40)).isoformat()
    sent = {"newsletter": "weekly", "action": "pause", "until": until}
    page = await (await here.client.post(me, data=sent)).text()
    assert "Paused until" in page
    assert 'value="go-on"' in page
    assert "You paused" in await (await here.client.get(f"{me}/record")).text()
    page = await (await here.client.post(me, data={**sent, "action": "go-on"})).text()
    assert "Paused until" not in page
    assert "You ended the pause" in await (await here.client.get(f"{me}/record")).text()


@pytest.mark.parametrize("until", ["", "soon", "2020-01-01", "9999-12-31"])
async def test_a_wrong_day_is_told_at_its_field(here: Here, until: str) -> None:
    sent = {"newsletter": "weekly", "action": "pause", "until": until}
    answer = await here.client.post(await here.me(ANNA), data=sent)
    page = await answer.text()
    assert answer.status == 422
    found = re.search(r'<input type="date" id="(until\d+)"[^>]*>', page)
    assert found
    assert f'href="#{found[1]}"' in page
    assert 'aria-invalid="true"' in found[0]
    assert f'value="{until}"' in found[0]
    assert f'id="{found[1]}-fault"' in page
    first, last = re.findall(r'm(?:in|ax)="([^"]+)"', found[0])
    if until[:1].isdigit():
        named = [render.day(date.fromisoformat(each), "en") for each in (first, last)]
        assert f"Any day from {named[0]} to {named[1]} will do." in page
    for each, status in ((first, 200), (last, 200)):
        done = await here.client.post(await here.me(ANNA), data={**sent, "until": each})
        assert done.status == status
    assert page.index("<title>To mend:") > 0


async def test_a_language_asked_for_stays_asked_for(here: Here) -> None:
    me = await here.me(ANNA)
    page = await (await here.client.get(f"{me}?lang=ru")).text()
    assert f'href="{me}/record?lang=ru"' in page
    sent = {"action": "leave", "newsletter": "weekly"}
    left = await here.client.post(f"{me}?lang=ru", data=sent, allow_redirects=False)
    assert "lang=ru" in left.headers["Location"]
    token = await here.link(BORIS, "confirm")
    page = await (await here.client.get(f"/confirm/{token}?lang=ru")).text()
    assert f'action="/confirm/{token}?lang=ru"' in page
    done = await here.client.post(f"/confirm/{token}?lang=ru")
    assert done.headers["Content-Language"] == "ru"


async def test_one_newsletter_or_all_can_be_left(here: Here) -> None:
    cases = await world.make(here.conn, here.vault, "cases")
    await world.ask(here.conn, here.vault, cases.wish(ANNA))
    me = await here.me(ANNA)
    await here.client.post(me, data={"action": "leave", "newsletter": "weekly"})
    own = await people.find(here.conn, here.vault, ANNA)
    assert [f.subscription.state for f in own.subscriptions] == ["left", "pending"]
    page = await here.client.post(me, data={"action": "leave-all", "never_again": "yes"})
    assert "You have left" in await page.text()
    own = await people.find(here.conn, here.vault, ANNA)
    assert [f.subscription.state for f in own.subscriptions] == ["left", "left"]
    assert await suppressions.reason(here.conn, here.vault, address.parse(ANNA)) == "person"


async def test_a_mails_language_is_the_pages(here: Here) -> None:
    await world.ask(here.conn, here.vault, here.weekly.wish("vera@example.org", "ru"))
    token = await here.link("vera@example.org", "confirm")
    browser = {"Accept-Language": "en"}
    answer = await here.client.get(f"/confirm/{token}", headers=browser)
    assert answer.headers["Content-Language"] == "ru"
    answer = await here.client.get(f"/confirm/{token}?lang=en", headers=browser)
    assert answer.headers["Content-Language"] == "en"
    for nobodys in ("xx", "", "-", "%00"):
        answer = await here.client.get(f"/confirm/{token}?lang={nobodys}", headers=browser)
        assert answer.headers["Content-Language"] == "ru"


@pytest.mark.parametrize(("more", "language"), [("", "ru"), ("?lang=en", "en")])
async def test_a_consent_records_the_language_of_the_page_it_was_given_on(
    here: Here, more: str, language: str
) -> None:
    await world.ask(here.conn, here.vault, here.weekly.wish("vera@example.org", "ru"))
    token = await here.link("vera@example.org", "confirm")
    browser = {"Accept-Language": "de"}
    await here.client.post(f"/confirm/{token}{more}", headers=browser, allow_redirects=False)
    (given,) = [
        event.content["evidence"]
        for event in await here.events("vera@example.org")
        if event.content["type"] == "consent.confirmed"
    ]
    assert given["language"] == language


# notices and the archive


async def test_a_notice_is_served_for_ever(here: Here) -> None:
    old = here.weekly.notices["ru"]
    house = await subjects.house(here.conn, here.vault)
    newer = world.words("ru", retention="один год")
    await notices.publish(here.conn, house, newer, actor="staff:anna")
    answer = await here.client.get(f"/notice/{old.id}")
    page = await answer.text()
    assert answer.status == 200
    assert old.wording in page
    assert old.sha256.hex() in page
    assert (await here.client.get("/notice/nosuch")).status == 404


async def test_every_version_of_the_words_is_listed_with_what_changed(here: Here) -> None:
    house = await subjects.house(here.conn, here.vault)
    old = here.weekly.notices["en"]
    newer = await notices.publish(
        here.conn, house, world.words("en", retention="one year"), actor="staff:anna"
    )
    newest = await notices.publish(
        here.conn,
        house,
        world.words("en", retention="two years", newsletter=here.weekly.newsletter.id),
        actor="staff:anna",
    )
    page = await (await here.client.get("/notices/weekly?lang=en")).text()
    assert [page.count(f'href="/notice/{n.id}?lang=en"') for n in (old, newer, newest)] == [1, 1, 1]
    assert page.index(newest.id) < page.index(newer.id) < page.index(old.id)
    assert "<del>until you leave</del>" in page
    assert page.count("Valid now") == 1
    compared = f"/notices/weekly?lang=en&old={old.id}&new={newest.id}"
    page = await (await here.client.get(compared)).text()
    assert "What changed · Rights Weekly" in page
    assert "<ins>two years</ins>" in page
    assert "/notices/weekly?lang=en" in await (await here.client.get(f"/notice/{old.id}")).text()
    assert (await here.client.get("/notices/nosuch")).status == 404
    odd = await here.client.get("/notices/weekly?old=x&new=%00")
    assert odd.status == 200


MAIL = (
    '<!doctype html><html><head><style>p{{color:red}}</style></head><body style="margin:0">'
    '<p style="color:red">Order 660</p><script>alert(1)</script>'
    '<a href="http://news.example.org/u/{leave}">Unsubscribe</a> {manage}</body></html>'
).format(leave=SLOTS["leave"], manage=SLOTS["manage"])


async def test_the_archive_shows_what_was_sent_without_what_was_a_readers(here: Here) -> None:
    await sent_digest(here, MAIL)
    assert "/archive/weekly" in await (await here.client.get("/archive")).text()
    listed = await (await here.client.get("/archive/weekly")).text()
    assert "Приказ №660" in listed
    answer = await here.client.get("/archive/weekly/1?lang=ru")
    page = await answer.text()
    assert answer.headers["Content-Language"] == "ru"
    assert '<p style="color:red">Order 660</p>' in page
    assert "SLOT" not in page
    assert "Unsubscribe" not in page
    assert "/form?newsletter=weekly" in page


async def test_a_mail_in_the_archive_can_do_nothing(here: Here) -> None:
    await sent_digest(here, MAIL)
    policy = (await here.client.get("/archive/weekly/1")).headers["Content-Security-Policy"]
    for rule in ("default-src 'none'", "style-src 'unsafe-inline'", "form-action 'none'"):
        assert rule in policy
    assert "sandbox" in policy
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy


@pytest.mark.parametrize("state", ["draft", "approved", "sending", "paused", "cancelled"])
async def test_only_what_was_sent_is_in_the_archive(here: Here, state: str) -> None:
    await sent_digest(here, MAIL, state)
    # Its first readers follow the link of their mail while others wait for theirs.
    shown = 200 if state in ("sending", "paused") else 404
    assert (await here.client.get("/archive/weekly/1")).status == shown
    assert "Order 660" not in await (await here.client.get("/archive/weekly")).text()
    assert "Order 660" not in await (await here.client.get("/archive/weekly/feed.xml")).text()


async def test_the_feed_of_the_archive_is_valid_and_has_nothing_of_a_reader(here: Here) -> None:
    await sent_digest(here, MAIL)
    url = "/archive/weekly/feed.xml?lang=ru"
    draft = Draft("660", "<Приказ> & №660", "ru", "https://example.org/660")
    article = await articles.add(here.conn, here.weekly.newsletter.id, draft)
    await here.conn.execute("update edition set articles = array[$1::bigint]", article.id)
    answer = await here.client.get(url)
    text = await answer.text()
    assert answer.content_type == "application/atom+xml"
    root = ElementTree.fromstring(text)
    atom = "{http://www.w3.org/2005/Atom}"
    for part in (root, *root.iter(f"{atom}entry")):
        for name in ("id", "title", "updated"):
            found = part.find(atom + name)
            assert found is not None, name
            assert found.text, name
    entry = root.find(f"{atom}entry")
    assert entry is not None
    assert entry.findtext(f"{atom}title") == "Приказ №660"
    assert "<Приказ> & №660" in "".join(entry.itertext())
    assert datetime.fromisoformat(root.findtext(f"{atom}updated") or "").tzinfo
    assert "SLOT" not in text
    read = feedparser.parse(text.encode())
    assert not read.bozo
    assert read.entries[0].link == "http://news.example.org/archive/weekly/1?lang=ru"
    empty = await (await here.client.get("/archive/weekly/feed.xml?lang=en")).text()
    assert "Order 660" in empty
    await here.conn.execute("update newsletter set archived = false")
    assert (await here.client.get(url)).status == 404


async def test_the_archive_asks_no_third_party_for_images(here: Here) -> None:
    await sent_digest(
        here, MAIL.replace("<p ", '<img src="https://site.example.org/x.png" alt=""><p ')
    )
    assert "<img" not in await (await here.client.get("/archive/weekly/1")).text()


async def test_an_archive_can_be_closed(here: Here) -> None:
    await sent_digest(here, MAIL)
    await here.conn.execute("update newsletter set archived = false")
    for path in ("/archive/weekly", "/archive/weekly/1"):
        assert (await here.client.get(path)).status == 404
    assert "/archive/weekly" not in await (await here.client.get("/archive")).text()


# errors and health


async def test_errors_are_kind_in_the_readers_language_and_in_json(here: Here) -> None:
    page = await here.client.get("/nothing", headers={"Accept-Language": "ru"})
    assert page.status == 404
    assert "По этому адресу ничего нет" in await page.text()
    said = await here.client.get("/nothing", headers=JSON)
    assert said.status == 404
    assert list(await said.json()) == ["error"]
    wrong = await here.client.post("/check-inbox")
    assert wrong.status == 405
    assert "GET" in wrong.headers["Allow"]


@pytest.mark.parametrize(
    "odd", ["%00", "%ED%A0%80", "%2e%2e%2f", "%0D%0Ax", "'--", "%D0%96", "x" * 3000]
)
@pytest.mark.parametrize(
    "path", ["/form?newsletter={}", "/notice/{}", "/archive/{}", "/archive/{}/1", "/u/{}", "/{}"]
)
async def test_no_odd_address_is_a_fault(here: Here, path: str, odd: str) -> None:
    url = URL(str(here.client.make_url("/")) + path[1:].format(odd), encoded=True)
    answer = await here.client.session.get(url)
    assert answer.status == (200 if path.startswith("/u/") else 404)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConnectionRefusedError(), 503),
        (asyncpg.AdminShutdownError(), 503),
        (asyncpg.DiskFullError(), 503),
        (asyncpg.InterfaceError("closed"), 503),
        (asyncpg.UniqueViolationError(), 500),
        (ValueError(), 500),
    ],
)
async def test_a_database_that_fails_is_told_from_a_fault_of_ours(
    here: Here, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    async def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(subscriptions, "look", fail)
    assert (await here.client.get(f"/u/{NOBODY}")).status == status


async def test_a_fault_of_ours_is_owned_and_tells_nothing(
    here: Here, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object) -> None:
        raise ValueError("secret")

    monkeypatch.setattr(subscriptions, "look", fail)
    token = await here.link(BORIS, "confirm")
    answer = await here.client.get(f"/confirm/{token}")
    assert answer.status == 500
    assert "secret" not in await answer.text()
    assert "/confirm/{token}" in caplog.text
    assert token not in caplog.text


async def test_a_lost_database_is_said_to_be_lost(here: Here, pool: Pool) -> None:
    assert (await here.client.get("/readyz")).status == 200
    await here.conn.execute("insert into migration (number, name, sha256) values (9999, 'x', 'x')")
    newer = await here.client.get("/readyz", headers=JSON)
    assert newer.status == 503
    assert "newer" in (await newer.json())["error"]
    pool.terminate()
    for path in ("/readyz", "/form?newsletter=weekly"):
        answer = await here.client.get(path)
        assert answer.status == 503
        assert "Retry-After" in answer.headers
    assert (await here.client.get("/healthz")).status == 200


async def test_our_own_files_are_kept_for_ever_under_an_address_of_their_content(
    here: Here,
) -> None:
    page = await (await here.client.get("/")).text()
    for path in re.findall(r'href="(/static/[^"]+)"', page):
        answer = await here.client.get(path)
        assert answer.status == 200
        assert "immutable" in answer.headers["Cache-Control"]
    assert (await here.client.get("/static/0123456789ab/style.css")).status == 404
    assert (await here.client.get("/static/x/..%2Fbase.html")).status == 404


# the inbox of `mailer dev`


async def test_the_inbox_shows_mails_and_their_links(
    pool: Pool, vault: Vault, tmp_path: Path
) -> None:
    box = Mailbox(tmp_path)
    kept = box.keep(
        "b@example.org",
        ANNA,
        b"Subject: =?utf-8?b?0J/RgNC40LLQtdGC?=\r\nContent-Type: multipart/alternative; boundary=x"
        b"\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\nOpen http://news.example.org/confirm/x.\r\n"
        b"--x\r\nContent-Type: text/html\r\n\r\n<html><head></head><body>"
        b'<a target="_blank" href="http://news.example.org/u/y">y</a></body></html>\r\n--x--\r\n',
    )
    async with site.opened(pool, vault, box) as client:
        listed = await (await client.get("/inbox")).text()
        assert "Привет" in listed
        assert f"/inbox/{kept.id}" in listed
        page = await client.get(f"/inbox/{kept.id}")
        said = await page.text()
        assert 'href="http://news.example.org/confirm/x"' in said
        assert f"Delivered-To: {ANNA}" in said
        assert "frame-src 'self'" in page.headers["Content-Security-Policy"]
        html = await client.get(f"/inbox/{kept.id}/html")
        assert '<base target="_top">' in await html.text()
        assert "_blank" not in await html.text()
        assert "allow-scripts" not in html.headers["Content-Security-Policy"]
        assert (await client.get(f"/inbox/{'0' * 20}")).status == 404


async def test_without_a_mailbox_there_is_no_inbox(here: Here) -> None:
    assert (await here.client.get("/inbox")).status == 404


# serving


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


async def served(url: str) -> None:
    """Wait until it answers."""
    async with aiohttp.ClientSession() as session:
        for _ in range(1200):
            try:
                async with session.get(f"{url}/healthz"):
                    return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)
    raise AssertionError("it does not answer")


async def test_the_access_log_has_no_address_and_no_token(
    here: Here, pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    port, stop = free_port(), asyncio.Event()
    settings = replace(site.settings(), listen=Listen("127.0.0.1", port))
    serving = asyncio.create_task(app.serve(settings, pool, here.vault, stop))
    url = f"http://127.0.0.1:{port}"
    await served(url)
    secret = await paths(here)
    async with aiohttp.ClientSession() as session:
        for path in [*secret, f"/x{secret[0]}", f"/Confirm/{secret[0][-27:]}", f"/{ANNA}",
                     f"/form?newsletter=weekly&email={ANNA}", "/confirm/cut-off=="]:  # fmt: skip
            async with session.get(url + path):
                pass
        async with (
            session.post(url + secret[2]),
            session.post(f"{url}/subscribe", data={"email": ANNA}),
        ):
            pass
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /confirm/{secret[0][-27:]} nonsense\r\n\r\n".encode())
    await reader.read()
    writer.close()
    stop.set()
    await serving
    logged = json.dumps([record.getMessage() for record in caplog.records])
    assert "GET /confirm/- 200" in logged
    assert "GET /form 200" in logged
    assert "127.0.0.1" not in logged
    assert "anna" not in logged
    assert "cut-off" not in logged
    for path in secret:
        assert path[-27:] not in logged


async def test_an_address_that_is_taken_is_said_so(pool: Pool, vault: Vault) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = Listen("127.0.0.1", taken.getsockname()[1])
        settings = replace(site.settings(), listen=listen)
        with pytest.raises(Unavailable, match="MAILER_LISTEN"):
            await app.serve(settings, pool, vault, asyncio.Event())
