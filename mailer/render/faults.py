"""What is wrong in the operator's templates and catalogues, said before anything is sent."""

import re
from collections.abc import Iterator
from pathlib import Path

from babel import UnknownLocaleError
from babel.messages.pofile import PoFileError, read_po
from jinja2 import TemplateSyntaxError

from mailer import resources
from mailer.render import SOURCE, environment
from mailer.render.shelf import OWN, BadTemplate, misplaced

PO_LINE = re.compile(
    r'\s*(#.*|((msgctxt|msgid|msgid_plural|msgstr(\[\d\])?)\s+)?"(\\.|[^"\\])*"\s*)?'
)
PLACES = re.compile(r"%\(\w+\)s|\{\w+\}")


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
            read = list(read_po(source, path.stem, abort_invalid=True))
    except (PoFileError, UnicodeDecodeError, ValueError, UnknownLocaleError) as error:
        yield f"{path}: {error}"
        return
    for message in read:
        asked, said = forms(message.id)[-1:], forms(message.string)
        wanted = set(PLACES.findall("".join(asked)))
        if any(set(PLACES.findall(each)) != wanted for each in said if each and message.id):
            places = ", ".join(sorted(wanted)) or "none"
            yield f"{path}, line {message.lineno}: its places for values must be: {places}"


def forms(said: object) -> list[str]:
    """Of a sentence one; of a plural several."""
    return [said] if isinstance(said, str) else list(said) if isinstance(said, list | tuple) else []
