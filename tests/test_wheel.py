"""The wheel runs where no checkout is: templates, translations and SQL are inside."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mailer import resources

TOP = Path(__file__).resolve().parent.parent
BUILD = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = (sys.executable, "-c", BUILD, str(folder))
    built = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=True)
    return folder / built.stdout.split()[-1]


def test_all_that_the_program_reads_is_inside(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("sql", "templates"):
        for path in resources(folder).rglob("*"):
            if path.is_file():
                assert f"mailer/{folder}/{path.relative_to(resources(folder)).as_posix()}" in inside


def test_nothing_else_of_the_checkout_is_inside(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"mailer"}


def test_it_runs_without_the_checkout(wheel: Path, database_url: str, tmp_path: Path) -> None:
    """On a database that is migrated already: that it knows so, it read from its own SQL."""
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path / "site")
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(tmp_path / "site"),
        "MAILER_DATABASE_URL": database_url,
        "MAILER_DATA_DIR": str(tmp_path),
        "MAILER_SECRET_KEY": "A" * 43 + "=",
    }

    def said(*command: str) -> str:
        done = subprocess.run(
            (sys.executable, "-P", "-m", "mailer", *command),
            env=environ, cwd=tmp_path, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout

    where = subprocess.run(
        (sys.executable, "-P", "-c", "import mailer; print(mailer.__file__)"),
        env=environ, cwd=tmp_path, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert Path(where.strip()).is_relative_to(tmp_path / "site")
    assert "up to date" in said("migrate")
    assert "Added weekly" in said("newsletter", "add", "weekly", "--title", "en=Rights Weekly")
    assert "weekly" in said("newsletter", "list")
