"""Whatever a feed says, a mail server sends back or somebody types: it is kept, or refused.

With `./run fuzz` many more of them.
"""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import hypothesis
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from mailer import address, bounces, feeds
from mailer.bounces import reading
from mailer.bounces.reasons import KINDS
from mailer.db import Connection
from mailer.errors import Invalid
from mailer.fetch import process
from mailer.fetch.items import Source
from mailer.vault import Vault
from tests import world
from tests.conftest import times
from tests.world import ANNA, World

pytestmark = pytest.mark.fuzzed

MOST_OF_ADDRESS = 320
ON_A_DATABASE = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow)


@pytest.fixture
async def weekly(conn: Connection, vault: Vault) -> World:
    """A newsletter, which Anna has confirmed."""
    made = await world.make(conn, vault)
    await world.confirmed(conn, vault, made.wish(ANNA))
    return made


@asynccontextmanager
async def undone(conn: Connection) -> AsyncIterator[None]:
    """Examples leave nothing to one another."""
    undo = conn.transaction()
    await undo.start()
    try:
        yield
    finally:
        await undo.rollback()


# feeds


ELEMENTS = (
    "item", "entry", "title", "link", "guid", "id", "description", "summary", "content", "pubDate",
    "updated", "published", "language", "enclosure", "category", "media:content", "media:thumbnail",
    "content:encoded", "dc:date", "ttl", "skipHours", "hour", "skipDays", "day", "author", "image",
    "sy:updatePeriod", "sy:updateFrequency", "xhtml:div", "source", "rdf:li",
)  # fmt: skip
ATTRIBUTES = ("href", "url", "type", "length", "rel", "xml:lang", "xml:base", "isPermaLink",
              "fileSize", "term", "label", "src", "rdf:about", "mode")  # fmt: skip
SAID = st.one_of(
    st.text(max_size=30),
    st.sampled_from([
        "Thu, 31 Feb 2026 25:61:00 +9999", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00Z", "9" * 30,
        "https://example.org/a b", "//[", "javascript:alert(1)", "/x", "text/html", "xhtml", "-1",
        "&#0;&#xD800;&nbsp;&foo;", "<![CDATA[<b>x</i>]]>", "<b><i><script>", "ar-EG-x-", "base64",
        "1e9", "<!DOCTYPE x [<!ENTITY a 'b'>]>", "\ufeff", "\U0001f3f4\u200d", "hourly", "A" * 3000,
    ]),
)  # fmt: skip
MARKUP = st.recursive(
    SAID,
    lambda inner: st.builds(
        lambda name, key, said, inside, end: f'<{name} {key}="{said}">{"".join(inside)}</{end}>',
        *(st.sampled_from(ELEMENTS), st.sampled_from(ATTRIBUTES), SAID),
        *(st.lists(inner, max_size=4), st.sampled_from(ELEMENTS)),
    ),
    max_leaves=12,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | SAID,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([
        "version", "title", "language", "items", "id", "url", "external_url", "content_html",
        "content_text", "summary", "date_published", "attachments", "mime_type", "size_in_bytes",
        "image", "tags", "expired", "feed_url",
    ]), inner, max_size=6),
    max_leaves=15,
)  # fmt: skip
CODES = st.sampled_from(["utf-8", "utf-16", "latin-1", "koi8-r"])
FEEDS = st.one_of(
    st.builds(
        lambda frame, inside, code: frame.format("".join(inside)).encode(code, "replace"),
        st.sampled_from([
            '<rss version="2.0"><channel>{}</channel></rss>', "<rss>{}",
            '<feed xmlns="http://www.w3.org/2005/Atom">{}</feed>', '<?xml version="1.0"?>{}',
            '<rdf:RDF xmlns="http://purl.org/rss/1.0/">{}</rdf:RDF>', "{}",
            '<?xml version="1.0" encoding="utf-16"?><rss><channel><item>{}</item></channel></rss>',
        ]),
        st.lists(MARKUP, max_size=6),
        CODES,
    ),
    st.builds(
        lambda items: json.dumps(
            {"version": "https://jsonfeed.org/version/1.1", "items": items}
        ).encode(),
        st.lists(JSON, max_size=4),
    ),
    st.binary(max_size=500),
)  # fmt: skip


