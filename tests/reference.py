"""The reference in docs/: commands and routes, as the program itself has them.

    .venv/bin/python -m tests.reference        writes them anew

tests/test_documents.py fails when they are not what this would write.
"""

import re
from collections.abc import Iterator, Sequence
from inspect import cleandoc
from pathlib import Path

import click

from mailer.cli import ROOMS, contents
from mailer.staff import ROLES
from mailer.web import api, app
from mailer.web.api.operation import ROOT
from mailer.web.desk import gate

DOCS = Path(__file__).resolve().parent.parent / "docs"
BEGIN, END = "<!-- written by tests/reference.py: {} -->\n", "<!-- end -->"
GAP = re.compile(r"\{(\w+):(?:[^{}]|\{[^{}]*\})+\}")


def main() -> None:
    for name in ("commands.md", "routes.md"):
        (DOCS / name).write_text(renewed((DOCS / name).read_text("utf-8")), "utf-8")


def renewed(text: str) -> str:
    """A document with its written parts as they should be."""
    for what, write in PARTS.items():
        begin = BEGIN.format(what)
        before, there, rest = text.partition(begin)
        if there:
            text = before + begin + "\n" + "".join(write()) + "\n" + END + rest.partition(END)[2]
    return text


# commands


def commands() -> Iterator[str]:
    """Each with its help, arguments and options."""
    for name in ROOMS:
        yield f"## mailer {name}\n\n"
        yield from told((name,))


def told(path: Sequence[str]) -> Iterator[str]:
    found = command(path)
    ctx = click.Context(found, info_name=" ".join(("mailer", *path)))
    yield f"`{' '.join([ctx.command_path, *found.collect_usage_pieces(ctx)])}`\n\n"
    yield " ".join(cleandoc(found.help or "").split()) + "\n\n"
    yield from options(found, ctx)
    if isinstance(found, click.Group):
        for name in found.list_commands(ctx):
            yield f"### mailer {' '.join(path)} {name}\n\n"
            yield from told((*path, name))


def command(path: Sequence[str]) -> click.Command:
    """Raises KeyError for one that is not there."""
    found: click.Command = contents
    for name in path:
        group = found if isinstance(found, click.Group) else click.Group()
        within = group.get_command(click.Context(group), name)
        if within is None:
            raise KeyError(name)
        found = within
    return found


def options(found: click.Command, ctx: click.Context) -> Iterator[str]:
    records = [p.get_help_record(ctx) for p in found.params if isinstance(p, click.Option)]
    rows = [(names, " ".join(said.split())) for names, said in filter(None, records)]
    if rows:
        yield "| option | |\n|---|---|\n"
        yield from (f"| `{names}` | {said} |\n" for names, said in map(plain, rows))
        yield "\n"


def plain(row: tuple[str, str]) -> tuple[str, str]:
    """Its bars would divide the table."""
    return row[0].replace("|", "\\|"), row[1].replace("|", "\\|")


# routes


def shown(path: str) -> str:
    """A path without what its gaps may be filled with."""
    return GAP.sub(r"{\1}", path)


def public() -> set[str]:
    """Every route that is neither the API's nor the staff's, as METHOD and path."""
    routes = [*app.ROUTES, *app.INBOX_ROUTES]
    return {f"{r.method} {shown(r.path)}" for r in routes if not r.path.startswith(ROOT)}


def programs() -> Iterator[str]:
    yield "| route | scope | what |\n|---|---|---|\n"
    for each in api.OPERATIONS:
        scope = f"`{each.scope}`" if each.scope else "anybody"
        yield f"| `{each.method} {shown(each.route)}` | {scope} | {each.summary} |\n"


def staff() -> Iterator[str]:
    yield "| route | who |\n|---|---|\n"
    for each in app.STAFF:
        yield f"| `{each.method} {shown(each.path)}` | {who(each)} |\n"


def who(entry: gate.Entry) -> str:
    if entry.half:
        return "who has shown a password, and must show a second factor"
    if not entry.roles:
        return "anybody"
    every = entry.roles == frozenset(gate.EVERYONE)
    roles = "everyone signed in" if every else ", ".join(r for r in ROLES if r in entry.roles)
    return roles + (", who shows again who they are" if entry.fresh else "")


PARTS = {"commands": commands, "programs": programs, "staff": staff}


if __name__ == "__main__":
    main()
