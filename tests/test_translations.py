"""Every sentence a reader may meet is in every catalogue, whole, and none is left over.

Sentences are in templates, and in the refusals of the program: the first argument of each kind.
They are said in two circles. The door, where readers come, speaks every language. The desk, where
the staff and their programs come, speaks those of `render.DESK`. Whatever is not known to be said
at the desk alone is said at the door.
"""

import ast
import gettext
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pytest
from babel import Locale
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import mailer
from mailer import render, resources
from mailer.receipts import kantara, linked, record
from mailer.render import faults

KINDS = (
    "Invalid", "Unknown", "Conflict", "Changed", "Unseen", "Unauthenticated", "NotAllowed",
    "TooMany", "Unavailable",
)  # fmt: skip
SPOKEN_BY_CALLS = ("translate", "_")
SPOKEN_BY_CHECKS = ("refused", "warning", "note")
"""Of a digest, before it goes; `log.warning` is another thing."""

# Said to who runs the service, at a terminal, where everything is in English.
TO_OPERATORS = (
    "backups.py",
    "cli/",
    "embedded",
    "journal.py",
    "evidence/",
    "log/",
    "migrate.py",
    "db.py",
    "config.py",
    "smtp.py",
    "web/app.py",
    "web/metrics.py",
)

# Said at the desk alone: a template, a module, or what stands at the top level of one.
DESK = (
    "templates/inbox/",
    "templates/mail/invitation/",
    "templates/mail/password/",
    "templates/mail/trouble/",
    "templates/staff/",
    "access.py",
    "answers.py",
    "articles/",
    "bounces/",
    "digests/choosing.py",
    "digests/editing.py",
    "digests/sending.py",
    "domain.py",
    "editions/",
    "factors.py",
    "feeds.py",
    "imap.py",
    "imports/",
    "jobs.py",
    "mime.py",
    "newsletters.py:add",
    "newsletters.py:change",
    "newsletters.py:check",
    "notices.py:publish",
    "notices.py:check",
    "oidc.py",
    "outfiles.py",
    "passkeys.py",
    "people.py",
    "renewals.py:begin",
    "renewals.py:stop",
    "schedules.py",
    "staff",
    "subject_requests.py",
    "troubles.py",
    "delivery/desk.py",
    "web/issues/",
    "web/lists/",
    "web/api",
    "web/content/",
    "web/desk",
    "web/inbox.py",
    "web/officer/",
    "web/page.py:API_REFUSALS",
    "web/staff",
)

NAMED = re.compile(r"%\((?:title|address|host)\)s|\{slug\}")
"""Places of what may be written from left to right in any language."""

ISOLATED = re.compile(rf"\u2068(?:{NAMED.pattern})\u2069")
"""Between a first strong isolate and a pop directional isolate."""

NAMES = re.compile(
    r"Kantara|JSON-LD|JSON|ZIP|ISO/IEC TS \d+|Atom|UTF-8|UTC|Python|cryptography|SHA-256|XML"
    r"|verify\.py|application/[\w.-]+|multipart/[\w.-]+|`[^`]+`|https?://[\w./-]+|MAILER_\w+"
    r"|[\w.]+@example\.(?:org|com|net)|Europe/\w+|xn--…|Authorization: Bearer"
)
"""Of formats, programs and examples: they are the same in every language."""

COPY = "The same as in English."
"""The comment that such a translation has in its catalogue."""

ENDS = {"؟": "?", "؛": ";"}
CLOSING = "”»“\"')"

Id: TypeAlias = str | tuple[str, ...]


class Said(NamedTuple):
    """A sentence, a plural pair as a pair; `at`: its template, or its module and what is around it
    there, as module.py:function."""

    id: Id
    at: str


def of_templates() -> Iterator[Said]:
    found = extract_from_dir(
        str(resources("templates")),
        [("**.html", "jinja2"), ("**.txt", "jinja2"), ("**.mjml", "jinja2")],
        {"**": {"newstyle_gettext": "true", "trim_blocks": "true", "silent": "false"}},
        keywords={"_": None, "gettext": None, "ngettext": (1, 2), "translate": None},
    )
    for name, _, message, _, _ in found:
        yield Said(message, f"templates/{name}")


