"""What readers get is in one language from end to end: every page, mail and record, in each one.

Whatever an operator says (titles, notices) is in figures here, so that all words are our own.
"""

import io
import re
import zipfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import pytest
from jinja2 import Environment, nodes

from mailer import (
    evidence,
    letters,
    newsletters,
    notices,
    people,
    render,
    resources,
    subjects,
)
from mailer.articles import Article, Attachment
from mailer.config import Settings
from mailer.db import Connection, Pool
from mailer.digests import Digest, Item
from mailer.letters import Letter
from mailer.log.keep import Keep
from mailer.newsletters import Newsletter
from mailer.notices import Notice, Words
from mailer.render import faults
from mailer.subscriptions import Wish
from mailer.vault import Vault
from tests import site, test_translations, world
from tests.site import Client
from tests.test_log import seal

TITLE, WORDING, MORE = "№ 660", "§ 1", "—"
AT = datetime(2026, 3, 1, 9, tzinfo=UTC)

EMPTY = {"br", "hr", "img", "input", "link", "meta"}
UNREAD = {"style", "mj-style", "script", "code", "pre", "id"}
READ_ALOUD = {"alt", "aria-label", "placeholder", "title"}

GIVEN = re.compile(
    r"https?://\S+|[\w.…-]+\u2060?@[\w.]+|\b[\w.-]+\.example\.org\b|\b[0-9a-f]{32,}\b"
)
KNOWN = re.compile(rf"{test_translations.NAMES.pattern}|example\.org|PDF|\bRU\b|№|{WORDING}|\bid\b")
FACT = re.compile(r"<code>\w+</code>: .*?<br>")
"""Evidence as it was recorded, word for word."""

ATTRIBUTES = re.compile(r'[a-z-]+="[^"]*"')
"""Outside of tags: what a macro makes to stand in one."""

LATIN = re.compile(r"[A-Za-z]{2,}")


# reading


class Inside(NamedTuple):
    """An open element, with what it says or inherits."""

    tag: str
    language: str
    direction: str
    turned: bool


@dataclass
class Reader(HTMLParser):
    """Gathers what people read or hear in HTML, by the language that is said of it."""

    path: list[Inside] = field(default_factory=list)
    said: dict[str, list[str]] = field(default_factory=dict)
    turned: list[str] = field(default_factory=list)
    """Texts whose element names their language, but has the direction of another."""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        around = self.path[-1] if self.path else Inside("", "", "ltr", False)
        language = given.get("lang", around.language)
        direction = given.get("dir", around.direction)
        turned = around.turned and "dir" not in given
        if "lang" in given:
            turned = direction != render.direction(language)
        for name in READ_ALOUD & set(given):
            self.said.setdefault(language, []).append(given[name])
        if tag not in EMPTY:
            self.path.append(Inside(tag, language, direction, turned))

    def handle_endtag(self, tag: str) -> None:
        while self.path and self.path.pop().tag != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not data.strip() or not self.path or UNREAD & {inside.tag for inside in self.path}:
            return
        inside = self.path[-1]
        self.said.setdefault(inside.language, []).append(" ".join(data.split()))
        if inside.turned and len(data.split()) > 1:
            self.turned.append(data)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


# templates


def told_to_readers() -> list[Path]:
    ours = resources("templates")
    folders = ("public", "mail", "evidence")
    found = [ours / "base.html"]
    found += [path for folder in folders for path in sorted((ours / folder).rglob("*.*"))]
    return [path for path in found if path.suffix in (".html", ".txt", ".mjml", ".xml")]


def literal(source: str) -> str:
    """What a template says itself, in its order: its text, and texts that no call translates."""
    parsed = Environment(extensions=["jinja2.ext.i18n"]).parse(source)
    return "".join(stated(parsed))


def stated(node: nodes.Node) -> Iterator[str]:
    if isinstance(node, nodes.TemplateData):
        yield node.data
    elif isinstance(node, nodes.Output):
        for part in node.nodes:
            yield from stated(part)
    elif isinstance(node, nodes.CondExpr):
        for chosen in filter(None, (node.expr1, node.expr2)):
            yield from stated(chosen)
    elif isinstance(node, nodes.Const):
        yield str(node.value)
    # Classes and languages, which go into attributes elsewhere.
    elif not isinstance(node, nodes.Expr | nodes.AssignBlock) and not is_kind(node):
        for inner in node.iter_child_nodes():
            if isinstance(inner, nodes.Stmt):
                yield from stated(inner)


def is_kind(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Block) and node.name == "kind"


@pytest.mark.parametrize("path", told_to_readers(), ids=lambda path: path.name)
def test_a_template_says_nothing_but_through_the_catalogues(path: Path) -> None:
    said = read(f"<p>{literal(path.read_text('utf-8'))}</p>").said
    words = " ".join(word for each in said.values() for word in each)
    assert not LATIN.search(KNOWN.sub("", ATTRIBUTES.sub("", words))), words


