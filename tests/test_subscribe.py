"""POST /subscribe and the form: every body, every refusal, one answer for every address."""

import json
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from aiohttp import FormData, MultipartWriter

from mailer import address, newsletters, notices, subjects, subscriptions, suppressions
from mailer.db import Connection, Pool
from mailer.subscriptions import requests
from mailer.vault import Vault
from mailer.web import guard
from tests import site, world
from tests.site import JSON, SITE, Client, fields
from tests.world import ANNA, BORIS, HOURS, VERA, World


@dataclass(frozen=True)
class Here:
    """The site, its database and a newsletter."""

    client: Client
    conn: Connection
    vault: Vault
    weekly: World

    async def waiting(self) -> int:
        counted: int = await self.conn.fetchval("select count(*) from request")
        return counted

    async def wishes(self) -> list[subscriptions.Wish]:
        """What the waiting requests ask for."""
        rows = await self.conn.fetch("select id, dek, payload, created_at from request")
        opened = [
            subscriptions.open_request(self.vault, subscriptions.Request(**row)) for row in rows
        ]
        return [asking.wish for asking in opened if asking]


@pytest.fixture
async def here(pool: Pool, vault: Vault) -> AsyncIterator[Here]:
    async with site.opened(pool, vault) as client, pool.acquire() as conn:
        yield Here(client, conn, vault, await world.make(conn, vault))


def multipart(sent: dict[str, str]) -> FormData:
    form = FormData(default_to_multipart=True)
    for name, value in sent.items():
        form.add_field(name, value)
    return form


# the form


async def test_the_form_shows_the_exact_notice_beside_an_unticked_box(here: Here) -> None:
    answer = await here.client.get("/form", params={"newsletter": "weekly", "lang": "ru"})
    page = await answer.text()
    notice = here.weekly.notices["ru"]
    assert answer.status == 200
    for said in (notice.wording, notice.controller, notice.purposes[0], notice.recipients,
                 notice.retention, notice.withdrawal, f"/notice/{notice.id}"):  # fmt: skip
        assert said in page
    assert f'name="notice" value="{notice.id}"' in page
    assert 'lang="ru"' in page
    box = re.search(r"<input[^>]*type=\"checkbox\"[^>]*>", page)
    assert box
    assert "checked" not in box[0]


async def test_the_form_may_stand_in_a_frame_and_needs_no_script(here: Here) -> None:
    answer = await here.client.get("/form?newsletter=weekly")
    assert "frame-ancestors *" in answer.headers["Content-Security-Policy"]
    assert "script" not in await answer.text()
    assert "Set-Cookie" not in answer.headers


async def test_every_input_has_a_label_and_every_description_exists(here: Here) -> None:
    answer = await here.client.post("/subscribe", data={"newsletter": "weekly"})
    page = await answer.text()
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    for name in ("aria-describedby", "aria-labelledby"):
        for described in re.findall(rf'{name}="([^"]+)"', page):
            assert set(described.split()) <= set(ids)
    for target in re.findall(r'href="#([^"]+)"', page):
        assert target in ids
    assert 'for="email"' in page
    assert 'for="consent"' in page


async def test_the_form_speaks_the_browsers_language_unless_told(here: Here) -> None:
    browser = {"Accept-Language": "ru,en;q=0.5"}
    answer = await here.client.get("/form?newsletter=weekly", headers=browser)
    assert answer.headers["Content-Language"] == "ru"
    answer = await here.client.get("/form?newsletter=weekly&lang=en", headers=browser)
    assert answer.headers["Content-Language"] == "en"


async def test_a_form_for_an_unknown_newsletter_is_a_kind_page(here: Here) -> None:
    answer = await here.client.get("/form?newsletter=nosuch&lang=en")
    assert answer.status == 404
    assert "There is no newsletter nosuch." in await answer.text()


async def test_a_newsletter_without_a_notice_has_no_form(here: Here) -> None:
    await newsletters.add(here.conn, "brief", {"de": "Der Brief"}, fallback="de")
    answer = await here.client.get("/form?newsletter=brief&lang=en")
    assert answer.status == 409
    assert "can&#39;t be subscribed to yet" in await answer.text()


# what is accepted


async def test_urlencoded_is_thanked_by_a_redirect(here: Here) -> None:
    sent = fields(here.weekly, ANNA)
    answer = await here.client.post("/subscribe", data=sent, allow_redirects=False)
    assert answer.status == 303
    assert answer.headers["Location"] == "/check-inbox?lang=en"
    assert [wish.email for wish in await here.wishes()] == [ANNA]


