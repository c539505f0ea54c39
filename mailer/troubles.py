"""Troubles: what staff should look at, and a letter to those whose matter it is.

    failing, gone        a feed can't be read, for so long that it is no hiccup; or never again
    held                 its articles came at once, and wait for an editor
    silent               nothing new in it for longer than it is used to
    waiting              a digest that was to go by itself does not
    ready                one that its schedule made waits to be approved, as its newsletter wants
    storm, complaints,   alarms of `bounces.health`
    many-complaints
    flood                more forms come for a newsletter than people send

They are worked out from how things stand; kept is only since when each is there. Whoever is told
gets one letter that names them all, at most once a day, and only if one of them is new since the
last. One that ended and comes back is new.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID

from mailer import db, digests, feeds, floods, newsletters, outbox
from mailer.bounces import health
from mailer.bounces.health import Alarm
from mailer.db import Connection
from mailer.digests import Digest
from mailer.feeds import Standing
from mailer.floods import Flood
from mailer.newsletters import Newsletter
from mailer.render import date_and_time, share, translate
from mailer.staff import Role

SQL = db.statements("troubles")

TOLD: Sequence[Role] = ("owner", "editor")

Kind: TypeAlias = Literal[
    "failing",
    "gone",
    "held",
    "silent",
    "waiting",
    "ready",
    "flood",
    "storm",
    "complaints",
    "many-complaints",
]


@dataclass(frozen=True)
class Trouble:
    """`about`: which of its kind, by ids. `feed`: its title, or `digest`: its number.

    `said`: more of it in English, as the program says it; `hint`: the commands that help. `count`:
    articles that wait, days of silence. `since`: a feed was last read. `share`: of mails, 0 to 1.
    """

    kind: Kind
    about: str
    newsletter: Newsletter
    hint: Sequence[str]
    feed: str | None = None
    digest: int | None = None
    said: str = ""
    count: int = 0
    since: datetime | None = None
    share: float = 0.0
    provider: str = ""

    def sentence(self, language: str) -> str:
        """What the matter is."""
        match self.kind:
            case "gone":
                said = translate(
                    "The site says that this feed is gone for good. Remove it, or add its new "
                    "address.",
                    language,
                )
            case "failing" if self.since is None:
                said = translate("It could not be read since it was added.", language)
            case "failing":
                said = translate("It could not be read since {day}.", language)
            case "silent":
                said = translate(
                    "Nothing new, days: {count}. Look whether the site still feeds it.", language
                )
            case "held":
                said = translate(
                    "Articles that came at once and wait for you to say whether they are news: "
                    "{count}.",
                    language,
                )
            case "waiting":
                said = translate(
                    "It was to go by itself, and does not until you have looked at it.", language
                )
            case "ready":
                said = translate("It is made, and waits for you to approve it.", language)
            case "storm":
                said = translate(
                    "{share} of its mails to {provider} came back as unknown, more than can be so. "
                    "Nobody is suppressed for it; say so once you know that it is true.",
                    language,
                )
            case "flood":
                said = translate(
                    "More forms come than people send. Visitors are served, and what proves "
                    "nothing waits; it ends by itself.",
                    language,
                )
            case "complaints" | "many-complaints":
                said = translate(
                    "{share} of its readers reported it as spam. Large providers want less than "
                    "0.1 %, and bar senders at 0.3 %. Ask yourself who of them remembers having "
                    "subscribed.",
                    language,
                )
        day = date_and_time(self.since, language, self.newsletter.zone) if self.since else ""
        part = share(self.share, language)
        return said.format(count=self.count, day=day, share=part, provider=self.provider)


async def present(conn: Connection) -> list[Trouble]:
    """Those there are now."""
    of = {newsletter.id: newsletter for newsletter in await newsletters.all_(conn)}
    named = {newsletter.slug: newsletter for newsletter in of.values()}
    found: list[Trouble] = []
    for feed in await feeds.all_(conn):
        found += of_feed(feed, of[feed.newsletter])
    found += [of_digest(digest, of[digest.newsletter]) for digest in await digests.stuck(conn)]
    found += [of_ready(digest, of[digest.newsletter]) for digest in await digests.ready(conn)]
    found += [of_alarm(alarm, named[alarm.newsletter]) for alarm in await health.alarms(conn)]
    found += [of_flood(f, of[f.id]) for f in await floods.on(conn) if f.id is not None]
    return found


def of_feed(feed: Standing, newsletter: Newsletter) -> Iterator[Trouble]:
    about, name = str(feed.id), feed.title or feed.url
    look = ["mailer feed list"]
    if feed.gone:
        yield Trouble("gone", about, newsletter, look, name)
    elif feed.failing:
        why = feed.problem or ""
        yield Trouble("failing", about, newsletter, look, name, said=why, since=feed.polled_at)
    elif feed.silent:
        yield Trouble("silent", about, newsletter, look, name, count=feed.quiet.days)
    if feed.held:
        decide = [f"mailer feed {verb} {feed.id}" for verb in ("held", "release", "dismiss")]
        yield Trouble("held", about, newsletter, decide, name, count=feed.held)


def of_digest(digest: Digest, newsletter: Newsletter) -> Trouble:
    which = f"{newsletter.slug} {digest.number}"
    hint = [f"mailer digest {verb} {which}" for verb in ("preview", "approve")]
    why = digest.problem or ""
    return Trouble("waiting", str(digest.id), newsletter, hint, digest=digest.number, said=why)


def of_ready(digest: Digest, newsletter: Newsletter) -> Trouble:
    return replace(of_digest(digest, newsletter), kind="ready")


def of_alarm(alarm: Alarm, newsletter: Newsletter) -> Trouble:
    lift = f"mailer bounce lift {newsletter.slug} {alarm.digest} {alarm.provider}"
    return Trouble(
        alarm.kind,
        f"{alarm.id}/{alarm.provider}",
        newsletter,
        ["mailer health", lift],
        digest=alarm.digest,
        share=alarm.share,
        provider=alarm.provider,
    )


def of_flood(flood: Flood, newsletter: Newsletter) -> Trouble:
    hint = ["mailer health", "docs/abuse.md"]
    return Trouble("flood", str(flood.id), newsletter, hint, said=str(flood))


async def tell(conn: Connection) -> int:
    """Keep since when each is there, and put a letter to whom it is due; how many letters."""
    found = await present(conn)
    await conn.execute(SQL.keep, [t.kind for t in found], [t.about for t in found])
    due: list[UUID] = [row["staff"] for row in await conn.fetch(SQL.due, list(TOLD))]
    for staff in due:
        await outbox.put_staff(conn, "trouble", staff)
    return len(due)
