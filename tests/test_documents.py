"""Documents name everything that is there, and nothing that isn't."""

import re
import shlex
from collections.abc import Iterator

import click
import pytest
from aiohttp.web import RouteDef

from mailer.web import app
from mailer.web.desk.gate import Entry
from tests import reference
from tests.reference import DOCS, shown
from tests.test_readme import SETTING, settings

TOP = DOCS.parent
FILES = sorted([*TOP.glob("*.md"), *DOCS.glob("*.md")])
NAMES = [str(path.relative_to(TOP)) for path in FILES]

OF_TRYING_OUT = {"MAILER_TEST_DATABASE_URL", "MAILER_TEST_TIMES", "MAILER_CHROMIUM",
                 "MAILER_CORPUS"}  # fmt: skip
OF_CONTAINERS = {"MAILER_DOMAIN", "MAILER_WORKERS"}
"""What docker-compose.yml and the proxy read."""

NOT_IN_CONTAINERS = {"MAILER_TEMPLATES_DIR"}
"""A folder would have to be mounted."""

OF_DEVELOPERS = ("test", "lint", "fuzz", "audit", "faults")
INVOKED = re.compile(r"(?<![\w/.=-])(?:\./run|mailer) ([^`\n#;)\\]++)(?!\\)")
PLACE = re.compile(r"(?<![A-Za-z])[A-Z]{2,}(?![A-Za-z])")
"""A word that stands for others."""

GAPS = re.compile(r"(?:\{\w+\})+")
FENCED = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
QUOTED = re.compile(r"`([^`\n]+)`")


def text(name: str) -> str:
    return (TOP / name).read_text("utf-8")


def code(name: str) -> str:
    """What is set as code in a document: blocks, and pieces between backticks; a line each."""
    whole = text(name).replace("\\\n", " ")
    blocks = [found[1] for found in FENCED.finditer(whole)]
    return "\n".join([*blocks, *QUOTED.findall(FENCED.sub("", whole))])


def test_every_setting_reaches_the_containers() -> None:
    passed = set(re.findall(r"^    (MAILER_\w+?)(?:_FILE)?:", text("docker-compose.yml"), re.M))
    passed |= set(re.findall(r"^ +(MAILER_\w+)=", text("Dockerfile"), re.M))
    assert settings() - passed == NOT_IN_CONTAINERS


# the reference


@pytest.mark.parametrize("name", ["commands.md", "routes.md"])
def test_the_reference_is_what_the_program_has(name: str) -> None:
    written = text(f"docs/{name}")
    assert reference.renewed(written) == written, "run: .venv/bin/python -m tests.reference"


def test_every_route_for_people_is_described_and_every_described_one_is_there() -> None:
    told = set(re.findall(r"^\| `([A-Z]+ /[^`]*)` \| [^|]+ \|$", text("docs/routes.md"), re.M))
    staff = {f"{entry.method} {shown(entry.path)}" for entry in app.STAFF}
    assert told - staff == reference.public()


# what the documents mention


def invoked(name: str) -> Iterator[list[str]]:
    """Commands with their words."""
    for found in INVOKED.finditer(code(name)):
        yield shlex.split(found[1].replace("'", ""), posix=False)


def fault(words: list[str]) -> str | None:
    """What of a command is not there."""
    path: list[str] = []
    found = reference.command(())
    rest = iter(words)
    for word in rest:
        if not isinstance(found, click.Group) or not re.fullmatch(r"[a-z][a-z|-]*", word):
            break
        for each in word.split("|"):
            try:
                step = reference.command([*path, each])
            except KeyError:
                return f"no command {' '.join([*path, each])}"
        path.append(each)
        found = step
    known = {o for p in path_params(path) for o in (*p.opts, *p.secondary_opts)} | {"--help", "-h"}
    options = {word.partition("=")[0] for word in words if word.startswith("--")}
    return f"{' '.join(path)} has no {options - known}" if options - known else None


def path_params(path: list[str]) -> Iterator[click.Parameter]:
    for end in range(len(path) + 1):
        yield from reference.command(path[:end]).params


@pytest.mark.parametrize("name", NAMES)
def test_commands_that_a_document_names_are_there_with_their_options(name: str) -> None:
    for words in invoked(name):
        if words[0] not in OF_DEVELOPERS and re.match(r"[a-z]", words[0]):
            assert fault(words) is None, (fault(words), words)


@pytest.mark.parametrize("name", NAMES)
def test_settings_that_a_document_names_are_there(name: str) -> None:
    named = {each.removesuffix("_FILE") for each in SETTING.findall(text(name))}
    assert named <= settings() | OF_TRYING_OUT | OF_CONTAINERS


@pytest.mark.parametrize("name", NAMES)
def test_routes_that_a_document_names_are_there(name: str) -> None:
    every: list[RouteDef | Entry] = [*app.ROUTES, *app.INBOX_ROUTES, *app.STAFF]
    known = {(each.method, GAPS.sub("*", shown(each.path))) for each in every}
    for methods, path in re.findall(r"^([A-Z]+(?:, ?[A-Z]+)*) (/[^\s?]*)", code(name), re.M):
        plain = re.sub(rf"(?:<\w+>|{PLACE.pattern})(?:\.p/<\w+>)?", "*", GAPS.sub("*", path))
        for method in re.split(r", ?", methods):
            asked = "GET" if method == "HEAD" else method
            assert any(asked == m and plain == p.replace("**", "*") for m, p in known), (
                asked,
                path,
            )


@pytest.mark.parametrize("name", NAMES)
def test_files_tests_and_benchmarks_that_a_document_names_are_there(name: str) -> None:
    here = (TOP / name).parent
    for link in re.findall(r"\]\((?!https?:|mailto:)([^)]+)\)", FENCED.sub("", text(name))):
        file, _, anchor = link.partition("#")
        target = (here / file) if file else TOP / name
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text("utf-8")), link
    folders = r"(?:docs|deploy|sql|tests|bench|mailer|templates)"
    for path in re.findall(rf"(?<![\w/.]){folders}/[\w./@-]*\.\w+", code(name)):
        assert PLACE.search(path) or (TOP / path).exists(), path
    for test in re.findall(r"\btest_[a-z]\w+", code(name)):
        assert (TOP / "tests" / f"{test}.py").exists(), test
    for bench in re.findall(r"\bbench\.([a-z]\w*)", code(name)):
        assert (TOP / "bench" / f"{bench}.py").exists(), bench


def anchors(document: str) -> set[str]:
    """As they are made of headings."""
    heads = re.findall(r"^#+ (.+)$", document, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def test_every_document_is_listed_for_its_readers() -> None:
    listed = set(re.findall(r"\]\(([\w-]+\.md)", text("docs/README.md")))
    assert listed == {path.name for path in DOCS.glob("*.md")} - {"README.md"}
