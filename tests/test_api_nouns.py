"""The API noun by noun: an editor's road, people's rights, extracts; nothing lost or done twice."""

import asyncio
import csv
import hashlib
import io
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from mailer import (
    access,
    acts,
    address,
    articles,
    consent,
    digests,
    newsletters,
    people,
    staff,
    subjects,
    subscribers,
    subscriptions,
    suppressions,
)
from mailer.access import SCOPES
from mailer.acts import Filter
from mailer.articles import Draft
from mailer.db import Connection, Pool
from mailer.vault import Vault
from mailer.web import api
from mailer.web.api.operation import Operation
from tests import site, world
from tests.test_api import Cms, checked
from tests.world import ANNA, BORIS, HOURS, World

ROOT = "/api/v1"
NEWSLETTER = {"slug": "monthly", "titles": {"en": "Monthly", "ru": "Ежемесячник"}}
WORDS = {
    "language": "en",
    "wording": "Yes, write to me.",
    "controller": "Example Rights Watch",
    "purposes": ["the digest"],
    "recipients": "nobody",
    "retention": "until you leave",
    "withdrawal": "one click",
}


@dataclass
class Desk:
    """A program that may do everything, and the world it works in."""

    cms: Cms
    weekly: World
    conn: Connection
    vault: Vault

    async def get(self, path: str, **more: Any) -> tuple[int, Any]:
        return await self.cms.ask("GET", ROOT + path, **more)

    async def post(self, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        given = {} if body is None else {"json": body}
        return await self.cms.ask("POST", ROOT + path, headers=headers, **given)

    async def patch(self, path: str, body: Any, **headers: str) -> tuple[int, Any]:
        return await self.cms.ask("PATCH", ROOT + path, json=body, headers=headers)

    async def tag(self, path: str) -> str:
        async with self.cms.client.get(ROOT + path, headers=self.cms.headers) as answer:
            return answer.headers["ETag"]

    async def publish(self, *titles: str) -> None:
        for title in titles:
            draft = Draft(title, title, "en", f"https://example.org/{title}")
            await articles.add(self.conn, self.weekly.newsletter.id, draft)


async def token(conn: Connection, name: str, *scopes: str, newsletter: int | None = None) -> str:
    _, words = await access.issue(
        conn, name, scopes or SCOPES, 30, newsletter=newsletter, by="staff:anna"
    )
    return words


@pytest.fixture
async def client(pool: Pool, vault: Vault) -> AsyncIterator[site.Client]:
    async with site.opened(pool, vault) as opened:
        yield opened


@pytest.fixture
async def desk(conn: Connection, vault: Vault, client: site.Client) -> Desk:
    weekly = await world.make(conn, vault)
    return Desk(Cms(client, await token(conn, "desk")), weekly, conn, vault)


# who may: every operation, by nobody and by whoever may not


def sample(path: str) -> str:
    values = {"newsletter": "weekly", "number": "1", "id": "1", "notice": "0" * 32}
    return ROOT + path.format(**values)


SCOPED = [each for each in api.OPERATIONS if each.scope is not None]


def name(operation: Operation) -> str:
    return operation.name


@pytest.mark.parametrize("operation", SCOPED, ids=name)
async def test_no_operation_is_for_who_has_no_token_or_one_without_its_scope(
    desk: Desk, operation: Operation
) -> None:
    before = await site.content(desk.conn)
    others = [scope for scope in SCOPES if scope != operation.scope]
    lacking = await token(desk.conn, "lacking", *others)
    expired = await token(desk.conn, "expired")
    await desk.conn.execute(
        "update access_token set expires_at = now() - interval '1 second' where name = 'expired'"
    )
    revoked = await token(desk.conn, "revoked")
    await access.revoke(desk.conn, "revoked")
    path = sample(operation.path)
    for shown, status in (
        (None, 401),
        ("Bearer x", 401),
        (f"Bearer {expired}", 401),
        (f"Bearer {revoked}", 401),
        (f"Bearer {lacking}", 403),
    ):
        headers = {"Authorization": shown} if shown else {}
        async with desk.cms.client.request(
            operation.method, path, headers=headers, json={"x": 1}
        ) as answer:
            assert answer.status == status, shown
            await checked(operation.method, path, answer)
    after = await site.content(desk.conn)
    changed = {table for table in after if after[table] != before.get(table)}
    assert changed <= {"access_token", "hit"}


@pytest.mark.parametrize("operation", SCOPED, ids=name)
async def test_every_path_says_what_can_be_done_there(desk: Desk, operation: Operation) -> None:
    path = sample(operation.path)
    async with desk.cms.client.options(path) as answer:
        assert answer.status == 204
        assert operation.method in answer.headers["Allow"].split(", ")
    async with desk.cms.client.request("TRACE", path) as answer:
        assert answer.status == 405
        assert operation.method in answer.headers["Allow"]
        assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize("operation", [each for each in SCOPED if each.body is not None], ids=name)
async def test_every_body_is_json_of_some_size(desk: Desk, operation: Operation) -> None:
    path = sample(operation.path)
    json_ = {"Content-Type": "application/json"}
    for data, headers, status in (
        (b"x=1", {"Content-Type": "text/plain"}, 415),
        (b"{", json_, 400),
        (b"[]", json_, 400),
        (b" " * 1_000_001, json_, 413),
    ):
        found, _ = await desk.cms.ask(operation.method, path, data=data, headers=headers)
        assert found == status


@pytest.mark.parametrize("operation", [e for e in SCOPED if e.method == "GET"], ids=name)
async def test_head_answers_as_get_does_without_the_body(desk: Desk, operation: Operation) -> None:
    await desk.publish("a")
    await digests.create(desk.conn, desk.weekly.newsletter, "weekly", by="staff:anna")
    path = sample(operation.path)
    async with desk.cms.client.get(path, headers=desk.cms.headers) as got:
        body = await got.read()
    async with desk.cms.client.head(path, headers=desk.cms.headers) as answer:
        assert (answer.status, await answer.read()) == (got.status, b"")
        assert int(answer.headers["Content-Length"]) == len(body)


async def test_what_is_not_understood_of_a_query_is_said(desk: Desk) -> None:
    status, problem = await desk.get("/newsletters?lmit=1")
    assert (status, problem["errors"][0]["field"]) == (422, "lmit")


async def test_a_token_s_rate_is_told_with_each_answer(desk: Desk) -> None:
    for path, status in (("/newsletters", 200), ("/newsletters/none", 404)):
        async with desk.cms.client.get(ROOT + path, headers=desk.cms.headers) as answer:
            assert answer.status == status
            assert answer.headers["RateLimit-Policy"] == '"token";q=600;w=60'
            assert answer.headers["RateLimit"].startswith('"token";r=')


# newsletters


async def test_a_newsletter_is_added_read_and_changed(desk: Desk) -> None:
    status, added = await desk.post("/newsletters", {**NEWSLETTER, "cadences": ["monthly"]})
    assert (status, added["languages"], added["fallback"]) == (201, ["en", "ru"], "en")
    path = "/newsletters/monthly"
    assert await desk.get(path) == (200, added)
    status, changed = await desk.patch(
        path,
        {"most": 7, "schedule": {"monthly": "0 9 1 * *"}, "timezone": "Europe/Berlin"},
        **{"If-Match": await desk.tag(path)},
    )
    assert (status, changed["most"]) == (200, 7)
    assert changed["schedule"] == {"monthly": "0 9 1 * *"}
    status, changed = await desk.patch(
        path, {"schedule": {"monthly": None}}, **{"If-Match": await desk.tag(path)}
    )
    assert changed["schedule"] == {}
    assert (await desk.post("/newsletters", NEWSLETTER))[0] == 409


async def test_two_who_edit_at_once_lose_nothing(desk: Desk) -> None:
    path = "/newsletters/weekly"
    seen = await desk.tag(path)
    answers = await asyncio.gather(
        desk.patch(path, {"most": 7}, **{"If-Match": seen}),
        desk.patch(path, {"fewest": 2}, **{"If-Match": seen}),
    )
    assert sorted(status for status, _ in answers) == [200, 412]
    assert (await desk.patch(path, {"most": 9}))[0] == 428
    assert (await desk.patch(path, {"most": 9}, **{"If-Match": '"other"'}))[0] == 412
    assert (await desk.patch(path, {"most": 9}, **{"If-Match": "*"}))[0] == 200


async def test_what_was_read_before_need_not_be_read_again(desk: Desk) -> None:
    tag = await desk.tag("/newsletters/weekly")
    status, _ = await desk.get("/newsletters/weekly", headers={"If-None-Match": f"W/{tag}"})
    assert status == 304


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"slug": "UPPER", "titles": {"en": "x"}}, "slug"),
        ({"slug": "x"}, "titles"),
        ({"slug": "x", "titles": {}}, "titles"),
        ({"slug": "x", "titles": {"English!": "x"}}, "titles"),
        ({"slug": "x", "titles": {"en": ""}}, "titles.en"),
        ({"slug": "x", "titles": {"en": "a\u0000b"}}, "titles.en"),
        ({"slug": "x", "titles": {"en": "x"}, "most": True}, "most"),
        ({"slug": "x", "titles": {"en": "x"}, "most": 201}, "most"),
        ({"slug": "x", "titles": {"en": "x"}, "cadences": ["hourly"]}, "cadences[0]"),
        ({"slug": "x", "titles": {"en": "x"}, "timezone": "Mars"}, "timezone"),
        ({"slug": "x", "titles": {"en": "x"}, "schedule": {"weekly": "soon"}}, "schedule"),
        ({"slug": "x", "titles": {"en": "x"}, "nonsense": 1}, "nonsense"),
    ],
)
async def test_what_is_wrong_with_a_newsletter_is_named(
    desk: Desk, body: Mapping[str, Any], field: str
) -> None:
    status, problem = await desk.post("/newsletters", body)
    assert (status, problem["errors"][0]["field"]) == (422, field)
    assert (await desk.get("/newsletters/x"))[0] == 404


