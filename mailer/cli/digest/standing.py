"""How digests stand, and how they fared."""

from collections.abc import Mapping, Sequence

import click

from mailer import digests
from mailer.bounces import health
from mailer.cli import door
from mailer.digests import Status


@click.command()
@click.argument("newsletter", required=False)
@click.argument("number", type=int, required=False)
@door.as_json
@door.run
async def status(newsletter: str | None, number: int | None, as_json: bool) -> None:
    """How one digest stands, and fared with each provider; or all of a newsletter; or all."""
    async with door.house() as house:
        fared = await health.fared(house.conn, newsletter, number)
        if newsletter and number:
            chosen = await digests.find(house.conn, newsletter, number)
            found = as_row(await digests.status(house.conn, chosen), fared)
            show_with_providers(found, fared, as_json=as_json)
            return
        listed = await digests.all_(house.conn, newsletter)
        rows = [as_row(status, fared) for status in await digests.statuses(house.conn, listed)]
    door.show(rows, as_json=as_json)


def show_with_providers(
    found: Mapping[str, object], fared: Sequence[health.Row], *, as_json: bool
) -> None:
    providers = [row.described() for row in fared]
    if as_json:
        door.show_one({**found, "providers": providers}, as_json=True)
        return
    door.show_one(found, as_json=False)
    if providers:
        door.say("")
        door.show(providers, as_json=False)


def as_row(status: Status, fared: Sequence[health.Row]) -> dict[str, object]:
    digest = status.digest
    own = [r for r in fared if (r.newsletter, r.digest) == (status.newsletter, digest.number)]
    return {
        "newsletter": status.newsletter,
        "number": digest.number,
        "cadence": digest.cadence,
        "state": digest.state,
        "articles": status.articles,
        **status.mails,
        **health.totals(own),
        "approved_by": digest.approved_by,
        "approved_at": digest.approved_at,
        "send_at": digest.send_at,
        "finished_at": digest.finished_at,
        "problem": digest.problem,
    }