async def test_multipart_is_thanked_by_a_redirect(here: Here) -> None:
    sent = multipart(fields(here.weekly, VERA, "ru"))
    answer = await here.client.post("/subscribe", data=sent, allow_redirects=False)
    assert answer.status == 303
    assert answer.headers["Location"] == "/check-inbox?lang=ru"
    assert [(w.email, w.language) for w in await here.wishes()] == [(VERA, "ru")]


async def test_json_is_answered_in_json(here: Here) -> None:
    sent = {**fields(here.weekly, ANNA), "newsletter": ["weekly"], "cadence": "daily"}
    answer = await here.client.post("/subscribe", json=sent)
    assert answer.status == 202
    assert await answer.json() == {"status": "check_inbox"}
    assert [w.cadence for w in await here.wishes()] == ["daily"]


async def test_a_form_that_asks_for_json_gets_json(here: Here) -> None:
    answer = await here.client.post("/subscribe", data=fields(here.weekly, ANNA), headers=JSON)
    assert answer.status == 202


async def test_several_newsletters_are_one_request(here: Here) -> None:
    await world.make(here.conn, here.vault, "cases")
    sent = [*fields(here.weekly, ANNA).items(), ("newsletter", "cases"), ("newsletter", "cases")]
    answer = await here.client.post("/subscribe", data=sent, allow_redirects=False)
    assert answer.status == 303
    assert [tuple(w.newsletters) for w in await here.wishes()] == [("weekly", "cases")]


async def test_without_a_language_it_is_the_notices(here: Here) -> None:
    sent = fields(here.weekly, ANNA, "ru", lang="")
    answer = await here.client.post("/subscribe", data=sent, headers=JSON)
    assert answer.status == 202
    assert [w.language for w in await here.wishes()] == ["ru"]


async def test_the_answer_page_says_to_check_the_inbox_and_what_confirming_means(
    here: Here,
) -> None:
    answer = await here.client.post("/subscribe", data=fields(here.weekly, ANNA))
    page = await answer.text()
    assert answer.url.path == "/check-inbox"
    assert "Check your inbox" in page
    assert "latest content of the site" in page
    assert "securely processed and stored" in page
    assert f"{HOURS} hours" in page


# the evidence


async def evidence(here: Here, **headers: str) -> dict[str, object]:
    sent = fields(here.weekly, ANNA, form="hosted/1")
    await here.client.post("/subscribe", data=sent, headers={**JSON, **headers})
    (wish,) = await here.wishes()
    return dict(wish.evidence or {})


async def test_evidence_names_the_site_the_boxes_and_the_form_but_no_network(here: Here) -> None:
    assert await evidence(here, Origin=SITE) == {
        "origin": SITE,
        "boxes": {"consent": "ticked"},
        "form": "hosted/1",
    }


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ({"Referer": "https://site.example.org:8443/a/b?email=anna@example.org"}, f"{SITE}:8443"),
        ({"Origin": "null", "Referer": "http://site.example.org/"}, "http://site.example.org"),
        ({"Origin": "https://anna:secret@site.example.org"}, SITE),
        ({"Origin": "javascript:alert(1)"}, None),
        ({"Origin": "https://[::1"}, None),
        ({"Origin": f"https://{'a' * 900}.example.org"}, f"https://{'a' * 192}"),
        ({}, None),
    ],
)
async def test_only_the_origin_of_a_page_is_kept(
    here: Here, headers: dict[str, str], origin: str | None
) -> None:
    assert (await evidence(here, **headers)).get("origin") == origin


@pytest.mark.parametrize(
    ("setting", "kept"), [("off", None), ("prefix", "192.0.2.0/24"), ("full", "192.0.2.77")]
)
async def test_evidence_keeps_as_much_of_the_network_as_was_allowed(
    pool: Pool, vault: Vault, setting: str, kept: str | None
) -> None:
    given = {"MAILER_CONSENT_IP": setting, "MAILER_TRUSTED_PROXIES": "127.0.0.0/8"}
    async with site.opened(pool, vault, **given) as client, pool.acquire() as conn:
        here = Here(client, conn, vault, await world.make(conn, vault))
        found = await evidence(here, **{"X-Forwarded-For": "10.9.9.9, 192.0.2.77"})
    assert found.get("ip") == kept