async def test_lists_lead_on_to_their_end(desk: Desk) -> None:
    for number in range(4):
        slug = f"n{number}"
        await newsletters.add(desk.conn, slug, {"en": slug}, fallback="en")
    for noun, key in (("newsletters", "slug"), ("notices", "id"), ("digests", "number")):
        if noun == "digests":
            for title in "abc":
                await desk.publish(title)
                await digests.create(desk.conn, desk.weekly.newsletter, "weekly", by="staff:anna")
        seen, path = [], f"/{noun}?limit=2"
        while path:
            async with desk.cms.client.get(ROOT + path, headers=desk.cms.headers) as answer:
                body = await checked("GET", ROOT + path, answer)
                linked = answer.headers.get("Link", "")
            assert ("next" in linked) == (body["next"] is not None)
            seen += [each[key] for each in body[noun]]
            path = (body["next"] or "").removeprefix(f"http://news.example.org{ROOT}")
        assert len(seen) == len(set(seen)) == {"newsletters": 5, "notices": 2, "digests": 3}[noun]
    assert (await desk.get("/newsletters?after=nosuch"))[0] == 422


# notices


async def test_a_notice_is_published_once_and_is_on_record(desk: Desk) -> None:
    status, published = await desk.post("/notices", {**WORDS, "newsletter": "weekly"})
    assert (status, published["newsletter"]) == (201, "weekly")
    assert (await desk.post("/notices", {**WORDS, "newsletter": "weekly"}))[1] == published
    assert await desk.get(f"/notices/{published['id']}") == (200, published)
    listed = (await desk.get("/notices?newsletter=weekly&language=en"))[1]["notices"]
    assert listed[0] == published
    house = await subjects.house(desk.conn, desk.vault)
    event = (await consent.of_type(desk.conn, house, "notice.published"))[-1].content
    assert event["actor"] == "staff:api/desk"
    assert (await desk.get("/notices/" + "0" * 32))[0] == 404


