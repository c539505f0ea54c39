import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailer import config, letters, mime, render, resources, tokens
from mailer.articles import Article, Attachment, clean
from mailer.config import Settings
from mailer.digests import Digest, Edition, Item
from mailer.letters import Letter, prose
from mailer.newsletters import Newsletter
from mailer.notices import Notice
from mailer.tokens import SLOTS

AT = datetime(2026, 3, 3, 23, 30, tzinfo=UTC)
TOKEN = str(tokens.Token(-7, bytes(range(16))))
GIVEN = {
    "MAILER_BASE_URL": "https://news.example.org",
    "MAILER_FROM": "Rights Watch <news@example.org>",
    "MAILER_CONTROLLER": "Rights Watch\\n1 Example Street\\nrights@example.org",
}
WEEKLY = Newsletter(
    1, "weekly", {"en": "Rights Weekly", "ru": "Права за неделю"}, ["en", "ru"], "en",
    ["weekly"], "Europe/Berlin", True,
)  # fmt: skip
UNTIL = datetime(2026, 12, 14, 22, 59, 59, tzinfo=UTC)
ISSUE = Digest(
    7, 1, 12, "weekly", "draft", {"en": "Hello.\n\nThis week:", "ru": "Привет."}, "staff:anna",
    AT, None, None, None,
)  # fmt: skip
NOTICE = Notice(
    1, "en", "Yes, send me the <weekly> digest.", "Rights Watch, 1 Example Street",
    ["sending the digest", "answering"], "nobody else", "until you leave", "with one click",
    "ab" * 16, b"\xab" * 32, AT,
)  # fmt: skip
ORDER = Attachment(1, 0, "Приказ №660.pdf", "https://example.org/660.pdf", "application/pdf",
                   311_296, "ru")  # fmt: skip
HOSTILE = (
    "{{ 7*7 }}", "{% include 'mail/base.mjml' %}", "<mj-raw>x</mj-raw>", "</mj-text>", "<script>",
    "]]>", "<!-- x", "&amp;lt;", "%(title)s %s {title}", "\r\nBcc: boris@example.org", '"><b>',
    *SLOTS.values(),
)  # fmt: skip


def settings(**changed: str) -> Settings:
    return config.read(config.Source(GIVEN | changed), Path("/nowhere"), dev=False)


def item(
    title: str = "A court rules",
    summary: str = "<p>It <a href='https://example.org/j'>found</a> a breach.</p>",
    language: str = "en",
    attachments: Sequence[Attachment] = (),
    url: str | None = "https://example.org/1",
) -> Item:
    article = Article(1, 1, None, "1", language, title, url, summary, AT, AT, False)
    return Item(article, attachments)


def issue(*items: Item, language: str = "en", newsletter: Newsletter = WEEKLY) -> Letter:
    return letters.digest(settings(), newsletter, ISSUE, items or (item(),), language)


def confirm(origin: str | None = "https://www.example.org/page") -> Letter:
    return letters.confirm(settings(), WEEKLY, NOTICE, "en", origin)


def every(language: str) -> Mapping[str, Letter]:
    notice = replace(NOTICE, language=language)
    return {
        "confirm": letters.confirm(settings(), WEEKLY, notice, language, "https://example.org"),
        "already": letters.already(settings(), WEEKLY, language),
        "digest": issue(item(attachments=[ORDER]), language=language),
        "renew": letters.renew(settings(), WEEKLY, notice, language, UNTIL),
        "address": letters.address(settings(), WEEKLY, language),
    }


def in_both(letter: Letter, words: str) -> bool:
    assert letter.html is not None
    return words in letter.html and words in letter.text


# each letter


def test_a_confirmation_says_who_asked_where_and_for_what_words() -> None:
    letter = confirm()
    assert letter.subject == "Please confirm: Rights Weekly"
    for words in (
        "www.example.org", "Rights Weekly", "72 hours", "Rights Watch, 1 Example Street",
        "nobody else", "until you leave", "with one click", "sending the digest · answering",
        f"https://news.example.org/notice/{NOTICE.id}",
        f"https://news.example.org/confirm/{SLOTS['confirm']}",
        f"https://news.example.org/refuse/{SLOTS['refuse']}",
    ):  # fmt: skip
        assert in_both(letter, words), words
    assert NOTICE.wording in letter.text
    assert "Yes, send me the &lt;weekly&gt; digest." in (letter.html or "")


