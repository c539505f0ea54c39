"""The API as another program meets it: a token, JSON over a real socket, problem details."""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it has no types
import pytest
from aiohttp import ClientResponse

from mailer import access, digests, limits, newsletters
from mailer.access import SCOPES
from mailer.db import Connection, Pool
from mailer.errors import Conflict
from mailer.newsletters import Newsletter
from mailer.vault import Vault
from mailer.web import api
from mailer.web.api import answering
from mailer.web.api.operation import Operation
from tests import site

ARTICLES = "/api/v1/articles"
FILES: list[dict[str, object]] = [
    {
        "name": "Приказ №660.pdf",
        "url": "https://example.org/660.pdf",
        "type": "application/pdf",
        "size": 311296,
        "language": "ru",
    },
    {"name": "Annex", "url": "https://example.org/annex"},
]
GIVEN = {
    "newsletter": "weekly",
    "external_id": "order-660-ru",
    "language": "ru",
    "title": "Приказ №660",
    "url": "https://example.org/ru/660",
    "summary": '<p onclick="x()">Что <b>изменилось</b>.</p><script>x()</script>',
    "published_at": "2026-03-01T12:00:00+03:00",
    "work": "order-660",
    "image": {"url": "https://example.org/660.jpg", "alt": "Здание суда"},
    "attachments": FILES,
    "download_all": {"url": "https://example.org/660.zip", "type": "application/zip", "size": 9},
    "categories": ["prisons"],
    "related": [{"title": "Приказ №659", "url": "https://example.org/ru/659"}],
}