# digests


async def test_an_editor_s_whole_road(desk: Desk) -> None:
    await world.confirmed(desk.conn, desk.vault, desk.weekly.wish(ANNA))
    await desk.publish("first", "second", "third")
    status, draft = await desk.post(
        "/digests", {"newsletter": "weekly", "introduction": {"en": "Hello.\n\nNews."}}
    )
    assert (status, draft["state"], draft["works"]) == (201, "draft", 3)
    path = f"/digests/weekly/{draft['number']}"
    ids = [each["id"] for each in draft["articles"]]
    status, edited = await desk.patch(
        path,
        {"order": ids[:0:-1], "later": [ids[0]], "pin": [ids[1]]},
        **{"If-Match": await desk.tag(path)},
    )
    assert (status, [each["id"] for each in edited["articles"]]) == (200, [ids[1], ids[2]])
    status, shown = await desk.get(f"{path}/preview")
    assert [each["language"] for each in shown["editions"]] == ["en", "ru"]
    assert "second" in shown["editions"][0]["text"]
    stale = await desk.tag(path)
    await desk.patch(path, {"introduction": {"en": "Hi."}}, **{"If-Match": stale})
    approve = {"despite_warnings": True}
    assert (await desk.post(f"{path}/approve", approve, **{"If-Match": stale}))[0] == 412
    assert (await desk.post(f"{path}/approve", approve))[0] == 428
    status, going = await desk.post(
        f"{path}/approve", approve, **{"If-Match": await desk.tag(path)}
    )
    assert (status, going["digest"]["state"]) == (200, "sending")
    assert going["digest"]["mails"]["waiting"] == 1
    assert going["digest"]["approved_by"] == "staff:api/desk"
    assert (await desk.post(f"{path}/pause"))[1]["state"] == "paused"
    assert (await desk.post(f"{path}/pause"))[0] == 409
    assert (await desk.post(f"{path}/resume"))[1]["state"] == "sending"
    assert (await desk.post(f"{path}/cancel"))[1]["state"] == "cancelled"
    assert (await desk.get("/digests?state=cancelled"))[1]["digests"][0]["number"] == 1
    told = await acts.listed(desk.conn, desk.vault, Filter(), before=None, most=50)
    done = [act.evidence["act"] for act in told if act.evidence.get("on") == "weekly/1"]
    assert done[::-1] == [
        *("digest.created", "digest.edited", "digest.edited", "digest.approved"),
        *("digest.paused", "digest.resumed", "digest.cancelled"),
    ]
    assert {act.actor for act in told if act.type == "staff.acted"} == {"staff:api/desk"}
    assert (await desk.post("/digests", {"newsletter": "weekly"}))[1]["works"] == 1


