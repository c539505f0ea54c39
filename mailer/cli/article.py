"""`mailer article …`."""

import json
from dataclasses import asdict
from typing import IO

import click

from mailer import articles, newsletters
from mailer.cli import door


@click.group("article")
def command() -> None:
    """Published items."""


@command.command("list")
@click.argument("newsletter")
@click.option("--limit", default=50, show_default=True, help="The newest of them.")
@door.as_json
@door.run
async def list_(newsletter: str, limit: int, as_json: bool) -> None:
    """The articles of NEWSLETTER, newest first."""
    async with door.house() as house:
        found = await newsletters.find(house.conn, newsletter)
        shown = await articles.listed(house.conn, newsletter=found.id, limit=max(limit, 0))
    brief = ("id", "external_id", "language", "title", "published_at", "revised_at", "withdrawn_at")
    door.show(
        (asdict(a) if as_json else {name: getattr(a, name) for name in brief} for a in shown),
        as_json=as_json,
    )


@command.command()
@click.argument("newsletter")
@click.argument("external_id")
@door.run
async def withdraw(newsletter: str, external_id: str) -> None:
    """Take an article back: it is in no digest from now on."""
    async with door.house() as house, house.conn.transaction():
        found = await newsletters.find(house.conn, newsletter)
        article = await articles.named(house.conn, found.id, external_id)
        await articles.withdraw(house.conn, article.id)
    door.say("Withdrawn.")


@command.command()
@click.argument("newsletter")
@click.argument("file", type=click.File("rb"), default="-")
@door.as_json
@door.run
async def add(newsletter: str, file: IO[bytes], as_json: bool) -> None:
    """Add an article to NEWSLETTER: JSON on standard input, or in FILE.

    The same external_id again brings the article up to date.

    \b
    {"external_id": "order-660-ru", "language": "ru", "title": "…", "url": "https://…",
     "summary": "<p>…</p>", "published_at": "2026-01-31T09:00:00Z",
     "work": "order-660", "withdrawn": false,
     "image": {"url": "https://…", "alt": "…"},
     "attachments": [{"name": "Order 660.pdf", "url": "https://…", "type": "application/pdf",
                      "size": 311296, "language": "ru"}],
     "download_all": {"url": "https://…", "type": "application/zip", "size": 1048576},
     "categories": ["prisons"], "related": [{"title": "…", "url": "https://…"}]}

    Only external_id, language and title are needed. Translations of one article bear the same work.
    """
    draft = articles.from_json(file.read())
    async with door.house() as house, house.conn.transaction():
        found = await newsletters.find(house.conn, newsletter)
        added = await articles.add(house.conn, found.id, draft)
    if as_json:
        door.say(json.dumps({"id": added.id, "new": added.new, "changed": added.changed}))
    else:
        door.say(f"{'Added' if added.new else 'Updated'} article {added.id}.")