def test_a_confirmation_has_one_button_and_no_way_to_leave() -> None:
    letter = confirm()
    assert (letter.html or "").count(SLOTS["confirm"]) == 1
    assert SLOTS["leave"] not in f"{letter.html}{letter.text}{letter.headers}"
    assert "List-Unsubscribe-Post" not in dict(letter.headers)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://www.example.org:8443/a?b#c", "www.example.org"),
        ("https://anna:secret@example.org", "example.org"),
        ("null", None),
        (None, None),
        ("", None),
        ("https://[broken", None),
        ("https://buy now.example", None),
        ("https://<b>.example", None),
        ("https://" + "a" * 200, None),
    ],
)
def test_only_the_name_of_a_site_is_shown_as_origin(origin: str | None, host: str | None) -> None:
    assert letters.host(origin) == host
    assert f"{host}" in confirm(origin).text or host is None


def test_who_has_it_already_is_led_to_their_own_page() -> None:
    letter = letters.already(settings(), WEEKLY, "ru")
    assert letter.subject == "Вы уже подписаны: Права за неделю"
    assert in_both(letter, f"https://news.example.org/me/{SLOTS['manage']}")


def test_a_renewal_shows_the_words_the_day_and_a_way_to_leave() -> None:
    letter = every("en")["renew"]
    assert letter.subject == "Do you want to go on? Rights Weekly"
    assert NOTICE.wording in letter.text
    assert "&lt;weekly&gt;" in (letter.html or "")
    assert in_both(letter, "until the end of December")
    assert in_both(letter, f"https://news.example.org/renew/{SLOTS['renew']}")
    assert in_both(letter, f"https://news.example.org/u/{SLOTS['leave']}")
    assert in_both(letter, "will not remind you")
    headers = dict(letter.headers)
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert "Precedence" not in headers


def test_a_digest_has_everything_in_both_parts() -> None:
    letter = issue(
        item(attachments=[ORDER]), item("Приказ", "<p>Что изменится</p>", "ru", url=None)
    )
    assert letter.subject == "Rights Weekly: A court rules"
    for words in (
        "Hello.", "This week:", "A court rules", "https://example.org/1", "https://example.org/j",
        "March 4, 2026", "Приказ", "Russian", "Что изменится", "https://example.org/660.pdf",
        "1 Example Street", "rights@example.org",
        f"https://news.example.org/u/{SLOTS['leave']}",
        f"https://news.example.org/me/{SLOTS['manage']}",
    ):  # fmt: skip
        assert in_both(letter, words), words
    assert "* Приказ №660 · PDF · 304\N{NO-BREAK SPACE}KB · RU\n  https://example.org/660.pdf" in (
        letter.text
    )
    assert '<div lang="ru" dir="ltr">' in (letter.html or "")


def test_an_article_in_the_digests_own_language_is_not_labelled() -> None:
    assert "English" not in issue().text


@pytest.mark.parametrize(
    ("name", "kind", "size", "said"),
    [
        ("report.pdf", "application/pdf", 2048, "report · PDF · 2 KB"),
        ("report.final", "application/pdf", 2048, "report.final · PDF · 2 KB"),
        ("report.doc", "application/msword", None, "report · DOC · size unknown"),
        ("archive.zip", None, 5, "archive · ZIP · 5 B"),
        ("podcast", "audio/mpeg", 5_000_000, "podcast · MP3 · 4.8 MB"),
        ("file", "application/x-very-long-name", 1, "file · 1 B"),
        (".htaccess", None, 1, ".htaccess · 1 B"),
    ],
)
def test_attachments_are_named_for_people(
    name: str, kind: str | None, size: int | None, said: str
) -> None:
    attachment = Attachment(1, 0, name, "https://example.org/f", kind, size, None)
    text = issue(item(attachments=[attachment])).text
    assert f"* {said}\n" in text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize("language", render.LANGUAGES)
@pytest.mark.parametrize("letter", ["confirm", "already", "digest", "renew", "address"])
def test_every_letter_is_in_order(letter: str, language: str) -> None:
    made = every(language)[letter]
    html = made.html or ""
    assert f'<html lang="{language}" dir="{render.direction(language)}"' in html
    assert 'name="color-scheme" content="light dark"' in html
    assert "prefers-color-scheme: dark" in html
    assert "<img" not in html
    assert set(re.findall(r"(?:src|href|url\()\W*https?://([\w.]+)", html)) <= {
        "news.example.org", "example.org",
    }  # fmt: skip
    assert all('role="presentation"' in table for table in re.findall("<table[^>]*>", html))
    sizes = set(map(int, re.findall(r"font-size: ?(\d+)px", html)))
    assert sizes <= {0, 1, 16, 17, 22, 25, 28}  # 0 and 1: the frame and the hidden preview
    assert all(len(row) <= 72 or "://" in row for row in made.text.split("\n"))
    assert not re.search(r"[ \t]\n|\n\n\n", made.text)
    assert "1 Example Street" in made.text


EMPTY = ("br", "img", "link", "meta")