async def test_an_approved_digest_waits_for_its_time_and_can_be_recalled(desk: Desk) -> None:
    await desk.publish("first")
    await desk.post("/digests", {"newsletter": "weekly"})
    path, soon = "/digests/weekly/1", {"at": "2999-01-01T09:00:00+01:00", "despite_warnings": True}
    past = {"at": "2001-01-01T09:00:00Z"}
    anyway = {"If-Match": "*"}
    assert (await desk.post(f"{path}/approve", past, **anyway))[0] == 422
    assert (await desk.post(f"{path}/approve", soon, **anyway))[1]["digest"]["state"] == "approved"
    assert (await desk.post(f"{path}/recall"))[1]["state"] == "draft"


async def test_nothing_new_is_said_and_makes_no_digest(desk: Desk) -> None:
    assert (await desk.post("/digests", {"newsletter": "weekly"}))[0] == 409
    assert (await desk.post("/digests", {"newsletter": "nosuch"}))[0] == 422
    assert (await desk.get("/digests/weekly/1"))[0] == 404
    assert (await desk.get(f"/digests/weekly/{10**9 - 1}"))[0] == 404


async def test_a_test_mail_goes_to_the_staff_and_to_nobody_else(
    desk: Desk, conn: Connection, vault: Vault
) -> None:
    await desk.publish("first")
    await desk.post("/digests", {"newsletter": "weekly"})
    nina = await staff.add(conn, vault, "nina@example.org", "editor", None)
    path = "/digests/weekly/1/test"
    assert await desk.post(path, {"to": "Nina@example.org"}) == (200, {"status": "waiting"})
    assert await conn.fetchval("select staff from outbox where kind = 'trial'") == nina
    for nobody in (ANNA, "nobody"):
        status, problem = await desk.post(path, {"to": nobody})
        assert (status, problem["errors"][0]["field"]) == (422, "to")