# what is refused


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"email": ""}, "email"),
        ({"email": "anna"}, "email"),
        ({"email": "anna@example.org\r\nBcc: boris@example.org"}, "email"),
        ({"email": "anna@example.org\0"}, "email"),
        ({"email": "anna\u202e@example.org"}, "email"),
        ({"email": "a" * 400 + "@example.org"}, "email"),
        ({"newsletter": ""}, "newsletter"),
        ({"newsletter": "nosuch"}, "newsletter"),
        ({"newsletter": "week\nly"}, "newsletter"),
        ({"consent": ""}, "consent"),
        ({"consent": "no"}, "consent"),
        ({"notice": ""}, "notice"),
        ({"notice": "nosuch"}, "notice"),
        ({"notice": "\0"}, "notice"),
        ({"lang": "en\n"}, "lang"),
        ({"lang": "ru"}, "notice"),
        ({"cadence": "monthly"}, "cadence"),
        ({"cadence": "weekly\r\n"}, "cadence"),
    ],
)
async def test_each_wrong_field_gets_a_sentence_and_nothing_is_kept(
    here: Here, change: dict[str, str], field: str
) -> None:
    sent = fields(here.weekly, ANNA, **change)
    for answer in (
        await here.client.post("/subscribe", data=sent, headers=JSON),
        await here.client.post("/subscribe", json=sent),
        await here.client.post("/subscribe", data=multipart(sent), headers=JSON),
    ):
        assert answer.status == 422
        errors = (await answer.json())["errors"]
        assert list(errors) == [field]
        assert errors[field].endswith(".")
    page = await here.client.post("/subscribe", data=sent)
    assert page.status == 422
    assert errors[field].replace("'", "&#39;") in await page.text()
    assert await here.waiting() == 0


async def test_another_newsletters_notice_is_refused(here: Here) -> None:
    other = await world.make(here.conn, here.vault, "cases")
    house = await subjects.house(here.conn, here.vault)
    own = world.words("en", newsletter=other.newsletter.id, recipients="the court")
    notice = await notices.publish(here.conn, house, own, actor="staff:anna")
    sent = fields(here.weekly, ANNA, notice=notice.id)
    answer = await here.client.post("/subscribe", data=sent, headers=JSON)
    assert await answer.json() == {"errors": {"notice": "The notice is about another newsletter."}}


async def test_errors_come_together_and_in_the_forms_language(here: Here) -> None:
    answer = await here.client.post("/subscribe", json={"lang": "ru", "newsletter": "weekly"})
    errors = (await answer.json())["errors"]
    assert set(errors) == {"email", "consent"} | ({"notice"} & set(errors))
    assert errors["email"].startswith("Укажите")


async def test_the_form_comes_again_with_what_was_filled_in(here: Here) -> None:
    sent = fields(here.weekly, '"><b>anna', "ru", cadence="daily")
    answer = await here.client.post("/subscribe", data=sent)
    page = await answer.text()
    assert answer.status == 422
    assert answer.headers["Content-Language"] == "ru"
    assert 'value="&#34;&gt;&lt;b&gt;anna"' in page
    assert re.search(r'value="daily" checked', page)
    assert re.search(r'name="consent"[^>]* checked', page)
    assert 'role="alert"' in page
    assert "frame-ancestors *" in answer.headers["Content-Security-Policy"]


async def test_a_box_ticked_under_other_words_is_not_ticked_again(here: Here) -> None:
    sent = fields(here.weekly, "anna", notice="nosuch")
    page = await (await here.client.post("/subscribe", data=sent)).text()
    assert not re.search(r'name="consent"[^>]* checked', page)


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", b"{", 422),
        ("application/json", b"[]", 422),
        ("application/json", b"[" * 60_000, 422),
        ("application/json", b'{"email": {"a": 1}}', 422),
        ("application/json", b'{"email": "\\ud800"}', 422),
        ("application/json", b"\xff\xfe", 422),
        ("application/x-www-form-urlencoded", b"email=\xff", 422),
        ("application/x-www-form-urlencoded", b"%%%&&&===", 422),
        ("multipart/form-data", b"no boundary", 422),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\nnothing\r\n--x--", 422),
        ("text/plain", b"email=anna@example.org", 415),
        ("", b"email=anna@example.org", 415),
    ],
)
async def test_a_broken_body_gets_a_sentence(
    here: Here, kind: str, body: bytes, status: int
) -> None:
    headers = {**JSON, "Content-Type": kind}
    answer = await here.client.post("/subscribe", data=body, headers=headers)
    assert answer.status == status
    said = await answer.json()
    assert said.get("error") or said["errors"]


@pytest.mark.parametrize("chunked", [False, True])
async def test_more_than_64_kb_is_refused(here: Here, chunked: bool) -> None:
    body = json.dumps({**fields(here.weekly, ANNA), "more": "x" * guard.BODY_BYTES}).encode()

    async def pieces() -> AsyncIterator[bytes]:
        yield body

    headers = {"Content-Type": "application/json"}
    sent = pieces() if chunked else body
    answer = await here.client.post("/subscribe", data=sent, headers=headers)
    assert answer.status == 413
    assert "64 KB" in (await answer.json())["error"]
    assert await here.waiting() == 0