def test_a_word_that_stands_in_a_template_is_found() -> None:
    source = (
        "<p class='x'>{{ _('Hello') }} there{% if a %} you{% endif %} {{ 'or' if a else b }}</p>"
    )
    assert literal(source) == "<p class='x'> there you or</p>"
    assert read("<p title='One'><i>two</i><br><code>three</code></p>").said == {"": ["One", "two"]}


def test_a_text_of_another_direction_than_its_language_is_found() -> None:
    arabic = '<p lang="ar">x y</p><p lang="ar" dir="rtl">x y<i dir="ltr">x y</i></p>'
    assert read(f'<html lang="en" dir="ltr">{arabic}').turned == ["x y"]
    assert read('<html lang="ar" dir="rtl"><p lang="en" dir="rtl">x y</p>').turned == ["x y"]


# every page and mail


@dataclass(frozen=True)
class Place:
    """A site whose only newsletter is in one language."""

    language: str
    newsletter: Newsletter
    notice: Notice
    client: Client

    def wish(self, email: str) -> Wish:
        asked = {"origin": "https://site.example.org"}
        return Wish(email, ("weekly",), self.notice.id, self.language, evidence=asked)


async def opened(conn: Connection, vault: Vault, client: Client, language: str) -> Place:
    newsletter = await newsletters.add(
        conn, "weekly", {language: TITLE}, fallback=language, cadences=("weekly", "published")
    )
    words = Words(
        newsletter=None,
        language=language,
        wording=WORDING,
        controller=MORE,
        purposes=(MORE, MORE),
        recipients=MORE,
        retention=MORE,
        withdrawal=MORE,
    )
    house = await subjects.house(conn, vault)
    published = await notices.publish(conn, house, words, actor="system")
    return Place(language, newsletter, published, client)


@dataclass(frozen=True)
class Walk:
    """Somebody with a browser in another language, who follows the links of their mails."""

    place: Place
    conn: Connection
    vault: Vault

    async def get(self, path: str) -> tuple[str, str]:
        answer = await self.place.client.get(path, headers={"Accept-Language": "en"})
        assert answer.headers["Content-Language"] == self.place.language, path
        return path, await answer.text()

    async def post(self, path: str, **sent: str) -> tuple[str, str]:
        asked = {"Accept-Language": "en"}
        answer = await self.place.client.post(path, data=sent, headers=asked)
        assert answer.headers["Content-Language"] == self.place.language, path
        return path, await answer.text()

    async def confirmed(self, email: str) -> None:
        await world.confirmed(self.conn, self.vault, self.place.wish(email))

    async def asked(self, email: str) -> None:
        await world.ask(self.conn, self.vault, self.place.wish(email))

    async def link(self, email: str, path: str, purpose: str) -> str:
        return f"/{path}/{await world.link(self.conn, self.vault, email, purpose)}"  # type: ignore[arg-type]  # a literal below

    async def me(self, email: str) -> str:
        own = await people.find(self.conn, self.vault, email)
        return f"/me/{own.subscriber.manage_token(self.vault)}"

    async def expire(self) -> None:
        await self.conn.execute(
            "update subscription set expires_at = now() - interval '1 hour',"
            " mailed_at = mailed_at - interval '73 hours'"
        )

    async def pages(self) -> AsyncIterator[tuple[str, str]]:
        """Each with where it is."""
        lang = self.place.language
        for path in ("/", "/archive", "/archive/weekly", "/check-inbox", "/nothing", "/form"):
            yield await self.get(f"{path}?newsletter=weekly&lang={lang}")
        yield await self.post("/subscribe", newsletter="weekly", lang=lang, email="x")
        yield await self.get(f"/notice/{self.place.notice.id}")
        yield await self.get(f"/u/{'A' * 27}?lang={lang}")
        for each in (self.of_asking, self.of_staying, self.of_going):
            async for page in each():
                yield page

    async def of_asking(self) -> AsyncIterator[tuple[str, str]]:
        for email in ("a@example.org", "b@example.org", "c@example.org"):
            await self.asked(email)
        confirm = await self.link("a@example.org", "confirm", "confirm")
        yield await self.get(confirm)
        yield await self.post(confirm)
        yield await self.get(confirm)
        refuse = await self.link("b@example.org", "refuse", "refuse")
        yield await self.get(refuse)
        yield await self.post(refuse, never_again="yes")
        await self.expire()
        late = await self.link("c@example.org", "confirm", "confirm")
        yield await self.get(late)
        yield await self.post(f"{late}/again")

    async def of_staying(self) -> AsyncIterator[tuple[str, str]]:
        await self.confirmed("d@example.org")
        me = await self.me("d@example.org")
        for more in ("", "/record", "/address", "/restrict", "/erase"):
            yield await self.get(me + more)
        yield await self.post(f"{me}/address", email="x")
        yield await self.post(f"{me}/address", email="e@example.org")
        yield await self.post(me, action="x")
        yield await self.post(f"{me}/restrict", action="restrict")
        yield await self.get(f"{me}/restrict")
        yield await self.get(f"{me}/address")
        yield await self.post(f"{me}/restrict", action="lift")

    async def of_going(self) -> AsyncIterator[tuple[str, str]]:
        for email in ("f@example.org", "g@example.org"):
            await self.confirmed(email)
        leave = await self.link("f@example.org", "u", "leave")
        yield await self.get(leave)
        yield await self.post(leave)
        yield await self.get(await self.me("f@example.org"))
        yield await self.post(f"{await self.me('g@example.org')}/erase", never_again="yes")


