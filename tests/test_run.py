"""`run`: what a stranger types first."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import mailer

TOP = Path(mailer.__file__).parents[1]
RUN = TOP / "run"


def run(*args: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    return subprocess.run(
        (str(RUN), *args), env=environ, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_second_start_installs_nothing_and_says_nothing() -> None:
    stamp = TOP / ".venv" / "requirements.txt.sha256"
    installed = stamp.stat().st_mtime_ns
    finished = run("migrate", "--help")
    assert finished.returncode == 0
    assert finished.stderr == ""
    assert stamp.stat().st_mtime_ns == installed


def test_its_arguments_and_exit_status_are_those_of_the_command() -> None:
    finished = run("nosuch")
    assert finished.returncode == 2
    assert "No such command" in finished.stderr


def test_help_tells_of_itself_and_of_the_commands() -> None:
    told = run("--help").stdout
    assert "./run dev" in told
    assert "Usage: mailer" in told


def test_it_imports_nothing_but_the_standard_library() -> None:
    tree = ast.parse(RUN.read_text("utf-8"))
    named = {alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
    named |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in named} <= sys.stdlib_module_names


def test_an_old_python_is_told_so_before_anything_else() -> None:
    source = RUN.read_text("utf-8")
    older = (
        "import sys; sys.version_info = (3, 9, 1); "
        "exec(compile(open(sys.argv[1]).read(), 'run', 'exec'))"
    )
    finished = subprocess.run(
        (sys.executable, "-c", older, str(RUN)), capture_output=True, text=True, check=False
    )
    assert finished.returncode == 1
    assert "Python 3.11 or newer" in finished.stderr
    assert source.index("version_info") < source.index("import fcntl")
