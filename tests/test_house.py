"""The house keeps its shape: which room may know which, and what is written where."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import mailer

PACKAGE = Path(mailer.__file__).parent

LADDER = (
    ("errors", "tokens", "tracing"),
    ("address", "db", "embedded", "render", "vault"),
    (
        "config",
        "consent",
        "journal",
        "limits",
        "migrate",
        "outbox",
        "outfiles",
        "providers",
        "puzzles",
        "subjects",
        "suppressions",
    ),
    (
        "access",
        "acts",
        "answers",
        "articles",
        "census",
        "backups",
        "disposable",
        "exports",
        "floods",
        "jobs",
        "keys",
        "log",
        "lookalikes",
        "newsletters",
        "notices",
        "pictures",
        "staff",
        "subject_requests",
        "subscribers",
    ),
    ("digests", "factors", "feeds", "passkeys", "schedules", "sessions", "subscriptions"),
    (
        "bounces",
        "erasures",
        "example",
        "extracts",
        "fetch",
        "imap",
        "imports",
        "invitations",
        "listener",
        "mailbox",
        "mime",
        "oidc",
        "reach",
        "rectification",
        "renewals",
        "replay",
        "retention",
        "smtp",
        "withdrawals",
    ),
    ("dkim", "people", "troubles", "verifications"),
    ("letters",),
    (
        "delivery",
        "domain",
        "editions",
        "evidence",
        "hooks",
        "metrics",
        "processing",
        "receipts",
        "web.forms",
        "web.page",
    ),
    ("web.guard", "web.intake", "web.known", "web.patience"),
    ("web.desk", "web.door"),
    (
        "web.api",
        "web.archive",
        "web.content",
        "web.health",
        "web.hooks",
        "web.inbox",
        "web.issues",
        "web.links",
        "web.lists",
        "web.log",
        "web.manage",
        "web.metrics",
        "web.officer",
        "web.pictures",
        "web.public",
        "web.record",
        "web.rights",
        "web.staff",
        "worker",
    ),
    ("web.app",),
    ("cli",),
    ("__main__",),
)
RUNG = {room: number for number, rooms in enumerate(LADDER) for room in rooms}

SQL = re.compile(r"\b(select .* from|insert into|update \w+ set|delete from)\b", re.IGNORECASE)
SHELVED_ELSEWHERE = {"cli", "__init__", "web"}


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name(path: Path) -> str:
    """Dotted, below the package: web.page, smtp.session."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__") or "__init__"


def room(dotted: str) -> str:
    """A noun that outgrew its file is a package and still one room; only web has rooms inside."""
    first, _, rest = dotted.partition(".")
    return f"web.{rest.partition('.')[0]}" if first == "web" and rest else first


def imports(path: Path) -> Iterator[str]:
    """Rooms of ours that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mailer"):
            below = (node.module or "").removeprefix("mailer").strip(".")
            for alias in node.names:
                whole = f"{below}.{alias.name}".strip(".")
                if whole not in ("__version__", "resources"):
                    yield room(whole)
        elif isinstance(node, ast.Import):
            yield from (room(a.name[7:]) for a in node.names if a.name.startswith("mailer."))


def code(path: Path) -> ast.AST:
    return ast.parse(path.read_text("utf-8"))


def docstrings(tree: ast.AST) -> set[int]:
    """Strings that stand alone, by identity."""
    return {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


@pytest.mark.parametrize("path", files(), ids=name)
def test_every_room_stands_on_the_ladder_and_knows_only_those_below(path: Path) -> None:
    own = room(name(path))
    if own in ("__init__", "web"):
        return
    assert own in RUNG, f"{own} stands on no rung"
    above = {other for other in imports(path) if other != own and RUNG[other] >= RUNG[own]}
    assert not above, f"{own} (rung {RUNG[own]}) must not know {sorted(above)}"


def test_the_ladder_names_only_rooms_that_are_there() -> None:
    assert set(RUNG) == {room(name(path)) for path in files()} - {"__init__", "web"}


@pytest.mark.parametrize("path", files(), ids=name)
def test_every_file_says_what_it_is_for(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    assert ast.get_docstring(tree), path


def test_sql_is_in_files_of_its_own() -> None:
    found = []
    for path in files():
        tree = code(path)
        alone = docstrings(tree)
        found += [
            f"{name(path)}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in alone
            and SQL.search(node.value)
        ]
    assert found == []


def calls(tree: ast.AST, dotted: str) -> bool:
    return any(
        isinstance(node, ast.Attribute | ast.Name) and ast.unparse(node) == dotted
        for node in ast.walk(tree)
    )


@pytest.mark.parametrize(
    ("dotted", "rooms"),
    [
        ("os.environ", {"config", "cli"}),
        ("print", set()),
        ("conn.transaction", {"backups", "cli", "delivery", "worker", "migrate", "web"}),
        ("web.HTTPSeeOther", set()),
    ],
)
def test_some_things_are_done_in_few_rooms_only(dotted: str, rooms: set[str]) -> None:
    doing = {name(path).partition(".")[0] for path in files() if calls(code(path), dotted)}
    assert doing <= rooms


def test_the_domain_knows_nothing_of_the_web_framework() -> None:
    for path in files():
        if RUNG.get(room(name(path)), 99) < RUNG["fetch"]:
            assert "aiohttp" not in path.read_text("utf-8"), path