class Undirected(HTMLParser):
    """Collects what is read in a mail outside of any element, but the outermost, with a `dir`."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.within: list[tuple[str, bool]] = []
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        own = "dir" in given and tag != "html" and given.get("role") != "article"
        unseen = tag == "head" or given.get("aria-hidden") == "true"
        if tag not in EMPTY:
            self.within.append((tag, own or unseen))

    def handle_endtag(self, tag: str) -> None:
        if tag not in EMPTY:
            assert self.within.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if data.strip() and not any(own for _, own in self.within):
            self.found.append(data)


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("letter", ["confirm", "already", "digest", "renew", "address"])
def test_every_block_of_a_letter_says_its_own_direction(letter: str, language: str) -> None:
    """Many mail programs drop the direction of the whole."""
    reader = Undirected()
    reader.feed(every(language)[letter].html or "")
    assert reader.found == []


def test_facts_about_a_file_keep_their_order_from_right_to_left() -> None:
    letter = every("ar")["digest"]
    said = "\u2068PDF\u2069 · \u2068304\N{NO-BREAK SPACE}كيلوبايت\u2069 · \u2068RU\u2069"
    assert said in letter.text
    assert said in (letter.html or "")


def test_no_mark_above_a_letter_is_spelt_as_a_number() -> None:
    assert "u{64f}" not in (every("ar")["confirm"].html or "")


def test_letters_in_russian_have_no_english_left() -> None:
    for made in every("ru").values():
        foreign = r"https?://\S+|\S+@\S+|Rights Watch|1 Example Street|PDF|RU|A court.*|It found.*"
        rest = re.sub(foreign, "", made.text.replace(NOTICE.wording, ""))
        for words in (*NOTICE.purposes, NOTICE.recipients, NOTICE.retention, NOTICE.withdrawal):
            rest = rest.replace(words, "")
        assert not re.search("[A-Za-z]{2,}", rest.replace("example.org", "")), rest


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, 1.4.3."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(
    ("front", "back"),
    [
        ("#22211f", "#ffffff"), ("#5d5a54", "#ffffff"), ("#5d5a54", "#f3f1ec"),
        ("#1b4b82", "#ffffff"), ("#ffffff", "#1b4b82"),
        ("#e9e6e0", "#1d1f22"), ("#aeaba4", "#1d1f22"), ("#aeaba4", "#141517"),
        ("#c9c6bf", "#141517"), ("#9cc3f2", "#1d1f22"), ("#0f1a28", "#9cc3f2"),
    ],
)  # fmt: skip
def test_colours_can_be_read_in_both_modes(front: str, back: str) -> None:
    frame = (resources("templates") / "mail" / "base.mjml").read_text("utf-8")
    assert front in frame
    assert back in frame
    assert contrast(front, back) >= 4.5


# words that others wrote


@pytest.mark.parametrize("words", HOSTILE)
def test_words_of_others_stay_words(words: str) -> None:
    attachment = replace(ORDER, name=f"{words}.pdf")
    letter = issue(item(words, clean(words, None), attachments=[attachment]))
    plain = issue(item("x", "<p>x</p>", attachments=[ORDER]))
    assert (letter.html or "").count("<mj-") == 0
    assert "<script" not in (letter.html or "")
    assert (letter.html or "").count("<h2") == (plain.html or "").count("<h2")
    assert "49" not in letter.subject.replace("7*7", "")
    mime.mould(letter, "news.example.org")
    if "{" in words:
        assert words in letter.text


@pytest.mark.parametrize("purpose", list(SLOTS))
def test_an_article_that_spells_a_slot_gets_nobodys_token(purpose: tokens.Purpose) -> None:
    slot = SLOTS[purpose]
    spelt = f"<p>{slot} {slot[:9]}<b></b>{slot[9:]} <a href='https://evil.example/{slot}'>x</a></p>"
    letter = issue(
        item(slot, spelt + clean(f"&#45;{slot[1:]}", None), url=f"https://evil.example/{slot}"),
        item(attachments=[replace(ORDER, name=slot, url=f"https://evil.example/{slot}")]),
    )
    plain = issue()
    for said, usual in ((letter.html, plain.html), (letter.text, plain.text)):
        assert (said or "").count(slot) == (usual or "").count(slot)
    filling = dict.fromkeys(SLOTS, TOKEN)
    raw = mime.mould(letter, "x").cast("anna@example.org", uuid4(), filling, AT)
    assert f"evil.example/{TOKEN}".encode() not in raw.replace(b"=\r\n", b"")


def test_slots_last_through_storage() -> None:
    letter = issue()
    kept = Edition(7, "en", letter.subject, letter.html or "", letter.text)
    assert letters.edition(settings(), WEEKLY, ISSUE, kept) == letter


def test_the_same_contents_are_the_same_letter() -> None:
    assert issue() == issue()


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
@example("<p><b>open")
@example("<table><tr><td>a<td>b</table>")
def test_any_summary_makes_a_letter(source: str) -> None:
    letter = issue(item(summary=clean(source, "https://example.org/")))
    assert (letter.html or "").count("<html") == 1
    assert SLOTS["leave"] in (letter.html or "")


# length


def test_a_long_digest_is_shortened_and_says_so() -> None:
    words = "<p>" + "Слово и ещё слово о правах. " * 200 + "</p>"
    letter = issue(*[item(f"Article {n}", words) for n in range(50)])
    assert len((letter.html or "").encode()) <= letters.MOST_BYTES
    assert "This issue is long and is shortened here" in (letter.html or "")
    assert "Article 49" in (letter.html or "")
    assert "Article 49" in letter.text
    assert "This issue is long" not in (issue().html or "")


def test_even_the_longest_digest_is_shown_whole_by_gmail() -> None:
    files = [replace(ORDER, name="Ж" * 200, url="https://example.org/" + "a" * 1900)] * 100
    items = [
        item("Ж" * 500, url="https://example.org/" + "a" * 1900, attachments=files)
        for _ in range(50)
    ]
    letter = issue(*items)
    assert len((letter.html or "").encode()) <= letters.MOST_BYTES
    assert re.search(r"\d+ more articles are not shown", letter.html or "")
    assert "https://news.example.org/archive/weekly/12" in (letter.html or "")
    assert letter.text.count("Ж" * 500) == 100  # in the table of contents, and itself


def test_summaries_end_at_a_word_with_their_tags_closed() -> None:
    markup = "<p>One two <a href='https://example.org'>three four</a> five</p>"
    assert prose.fitted(markup, 15) == ('<p>One two <a href="https://example.org">three…</a></p>')
    assert prose.fitted(markup, 1000) == markup.replace("'", '"')
    assert prose.fitted("<h2 lang='de'>Titel</h2><p>a &amp; b</p>", 99) == (
        '<p lang="de"><strong>Titel</strong></p><p>a &amp; b</p>'
    )


def test_text_keeps_paragraphs_lists_and_links() -> None:
    markup = (
        "<p>See <a href='https://a.example'>this</a>,<br>that.</p><ul><li>one</li><li>two</li></ul>"
        "<p><a href='https://b.example'>https://b.example</a> &amp; "
        "<a href='https://a.example'>again</a></p>"
    )
    assert prose.plain(markup) == (
        "See this [1],\nthat.\n\n* one\n* two\n\nhttps://b.example & again [1]\n\n"
        "[1] https://a.example"
    )


# headers and senders


def test_a_digest_is_announced_as_a_list() -> None:
    headers = dict(issue().headers)
    assert headers == {
        "List-Id": "<weekly.news.example.org>",
        "List-Unsubscribe": f"<https://news.example.org/u/{SLOTS['leave']}>, "
        f"<mailto:news@example.org?subject=unsubscribe%20{SLOTS['leave']}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "List-Help": f"<https://news.example.org/me/{SLOTS['manage']}>",
        "List-Archive": "<https://news.example.org/archive/weekly>",
        "Feedback-ID": "12:weekly:digest:news.example.org",
        "Precedence": "bulk",
        "Content-Language": "en",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
    }
    private = issue(newsletter=replace(WEEKLY, archived=False))
    assert "List-Archive" not in dict(private.headers)


def test_bounces_go_where_the_bounce_domain_says() -> None:
    with_domain = settings(MAILER_BOUNCE_DOMAIN="bounce.example.org")
    assert letters.return_path(with_domain, TOKEN) == f"b+{TOKEN}@bounce.example.org"
    assert letters.return_path(settings(), TOKEN) == "news@example.org"
    leave = dict(letters.digest(with_domain, WEEKLY, ISSUE, [item()], "en").headers)
    assert (
        f"<mailto:u+{SLOTS['leave']}@bounce.example.org?subject=unsubscribe>"
        in (leave["List-Unsubscribe"])
    )


@pytest.mark.parametrize(
    ("given", "name", "sender"),
    [
        ("Rights Watch <news@example.org>", "Rights Watch", "news@example.org"),
        ("news@example.org", "Права за неделю", "news@example.org"),
        ("", "Права за неделю", "newsletter@news.example.org"),
    ],
)
def test_the_sender_is_as_set_else_the_newsletter(given: str, name: str, sender: str) -> None:
    letter = letters.already(settings(MAILER_FROM=given), WEEKLY, "ru")
    assert (letter.sender_name, letter.sender) == (name, sender)