async def test_a_megabyte_of_multipart_is_refused_with_a_page(here: Here) -> None:
    with MultipartWriter("form-data") as writer:
        writer.append("x" * 1_000_000).set_content_disposition("form-data", name="email")
    answer = await here.client.post("/subscribe", data=writer, headers={"Accept-Language": "ru"})
    assert answer.status == 413
    assert "64 КБ" in await answer.text()


# one answer for everyone


async def test_nobody_learns_whether_an_address_is_known(here: Here) -> None:
    weekly = here.weekly
    await world.confirmed(here.conn, here.vault, weekly.wish(ANNA))
    await world.ask(here.conn, here.vault, weekly.wish(BORIS))
    await suppressions.add(here.conn, here.vault, address.parse("gleb@example.org"), "person")
    answers = set()
    for email in (ANNA, BORIS, "gleb@example.org", "new@example.org"):
        for headers in ({}, JSON):
            sent = fields(weekly, email)
            answer = await here.client.post(
                "/subscribe", data=sent, headers=headers, allow_redirects=False
            )
            told = {k: v for k, v in answer.headers.items() if k != "Date"}
            answers.add((bool(headers), answer.status, str(told), await answer.text()))
    assert len(answers) == 2
    sizes = await here.conn.fetch("select distinct length(payload), length(dek) from request")
    assert len(sizes) == 1


async def test_a_network_that_asks_too_often_is_told_when_to_come_back(here: Here) -> None:
    statuses = []
    # And a few: a window that slides lets go of some as time passes.
    for n in range(requests.MOST + 5):
        sent = fields(here.weekly, f"reader{n}@example.org")
        answer = await here.client.post("/subscribe", data=sent, headers=JSON)
        statuses.append(answer.status)
        if answer.status == 429:
            break
    assert statuses[: requests.MOST] == [202] * requests.MOST
    assert answer.status == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 2 * requests.WINDOW_SECONDS
    page = await here.client.post("/subscribe", data=sent)
    assert page.status == 429
    assert "too often" in await page.text()
    assert await here.waiting() == len(statuses) - 1


async def test_the_limit_keeps_no_network(here: Here) -> None:
    await here.client.post("/subscribe", data=fields(here.weekly, ANNA))
    assert "127.0.0" not in str(await here.conn.fetch("select * from hit"))


# other sites


async def test_other_sites_may_send_the_form_without_cookies(here: Here) -> None:
    asked = {"Origin": SITE, "Access-Control-Request-Method": "POST"}
    answer = await here.client.options("/subscribe", headers=asked)
    assert answer.status == 204
    assert "Content-Type" in answer.headers["Access-Control-Allow-Headers"]
    for sent in (fields(here.weekly, ANNA), {}):
        answer = await here.client.post("/subscribe", json=sent, headers={"Origin": SITE})
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers


async def test_no_other_page_answers_other_sites(here: Here) -> None:
    for path in ("/form?newsletter=weekly", "/", "/check-inbox"):
        answer = await here.client.get(path, headers={"Origin": SITE})
        assert "Access-Control-Allow-Origin" not in answer.headers
    assert (await here.client.options("/form")).status == 405


async def test_an_answer_takes_well_under_a_second(here: Here) -> None:
    started = time.monotonic()
    for _ in range(10):
        await here.client.post("/subscribe", data=fields(here.weekly, ANNA), headers=JSON)
    assert (time.monotonic() - started) / 10 < 0.5


# slips


async def test_a_slip_in_the_domain_is_asked_about_and_stops_nobody(here: Here) -> None:
    sent = fields(here.weekly, "anna@gmial.com")
    answer = await here.client.post("/subscribe", data=sent, allow_redirects=False)
    assert answer.headers["Location"] == "/check-inbox?lang=en&meant=gmail.com"
    page = await (await here.client.get(answer.headers["Location"])).text()
    assert "Did you mean gmail.com?" in page
    inline = await here.client.post("/subscribe?inline=1", data=sent)
    assert "Did you mean gmail.com?" in await inline.text()
    told = await here.client.post("/subscribe", data=sent, headers=JSON)
    assert await told.json() == {"status": "check_inbox", "did_you_mean": "gmail.com"}
    assert await here.waiting() == 3


async def test_only_a_known_domain_is_named_on_the_page(here: Here) -> None:
    for meant in ("evil.example", "<b>", ""):
        page = await here.client.get("/check-inbox", params={"meant": meant})
        assert "Did you mean" not in await page.text()


async def test_letters_of_two_alphabets_are_refused_at_the_form(here: Here) -> None:
    sent = fields(here.weekly, "anna@gm\u0430il.com")
    answer = await here.client.post("/subscribe", data=sent, headers=JSON)
    assert answer.status == 422
    assert "alphabets" in (await answer.json())["errors"]["email"]
