"""Lists in parts: how much is asked for, from where on, and where the rest is."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from mailer.errors import Invalid
from mailer.web.api.operation import PARTS, Answer, Call
from mailer.web.api.shapes import Whole

Kind = TypeVar("Kind")

MOST_LISTED, LISTED = 100, 50
LIMIT = Whole(MOST_LISTED, usual=LISTED, description="How many.")
AFTER = Whole(description="Only what comes after the one with this number: `next` has it.")
NEWSLETTER = PARTS["newsletter"].shape


def limit(call: Call) -> int:
    found: int = call.query.get("limit", LISTED)
    return found


def part(
    call: Call, path: str, noun: str, shown: Sequence[Any], cursor: str, rest: str | None
) -> Answer:
    """Some of a list; `rest`: the cursor behind which there is more."""
    asked = {**call.request.query, cursor: rest} if rest else None
    following = asked and f"{call.url(path)}?{urlencode(asked)}"
    links = {"Link": f'<{following}>; rel="next"'} if following else {}
    return Answer({noun: list(shown), "next": following}, headers=links)


def behind(
    listed: Sequence[Kind], name: Callable[[Kind], str], after: str | None, most: int
) -> tuple[Sequence[Kind], str | None]:
    """Up to `most` of a short list, from behind the one named; and the last, if there is more.

    Raises Invalid for a name that is in it no more.
    """
    names = [name(each) for each in listed]
    if after is not None and after not in names:
        raise Invalid("after must be what `next` says.", field="after")
    start = names.index(after) + 1 if after is not None else 0
    more = start + most < len(listed)
    return listed[start : start + most], names[start + most - 1] if more else None