def mails(settings: Settings, place: Place) -> Iterator[Letter]:
    language, weekly = place.language, place.newsletter
    for origin in ("https://site.example.org", None):
        yield letters.confirm(settings, weekly, place.notice, language, origin)
    yield letters.already(settings, weekly, language)
    yield letters.address(settings, weekly, language)
    yield letters.renew(settings, weekly, place.notice, language, AT)
    issue = Digest(1, 1, 1, "weekly", "draft", {}, "system", AT, None, None, None)
    for count in (1, 30):
        yield letters.digest(
            settings, weekly, issue, [item(n, language) for n in range(count)], language
        )


def item(number: int, language: str) -> Item:
    page = "https://example.org/660"
    files = [
        Attachment(1, n, f"660-{n}.pdf", page, "application/pdf", size, "ru")
        for n, size in enumerate((None, 311_296, *[5] * 30 * (number == 0)))
    ]
    given = {
        "bundle_url": page,
        "bundle_size": 7_000_000,
        "related": [{"title": TITLE, "url": page}],
    }
    article = Article(
        number, 1, None, str(number), language, TITLE, page, f"<p>{MORE}</p>", AT, AT, False,
        **given,  # type: ignore[arg-type]  # what only some have
    )  # fmt: skip
    return Item(article, files)


def assert_in_one_language(html: str, language: str, where: str) -> None:
    reader = read(html)
    assert re.search(rf'<html lang="{language}" dir="{render.direction(language)}"', html), where
    assert reader.turned == [], where
    assert_no_english(reader.said.get(language, []), language, where)


def assert_no_english(texts: list[str], language: str, where: str) -> None:
    words = " ".join(texts)
    assert words, where
    left = [said for said in ENGLISH if said in words]
    assert left == [], where
    if language in OTHER_SCRIPTS:
        rest = KNOWN.sub("", GIVEN.sub("", words))
        assert not LATIN.search(rest), (where, rest)


def english() -> list[str]:
    """Sentences that no other language can have by chance."""
    said = [each.id for each in test_translations.everything()]
    every = {form for each in said for form in test_translations.forms(each)}
    pieces = (faults.PLACES.split(each)[0].strip() for each in every)
    return sorted(piece for piece in pieces if piece.count(" ") >= 2)


ENGLISH = english()
OTHER_SCRIPTS = ("ar", "kk", "ru", "uk")


@pytest.mark.parametrize("language", render.LANGUAGES[1:])
async def test_every_page_is_in_the_readers_language(
    conn: Connection, pool: Pool, vault: Vault, language: str
) -> None:
    async with site.opened(pool, vault) as client:
        walk = Walk(await opened(conn, vault, client, language), conn, vault)
        async for where, html in walk.pages():
            assert_in_one_language(html, language, where)


@pytest.mark.parametrize("language", render.LANGUAGES[1:])
async def test_every_mail_and_record_is_in_the_readers_language(
    conn: Connection, pool: Pool, vault: Vault, settings: Settings, keep: Keep, language: str
) -> None:
    async with site.opened(pool, vault) as client:
        place = await opened(conn, vault, client, language)
        walk = Walk(place, conn, vault)
        ours = site.settings(MAILER_CONTROLLER=MORE)
        for letter in mails(ours, place):
            assert_in_one_language(letter.html or "", language, letter.subject)
            assert_no_english([letter.subject, letter.text], language, letter.subject)
        await walk.confirmed("a@example.org")
        await seal(conn, vault, keep)
        own = await people.find(conn, vault, "a@example.org")
        pack = zipfile.ZipFile(io.BytesIO(await evidence.pack(conn, vault, own, ours)))
        shown = FACT.sub("", pack.read("record.html").decode())
        assert_in_one_language(shown, language, "record.html")