def of_the_program() -> Iterator[Said]:
    package = Path(mailer.__file__).parent
    for path in sorted(package.rglob("*.py")):
        module = path.relative_to(package).as_posix()
        if not module.startswith(TO_OPERATORS):
            yield from of_source(ast.parse(path.read_text("utf-8")), module)


def of_source(tree: ast.Module, module: str) -> Iterator[Said]:
    """What its refusals say, and its literal arguments to `translate`."""
    named = dict(constants(tree))
    for part in tree.body:
        for node in ast.walk(part):
            if isinstance(node, ast.Call) and (said := of_call(node, named, module)):
                yield Said(said, f"{module}:{title(part)}")


def of_call(node: ast.Call, named: Mapping[str, str], module: str) -> str | None:
    name = getattr(node.func, "id", getattr(node.func, "attr", ""))
    said = sentence(node.args[0], named) if node.args else None
    assert said or name not in KINDS, f"{module}:{node.lineno}: say a sentence there"
    checks = isinstance(node.func, ast.Name) and name in SPOKEN_BY_CHECKS
    return said if name in (*KINDS, *SPOKEN_BY_CALLS) or checks else None


def title(part: ast.stmt) -> str:
    """The name of a function, class or constant."""
    if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return part.name
    target = part.targets[0] if isinstance(part, ast.Assign) else getattr(part, "target", None)
    return target.id if isinstance(target, ast.Name) else ""


def constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Sentences that have a name in their module."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            said = sentence(node.value, {})
            if said:
                yield node.targets[0].id, said


def sentence(node: ast.expr, named: Mapping[str, str]) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return named.get(node.id) if isinstance(node, ast.Name) else None


def of_figures() -> Iterator[Said]:
    """What is chosen by computing."""
    for unit in render.UNITS:
        yield Said(unit, "render/__init__.py:size")
    for said in (*record.HOW.values(), record.ELSEWHERE, kantara.BELIEFS):
        yield Said(said, "receipts/record.py:how")
    for right in linked.RIGHTS.values():
        yield Said(right, "receipts/linked.py:RIGHTS")


def everything() -> list[Said]:
    return [*of_templates(), *of_the_program(), *of_figures()]


def wanted(language: str, said: Sequence[Said]) -> set[Id]:
    at_the_desk = language in render.DESK
    return {each.id for each in said if at_the_desk or not each.at.startswith(DESK)}


def catalogue(language: str) -> Catalog:
    with (resources("templates") / "translations" / f"{language}.po").open("rb") as source:
        return read_po(source, language)


def messages(language: str) -> list[Message]:
    return [message for message in catalogue(language) if message.id]


def identity(message: Message) -> Id:
    return message.id if isinstance(message.id, str) else tuple(message.id)


def forms(said: str | Sequence[str] | None) -> list[str]:
    return [said] if isinstance(said, str) else list(said or ())


def pairs(message: Message) -> Iterator[tuple[str, str]]:
    """Each form of a translation beside the English it stands for."""
    for said in forms(message.string):
        yield forms(message.id)[-1], said


def ending(text: str) -> str:
    """The mark a sentence ends with, if it has one, as English writes it."""
    last = text.rstrip(CLOSING)[-1:]
    return ENDS.get(last, last) if ENDS.get(last, last) in ".:?!…;" else ""


def names(text: str) -> list[str]:
    return sorted(NAMES.findall(text))


every_catalogue = pytest.mark.parametrize("language", render.LANGUAGES[1:])


@every_catalogue
def test_every_sentence_is_translated_and_none_is_left_over(language: str) -> None:
    asked = wanted(language, everything())
    known = {identity(message) for message in messages(language)}
    assert asked - known == set(), "missing"
    assert known - asked == set(), "not said anywhere any more, or at the desk alone"


