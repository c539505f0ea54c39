"""The small world of the tests: one newsletter in two languages, a few people, what they do."""

from dataclasses import dataclass
from typing import Literal
from uuid import uuid4

from mailer import address, newsletters, notices, subjects, subscribers, subscriptions
from mailer.consent import SYSTEM
from mailer.db import Connection
from mailer.newsletters import Newsletter
from mailer.notices import Notice, Words
from mailer.subscriptions import Found, Guest, Wish
from mailer.tokens import Purpose
from mailer.vault import Vault

ANNA = "anna@example.org"
BORIS = "boris@example.org"
VERA = "вера@пример.рф"

HOURS = 72

WORDING = {
    "en": "Yes, send me the weekly digest. I agree that my address is stored for it.",
    "ru": "Да, присылайте мне еженедельную рассылку. Я согласна на хранение адреса для этого.",
}


@dataclass(frozen=True)
class World:
    """A newsletter and its notice in each language."""

    newsletter: Newsletter
    notices: dict[str, Notice]

    def wish(self, email: str, language: str = "en", **more: object) -> Wish:
        evidence = {"origin": "https://site.example.org"}
        given = {"evidence": evidence, **more}
        notice = self.notices[language].id
        return Wish(email, (self.newsletter.slug,), notice, language, **given)  # type: ignore[arg-type]  # tests give what they like


def words(language: str, **more: object) -> Words:
    given = {
        "newsletter": None,
        "wording": WORDING[language],
        "controller": "Example Rights Watch, 1 Example Street, rights@example.org",
        "purposes": ("sending the digest",),
        "recipients": "nobody",
        "retention": "until you leave",
        "withdrawal": "with one click, in each mail",
        **more,
    }
    return Words(language=language, **given)  # type: ignore[arg-type]  # tests give what they like


async def make(conn: Connection, vault: Vault, slug: str = "weekly") -> World:
    newsletter = await newsletters.add(
        conn,
        slug,
        {"en": "Rights Weekly", "ru": "Права за неделю"},
        fallback="en",
        cadences=("weekly", "daily"),
    )
    house = await subjects.house(conn, vault)
    published = {
        language: await notices.publish(conn, house, words(language), actor="staff:nina")
        for language in WORDING
    }
    return World(newsletter, published)


async def bring(
    conn: Connection,
    vault: Vault,
    world: World,
    email: str,
    *,
    by: str,
    language: str = "en",
    cadence: str = "weekly",
) -> None:
    """Staff bring somebody over from another list, to be asked."""
    guest = Guest(
        vault.new_subject(uuid4()),
        address.parse(email),
        language,
        cadence,
        world.notices[language],
        {},
        agreed=False,
    )
    await subscriptions.bring(conn, vault, world.newsletter, [guest], by=by, confirm_hours=HOURS)


async def ask(conn: Connection, vault: Vault, wish: Wish) -> None:
    """What happens between the form and the outbox."""
    await subscriptions.request(conn, vault, wish)
    await subscriptions.admit(conn, vault, HOURS, 50)


async def found(conn: Connection, vault: Vault, email: str) -> Found:
    """The person's first subscription."""
    subscriber = await subscribers.by_address(conn, vault, address.parse(email))
    assert subscriber is not None
    return (await subscriptions.own(conn, vault, subscriber)).subscriptions[0]


async def link(conn: Connection, vault: Vault, email: str, purpose: Purpose) -> str:
    """The token of a link that was mailed to the person."""
    held = await found(conn, vault, email)
    return str(held.subscription.token(held.subject, purpose))


async def confirmed(conn: Connection, vault: Vault, wish: Wish) -> Found:
    """Someone who asked and confirmed."""
    await ask(conn, vault, wish)
    token = await link(conn, vault, wish.email, "confirm")
    outcome, _ = await subscriptions.confirm(conn, vault, token, {"page": "test"})
    assert outcome == "confirmed"
    return await found(conn, vault, wish.email)


async def ended(
    conn: Connection, vault: Vault, token: str, why: Literal["complaint", "bounce"]
) -> None:
    """What a complaint comes to, or an address that is found dead."""
    told = await subscriptions.take(conn, vault, token, "bounce")
    assert told is not None
    own = await subscriptions.own(conn, vault, told.subscriber)
    await subscriptions.end(conn, vault, own, why, why, SYSTEM)
