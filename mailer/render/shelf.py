"""Whose templates: the operator's go before ours of the same name. And where one is wrong."""

import re
from collections.abc import Iterator
from pathlib import Path

from mailer import resources

OWN: list[Path] = []
"""The operator's folder, if there is one: its templates and catalogues go before ours."""

JINJA = re.compile(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", re.DOTALL)
MJML_TAG = re.compile(r"<(?P<close>/?)(?P<name>mj[-\w]*)\b[^>]*?(?P<empty>/?)>")
MJML = """head body attributes all class breakpoint font preview style title raw section column
group wrapper hero text button image divider spacer table social social-element navbar navbar-link
accordion accordion-element accordion-title accordion-text carousel carousel-image"""
MJML_NAMES = {"mjml", *(f"mj-{name}" for name in MJML.split())}


class BadTemplate(Exception):
    """A template is wrong, whatever it is given: says in which file and line, and what."""

    def __init__(self, what: str, name: str, line: int | None = None) -> None:
        path = next((str(f / name) for f in OWN if (f / name).is_file()), f"templates/{name}")
        super().__init__(f"{path}, line {line}: {what}" if line else f"{path}: {what}")


def folders() -> list[Path]:
    return [*OWN, resources("templates")]


def names() -> list[str]:
    """The names of all templates, whoever they are of."""
    found = {
        path.relative_to(folder).as_posix()
        for folder in folders()
        for path in folder.rglob("*.*")
        if path.is_file() and path.suffix != ".po"
    }
    return sorted(found)


def path(name: str) -> Path:
    return next(folder / name for folder in folders() if (folder / name).is_file())


# MJML


def unbalanced(template: str) -> Iterator[BadTemplate]:
    """Tags of MJML that nobody knows, or that are not closed where they were opened: the parser
    itself does not say where. Looked for in the sources that the template may be made of."""
    folder = template.rpartition("/")[0]
    near = [name for name in names() if name.endswith(".mjml")]
    for name in sorted(near, key=lambda n: (n != template, not n.startswith(f"{folder}/"))):
        if name.startswith(f"{folder}/") or name == "mail/base.mjml":
            yield from misplaced(name)


def misplaced(name: str) -> Iterator[BadTemplate]:
    source = JINJA.sub(lambda j: "\n" * j[0].count("\n"), path(name).read_text("utf-8"))
    opened: list[tuple[str, int]] = []
    for tag in MJML_TAG.finditer(source):
        line = source.count("\n", 0, tag.start()) + 1
        if tag["name"] not in MJML_NAMES:
            yield BadTemplate(f"<{tag['name']}> is no tag of MJML", name, line)
        elif tag["close"]:
            begun = opened.pop() if opened else ("nothing", line)
            if begun[0] != tag["name"]:
                what = f"</{tag['name']}> closes <{begun[0]}> of line {begun[1]}"
                yield BadTemplate(what, name, line)
                return
        elif not tag["empty"]:
            opened.append((tag["name"], line))
    for begun_name, line in opened:
        yield BadTemplate(f"<{begun_name}> is never closed", name, line)