# once


async def test_the_same_request_with_its_key_is_answered_the_same_and_done_once(
    desk: Desk,
) -> None:
    await desk.publish("first")
    key = {"Idempotency-Key": "a-key-of-mine"}
    first = await desk.post("/digests", {"newsletter": "weekly"}, **key)
    assert first[0] == 201
    await desk.publish("second")
    headers = {**desk.cms.headers, **key}
    async with desk.cms.client.post(
        f"{ROOT}/digests", json={"newsletter": "weekly"}, headers=headers
    ) as answer:
        assert (answer.status, await answer.json()) == first
        assert answer.headers["Idempotency-Replayed"] == "true"
        assert answer.headers["Location"].endswith("/digests/weekly/1")
        assert "ETag" in answer.headers
    status, problem = await desk.post("/digests", {"newsletter": "other"}, **key)
    assert (status, problem["errors"][0]["field"]) == (422, "Idempotency-Key")
    assert (await desk.post("/newsletters", NEWSLETTER, **key))[0] == 422
    other = Cms(desk.cms.client, await token(desk.conn, "other"))
    status, _ = await other.ask(
        "POST", f"{ROOT}/digests", json={"newsletter": "weekly"}, headers=key
    )
    assert status == 201  # another token's key is another key
    await desk.conn.execute("update answer set created_at = now() - interval '25 hours'")
    assert (await desk.post("/newsletters", NEWSLETTER, **key))[0] == 201


async def test_many_at_once_with_one_key_do_it_once(desk: Desk) -> None:
    key = {"Idempotency-Key": "k"}
    answers = await asyncio.gather(
        *(desk.post("/newsletters", NEWSLETTER, **key) for _ in range(8))
    )
    statuses = [status for status, _ in answers]
    assert set(statuses) <= {201, 409}
    assert 201 in statuses
    assert len({json.dumps(body) for status, body in answers if status == 201}) == 1
    assert (await desk.post("/newsletters", NEWSLETTER, **key))[0] == 201
    assert await desk.conn.fetchval("select count(*) from answer") == 1


async def test_what_was_refused_may_be_asked_again_with_its_key(desk: Desk) -> None:
    key = {"Idempotency-Key": "k"}
    assert (await desk.post("/digests", {"newsletter": "weekly"}, **key))[0] == 409
    await desk.publish("first")
    assert (await desk.post("/digests", {"newsletter": "weekly"}, **key))[0] == 201


@pytest.mark.parametrize("key", ["", "x" * 256, "with space", "ключ"])
async def test_a_key_is_some_visible_characters(desk: Desk, key: str) -> None:
    status, problem = await desk.post("/newsletters", NEWSLETTER, **{"Idempotency-Key": key})
    assert (status, problem["errors"][0]["field"]) == (422, "Idempotency-Key")


async def test_what_is_kept_of_a_request_names_nobody(desk: Desk) -> None:
    asked = {
        "email": ANNA,
        "newsletters": ["weekly"],
        "notice": desk.weekly.notices["en"].id,
        "consent": True,
    }
    await desk.post("/subscribers", asked, **{"Idempotency-Key": ANNA})
    kept = str((await site.content(desk.conn))["answer"])
    plain = hashlib.sha256(json.dumps(asked).encode()).hexdigest()
    assert "anna" not in kept
    assert plain not in kept


# subscribers


async def test_who_asks_through_a_program_comes_by_the_form_s_own_door(desk: Desk) -> None:
    asked = {
        "email": ANNA,
        "newsletters": ["weekly"],
        "notice": desk.weekly.notices["ru"].id,
        "consent": True,
        "language": "ru",
        "origin": site.SITE,
    }
    assert await desk.post("/subscribers", asked) == (202, {"status": "check_inbox"})
    await subscriptions.admit(desk.conn, desk.vault, HOURS, 50)
    (event,) = (await people.find(desk.conn, desk.vault, ANNA)).record
    assert (event.content["type"], event.content["actor"]) == (
        "subscription.requested", "subject")  # fmt: skip
    evidence = event.content["evidence"]
    assert (evidence["origin"], evidence["through"], evidence["form"]) == (
        site.SITE, "staff:api/desk", "api/1")  # fmt: skip
    assert (await desk.post("/subscribers", {**asked, "consent": False}))[0] == 422
    assert (await desk.post("/subscribers", {**asked, "email": "x"}))[0] == 422


