"""Templates: pages, texts and mails in a reader's language.

English is written in the templates and is the key of every translation; a language is one file,
templates/translations/<language>.po. Values given to a template are never templates themselves.
"""

import gettext
import hashlib
import io
import re
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from datetime import date as date_
from functools import cache, lru_cache
from pathlib import Path
from typing import TypeAlias

import mrml
from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent
from jinja2 import (
    Environment,
    FileSystemLoader,
    StrictUndefined,
    TemplateError,
    TemplateSyntaxError,
    select_autoescape,
)
from markupsafe import Markup

from mailer.errors import Refusal
from mailer.render.shelf import OWN, BadTemplate, folders, names, path, unbalanced

SOURCE = "en"
"""What the templates are written in, and readers of a language without a catalogue get."""

DESK = ("en", "ru")
"""What the staff's pages and the API speak."""

OWN_NAMES = {"kk": "Қазақша"}
"""Where people call their language in lists of languages otherwise than CLDR does."""

Translations: TypeAlias = gettext.NullTranslations

UNITS = ("B", "KB", "MB", "GB")
ACCEPT_CHARACTERS = 500
ACCEPTED = re.compile(r"\s*(\*|[A-Za-z0-9-]+)\s*(?:;\s*[qQ]\s*=\s*([01](?:\.\d*)?)\s*)?")
LABEL = re.compile(r' aria-label="[^"]*"')
"""Of the body: the title, which mrml spells as Rust does: \\u{64f} for a mark above a letter."""

LEFT_OVER = re.compile(r"</?(mj[-\w]*)")


# what is rendered


def page(template: str, language: str, **values: object) -> str:
    """templates/<template> as HTML: values are escaped. Raises BadTemplate."""
    try:
        return environment(language).get_template(template).render(values)
    except TemplateSyntaxError as error:
        raise BadTemplate(error.message or "wrong", error.name or template, error.lineno) from error
    except (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError) as error:
        name, line = place(error, template)
        raise BadTemplate(str(error), name, line) from error


def place(error: Exception, template: str) -> tuple[str, int | None]:
    """In which template, and in which of its lines, it was raised."""
    found: tuple[str, int | None] = (template, None)
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = Path(frame.f_code.co_filename)
        for folder in folders():
            if file.is_relative_to(folder):
                found = file.relative_to(folder).as_posix(), line
    return found


def text(template: str, language: str, **values: object) -> str:
    """templates/<template> as it stands: a .txt, where nothing is escaped. Raises BadTemplate."""
    assert template.endswith(".txt"), template
    return page(template, language, **values)


def mjml(template: str, language: str, **values: object) -> str:
    """templates/<template> as the HTML of a mail. Raises BadTemplate for what MJML doesn't know."""
    try:
        made = mrml.to_html(page(template, language, **values), None, options())
    except (OSError, ValueError) as error:
        if found := next(unbalanced(template), None):
            raise found from error
        raise BadTemplate(str(error), template) from error
    if made.warnings:
        raise BadTemplate(str(made.warnings[0].kind), template)
    # Unknown tags pass through as they are; those of values are escaped and so never found here.
    if left := LEFT_OVER.search(made.content):
        raise next(unbalanced(template), None) or BadTemplate(
            f"<{left[1]}> is in the wrong place", template
        )
    return LABEL.sub("", made.content, count=1)


def options() -> mrml.RenderOptions:
    # Without `fonts` it asks a third party for those it knows by name.
    return mrml.RenderOptions(disable_comments=True, fonts={})


# sentences


def translate(sentence: str, language: str) -> str:
    return catalogue(spoken(language)).gettext(sentence) if sentence else ""


def refusal(error: Refusal, language: str) -> str:
    """The sentence of a refusal: translated first and then filled in, never the other way round."""
    values = {
        name: day(value, language) if isinstance(value, date_) else value
        for name, value in error.values.items()
    }
    return translate(error.sentence, language).format(**values)