class Cms:
    """Another program with a token; every answer is held against what the API says of itself."""

    def __init__(self, client: site.Client, words: str) -> None:
        self.client = client
        self.headers = {"Authorization": f"Bearer {words}"}

    async def ask(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        headers = {**self.headers, **more.pop("headers", {})}
        async with self.client.request(method, path, headers=headers, **more) as answer:
            return answer.status, await checked(method, path, answer)

    async def post(self, given: Mapping[str, object], **more: object) -> tuple[int, Any]:
        return await self.ask("POST", ARTICLES, json={**given, **more})

    async def get(self, path: str) -> tuple[int, Any]:
        return await self.ask("GET", path)


SPECIFICATION = api.specification("http://news.example.org")


def operation(method: str, path: str) -> Operation:
    """The one that a request is answered by."""
    known = path.partition("?")[0]
    return next(
        each
        for each in api.OPERATIONS
        if each.method == method.replace("HEAD", "GET")
        and re.fullmatch(re.sub(r"\{\w+:(.*?)\}(?=/|$)", r"\1", each.route), known)
    )


async def checked(method: str, path: str, answer: ClientResponse) -> Any:
    """The body, which must be as the document says; and so must the headers."""
    found = operation(method, path)
    said = SPECIFICATION["paths"][found.path][method.lower()]["responses"][str(answer.status)]
    for name in said.get("headers", ()):
        assert name in answer.headers
    if "content" not in said:
        return await answer.read()
    assert answer.content_type in said["content"]
    schema = said["content"][answer.content_type]["schema"]
    if answer.content_type not in ("application/json", "application/problem+json"):
        return await answer.text()
    body = await answer.json(content_type=None)
    jsonschema.Draft202012Validator({**schema, "components": SPECIFICATION["components"]}).validate(
        body
    )
    return body


@pytest.fixture
async def weekly(conn: Connection) -> Newsletter:
    titles = {"en": "Weekly", "ru": "Еженедельник"}
    return await newsletters.add(conn, "weekly", titles, fallback="en")


@pytest.fixture
async def client(pool: Pool, vault: Vault) -> AsyncIterator[site.Client]:
    async with site.opened(pool, vault) as opened:
        yield opened


async def issued(conn: Connection, name: str, *scopes: str, newsletter: int | None = None) -> str:
    _, words = await access.issue(
        conn, name, scopes or SCOPES, 30, newsletter=newsletter, by="staff:anna"
    )
    return words


@pytest.fixture
async def cms(conn: Connection, client: site.Client, weekly: Newsletter) -> Cms:
    return Cms(client, await issued(conn, "cms"))


async def test_it_speaks_the_languages_of_the_desk_alone(cms: Cms) -> None:
    said = [
        await cms.ask("GET", f"{ARTICLES}/660", headers={"Accept-Language": wanted})
        for wanted in ("ru", "uk, pl, kk, fr, de, ar, ru;q=0.1", "uk")
    ]
    details = [body["detail"] for _, body in said]
    assert details == [
        "Статьи 660 нет.",
        "Статьи 660 нет.",
        "There is no article 660.",
    ]


# articles


async def test_an_article_is_added_and_read_back_whole(cms: Cms) -> None:
    status, added = await cms.post(GIVEN)
    assert status == 201
    apart = ("summary", "published_at", "attachments")
    assert {k: added[k] for k in GIVEN if k not in apart} == {
        k: v for k, v in GIVEN.items() if k not in apart
    }
    unsaid = {"type": None, "size": None, "language": None}
    assert added["attachments"] == [{**unsaid, **file} for file in FILES]
    assert added["summary"] == "<p>Что <b>изменилось</b>.</p>"
    assert added["published_at"] == "2026-03-01T09:00:00+00:00"
    assert (added["revised_at"], added["withdrawn_at"], added["held"]) == (None, None, False)
    assert await cms.get(f"{ARTICLES}/{added['id']}") == (200, added)


async def test_where_it_is_is_said(cms: Cms) -> None:
    async with cms.client.post(ARTICLES, json=GIVEN, headers=cms.headers) as answer:
        location = answer.headers["Location"]
    assert location.startswith("http://news.example.org/api/v1/articles/")
    assert (await cms.get(location.removeprefix("http://news.example.org")))[0] == 200


async def test_the_same_again_changes_nothing(cms: Cms) -> None:
    _, first = await cms.post(GIVEN)
    assert await cms.post(GIVEN) == (200, first)


async def test_many_at_once_make_one_article(cms: Cms) -> None:
    answers = await asyncio.gather(*(cms.post(GIVEN) for _ in range(8)))
    assert sorted(status for status, _ in answers) == [200] * 7 + [201]
    assert len({body["id"] for _, body in answers}) == 1


async def test_a_correction_keeps_its_place_and_is_never_sent_again(
    conn: Connection, cms: Cms, weekly: Newsletter
) -> None:
    _, first = await cms.post(GIVEN)
    await digests.create(conn, weekly, "weekly", by="staff:anna")
    status, corrected = await cms.post(GIVEN, title="Приказ №660, уточнение", attachments=[])
    assert (status, corrected["id"], corrected["attachments"]) == (200, first["id"], [])
    assert corrected["revised_at"] is not None
    with pytest.raises(Conflict, match="Nothing new"):
        await digests.create(conn, weekly, "weekly", by="staff:anna")


async def test_translations_are_tied(cms: Cms) -> None:
    _, russian = await cms.post(GIVEN)
    english = {"external_id": "order-660-en", "language": "en", "title": "Order 660"}
    _, english = await cms.post(GIVEN, **english)
    assert english["translations"] == {"ru": russian["id"]}
    _, russian = await cms.get(f"{ARTICLES}/{russian['id']}")
    assert russian["translations"] == {"en": english["id"]}
    status, problem = await cms.post(GIVEN, external_id="order-660-ru-2")
    assert (status, problem["errors"][0]["field"]) == (409, "work")


async def test_a_withdrawn_article_is_in_no_digest(
    conn: Connection, cms: Cms, weekly: Newsletter
) -> None:
    _, added = await cms.post(GIVEN)
    path = f"{ARTICLES}/{added['id']}"
    status, gone = await cms.ask("DELETE", path)
    assert (status, gone["withdrawn_at"] is not None) == (200, True)
    assert await cms.ask("DELETE", path) == (200, gone)
    with pytest.raises(Conflict, match="Nothing new"):
        await digests.create(conn, weekly, "weekly", by="staff:anna")
    _, still = await cms.post(GIVEN)
    assert still["withdrawn_at"] == gone["withdrawn_at"]  # a sync that runs late
    _, back = await cms.post(GIVEN, withdrawn=False)
    assert back["withdrawn_at"] is None
    assert (await cms.post(GIVEN, withdrawn=True))[1]["withdrawn_at"] is not None


async def test_pages_of_articles_lead_on_to_the_end(cms: Cms) -> None:
    for number in range(5):
        await cms.post({**GIVEN, "work": None}, external_id=f"a/{number}?x=y&z")
    seen, path = [], f"{ARTICLES}?newsletter=weekly&limit=2"
    while path:
        status, body = await cms.get(path)
        assert status == 200
        seen += [article["external_id"] for article in body["articles"]]
        path = (body["next"] or "").removeprefix("http://news.example.org")
    assert seen == [f"a/{number}?x=y&z" for number in range(4, -1, -1)]


async def test_an_article_is_found_by_the_id_its_site_gave_it(cms: Cms) -> None:
    await cms.post(GIVEN)
    _, body = await cms.get(f"{ARTICLES}?newsletter=weekly&external_id=order-660-ru")
    assert [article["title"] for article in body["articles"]] == [GIVEN["title"]]
    assert (await cms.get(f"{ARTICLES}?external_id=other"))[1] == {"articles": [], "next": None}


# what is wrong


async def test_all_that_is_wrong_is_named_and_nothing_is_stored(cms: Cms) -> None:
    status, problem = await cms.post(GIVEN, title="", url="/660", related=[{"title": "x"}], x=1)
    assert (status, problem["type"], problem["title"]) == (
        422,
        "about:blank",
        "Unprocessable Entity",
    )
    assert {error["field"] for error in problem["errors"]} == {
        "title",
        "url",
        "related[0].url",
        "x",
    }
    assert (await cms.get(ARTICLES))[1]["articles"] == []


@pytest.mark.parametrize("newsletter", [None, 17, "monthly", "", "a\x00b"])
async def test_a_newsletter_that_is_none_is_named(cms: Cms, newsletter: object) -> None:
    status, problem = await cms.post(GIVEN, newsletter=newsletter)
    assert (status, problem["errors"][0]["field"]) == (422, "newsletter")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"17", b"\xff", b"[" * 100_000, b'{"a": ' + b"9" * 5_000 + b"}"]
)
async def test_what_is_no_object_is_refused(cms: Cms, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    status, problem = await cms.ask("POST", ARTICLES, data=body, headers=headers)
    assert (status, problem["status"]) == (400, 400)


async def test_other_types_are_refused(cms: Cms) -> None:
    assert (await cms.ask("POST", ARTICLES, data={"title": "x"}))[0] == 415


async def test_a_body_without_end_is_refused_at_the_limit(cms: Cms) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(3 * answering.BODY_BYTES // 65536):
            yield b" " * 65536

    headers = {"Content-Type": "application/json"}
    assert (await cms.ask("POST", ARTICLES, data=endless(), headers=headers))[0] == 413


async def test_the_largest_article_fits(cms: Cms) -> None:
    url = "https://example.org/" + "x" * 1_900
    files = [{"name": "я" * 200, "url": f"{url}{n}"} for n in range(100)]
    related = [{"title": "я" * 500, "url": url}] * 20
    text = "<p>" + "слово " * 3_000 + "</p>"
    status, body = await cms.post(GIVEN, attachments=files, related=related, summary=text)
    assert (status, len(body["attachments"])) == (201, 100)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("limit=%D9%A3", "limit"),
        ("before=-1", "before"),
        ("before=" + "9" * 30, "before"),
        ("external_id=a%00b", "external_id"),
        ("external_id=" + "x" * 501, "external_id"),
        ("newsletter=monthly", "newsletter"),
        ("newsletter=%00", "newsletter"),
    ],
)
async def test_questions_that_make_no_sense_are_refused(cms: Cms, query: str, field: str) -> None:
    status, problem = await cms.get(f"{ARTICLES}?{query}")
    assert (status, problem["errors"][0]["field"]) == (422, field)