async def test_no_answer_tells_whether_an_address_is_known(desk: Desk) -> None:
    await world.confirmed(desk.conn, desk.vault, desk.weekly.wish(ANNA))
    await suppressions.add(desk.conn, desk.vault, address.parse(BORIS), "person")
    asked = {
        "newsletters": ["weekly"],
        "notice": desk.weekly.notices["en"].id,
        "consent": True,
    }
    answers = [
        await desk.post("/subscribers", {**asked, "email": email})
        for email in (ANNA, BORIS, "new@example.org")
    ]
    assert answers == [(202, {"status": "check_inbox"})] * 3


async def test_networks_are_counted_as_at_the_form(desk: Desk) -> None:
    asked = {
        "newsletters": ["weekly"],
        "notice": desk.weekly.notices["en"].id,
        "consent": True,
        "ip": "192.0.2.17",
    }
    statuses = [
        (await desk.post("/subscribers", {**asked, "email": f"a{n}@example.org"}))[0]
        for n in range(22)
    ]
    assert 429 in statuses
    other = {**asked, "ip": "198.51.100.1", "email": ANNA}
    assert (await desk.post("/subscribers", other))[0] == 202


async def test_a_look_at_a_person_is_on_their_record_with_its_reason(desk: Desk) -> None:
    await world.confirmed(desk.conn, desk.vault, desk.weekly.wish(ANNA))
    asked = {"email": ANNA, "reason": "she asked"}
    status, person = await desk.post("/subscribers/lookup", asked)
    assert (status, person["subscriptions"][0]["state"]) == (200, "confirmed")
    last = (await people.find(desk.conn, desk.vault, ANNA)).record[-1].content
    assert (last["type"], last["actor"]) == ("staff.viewed", "staff:api/desk")
    assert last["evidence"]["reason"] == "she asked"
    assert (await desk.post("/subscribers/lookup", {"email": ANNA}))[0] == 422
    assert (await desk.post("/subscribers/lookup", {**asked, "email": BORIS}))[0] == 404


async def test_a_person_is_erased(desk: Desk) -> None:
    await world.confirmed(desk.conn, desk.vault, desk.weekly.wish(ANNA))
    asked = {"email": ANNA, "never_again": True}
    assert await desk.post("/subscribers/erase", asked) == (200, {"status": "erased"})
    assert await subscribers.by_address(desk.conn, desk.vault, address.parse(ANNA)) is None
    assert await suppressions.reason(desk.conn, desk.vault, address.parse(ANNA)) == "person"
    assert (await desk.post("/subscribers/erase", asked))[0] == 404


async def test_counts_hold_no_address(desk: Desk) -> None:
    await world.confirmed(desk.conn, desk.vault, desk.weekly.wish(ANNA))
    status, counted = await desk.get("/subscribers/counts")
    assert (status, counted["counts"]) == (
        200, [{"newsletter": "weekly", "language": "en", "state": "confirmed", "count": 1}]
    )  # fmt: skip


# extracts


@pytest.mark.parametrize("path", ["/consent/export", "/subscribers/export"])
async def test_an_extract_is_streamed_and_on_record_before_and_after(desk: Desk, path: str) -> None:
    for email in (ANNA, BORIS):
        await world.confirmed(desk.conn, desk.vault, desk.weekly.wish(email))
    asked = {"format": "csv", "reason": "the board asks", "newsletter": "weekly"}
    status, text = await desk.post(path, asked)
    assert status == 200
    assert "example.org" not in text.replace("site.example.org", "")
    lines = list(csv.reader(io.StringIO(text, newline="")))
    house = await subjects.house(desk.conn, desk.vault)
    begun, ended = (
        event.content["evidence"]
        for event in await consent.of_type(desk.conn, house, "staff.exported")
    )
    assert (begun["stage"], begun["reason"], begun["addresses"]) == (
        "begun", "the board asks", False)  # fmt: skip
    assert (ended["stage"], ended["rows"]) == ("ended", len(lines) - 1)
    assert ended["sha256"] == hashlib.sha256(text.encode()).hexdigest()
    named = {**asked, "format": "jsonl", "with_addresses": True}
    status, text = await desk.post(path, named)
    assert {json.loads(line)["email"] for line in text.splitlines()} == {ANNA, BORIS}