def best(wanted: str | None, accept: str | None, offered: Sequence[str]) -> str:
    """The language of `offered` that was asked for, else the browser's (Accept-Language), else its
    first."""
    if found := lookup(wanted or "", offered):
        return found
    weights = accepted(accept or "")
    for code, weight in sorted(weights.items(), key=lambda w: -w[1]):
        if weight > 0 and code != "*" and (found := lookup(code, offered)):
            return found
    return next((code for code in offered if weights.get(code.lower(), 1) > 0), offered[0])


def lookup(code: str, offered: Sequence[str]) -> str | None:
    """The one of `offered` that a language tag means: itself, or what is left of it without its
    region and script (RFC 4647, section 3.4)."""
    by_tag = {each.lower(): each for each in offered}
    tag = code.lower()[:ACCEPT_CHARACTERS]
    while tag and tag not in by_tag:
        tag = tag.rpartition("-")[0]
    return by_tag.get(tag)


def accepted(header: str) -> dict[str, float]:
    """What an Accept-Language header gives each language (RFC 9110, section 12.5.4), 0 to 1; odd
    parts are left out."""
    found: dict[str, float] = {}
    for part in header[:ACCEPT_CHARACTERS].split(","):
        if read := ACCEPTED.fullmatch(part):
            found.setdefault(read[1].lower(), min(float(read[2] or 1), 1))
    return found


def own(language: str) -> Markup:
    """Attributes of what the service itself says to readers of `language`: in which it speaks.

    In a mail every block has them: many mail programs drop those of the whole.
    """
    said = spoken(language)
    return Markup(' lang="{}" dir="{}"').format(said, direction(said))


def spoken(language: str) -> str:
    """The language in which the service speaks to readers of `language`."""
    return lookup(language, LANGUAGES) or SOURCE


def written(language: str) -> str:
    """The language in which figures and dates are written for them: their own, if it is known."""
    return language if locale_of(language) else spoken(language)


def babel(language: str) -> Locale:
    found = locale_of(written(language))
    assert found is not None, "the service's own languages are known"
    return found


@cache
def catalogue(language: str) -> Translations:
    """The operator's, and behind it ours."""
    found = gettext.NullTranslations()
    for folder in reversed(folders()):
        file = folder / "translations" / f"{language}.po"
        if file.is_file():
            compiled = io.BytesIO()
            with file.open("rb") as source:
                write_mo(compiled, read_po(source, language))
            compiled.seek(0)
            theirs = gettext.GNUTranslations(compiled)
            theirs.add_fallback(found)
            found = theirs
    return found


def source_sha256(folder: str) -> str:
    """Which version of templates a text came from: over its folder and what all mails share."""
    whole = hashlib.sha256()
    for name, source in sources(folder).items():
        whole.update(f"{name}\n".encode() + source)
    return whole.hexdigest()


def sources(folder: str) -> dict[str, bytes]:
    """The templates that a text of this folder is made from, by their names."""
    shared = folder.rpartition("/")[0]
    found = [
        name for near in (folder, shared) for name in names() if name.rpartition("/")[0] == near
    ]
    return {name: path(name).read_bytes() for name in found}


# whose templates


def use(own_folder: Path | None) -> None:
    """From now on the templates and catalogues in this folder go before ours."""
    global LANGUAGES  # noqa: PLW0603  # said once, when a process begins
    OWN[:] = [own_folder] if own_folder else []
    LANGUAGES = known()
    catalogue.cache_clear()
    environment.cache_clear()


def known() -> tuple[str, ...]:
    """English, and each language that has a catalogue, of ours or of the operator's."""
    found = {file.stem for folder in folders() for file in (folder / "translations").glob("*.po")}
    return (SOURCE, *sorted(found - {SOURCE}))


LANGUAGES = known()
"""Those the service itself speaks; a newsletter may have more."""


# the environment


