"""What is wrong in the operator's templates and catalogues, said before anything is sent."""

import gettext
import re
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from babel import UnknownLocaleError
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import PoFileError, read_po
from jinja2 import TemplateSyntaxError

from mailer import resources
from mailer.render import SOURCE, environment
from mailer.render.shelf import OWN, BadTemplate, misplaced

PO_LINE = re.compile(
    r'\s*(#.*|((msgctxt|msgid|msgid_plural|msgstr(\[\d\])?)\s+)?"(\\.|[^"\\])*"\s*)?'
)
PLACES = re.compile(r"%\(\w+\)s|\{\w+\}")
NUMBER = "%(num)s"
"""The place of the number that a plural goes by."""


def found() -> list[str]:
    """What is wrong in the operator's folder, each with its file and line."""
    ours = resources("templates")
    every: list[str] = []
    for folder in OWN:
        for path in sorted(p for p in folder.rglob("*.*") if p.is_file()):
            name = path.relative_to(folder).as_posix()
            if path.suffix == ".po":
                every += faults_of_catalogue(path)
            elif not (ours / name).is_file():
                every.append(f"{path}: there is no template {name} that this could stand for")
            else:
                every += [str(fault) for fault in faults_of_template(name)]
    return every


def faults_of_template(name: str) -> Iterator[BadTemplate]:
    if not name.endswith((".html", ".mjml", ".txt", ".xml")):
        return
    try:
        environment(SOURCE).get_template(name)
    except TemplateSyntaxError as error:
        yield BadTemplate(error.message or "wrong", name, error.lineno)
    except UnicodeDecodeError:
        yield BadTemplate("it is not in UTF-8", name)
    else:
        if name.endswith(".mjml"):
            yield from misplaced(name)


def faults_of_catalogue(path: Path) -> Iterator[str]:
    try:
        lines = path.read_text("utf-8").splitlines()
        # The reader takes an odd line for an empty translation.
        if odd := [number for number, line in enumerate(lines, 1) if not PO_LINE.fullmatch(line)]:
            yield f"{path}, line {odd[0]}: it must be a keyword and a text in double quotes"
            return
        with path.open("rb") as source:
            read = read_po(source, path.stem, abort_invalid=True)
        alone = single(read)
    except (PoFileError, UnicodeDecodeError, ValueError, UnknownLocaleError) as error:
        yield f"{path}: {error}"
        return
    for message in read:
        if message.id and not filled(message, alone):
            wanted = sorted(set(PLACES.findall(forms(message.id)[-1]))) or ["none"]
            places = ", ".join(wanted)
            yield f"{path}, line {message.lineno}: its places for values must be: {places}"


def filled(message: Message, alone: Collection[int]) -> bool:
    """Whether each form that is there has the places for values that the English has. A plural form
    that one number `alone` takes may say that number in a word: an hour, two hours (Arabic)."""
    english = set(PLACES.findall(forms(message.id)[-1]))
    for form, said in enumerate(forms(message.string)):
        lacking = english ^ set(PLACES.findall(said))
        if said and lacking - ({NUMBER} if message.pluralizable and form in alone else set()):
            return False
    return True


def single(read: Catalog) -> set[int]:
    """The plural forms of which each stands for one number alone. Raises ValueError."""
    index = gettext.c2py(read.plural_expr)
    taken = Counter(index(count) for count in range(1001))
    return {form for form, often in taken.items() if often == 1}


def forms(said: object) -> list[str]:
    """Of a sentence one; of a plural several."""
    return [said] if isinstance(said, str) else list(said) if isinstance(said, list | tuple) else []
