"""The door that every wish comes in by, from a form or a program: the same checks, and the same
work whoever the address is."""

from collections.abc import Mapping
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


async def leave(
    request: web.Request, given: Filled, found: IP | None, evidence: Mapping[str, Any]
) -> Refusal | None:
    """Keep a wish for a worker; why not, if not. `found`: whose network it is counted by."""
    app = request.app
    keys, known = app[page.VAULT], app[KNOWN]
    try:
        language = given.language or await known.language(given.notice)
        wish = forms.wish(given, language, evidence)
        asked_for = await known.check(wish)
        sealed = requests.seal(keys, wish)
    except (Invalid, Unknown) as error:
        return error
    doubtful = guard.doubtful(keys, given) or any(known.is_flooded(n.id) for n in asked_for)
    solved = puzzles.solved(keys, given.puzzle)
    left = Left(sealed, guard.key(keys, found), solved, doubtful)
    kept = await app[INTAKE].leave(left, asked_for)
    return None if kept.kept else guard.too_many(kept)