async def test_addresses_need_a_scope_of_their_own(desk: Desk) -> None:
    words = await token(desk.conn, "plain", "consent:export", "subscribers:export")
    plain = Cms(desk.cms.client, words)
    asked = {"format": "csv", "reason": "x", "with_addresses": True}
    for path in ("/consent/export", "/subscribers/export"):
        assert (await plain.ask("POST", ROOT + path, json=asked))[0] == 403
    house = await subjects.house(desk.conn, desk.vault)
    assert await consent.of_type(desk.conn, house, "staff.exported") == []


async def test_an_extract_that_breaks_off_shows_and_says_so(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aiohttp import ClientError

    await world.confirmed(desk.conn, desk.vault, desk.weekly.wish(ANNA))

    async def broken(*_: object, **__: object) -> AsyncIterator[str]:
        yield "header\r\n"
        raise OSError("gone")

    from mailer import extracts

    monkeypatch.setattr(extracts, "lines", broken)
    with pytest.raises(ClientError):
        await desk.post("/consent/export", {"format": "csv", "reason": "x"})
    house = await subjects.house(desk.conn, desk.vault)
    told = [
        e.content["evidence"] for e in await consent.of_type(desk.conn, house, "staff.exported")
    ]
    assert [each["stage"] for each in told] == ["begun", "broken off"]


# a token for one newsletter


async def test_a_token_for_one_newsletter_sees_and_does_nothing_of_others(
    desk: Desk, conn: Connection
) -> None:
    other = await newsletters.add(conn, "other", {"en": "Other"}, fallback="en")
    narrow = Cms(desk.cms.client, await token(conn, "narrow", newsletter=other.id))
    await desk.publish("first")
    await desk.post("/digests", {"newsletter": "weekly"})
    await world.confirmed(conn, desk.vault, desk.weekly.wish(ANNA))
    status, listed = await narrow.get(f"{ROOT}/newsletters")
    assert [each["slug"] for each in listed["newsletters"]] == ["other"]
    for path in ("/newsletters/weekly", "/digests/weekly/1", "/digests/weekly/1/preview"):
        assert (await narrow.get(ROOT + path))[0] == 404
    for path in ("/digests?newsletter=weekly", "/subscribers/counts?newsletter=weekly"):
        assert (await narrow.get(ROOT + path))[0] == 403
    assert (await narrow.get(f"{ROOT}/digests"))[1]["digests"] == []
    assert (await narrow.get(f"{ROOT}/subscribers/counts"))[1]["counts"] == []
    for path, body in (
        ("/digests", {"newsletter": "weekly"}),
        ("/newsletters", NEWSLETTER),
        ("/notices", WORDS),
        ("/notices", {**WORDS, "newsletter": "weekly"}),
        ("/subscribers/erase", {"email": ANNA}),
        (
            "/subscribers",
            {
                "email": BORIS,
                "newsletters": ["weekly"],
                "notice": desk.weekly.notices["en"].id,
                "consent": True,
            },
        ),
        ("/consent/export", {"format": "csv", "reason": "x", "newsletter": "weekly"}),
    ):
        assert (await narrow.ask("POST", ROOT + path, json=body))[0] == 403, path
    status, text = await narrow.ask(
        "POST", f"{ROOT}/consent/export", json={"format": "jsonl", "reason": "x"}
    )
    assert (status, text) == (200, "")
    asked = {"email": ANNA, "reason": "x"}
    status, person = await narrow.ask("POST", f"{ROOT}/subscribers/lookup", json=asked)
    assert (status, person["subscriptions"]) == (200, [])
