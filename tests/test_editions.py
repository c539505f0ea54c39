"""Editions: what is found in a digest before it goes, and what makes and sends it by itself."""

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from mailer import (
    articles,
    digests,
    editions,
    newsletters,
    notices,
    pictures,
    render,
    schedules,
    subjects,
)
from mailer.articles import Draft, Image
from mailer.config import Settings
from mailer.db import Connection, Pool
from mailer.digests import Digest
from mailer.editions import Finding
from mailer.errors import Conflict, Misconfigured
from mailer.newsletters import Newsletter
from mailer.pictures import Picture
from mailer.vault import Vault
from tests import world
from tests.world import ANNA, VERA, World

PAGE = "https://example.org/660"


@pytest.fixture
async def weekly(conn: Connection, vault: Vault) -> World:
    return await world.make(conn, vault)


async def publish(conn: Connection, newsletter: Newsletter, *drafts: Draft) -> None:
    for draft in drafts:
        await articles.add(conn, newsletter.id, draft)


async def draft(conn: Connection, newsletter: Newsletter, *drafts: Draft) -> Digest:
    await publish(conn, newsletter, *drafts)
    return await digests.create(conn, newsletter, "weekly", by="staff:anna")


async def look(conn: Connection, settings: Settings, digest: Digest) -> list[Finding]:
    digest = await digests.get(conn, digest.id)
    newsletter, composed = await editions.compose(conn, settings, digest)
    return await editions.findings(conn, settings, digest, newsletter, composed)


def said(found: Sequence[Finding], level: str) -> list[str]:
    return [str(finding) for finding in found if finding.level == level]


ONE = Draft("1", "One", "en", PAGE, "<p>Words.</p>", work="1")
ONE_IN_RUSSIAN = Draft("1-ru", "Один", "ru", PAGE, "<p>Слова.</p>", work="1")
BARE = Draft("2", "Two", "en")


# before it goes


async def test_a_digest_without_fault_goes_without_a_word(
    conn: Connection, weekly: World, settings: Settings
) -> None:
    digest = await draft(conn, weekly.newsletter, ONE, ONE_IN_RUSSIAN)
    assert await look(conn, settings, digest) == []
    assert await editions.approve(conn, settings, digest, by="staff:anna") == []
    approved = await digests.get(conn, digest.id)
    assert (approved.approved_by, approved.despite) == ("staff:anna", [])


async def test_what_is_wrong_is_said_and_stops_it_until_somebody_puts_it_aside(
    conn: Connection, weekly: World, settings: Settings
) -> None:
    newsletter = await newsletters.change(conn, weekly.newsletter, untranslated="omitted")
    base = settings.base_url
    broken = (f"{base}/archive/weekly/7", f"{base}/notice/{'0' * 32}", f"{base}/nothing")
    good = (f"{base}/archive/weekly/1", f"{base}/form?newsletter=weekly", f"{base}/archive/weekly",
            f"{base}/notice/{weekly.notices['en'].id}", PAGE)  # fmt: skip
    links = "".join(f'<p><a href="{url}">x</a></p>' for url in (*broken, *good))
    digest = await draft(conn, newsletter, Draft("3", "Three", "en", PAGE, links), BARE)
    found = await look(conn, settings, digest)
    assert said(found, "warning") == [
        "No article is in ru: its readers get nothing.",
        "“Two” has no text, no link and no file.",
        *(f"A link leads to {url}, where there is nothing." for url in broken),
    ]
    with pytest.raises(Conflict, match=r"Before it goes: No article is in ru.*despite warnings"):
        await editions.approve(conn, settings, digest, by="staff:anna")
    await editions.approve(conn, settings, digest, by="staff:anna", despite_warnings=True)
    assert (await digests.get(conn, digest.id)).despite == said(found, "warning")