@every_catalogue
def test_each_translation_is_whole_and_sure(language: str) -> None:
    for message in messages(language):
        said = forms(message.string)
        assert said, message.id
        assert all(said), message.id
        assert not message.fuzzy, message.id


@every_catalogue
def test_each_translation_keeps_its_places_for_values(language: str) -> None:
    alone = faults.single(catalogue(language))
    for message in messages(language):
        assert faults.filled(message, alone), message.id


@pytest.mark.parametrize(
    "language", [code for code in render.LANGUAGES if render.direction(code) == "rtl"]
)
def test_names_in_a_right_to_left_sentence_stand_by_themselves(language: str) -> None:
    """Between marks of isolation (UAX #9), so that a name from left to right does not turn what is
    around it; not in the subject of a mail, where filters take unseen characters for a trick."""
    subjects = {said.id for said in of_templates() if said.at.endswith("subject.txt")}
    for message in messages(language):
        wanted = 0 if message.id in subjects else len(NAMED.findall("".join(forms(message.string))))
        isolated = ISOLATED.findall("".join(forms(message.string)))
        assert len(isolated) == wanted, message.id


@every_catalogue
def test_no_sentence_is_in_a_catalogue_twice(language: str) -> None:
    source = (resources("templates") / "translations" / f"{language}.po").read_text("utf-8")
    ids = re.findall(r"^msgid (.*(?:\n\".*)*)", source, re.MULTILINE)
    assert len(ids) == len(set(ids))


@every_catalogue
def test_plural_forms_are_those_of_the_language(language: str) -> None:
    """As CLDR tells them apart, for whole numbers."""
    read = catalogue(language)
    index, category = gettext.c2py(read.plural_expr), Locale.parse(language).plural_form
    told = {(index(count), category(count)) for count in range(1001)}
    assert len(told) == len({form for form, _ in told}) == len({name for _, name in told})
    assert {form for form, _ in told} == set(range(read.num_plurals))
    for message in messages(language):
        if not isinstance(message.id, str):
            assert len(forms(message.string)) == read.num_plurals, message.id


@every_catalogue
def test_a_catalogue_says_what_it_is(language: str) -> None:
    header = dict(catalogue(language).mime_headers)
    assert header["Language"] == language
    assert header["Content-Type"] == "text/plain; charset=utf-8"


@every_catalogue
def test_translations_begin_and_end_as_the_english_does(language: str) -> None:
    """Without white space that English lacks, and with the same last mark."""
    for message in messages(language):
        for source, said in pairs(message):
            assert said == said.strip(), said
            assert source == source.strip(), source
            assert ending(said) == ending(source), said


@every_catalogue
def test_names_and_examples_stay_as_they_are(language: str) -> None:
    for message in messages(language):
        for source, said in pairs(message):
            assert names(said) == names(source), said


@every_catalogue
def test_nothing_is_left_in_english_by_mistake(language: str) -> None:
    """What is the same in both languages says so."""
    for message in messages(language):
        same = any(said == source for source, said in pairs(message))
        assert same == (COPY in message.user_comments), message.id


def test_what_a_kind_of_refusal_says_is_found() -> None:
    source = "NAME = 'Named.'\nInvalid('Mend it.', field='x')\ntranslate('Said.', c)\nUnknown(NAME)"
    found = {said.id for said in of_source(ast.parse(source), "x.py")}
    assert found == {"Mend it.", "Said.", "Named."}
    with pytest.raises(AssertionError, match=r"x\.py:1"):
        list(of_source(ast.parse("Invalid(sentence)"), "x.py"))


def test_a_sentence_is_of_the_desk_only_if_it_is_said_nowhere_else() -> None:
    source = "def add():\n    Invalid('A.')\n    Unknown('B.')\ndef find():\n    Unknown('B.')"
    said = list(of_source(ast.parse(source), "newsletters.py"))
    assert wanted("en", said) == {"A.", "B."}
    assert wanted("xx", said) == {"B."}