async def test_what_is_not_there_is_said_in_problem_details(cms: Cms) -> None:
    assert (await cms.get(f"{ARTICLES}/17"))[0] == 404
    for method, path, status in (
        ("GET", "/api/v1/nothing", 404),
        ("GET", f"{ARTICLES}/x", 404),
        ("GET", f"{ARTICLES}/{'9' * 30}", 404),
        ("PUT", ARTICLES, 405),
    ):
        async with cms.client.request(method, path, headers=cms.headers) as answer:
            assert (answer.status, answer.content_type) == (status, "application/problem+json")
            assert (await answer.json(content_type=None))["status"] == status


# who may


@pytest.mark.parametrize("shown", [None, "Bearer", "Bearer x", "Basic eDp5", "Bearer mailer_1_x"])
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ARTICLES), ("POST", ARTICLES), ("GET", f"{ARTICLES}/1"), ("DELETE", f"{ARTICLES}/1")],
)
async def test_without_a_token_there_is_nothing(
    client: site.Client, method: str, path: str, shown: str | None
) -> None:
    headers = {"Authorization": shown} if shown else {}
    async with client.request(method, path, headers=headers, json=GIVEN) as answer:
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        await checked(method, path, answer)


async def test_a_token_does_what_its_scopes_say(
    conn: Connection, client: site.Client, cms: Cms
) -> None:
    _, added = await cms.post(GIVEN)
    one = f"{ARTICLES}/{added['id']}"
    reader = Cms(client, await issued(conn, "reader", "articles:read"))
    writer = Cms(client, await issued(conn, "writer", "articles:write"))
    assert (await reader.get(one))[0] == (await reader.get(ARTICLES))[0] == 200
    assert (await reader.post(GIVEN))[0] == (await reader.ask("DELETE", one))[0] == 403
    assert (await writer.get(one))[0] == (await writer.get(ARTICLES))[0] == 403
    assert (await writer.post(GIVEN))[0] == (await writer.ask("DELETE", one))[0] == 200


