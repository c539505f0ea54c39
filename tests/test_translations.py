"""Every sentence a reader may meet is in every catalogue, whole, and none is left over.

Sentences are in templates, and in the refusals of the program: the first argument of each kind.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import mailer
from mailer import render, resources

KINDS = (
    "Invalid", "Unknown", "Conflict", "Unauthenticated", "NotAllowed", "TooMany", "Unavailable",
)  # fmt: skip
SPOKEN_BY_CALLS = ("translate", "_")
SPOKEN_BY_CHECKS = ("refused", "warning", "note")
"""Of a digest, before it goes; `log.warning` is another thing."""
PLACES = re.compile(r"%\(\w+\)s|\{\w+\}")

# Said to who runs the service, at a terminal, where everything is in English.
TO_OPERATORS = (
    "cli/",
    "embedded",
    "erasures.py",
    "evidence/",
    "log/",
    "migrate.py",
    "db.py",
    "config.py",
    "smtp.py",
    "web/app.py",
    "web/metrics.py",
)

Id = str | tuple[str, ...]


def of_templates() -> Iterator[Id]:
    """Plural pairs as pairs."""
    found = extract_from_dir(
        str(resources("templates")),
        [("**.html", "jinja2"), ("**.txt", "jinja2"), ("**.mjml", "jinja2")],
        {"**": {"newstyle_gettext": "true", "trim_blocks": "true", "silent": "false"}},
        keywords={"_": None, "gettext": None, "ngettext": (1, 2), "translate": None},
    )
    for _, _, message, _, _ in found:
        yield message


def of_the_program() -> Iterator[Id]:
    package = Path(mailer.__file__).parent
    for path in sorted(package.rglob("*.py")):
        if not path.relative_to(package).as_posix().startswith(TO_OPERATORS):
            yield from of_source(ast.parse(path.read_text("utf-8")), path)


def of_source(tree: ast.Module, path: Path) -> Iterator[str]:
    """What its refusals say, and its literal arguments to `translate`."""
    named = dict(constants(tree))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        said = sentence(node.args[0], named) if node.args else None
        assert said or name not in KINDS, f"{path}:{node.lineno}: say a sentence there"
        plain = isinstance(node.func, ast.Name)
        if said and (name in (*KINDS, *SPOKEN_BY_CALLS) or (plain and name in SPOKEN_BY_CHECKS)):
            yield said


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


def of_figures() -> Iterator[str]:
    """What is chosen by computing."""
    yield from render.UNITS


def catalogue(language: str) -> list[Message]:
    with (resources("templates") / "translations" / f"{language}.po").open("rb") as source:
        return [message for message in read_po(source, language) if message.id]


def used() -> set[Id]:
    return {*of_templates(), *of_the_program(), *of_figures()}


def forms(said: str | Sequence[str] | None) -> list[str]:
    return [said] if isinstance(said, str) else list(said or ())


@pytest.mark.parametrize("language", render.LANGUAGES[1:])
def test_every_sentence_is_translated_and_none_is_left_over(language: str) -> None:
    known: set[Id] = {m.id if isinstance(m.id, str) else tuple(m.id) for m in catalogue(language)}
    assert used() - known == set(), "missing"
    assert known - used() == set(), "not said anywhere any more"


@pytest.mark.parametrize("language", render.LANGUAGES[1:])
def test_each_translation_is_whole_and_keeps_its_places_for_values(language: str) -> None:
    for message in catalogue(language):
        said = forms(message.string)
        assert said, message.id
        assert all(said), message.id
        assert not message.fuzzy, message.id
        wanted = set(PLACES.findall(forms(message.id)[-1]))
        assert all(set(PLACES.findall(each)) == wanted for each in said), message.id


def test_plurals_have_as_many_forms_as_russian_has() -> None:
    for message in catalogue("ru"):
        if not isinstance(message.id, str):
            assert len(forms(message.string)) == 3, message.id


def test_what_a_kind_of_refusal_says_is_found() -> None:
    source = "NAME = 'Named.'\nInvalid('Mend it.', field='x')\ntranslate('Said.', c)\nUnknown(NAME)"
    assert set(of_source(ast.parse(source), Path("x.py"))) == {"Mend it.", "Said.", "Named."}
    with pytest.raises(AssertionError, match=r"x\.py:1"):
        list(of_source(ast.parse("Invalid(sentence)"), Path("x.py")))