@lru_cache(64)
def environment(language: str) -> Environment:
    """One a language: what gettext installs and the filters speak are its own."""
    made = Environment(
        loader=FileSystemLoader(folders()),
        autoescape=select_autoescape(("html", "mjml", "xml")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.install_gettext_translations(  # type: ignore[attr-defined]  # the extension adds it
        catalogue(spoken(language)), newstyle=True
    )
    locale = written(language)
    made.filters["date"] = lambda at, zone=None: date(at, locale, zone)
    made.filters["day"] = lambda day: format_date(day, "long", locale=babel(locale))
    made.filters["datetime"] = lambda at, zone=None: date_and_time(at, locale, zone)
    made.filters["size"] = lambda count: size(count, locale)
    made.filters["number"] = lambda count: format_decimal(count, locale=babel(locale))
    made.filters["own_name"] = own_name
    made.filters["label"] = lambda said: label(said, language)
    made.filters["alone"] = lambda said: alone(said, language)
    made.filters["language_name"] = lambda code, among=locale: language_name(code, among)
    made.globals["lang"] = language
    made.globals["dir"] = direction(language)
    made.globals["direction"] = direction
    made.globals["own"] = own(language)
    made.globals["translate"] = lambda sentence: translate(sentence, language)
    return made


# figures and names, as a language writes them


def date(at: datetime, language: str, zone: tzinfo | None = None) -> str:
    return day(at.astimezone(zone or UTC), language)


def day(of: date_, language: str) -> str:
    text: str = format_date(of, "long", locale=babel(language))
    # The first of a month is the only one that French counts off.
    return f"1er{text[1:]}" if language == "fr" and of.day == 1 else text


def date_and_time(at: datetime, language: str, zone: tzinfo | None = None) -> str:
    """With the name of the zone, UTC unless told otherwise."""
    local, locale = at.astimezone(zone or UTC), babel(language)
    hour = format_datetime(local, "HH:mm", locale=locale)
    joined: str = locale.datetime_formats["medium"].format(hour, day(local, language))
    return f"{joined} {local.tzname()}"


def size(count: int | None, language: str) -> str:
    """Bytes for people: 304 KB. An unknown size is said to be unknown."""
    if count is None:
        return translate("size unknown", language)
    value, unit = float(count), 0
    while round(value) >= 1000 and unit < len(UNITS) - 1:
        value, unit = value / 1024, unit + 1
    digits = "0.#" if unit > 1 and value < 10 else "#,##0"
    number = format_decimal(value, digits, locale=babel(language))
    return f"{number}\N{NO-BREAK SPACE}{translate(UNITS[unit], language)}"


def share(part: float, language: str) -> str:
    """Of a whole (0 to 1), in per cent: 0.31%."""
    return format_percent(part, "#,##0.##%", locale=babel(language))


def language_name(code: str, among: str) -> str:
    """The name of language `code` in the language `among`; the code itself if nobody knows it."""
    found = locale_of(code)
    return (found.get_display_name(babel(among)) if found else None) or code


def label(said: str, language: str) -> str:
    """With the colon after it, before which some languages want a space; as safe as it was."""
    return type(said)(translate("{label}:", language)).format(label=said)


def alone(said: str, language: str) -> str:
    """Kept from turning what is around it in a text from right to left: between a first strong
    isolate and a pop directional isolate (UAX #9)."""
    return said if direction(language) == "ltr" else f"\u2068{said}\u2069"


def own_name(code: str) -> str:
    """The name of language `code` in itself, as it stands alone; the code if nobody knows it."""
    name = OWN_NAMES.get(code) or language_name(code, code)
    return name[0].upper() + name[1:] if locale_of(code) else code


def direction(language: str) -> str:
    """`rtl` or `ltr`, as the dir attribute wants it."""
    found = locale_of(language)
    return found.text_direction if found else "ltr"


def locale_of(code: str) -> Locale | None:
    try:
        return Locale.parse(code, sep="-" if "-" in code else "_")
    except (ValueError, UnknownLocaleError, TypeError):
        return None
