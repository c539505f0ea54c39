"""Articles: what comes in is cleaned, kept once and brought up to date in its place."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer import articles, feeds, newsletters
from mailer.articles import (
    Article,
    Attachment,
    Bundle,
    Draft,
    Enclosed,
    Image,
    Related,
    clean,
    from_json,
    from_object,
)
from mailer.articles.cleaning import address, cut_markup, language, media_type, words
from mailer.articles.given import FIELDS
from mailer.db import Connection
from mailer.errors import Conflict, Invalid, Several
from mailer.newsletters import Newsletter

BASE = "https://example.org/news/17"
ORDER = Enclosed("Приказ №660.pdf", "https://example.org/660.pdf", "application/pdf", 311_296, "ru")
DRAFT = Draft("17", "Court ruling", "en", BASE, "<p>Today.</p>", attachments=(ORDER,))


@pytest.fixture
async def weekly(conn: Connection) -> Newsletter:
    titles = {"en": "Weekly", "ru": "Еженедельник", "pt-BR": "Semanal"}
    return await newsletters.add(conn, "weekly", titles, fallback="en")


async def kept(conn: Connection) -> list[Article]:
    columns = (
        "id, newsletter, feed, external_id, language, title, url, summary, published_at, "
        "seen_at, known, work, image_url, image_alt, bundle_url, bundle_type, bundle_size, "
        "categories, related, revised_at, withdrawn_at, held"
    )
    return [
        Article(**row) for row in await conn.fetch(f"select {columns} from article order by id")
    ]


# keeping


async def test_an_article_is_kept_as_it_came(conn: Connection, weekly: Newsletter) -> None:
    added = await articles.add(conn, weekly.id, DRAFT)
    assert added.new
    (article,) = await kept(conn)
    assert (article.id, article.external_id, article.language) == (added.id, "17", "en")
    assert (article.title, article.url, article.summary) == (DRAFT.title, BASE, DRAFT.summary)
    assert not article.known
    attached = await articles.attachments_of(conn, [article.id])
    assert attached == {article.id: [Attachment(article.id, 1, **vars(ORDER))]}


async def test_the_same_id_again_updates_in_place(conn: Connection, weekly: Newsletter) -> None:
    first = await articles.add(conn, weekly.id, DRAFT)
    await articles.add(conn, weekly.id, replace(DRAFT, external_id="18"))
    again = await articles.add(conn, weekly.id, replace(DRAFT, title="Court ruling, corrected"))
    assert (again.id, again.new, again.changed) == (first.id, False, True)
    assert [a.title for a in await kept(conn)] == ["Court ruling, corrected", "Court ruling"]


async def test_what_is_the_same_is_not_written_again(conn: Connection, weekly: Newsletter) -> None:
    first = await articles.add(conn, weekly.id, DRAFT)
    before = await conn.fetch(
        "select xmin::text from article union all select xmin::text from attachment"
    )
    again = await articles.add(conn, weekly.id, DRAFT)
    assert (again.id, again.new, again.changed) == (first.id, False, False)
    after = await conn.fetch(
        "select xmin::text from article union all select xmin::text from attachment"
    )
    assert before == after


async def test_attachments_are_replaced(conn: Connection, weekly: Newsletter) -> None:
    other = Enclosed("Annex", "https://example.org/annex")
    first = await articles.add(conn, weekly.id, replace(DRAFT, attachments=(ORDER, other)))
    again = await articles.add(conn, weekly.id, replace(DRAFT, attachments=(other,)))
    assert again.changed
    attached = (await articles.attachments_of(conn, [first.id]))[first.id]
    assert [(a.name, a.type, a.size, a.language) for a in attached] == [("Annex", None, None, None)]


async def test_an_update_does_not_make_a_known_article_news(
    conn: Connection, weekly: Newsletter
) -> None:
    await articles.add(conn, weekly.id, DRAFT, known=True)
    await articles.add(conn, weekly.id, replace(DRAFT, title="Changed"))
    (article,) = await kept(conn)
    assert article.known


async def test_newsletters_do_not_share_ids(conn: Connection, weekly: Newsletter) -> None:
    daily = await newsletters.add(conn, "daily", {"en": "Daily"}, fallback="en")
    assert (await articles.add(conn, weekly.id, DRAFT)).new
    assert (await articles.add(conn, daily.id, DRAFT)).new


async def test_everything_an_article_has_is_kept(conn: Connection, weekly: Newsletter) -> None:
    whole = replace(
        DRAFT,
        work="ruling",
        image=Image("https://example.org/court.jpg", "The court"),
        bundle=Bundle("https://example.org/all.zip", "application/zip", 5),
        categories=("courts", "prisons"),
        related=(Related("Earlier", "https://example.org/16"),),
    )
    await articles.add(conn, weekly.id, whole)
    (article,) = await kept(conn)
    assert (article.work, article.image_url, article.image_alt) == (
        "ruling",
        "https://example.org/court.jpg",
        "The court",
    )
    assert (article.bundle_url, article.bundle_type, article.bundle_size) == (
        "https://example.org/all.zip",
        "application/zip",
        5,
    )
    assert article.categories == ["courts", "prisons"]
    assert article.related == [{"title": "Earlier", "url": "https://example.org/16"}]
    assert not (await articles.add(conn, weekly.id, whole)).changed
    for change in (
        {"image": None},
        {"bundle": Bundle("https://example.org/all.zip")},
        {"categories": ("prisons", "courts")},
        {"related": ()},
        {"attachments": ()},
        {"work": None},
    ):
        assert (await articles.add(conn, weekly.id, replace(whole, **change))).changed, change


async def test_a_correction_says_when(conn: Connection, weekly: Newsletter) -> None:
    await articles.add(conn, weekly.id, DRAFT)
    await articles.add(conn, weekly.id, DRAFT)
    assert (await kept(conn))[0].revised_at is None
    await articles.add(conn, weekly.id, replace(DRAFT, attachments=()))
    revised = (await kept(conn))[0].revised_at
    assert revised is not None
    await articles.add(conn, weekly.id, replace(DRAFT, title="Changed", attachments=()))
    again = (await kept(conn))[0].revised_at
    assert again is not None
    assert again > revised


async def test_translations_share_a_work_and_no_language_has_it_twice(
    conn: Connection, weekly: Newsletter
) -> None:
    english, russian = (
        replace(DRAFT, external_id=f"17-{tag}", language=tag, work="17") for tag in ("en", "ru")
    )
    for draft in (english, russian, english):
        await articles.add(conn, weekly.id, draft)
    assert [(a.work, a.language) for a in await kept(conn)] == [("17", "en"), ("17", "ru")]
    with pytest.raises(Conflict) as refused:
        await articles.add(conn, weekly.id, replace(english, external_id="18", language="en-GB"))
    assert refused.value.field == "work"
    await articles.add(conn, weekly.id, replace(english, withdrawn=True))
    assert (await articles.add(conn, weekly.id, replace(english, external_id="18"))).new


async def test_what_is_withdrawn_stays_so_until_it_is_said_otherwise(
    conn: Connection, weekly: Newsletter
) -> None:
    async def withdrawn(draft: Draft) -> bool:
        await articles.add(conn, weekly.id, draft)
        return (await kept(conn))[0].withdrawn_at is not None

    assert not await withdrawn(DRAFT)
    assert await withdrawn(replace(DRAFT, withdrawn=True))
    assert await withdrawn(replace(DRAFT, title="Changed"))
    assert not await withdrawn(replace(DRAFT, withdrawn=False))
    assert not (await articles.add(conn, weekly.id, replace(DRAFT, withdrawn=False))).changed


async def test_a_feed_changes_only_what_it_brought(conn: Connection, weekly: Newsletter) -> None:
    first, second = [
        (await feeds.add(conn, weekly.id, f"https://example.org/{n}.xml")).id for n in (1, 2)
    ]
    await articles.add(conn, weekly.id, DRAFT, feed=first)
    other = replace(DRAFT, title="Told otherwise", attachments=())
    assert not (await articles.add(conn, weekly.id, other, feed=second)).changed
    assert (await articles.add(conn, weekly.id, other, feed=first)).changed
    by_hand = replace(DRAFT, title="Told by a person")
    assert (await articles.add(conn, weekly.id, by_hand)).changed
    assert not (await articles.add(conn, weekly.id, other, feed=first)).changed
    (article,) = await kept(conn)
    assert (article.title, article.feed) == ("Told by a person", None)
    assert len((await articles.attachments_of(conn, [article.id]))[article.id]) == 1


@pytest.mark.parametrize(
    ("said", "kept_as"),
    [("en-GB", "en"), ("RU", "ru"), ("pt-BR", "pt-BR"), ("pt-PT", "pt-PT"), (None, "en")],
)
async def test_a_language_is_spelt_as_the_newsletter_spells_it(
    conn: Connection, weekly: Newsletter, said: str | None, kept_as: str
) -> None:
    await articles.add(conn, weekly.id, replace(DRAFT, language=said))
    (article,) = await kept(conn)
    assert article.language == kept_as


# cleaning


@pytest.mark.parametrize(
    ("markup", "cleaned"),
    [
        ("<script>alert(1)</script>hello", "hello"),
        ("<style>p{}</style><p style='color:red' class=x onclick=y>hi</p>", "<p>hi</p>"),
        ("<img src=x onerror=alert(1)>text", "text"),
        ("<svg><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>after", "after"),
        ("<iframe src='https://example.org'>in</iframe>out", "out"),
        ("<form><input name=email><button>Go</button></form>", "Go"),
        ('<a href="javascript:alert(1)">x</a>', "<a>x</a>"),
        ('<a href="java\nscript:alert(1)">x</a>', "<a>x</a>"),
        ('<a href="data:text/html,x">x</a>', "<a>x</a>"),
        ('<a href="vbscript:x">x</a>', "<a>x</a>"),
        ('<a href="/a?b=1&c=2">x</a>', '<a href="https://example.org/a?b=1&amp;c=2">x</a>'),
        ('<a href="other">x</a>', '<a href="https://example.org/news/other">x</a>'),
        ('<a href="">x</a>', "<a>x</a>"),
        ('<a href="//host.example/x">x</a>', '<a href="https://host.example/x">x</a>'),
        ('<a href="\\\\host.example\\x">x</a>', '<a href="https://host.example/x">x</a>'),
        ('<a href="mailto:anna@example.org">x</a>', '<a href="mailto:anna@example.org">x</a>'),
        ('<a href="https://u:p@example.org/">x</a>', '<a href="https://example.org/">x</a>'),
        (
            "<a href='https://пример.рф/дело №1'>x</a>",
            '<a href="https://xn--e1afmkfd.xn--p1ai/%D0%B4%D0%B5%D0%BB%D0%BE%20%E2%84%961">x</a>',
        ),
        ("<p>open <b>bold", "<p>open <b>bold</b></p>"),
        ("a\x00b\x07c\u202edet", "abcdet"),
        ("a&#3;b&#x202e;c&#0;d", "abc\ufffdd"),
        ("<p>1 &lt; 2 &amp; 3</p><!-- x -->", "<p>1 &lt; 2 &amp; 3</p>"),
        ('<p lang="ar" dir="rtl">مرحبا</p>', '<p lang="ar" dir="rtl">مرحبا</p>'),
        ("{{ 7 * 7 }} {% raise %}", "{{ 7 * 7 }} {% raise %}"),
    ],
)
def test_html_is_cleaned(markup: str, cleaned: str) -> None:
    assert clean(markup, BASE) == cleaned


def test_without_a_base_relative_links_are_dropped() -> None:
    markup = '<a href="/x">a</a><a href="//host/x">b</a><a href="https://example.org/">c</a>'
    assert clean(markup, None) == '<a>a</a><a>b</a><a href="https://example.org/">c</a>'


def test_cleaning_twice_changes_nothing() -> None:
    once = clean("<div>1 &amp;lt; 2 <a href='/x?a=1&b=%20 2'>&quot;x&quot;</a>", BASE)
    assert clean(once, BASE) == once


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("Fish &amp; chips", "Fish & chips"),
        ("Fish &amp;amp; chips", "Fish &amp; chips"),
        ("H<sub>2</sub>O &#8212; a <b>test</b>", "H2O — a test"),
        ("One<br>two<p>three</p>", "One two three"),
        ("Нов\u00adый\u202e закон\n  сегодня", "Нов\u00adый закон сегодня"),
        ("a<script>b</script>c", "ac"),
        ("می\u200cخواهم", "می\u200cخواهم"),
    ],
)
def test_titles_become_one_line_of_text(markup: str, text: str) -> None:
    assert words(markup) == text


def test_what_is_too_long_is_cut_with_its_tags_closed() -> None:
    long = clean("<ul>" + "<li><b>слово &amp; дело</b></li>" * 2_000, None)
    short = cut_markup(long)
    assert 9_000 < len(short) <= 20_000
    assert short.endswith("</ul>")
    assert "…" in short
    assert clean(short, None) == short


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "/x",
        "//x",
        "ftp://example.org/x",
        "https://",
        "https://[x",
        "http://a:b/",
        "example.org/x",
        "https://example.org/" + "x" * 2_000,
        "javascript:alert(1)",
        "mailto:anna@example.org",
    ],
)
def test_what_is_no_web_address_is_none(text: str) -> None:
    assert address(text) is None


def test_languages_and_media_types_are_spelt_one_way() -> None:
    assert [language(t) for t in ("EN", "pt_br", "zh-hant-tw", "English", "", None, "x" * 99)] == [
        "en",
        "pt-BR",
        "zh-hant-TW",
        None,
        None,
        None,
        None,
    ]
    assert media_type("Application/PDF; name=x") == "application/pdf"
    assert media_type("pdf") is None


# JSON


GIVEN = {
    "external_id": "17",
    "language": "en-GB",
    "title": "Fish &amp; chips",
    "url": BASE,
    "summary": '<p onclick=x>See <a href="../annex">annex</a></p>',
    "published_at": "2026-03-01T12:00:00+03:00",
    "attachments": [{"name": "Приказ №660.pdf", "url": "https://example.org/660.pdf", "size": 1}],
    "work": "17",
    "image": {"url": "https://example.org/court.jpg", "alt": "The\ncourt"},
    "download_all": {"url": "https://example.org/all.zip", "type": "application/zip"},
    "categories": ["courts", "prisons", "courts"],
    "related": [{"title": "Earlier", "url": "https://example.org/16"}],
    "withdrawn": False,
}


def test_json_becomes_a_clean_draft() -> None:
    draft = from_json(json.dumps(GIVEN))
    assert (draft.title, draft.language) == ("Fish & chips", "en-GB")
    assert draft.summary == '<p>See <a href="https://example.org/annex">annex</a></p>'
    assert draft.published_at == datetime(2026, 3, 1, 9, tzinfo=UTC)
    assert draft.attachments == (
        Enclosed("Приказ №660.pdf", "https://example.org/660.pdf", None, 1, None),
    )
    assert draft.work == "17"
    assert draft.image == Image("https://example.org/court.jpg", "The court")
    assert draft.bundle == Bundle("https://example.org/all.zip", "application/zip", None)
    assert draft.categories == ("courts", "prisons")
    assert draft.related == (Related("Earlier", "https://example.org/16"),)
    assert draft.withdrawn is False


def test_only_id_language_and_title_are_needed() -> None:
    least = {name: GIVEN[name] for name in ("external_id", "language", "title")}
    assert from_json(json.dumps(least)) == Draft("17", "Fish & chips", "en-GB")


def test_a_title_in_plain_text_stays_as_it_is() -> None:
    assert from_json(json.dumps({**GIVEN, "title": "1 < 2 > 0 & more"})).title == "1 < 2 > 0 & more"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"external_id": None}, "external_id"),
        ({"external_id": 17}, "external_id"),
        ({"external_id": "a\nb"}, "external_id"),
        ({"external_id": "\ud800"}, "external_id"),
        ({"external_id": "x" * 501}, "external_id"),
        ({"title": " "}, "title"),
        ({"title": "<b></b>"}, "title"),
        ({"title": "x" * 501}, "title"),
        ({"language": None}, "language"),
        ({"language": "English!"}, "language"),
        ({"url": "/17"}, "url"),
        ({"url": "javascript:alert(1)"}, "url"),
        ({"summary": ["x"]}, "summary"),
        ({"summary": "x" * 20_001}, "summary"),
        ({"published_at": "yesterday"}, "published_at"),
        ({"published_at": "2026-03-01T12:00:00"}, "published_at"),
        ({"published_at": "0001-01-01T00:00:00+14:00"}, "published_at"),
        ({"published_at": 17}, "published_at"),
        ({"attachments": "x"}, "attachments"),
        ({"attachments": [{"name": "x", "url": "https://example.org/"}] * 101}, "attachments"),
        ({"attachments": [{"name": "x"}]}, "attachments[0].url"),
        ({"attachments": [{"name": "\u202e", "url": BASE}]}, "attachments[0].name"),
        ({"attachments": [{"name": "x", "url": BASE, "size": -1}]}, "attachments[0].size"),
        ({"attachments": [{"name": "x", "url": BASE, "size": "1"}]}, "attachments[0].size"),
        ({"attachments": [{"name": "x", "url": BASE, "size": True}]}, "attachments[0].size"),
        ({"attachments": [{"name": "x", "url": BASE, "type": "pdf"}]}, "attachments[0].type"),
        ({"attachments": [{"name": "x", "url": BASE, "kind": "y"}]}, "attachments[0].kind"),
        ({"titel": "x"}, "titel"),
        ({"attachments": ["x"]}, "attachments[0]"),
        ({"work": 17}, "work"),
        ({"work": "a\nb"}, "work"),
        ({"image": BASE}, "image"),
        ({"image": {"url": BASE}}, "image.alt"),
        ({"image": {"url": BASE, "alt": "x" * 1_001}}, "image.alt"),
        ({"image": {"url": "x", "alt": ""}}, "image.url"),
        ({"image": {"url": BASE, "alt": "", "width": 5}}, "image.width"),
        ({"download_all": [BASE]}, "download_all"),
        ({"download_all": {"url": "/x"}}, "download_all.url"),
        ({"download_all": {"url": BASE, "size": 1.5}}, "download_all.size"),
        ({"download_all": {"url": BASE, "type": "zip"}}, "download_all.type"),
        ({"categories": "courts"}, "categories"),
        ({"categories": ["courts", 5]}, "categories[1]"),
        ({"categories": ["x" * 101]}, "categories[0]"),
        ({"categories": ["x"] * 51}, "categories"),
        ({"related": [{"title": "x"}]}, "related[0].url"),
        ({"related": [{"url": BASE}]}, "related[0].title"),
        ({"related": [{"title": "x", "url": BASE}] * 21}, "related"),
        ({"withdrawn": "yes"}, "withdrawn"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, object], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        from_json(json.dumps({**GIVEN, **change}))
    assert refused.value.field == field
    assert str(refused.value).endswith(".")


def test_all_that_is_wrong_is_said_at_once() -> None:
    wrong = {**GIVEN, "title": "", "url": "/17", "attachments": [{"name": "x"}, {"url": BASE}]}
    with pytest.raises(Several) as refused:
        from_json(json.dumps(wrong))
    assert {invalid.field for invalid in refused.value.each} == {
        "title",
        "url",
        "attachments[0].url",
        "attachments[1].name",
    }
    for invalid in refused.value.each:
        assert str(invalid) in str(refused.value)


KEYS = sorted({*FIELDS, "name", "alt", "type", "size", "x"})
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(BASE)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(given=st.dictionaries(st.sampled_from(FIELDS), ANYTHING))
def test_whatever_is_given_becomes_a_draft_or_is_refused_by_name(given: dict[str, object]) -> None:
    whole = {"external_id": "17", "language": "en", "title": "T", **given}
    refused = None
    try:
        draft = from_object(whole)
    except Invalid as invalid:
        refused = invalid
    if refused is None:
        assert draft.title
        assert "\\x00" not in repr(draft)
    else:
        assert refused.field
        assert str(refused).endswith(".")


@pytest.mark.parametrize("source", ["", "{", "[]", "17", b"\xff", "[" * 100_000])
def test_what_is_no_json_object_is_refused_with_an_example(source: str | bytes) -> None:
    with pytest.raises(Invalid, match="external_id"):
        from_json(source)