async def test_a_token_for_one_newsletter_knows_no_other(
    conn: Connection, client: site.Client, cms: Cms, weekly: Newsletter
) -> None:
    daily = await newsletters.add(conn, "daily", {"en": "Daily"}, fallback="en")
    _, added = await cms.post(GIVEN)
    other = Cms(client, await issued(conn, "other", newsletter=daily.id))
    one = f"{ARTICLES}/{added['id']}"
    assert (await other.post(GIVEN))[0] == 403
    assert (await other.get(one))[0] == (await other.ask("DELETE", one))[0] == 404
    assert (await other.get(ARTICLES))[1]["articles"] == []
    assert (await other.get(f"{ARTICLES}?newsletter=weekly"))[0] == 403
    assert (await other.post(GIVEN, newsletter="daily"))[0] == 201


async def test_a_token_that_asks_too_often_waits_and_others_do_not(
    conn: Connection, client: site.Client, cms: Cms
) -> None:
    token = next(t for t in await access.all_(conn) if t.name == "cms")
    for ahead in (0, answering.WINDOW_SECONDS):  # whichever window the request falls into
        await conn.execute(
            "insert into hit (key, window_start, count) values ($1, to_timestamp(floor("
            "extract(epoch from now()) / $2) * $2 + $3), $4)",
            *(f"api {token.id}".encode(), answering.WINDOW_SECONDS, ahead, answering.REQUESTS),
        )
    async with client.get(ARTICLES, headers=cms.headers) as answer:
        assert answer.status == 429
        assert 1 <= int(answer.headers["Retry-After"]) <= answering.WINDOW_SECONDS
        await checked("GET", ARTICLES, answer)
    other = Cms(client, await issued(conn, "other"))
    assert (await other.get(ARTICLES))[0] == 200


async def test_no_token_is_logged(
    pool: Pool, vault: Vault, cms: Cms, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        await cms.post(GIVEN)
        await cms.post({})
        await cms.get(f"{ARTICLES}/1")
    assert "mailer_" not in caplog.text


async def test_a_fault_of_ours_is_a_problem_too(cms: Cms, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> int:
        raise RuntimeError("of ours")

    monkeypatch.setattr(limits, "count", broken)
    status, problem = await cms.get(ARTICLES)
    assert status == 500
    assert "of ours" not in json.dumps(problem)


# what it says of itself


async def test_it_describes_exactly_what_it_serves(client: site.Client) -> None:
    """HEAD goes along with GET, and OPTIONS with everything."""
    served = {
        (route.method, route.resource.canonical.removeprefix("/api/v1"))
        for route in client.app.router.routes()
        if route.resource is not None and route.resource.canonical.startswith("/api/v1")
    }
    described = {
        (method.upper(), path)
        for path, methods in SPECIFICATION["paths"].items()
        for method in methods
        if method != "parameters"
    }
    assert {(m, path) for m, path in served if m not in ("HEAD", "OPTIONS")} == described
    for extra, of in (("HEAD", {"GET"}), ("OPTIONS", {"GET", "POST", "PATCH", "DELETE"})):
        beside = {path for method, path in served if method == extra}
        assert beside == {path for method, path in described if method in of}


def test_it_describes_exactly_the_fields_that_are_taken() -> None:
    from mailer.articles import given

    schemas = SPECIFICATION["components"]["schemas"]
    assert set(schemas["Given"]["properties"]) == {"newsletter", *given.FIELDS}
    for name, fields in (
        ("File", given.FILE_FIELDS),
        ("Image", given.IMAGE_FIELDS),
        ("Bundle", given.BUNDLE_FIELDS),
        ("Related", given.RELATED_FIELDS),
    ):
        assert set(schemas[name]["properties"]) == set(fields)
        jsonschema.Draft202012Validator.check_schema(schemas[name])


async def test_its_description_is_there_for_everybody(client: site.Client) -> None:
    async with client.get("/api/v1/openapi.json") as answer:
        body = await checked("GET", "/api/v1/openapi.json", answer)
    assert body["openapi"].startswith("3.1")
    validator = jsonschema.Draft202012Validator(
        {"$ref": "#/components/schemas/Given", "components": body["components"]}
    )
    validator.validate(GIVEN)
