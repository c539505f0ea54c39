"""What a page of the staff has: a menu of what one may, their language, a stricter manner.

A handler reads its form with `forms.read`, does its work in one transaction, and answers with
`see_other` if it is done or with the form again and its faults, 422.
"""

from collections.abc import Callable, Mapping
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from mailer import render
from mailer.errors import Invalid, Refusal, Several
from mailer.web import forms, page
from mailer.web.desk.who import Who
from mailer.web.forms import Fields

MAY: web.AppKey[Callable[..., bool]] = web.AppKey("staff_may")

TEXT_CHARACTERS = 500
SHORT_CHARACTERS = 8
"""A reason shorter than that tells nobody anything a year later, as a rule."""

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; "
    "connect-src 'self'; frame-src {frames}; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY.format(frames="'none'"),
    # Under no-referrer a browser would say `Origin: null` of our own pages (see `gate`).
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
FRAMING = {"Content-Security-Policy": POLICY.format(frames="'self'")}
"""For a page that shows another of ours in a frame."""


def answer(
    request: web.Request,
    who: Who | None,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **values: object,
) -> web.Response:
    """A page below templates/staff. Besides `values` it knows:

    `who`, None at the door; `may(path, method="GET")`: whether their role includes that line of the
    table (as written there, `{…}` and all); `here`: this page's path; `query(**changed)`: this
    page's query, with changes, for a link to it; `done`: what the page before did, by name.
    """
    role = who.role if who else None
    may = request.app[MAY]
    return page.answer(
        request,
        template,
        status=status,
        speak=who.account.language if who else None,
        headers={**HEADERS, **(headers or {})},
        who=who,
        may=lambda path, method="GET": role is not None and may(path, role, method),
        here=request.path,
        query=lambda **changed: changed_query(request, changed),
        done=request.query.get("done", ""),
        **values,
    )


def changed_query(request: web.Request, changed: Mapping[str, object]) -> str:
    """`?…` for a link to the same page with some of its query another; None takes a name out."""
    kept = {name: text for name, text in request.query.items() if name != "done"}
    kept |= {name: str(value) for name, value in changed.items() if value is not None}
    for name in (name for name, value in changed.items() if value is None):
        kept.pop(name, None)
    return "?" + urlencode(kept)


def see_other(request: web.Request, path: str, done: str = "") -> web.Response:
    """On to the next page, which says what was done (`words.done` in its template)."""
    return page.see_other(request, path, **({"done": done} if done else {}))


def back(request: web.Request) -> str:
    """The page of ours whose form this was, without its query."""
    came = urlsplit(request.headers.get("Referer", "")).path.removeprefix(page.root(request))
    return came if came.startswith("/staff") else "/staff"


def refused(request: web.Request, who: Who | None, error: Refusal) -> dict[str, str]:
    """The faults of a form, by field ("" for those of none), in the reader's language."""
    spoken = page.language(request, who.account.language if who else None)
    each = error.each if isinstance(error, Several) else (error,)
    return {one.field or "": render.refusal(one, spoken) for one in each}


def text(sent: Fields, name: str, *, most: int = TEXT_CHARACTERS, required: bool = True) -> str:
    """One line that was filled in, such as a reason. Raises Invalid."""
    given = forms.one(sent, name).strip()
    if not given and required:
        raise Invalid("Fill this in.", field=name)
    check(given, given, name, most)
    return given


def reason(sent: Fields) -> str:
    """Why, for the record. A very short one is asked back once: sent again as it is, it stands.

    Raises Invalid.
    """
    given = text(sent, "reason")
    if len(given) < SHORT_CHARACTERS and forms.one(sent, "insist") != given:
        raise Invalid(
            "Will it say enough to somebody who reads it in a year? Add a word or two, or send it "
            "once more as it is.",
            field="reason",
        )
    return given


def check_lines(text: str, field: str, most: int) -> None:
    """Several lines that were filled in, their ends as LF. Raises Invalid."""
    check(text, text.translate({ord("\n"): " ", ord("\t"): " "}), field, most)


def check(text: str, flat: str, field: str, most: int) -> None:
    if len(text) > most:
        raise Invalid("This is too long: {most} characters at most.", field=field, most=most)
    if forms.UNSEEN.search(flat):
        raise Invalid(
            "This has invisible characters in it: type it instead of pasting.", field=field
        )