@given(body=FEEDS, again=FEEDS, kind=st.sampled_from(["", "text/xml; charset=x", "a/b;c"]))
@hypothesis.settings(suppress_health_check=ON_A_DATABASE, max_examples=times(60))
async def test_whatever_a_feed_says_is_kept_or_refused_in_a_sentence(
    conn: Connection, weekly: World, body: bytes, again: bytes, kind: str
) -> None:
    async with undone(conn):
        feed = await feeds.add(conn, weekly.newsletter.id, "https://example.org/feed.xml")
        for sent in (body, again):
            said = json.loads(process.answer(sent, Source(feed.url, "example.org", kind)))
            if "problem" not in said:
                await feeds.store(conn, feed, process.document(said))


# what comes back


PARTS = st.recursive(
    st.builds(
        lambda kind, coding, text: (
            f"Content-Type: {kind}\nContent-Transfer-Encoding: {coding}\n\n{text}\n"
        ),
        st.sampled_from([
            "text/plain", "text/html; charset=x-none", "message/delivery-status", "message/rfc822",
            "text/rfc822-headers", "message/feedback-report", "application/json", "message/partial",
            "", "text/plain; charset*=utf-8''%ff", "message/global-delivery-status",
        ]),
        st.sampled_from(["7bit", "base64", "quoted-printable", "uuencode", "x"]),
        st.lists(st.sampled_from([
            "Final-Recipient: rfc822; a@example.org", "Status: 5.1.1", "Status: 9.9.9", "",
            "Action: failed", "Diagnostic-Code: smtp; 550 5.1.1 User unknown", "\0", "\udcff",
            "List-Unsubscribe: <https://news.example.org/u/{token}>", "To: b+{token}@example.org",
            "Message-ID: <00000000-0000-0000-0000-000000000000@news.example.org>", "=FF=",
            "<a@example.org>: mailbox full", "Feedback-Type: abuse", "Subject: =?x?q?",
            '{"notificationType": "Bounce"}',
        ]), max_size=6).map("\n".join),
    ),
    lambda inner: st.builds(
        lambda kind, parts, edge, end: (
            f"Content-Type: multipart/{kind}; boundary={edge}\n\n"
            + "".join(f"--edge\n{part}\n" for part in parts)
            + end
        ),
        st.sampled_from(["report; report-type=delivery-status", "mixed", "alternative", "digest"]),
        st.lists(inner, max_size=4),
        st.sampled_from(["edge", '"edge', "other"]),
        st.sampled_from(["--edge--\n", ""]),
    ),
    max_leaves=6,
)  # fmt: skip


@given(head=st.sampled_from(["", "From: MAILER-DAEMON@x\n", "Auto-Submitted: auto-replied\n"]),
       part=PARTS, to=st.lists(SAID, max_size=2))  # fmt: skip
@hypothesis.settings(suppress_health_check=ON_A_DATABASE, max_examples=times(60))
async def test_whatever_comes_back_is_read_and_kept(
    conn: Connection, vault: Vault, weekly: World, head: str, part: str, to: list[str]
) -> None:
    token = await world.link(conn, vault, ANNA, "bounce")
    raw = (head + part.replace("{token}", token)).encode("utf-8", "surrogateescape")
    async with undone(conn):
        taken = await bounces.take(conn, vault, bounces.mailed("lmtp", raw, reading.read(raw), to))
        assert taken.reason in KINDS


# addresses


@given(text=st.one_of(
    st.text(max_size=80),
    st.emails(),
    st.builds("{}@{}".format, SAID, st.sampled_from(["example.org", "xn--", "ß.example", "[::1]"])),
    st.from_regex(r"\A[^@]{1,70}@[^@]{1,70}\Z"),
))  # fmt: skip
@hypothesis.settings(max_examples=times(300))
def test_whatever_is_typed_is_an_address_that_mail_can_bear_or_none(text: str) -> None:
    try:
        found = address.parse(text)
    except Invalid:
        return
    assert address.parse(found.given) == found == address.known(found.given)
    for written in (found.given, address.wire(found.given), found.normal):
        assert len(written) <= MOST_OF_ADDRESS
        assert not re.search(r"[\s\x00-\x1f\x7f<>,;\ud800-\udfff]", written)
    assert found.domain.isascii()
