"""The door that every wish comes in by, from a form or a program: the same checks, and the same
work whoever the address is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from mailer import puzzles
from mailer.errors import Invalid, Refusal, Unknown
from mailer.subscriptions import requests
from mailer.subscriptions.requests import Left
from mailer.web import forms, guard, page
from mailer.web.forms import Filled
from mailer.web.guard import IP
from mailer.web.intake import INTAKE
from mailer.web.known import KNOWN


@dataclass(frozen=True)
class Outcome:
    """Why it was not kept, if not; `puzzle`: one that, solved now, spares it the slow queue."""

    refused: Refusal | None = None
    puzzle: str | None = None


async def leave(
    request: web.Request, given: Filled, found: IP | None, evidence: Mapping[str, Any]
) -> Outcome:
    """Keep a wish for a worker. `found`: whose network it is counted by."""
    app = request.app
    keys, known = app[page.VAULT], app[KNOWN]
    try:
        language = given.language or await known.language(given.notice)
        wish = forms.wish(given, language, evidence)
        asked_for = await known.check(wish)
        sealed = requests.seal(keys, wish)
    except (Invalid, Unknown) as error:
        return Outcome(error)
    manner, flooded = guard.manner(keys, given), any(known.is_flooded(n.id) for n in asked_for)
    solved = puzzles.solved(keys, given.puzzle)
    posed = puzzles.pose(keys, puzzles.NUMBERS_IN_FLOODS) if flooded and not solved else None
    left = Left(
        sealed,
        guard.key(keys, found),
        solved,
        doubtful=flooded or manner == "doubtful",
        ordinary=manner == "ordinary",
        posed=puzzles.named(posed) if posed else None,
    )
    kept = await app[INTAKE].leave(left, asked_for)
    return Outcome(puzzle=posed) if kept.kept else Outcome(guard.too_many(kept))
