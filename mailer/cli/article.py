"""`mailer article …`."""

import json
from typing import IO

import click

from mailer import articles, newsletters
from mailer.cli import door


@click.group("article")
def command() -> None:
    """Published items."""


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
