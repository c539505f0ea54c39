"""`mailer feed …`."""

from collections.abc import Sequence
from dataclasses import asdict

import click

from mailer import articles, feeds, fetch, newsletters
from mailer.cli import door
from mailer.cli.door import House
from mailer.errors import Refusal
from mailer.feeds import Failed, Feed, Standing


@click.group("feed")
def command() -> None:
    """Where articles come from."""


@command.command()
@click.argument("newsletter")
@click.argument("url")
@click.option("--language", help="Of items that name none; else the feed's own.")
@door.as_json
@door.run
async def add(newsletter: str, url: str, language: str | None, as_json: bool) -> None:
    """Poll the feed at URL for NEWSLETTER. What is in it already is never sent."""
    async with door.house() as house, house.conn.transaction():
        found = await newsletters.find(house.conn, newsletter)
        added = await feeds.add(house.conn, found.id, url, language)
    if as_json:
        door.show_one(asdict(added), as_json=True)
    else:
        door.say(f"Added feed {added.id}.")


@command.command("list")
@click.option("--newsletter")
@door.as_json
@door.run
async def list_(newsletter: str | None, as_json: bool) -> None:
    """Every feed, and what is wrong with it."""
    async with door.house() as house:
        listed = await feeds.all_(house.conn, newsletter)
    door.show((whole(feed) if as_json else brief(feed) for feed in listed), as_json=as_json)


def whole(feed: Standing) -> dict[str, object]:
    given = {"stale": feed.stale, "quiet": feed.quiet, "rhythm": feed.rhythm}
    intervals = {name: each and each.total_seconds() for name, each in given.items()}
    return {**asdict(feed), **intervals, "trouble": feed.trouble}


def brief(feed: Standing) -> dict[str, object]:
    shown = {name: getattr(feed, name) for name in ("id", "url", "language", "polled_at", "due_at")}
    return {**shown, "trouble": feed.trouble}


@command.command()
@click.argument("id", type=int)
@door.as_json
@door.run
async def held(id: int, as_json: bool) -> None:
    """What came at once, and waits for a decision."""
    async with door.house() as house:
        feed = await feeds.find(house.conn, id)
        waiting = await articles.held(house.conn, feed.id)
    names = ("id", "language", "title", "url", "published_at", "external_id")
    door.show(({name: getattr(a, name) for name in names} for a in waiting), as_json=as_json)


@command.command()
@click.argument("id", type=int)
@door.run
async def release(id: int) -> None:
    """What waits is news: it goes into the next digest."""
    async with door.house() as house, house.conn.transaction():
        many = await feeds.release(house.conn, await feeds.find(house.conn, id))
    door.say(f"Released {many} articles.")


@command.command()
@click.argument("id", type=int)
@door.run
async def dismiss(id: int) -> None:
    """What waits is nothing new: it is never sent."""
    async with door.house() as house, house.conn.transaction():
        many = await feeds.dismiss(house.conn, await feeds.find(house.conn, id))
    door.say(f"Dismissed {many} articles.")


@command.command()
@click.argument("ids", nargs=-1, type=int)
@door.run
async def poll(ids: tuple[int, ...]) -> None:
    """Fetch these feeds now; all of them if none is named."""
    failed = 0
    async with door.house() as house:
        named = [await feeds.find(house.conn, id_) for id_ in ids]
        polled: Sequence[Feed] = named or await feeds.all_(house.conn)
        policy = fetch.Policy(house.settings.feed_networks)
        async with fetch.session(house.settings.base_url, policy) as session:
            for feed in polled:
                failed += not await poll_one(house, session, feed)
    if failed:
        raise Refusal("{count} of {all} feeds could not be read.", count=failed, all=len(polled))


async def poll_one(house: House, session: fetch.Session, feed: Feed) -> bool:
    fetched = await fetch.fetch(session, feed)
    async with house.conn.transaction():
        stored = await feeds.store(house.conn, feed, fetched)
    if isinstance(fetched, Failed):
        door.complain(f"{feed.url}: {fetched.problem}")
        return False
    waiting = f", {stored.held} wait for a decision" if stored.held else ""
    door.say(f"{feed.url}: {stored.new} new, {stored.updated} updated{waiting}")
    return True


@command.command()
@click.argument("id", type=int)
@door.run
async def remove(id: int) -> None:
    """Poll the feed no more; its articles stay."""
    async with door.house() as house, house.conn.transaction():
        await feeds.remove(house.conn, await feeds.find(house.conn, id))
    door.say("Removed.")