async def test_what_nobody_could_read_never_goes(
    conn: Connection, weekly: World, settings: Settings
) -> None:
    digest = await draft(conn, weekly.newsletter, ONE)
    await digests.introduce(conn, digest, {"en": "Word. " * 20_000})
    assert "KB, and 80 is the most" in said(await look(conn, settings, digest), "refused")[0]
    with pytest.raises(Conflict, match="changed meanwhile"):
        await editions.approve(conn, settings, digest, by="x", despite_warnings=True)
    digest = await digests.get(conn, digest.id)
    with pytest.raises(Conflict, match="shorten the introduction"):
        await editions.approve(conn, settings, digest, by="x", despite_warnings=True)
    await articles.add(conn, weekly.newsletter.id, Draft("1", "One", "en", withdrawn=True))
    found = await look(conn, settings, digest)
    assert said(found, "refused") == [
        "There is nothing to read in it: pick an article, or cancel it."
    ]


async def test_what_may_surprise_is_noted_and_stops_nothing(
    conn: Connection, vault: Vault, weekly: World, settings: Settings
) -> None:
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    house = await subjects.house(conn, vault)
    newer = world.words("en", retention="a year")
    await notices.publish(conn, house, newer, actor="staff:anna")
    newsletter = await newsletters.change(
        conn, weekly.newsletter, titles={"en": "W", "ru": "В", "ar": "أ"}
    )
    many = [Draft(str(n), f"Title {n}", "en", PAGE, "<p>" + "Word. " * 300) for n in range(60)]
    digest = await draft(conn, newsletter, *many)
    found = await look(conn, settings, digest)
    assert {f.level for f in found} == {"note"}
    for words in (
        "Articles are shortened in en to fit a mail.",
        "50 of 50 articles are not in ar: its readers get them in another language, "
        "which is named.",
        "There is no notice in ar: nobody can subscribe in it.",
        "1 readers agreed to a notice that is out of date.",
    ):
        assert words in said(found, "note")
    assert await editions.approve(conn, settings, digest, by="x") == found


async def test_an_introduction_is_missed_where_others_have_one(
    conn: Connection, weekly: World, settings: Settings
) -> None:
    digest = await draft(conn, weekly.newsletter, ONE, ONE_IN_RUSSIAN)
    await digests.introduce(conn, digest, {"en": "Hello."})
    assert said(await look(conn, settings, digest), "warning") == [
        "The introduction is missing in ru."
    ]


async def test_images_are_shown_only_where_the_newsletter_wants_them(
    conn: Connection, weekly: World, settings: Settings
) -> None:
    pictured = Draft("4", "Four", "en", PAGE, "<p>Words.</p>", image=Image(f"{PAGE}.png", "A map"))
    digest = await draft(conn, weekly.newsletter, pictured)
    _, composed = await editions.compose(conn, settings, digest)
    assert all("<img" not in c.edition.html for c in composed)
    await newsletters.change(conn, weekly.newsletter, images=True)
    assert "Pictures that are not here" in said(await look(conn, settings, digest), "note")[0]
    await pictures.claim(conn)
    await pictures.keep(conn, f"{PAGE}.png", Picture("image/png", 1200, 800, b"map"))
    _, composed = await editions.compose(conn, settings, digest)
    ours = f'src="{settings.base_url}/picture/{hashlib.sha256(b"map").hexdigest()}"'
    for each in composed:
        assert ours in each.edition.html
        assert 'alt="A map"' in each.edition.html
        assert 'width="536"' in each.edition.html
    assert said(await look(conn, settings, digest), "warning") == []


async def test_a_picture_from_elsewhere_is_warned_of_whatever_the_newsletter_wants(
    conn: Connection, weekly: World, settings: Settings, tmp_path: Path
) -> None:
    await newsletters.change(conn, weekly.newsletter, images=True)
    digest = await draft(conn, weekly.newsletter, ONE)
    (tmp_path / "mail" / "digest").mkdir(parents=True)
    (tmp_path / "mail" / "digest" / "body.mjml").write_text(
        '{% extends "mail/base.mjml" %}{% block body %}<mj-text>'
        '<img src="https://spy.example/x.png"></mj-text>{% endblock %}'
    )
    render.use(tmp_path)
    try:
        assert said(await look(conn, settings, digest), "warning") == [
            "The mail would load something from spy.example: a template does that."
        ]
    finally:
        render.use(None)


