"""Introductions: a few marks mean something, and nothing anybody types means more."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailer.articles import cleaning
from mailer.letters import markdown, prose

TAGS = {*markdown.TAGS.values(), "a"}
HREF = re.compile(r"(https?://|mailto:)[\x21-\x7e]+")


class Seen(HTMLParser):
    """What a browser finds in some HTML."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.other = ""
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.other += data

    def handle_decl(self, decl: str) -> None:
        self.other += decl

    def handle_pi(self, data: str) -> None:
        self.other += data

    def unknown_decl(self, data: str) -> None:
        self.other += data


def words(text: str) -> str:
    """As text alone, the way a mail's other part has it."""
    return prose.plain(markdown.html(text))


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("One\nline.\n\nAnother.", "<p>One\nline.</p><p>Another.</p>"),
        ("*so* and **so** and _so_", "<p><em>so</em> and <strong>so</strong> and <em>so</em></p>"),
        ("[us](https://example.org/a?b=1&c=2 'title')",
         '<p><a href="https://example.org/a?b=1&amp;c=2">us</a></p>'),
        ("<https://example.org/> <anna@example.org>",
         '<p><a href="https://example.org/">https://example.org/</a> '
         '<a href="mailto:anna@example.org">anna@example.org</a></p>'),
        ("- one\n- *two*", "<ul><li>one</li><li><em>two</em></li></ul>"),
        ("3. three\n4. four", '<ol start="3"><li>three</li><li>four</li></ol>'),
        (r"\*so\*", "<p>*so*</p>"),
        ("", ""),
    ],
)  # fmt: skip
def test_the_marks_there_are(text: str, html: str) -> None:
    assert markdown.html(text) == html


@pytest.mark.parametrize(
    "text",
    [
        "# Heading", "> quoted", "`code`", "```\nfence\n```", "<b>bold</b>", "<script>1</script>",
        "<!-- x -->", "&amp; &lt;b&gt;", "| a | b |\n|---|---|", "~~gone~~", "a_b_c 2*3 * 4",
        "[a](javascript:alert(1))", "[a](data:text/html,x)",
        "[a](//example.org)", "[a](/staff)", "[a](file:///etc)", "<javascript:alert(1)>",
        "[a][b]\n\n[b]: https://example.org", "www.example.org and https://example.org",
        "“Quoted” – with a dash, 50 % & more (so) [sic] 1) x",
    ],
)  # fmt: skip
def test_all_else_stays_as_it_was_typed(text: str) -> None:
    seen = Seen(markdown.html(text))
    assert {tag for tag, _ in seen.tags} == {"p"}
    kept = cleaning.visible(text).replace("\n\n", "")
    assert seen.text == kept


def test_of_an_image_the_link_is_left() -> None:
    link = '<a href="https://example.org/a.png">a map</a>'
    assert markdown.html("![a map](https://example.org/a.png)") == f"<p>!{link}</p>"


def test_plain_words_have_the_lists_and_the_addresses_of_links() -> None:
    text = "See [us](https://example.org/a):\n\n1. one\n2. two\n\n- three\n\n- four\n\n**End**"
    assert words(text) == (
        "See us [1]:\n\n1. one\n2. two\n\n* three\n\n* four\n\nEnd\n\n[1] https://example.org/a"
    )


HOSTILE = st.lists(
    st.one_of(
        st.text(max_size=12),
        st.sampled_from([
            "[", "](", ")", "![", "<", ">", "*", "**", "_", "- ", "1. ", "\n", "\n\n", "  ", "\\",
            "javascript:", "data:", "https://", "mailto:", "//", "<a href=", "<img src=x onerror=",
            "<script>", "</p>", "]]>", "<!--", "&#0;", "&colon;", "\"", "'", "\u202e", "\u2066",
            "\x00", "\r", "\t", "\ufeff", "\u0085", "example.org", "x", "`", "999999999. ",
        ]),
    ),
    max_size=40,
).map("".join)  # fmt: skip


@given(HOSTILE)
@example("[x](https://e.org/%22onmouseover=alert)")
@example('[x](<https://e.org/" onclick="x>)')
@example("<https://e.org/%E2%80%AEgnp.exe>")
@example("[a](mailto:x@example.org?bcc=y%0aSubject:z)")
def test_no_tag_attribute_or_scheme_beyond_these_comes_out(text: str) -> None:
    made = markdown.html(text)
    seen = Seen(made)
    assert not seen.other
    assert {tag for tag, _ in seen.tags} <= TAGS
    for tag, attributes in seen.tags:
        assert set(attributes) == {"a": {"href"}}.get(tag, set()) or (
            tag == "ol" and set(attributes) == {"start"}
        )
        assert tag != "a" or HREF.fullmatch(attributes["href"] or "")
        assert tag != "ol" or (attributes.get("start") or "1").isdecimal()
    assert not cleaning.BANNED.search(made)
    ElementTree.fromstring(f"<div>{made}</div>")  # well-formed, also for feeds


@given(st.text(alphabet=st.characters(categories=["L", "N", "Zs"]), max_size=200))
def test_words_without_marks_stay_what_they_are(text: str) -> None:
    assert " ".join(words(text).split()) == " ".join(text.split())