async def test_a_mistake_in_a_template_stops_it_with_file_and_line(
    conn: Connection, weekly: World, settings: Settings, tmp_path: Path
) -> None:
    digest = await draft(conn, weekly.newsletter, ONE)
    (tmp_path / "mail" / "digest").mkdir(parents=True)
    own = tmp_path / "mail" / "digest" / "body.mjml"
    own.write_text('{% extends "mail/base.mjml" %}\n{% block body %}\n{{ titel }}{% endblock %}')
    render.use(tmp_path)
    try:
        with pytest.raises(Misconfigured, match=r"body\.mjml, line 3: 'titel' is undefined"):
            await editions.approve(conn, settings, digest, by="x", despite_warnings=True)
        own.write_text('{% extends "mail/base.mjml" %}{% block body %}<mj-text>'
                       '<img src="https://spy.example/x.png"></mj-text>{% endblock %}')  # fmt: skip
        assert said(await look(conn, settings, digest), "warning") == [
            "The mail would load something from spy.example: a template does that."
        ]
    finally:
        render.use(None)


# by itself


async def due(conn: Connection) -> None:
    await conn.execute("update schedule set due_at = now() - interval '1 minute'")


async def test_a_schedule_makes_a_draft_that_waits_for_an_editor_and_takes_up_what_is_new(
    conn: Connection, weekly: World, settings: Settings
) -> None:
    await schedules.put(conn, weekly.newsletter, "weekly", "0 9 * * 1")
    assert not await editions.make_due(conn, settings)
    await due(conn)
    assert await editions.make_due(conn, settings)  # nothing is published: nothing is made
    assert await digests.all_(conn) == []
    for n in (1, 2):
        await publish(conn, weekly.newsletter, Draft(str(n), f"Title {n}", "en", PAGE))
        await due(conn)
        await editions.make_due(conn, settings)
    (digest,) = await digests.all_(conn)
    assert (digest.state, digest.created_by, digest.version) == ("draft", "schedule", 2)
    assert (await digests.status(conn, digest)).articles == 2


async def test_an_automatic_digest_goes_when_it_has_enough_and_nothing_is_wrong(
    conn: Connection, vault: Vault, weekly: World, settings: Settings
) -> None:
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    await world.confirmed(conn, vault, weekly.wish(VERA, "ru"))
    newsletter = await newsletters.change(
        conn, weekly.newsletter, approval="automatic", fewest=2, untranslated="omitted"
    )
    await schedules.put(conn, newsletter, "weekly", "0 9 * * 1")

    async def fire() -> None:
        await due(conn)
        await editions.make_due(conn, settings)
        await editions.begin_due(conn, settings)

    await publish(conn, newsletter, ONE)
    await fire()
    assert await digests.all_(conn) == []
    await publish(conn, newsletter, Draft("5", "Five", "en", PAGE))
    await fire()
    (digest,) = await digests.all_(conn)
    assert (digest.state, digest.approved_by) == ("sending", "schedule")
    assert await conn.fetchval("select count(*) from outbox where digest is not null") == 1
    await publish(conn, newsletter, BARE, Draft("6", "Six", "en", PAGE))
    await fire()
    stuck = (await digests.all_(conn))[0]
    assert stuck.state == "draft"
    assert stuck.problem == "“Two” has no text, no link and no file."


async def test_a_schedule_that_many_workers_see_makes_one_digest(
    conn: Connection, pool: Pool, weekly: World, settings: Settings
) -> None:
    await schedules.put(conn, weekly.newsletter, "weekly", "* * * * *")
    await publish(conn, weekly.newsletter, ONE)
    await due(conn)

    async def fire() -> None:
        async with pool.acquire() as own, own.transaction():
            await editions.make_due(own, settings)

    await asyncio.gather(*(fire() for _ in range(6)))
    assert len(await digests.all_(conn)) == 1


async def test_as_published_is_soon_after(
    conn: Connection, weekly: World, settings: Settings
) -> None:
    newsletter = await newsletters.change(
        conn, weekly.newsletter, cadences=["weekly", "daily", "published"]
    )
    await schedules.put(conn, newsletter, "published", None)
    await due(conn)
    await publish(conn, newsletter, ONE)
    assert await editions.make_due(conn, settings)
    (digest,) = await digests.all_(conn)
    assert digest.cadence == "published"
    (schedule,) = await schedules.of(conn, newsletter)
    soon = await conn.fetchval("select $1 - now() < interval '2 minutes'", schedule.due_at)
    assert soon
