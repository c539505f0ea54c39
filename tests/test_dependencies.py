"""What we build on is locked, whole and ours to use. What others know of it, `./run audit` asks."""

import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests import audit

TOP = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))
FILES = ("requirements.txt", "requirements-test.txt", "requirements-source.txt",
         "requirements-audit.txt")  # fmt: skip
PINNED = re.compile(r"^([\w.-]+)==([^ ;\\]+)(?: ; ([^\\]+))?", re.MULTILINE)

ALLOWED = re.compile(
    r"(?:MIT(?:-0|-CMU)?|(?:BSD|ISC|Apache|PSF|ZPL|MPL)\b.*|ASLv2|Python Software Foundation.*|"
    r"(?:The )?Unlicense.*|Mozilla Public License.*)(?: License)?",
    re.IGNORECASE,
)
"""Each lets us, and whoever runs this, use, change and pass it on beside code under MIT."""

SAYS_NOTHING = {"axe-playwright-python": "MIT", "mrml": "MIT", "pyrage": "MIT", "dkimpy": "BSD"}
"""What their sources say where their metadata doesn't."""


def text(name: str) -> str:
    return (TOP / name).read_text("utf-8")


def locked(name: str) -> dict[str, str]:
    """Version by package."""
    return {canonicalize_name(found[1]): found[2] for found in PINNED.finditer(text(name))}


def asked() -> dict[str, list[str]]:
    """What pyproject.toml asks for, by the file that locks it."""
    groups = PROJECT["dependency-groups"]
    return {
        "requirements.txt": PROJECT["project"]["dependencies"],
        "requirements-test.txt": groups["test"],
        "requirements-source.txt": groups["source"],
        "requirements-audit.txt": groups["audit"],
    }


@pytest.mark.parametrize("name", FILES)
def test_every_package_is_locked_to_one_version_with_hashes_and_no_host(name: str) -> None:
    entries = re.split(r"\n(?=\w)", text(name).strip())
    assert len(entries) == len(locked(name))
    for entry in entries:
        assert PINNED.match(entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}$", entry), entry
    assert "://" not in text(name)


@pytest.mark.parametrize("name", FILES)
def test_what_the_project_asks_for_is_what_is_locked(name: str) -> None:
    for wanted in map(Requirement, asked()[name]):
        version = locked(name).get(canonicalize_name(wanted.name))
        assert version is not None, f"{wanted.name} is not in {name}"
        assert wanted.specifier.contains(version, prereleases=True), (str(wanted), version)


def needed(name: str) -> Iterator[str]:
    """What the installed packages of a file need, on this machine."""
    for package in locked(name):
        try:
            needs = distribution(package).requires or []
        except PackageNotFoundError:
            continue  # of another platform
        for need in map(Requirement, needs):
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                yield canonicalize_name(need.name)


def test_nothing_that_is_needed_is_left_unlocked() -> None:
    own = locked("requirements.txt")
    assert set(needed("requirements.txt")) <= set(own)
    all_ = own | locked("requirements-test.txt") | locked("requirements-source.txt")
    assert set(needed("requirements-test.txt")) <= set(all_)


def test_a_package_has_the_same_version_in_every_file() -> None:
    seen: dict[str, str] = {}
    for name in FILES:
        for package, version in locked(name).items():
            assert seen.setdefault(package, version) == version, package


def licences(found: Distribution) -> list[str]:
    """As it says itself: an SPDX expression, else classifiers, else free words."""
    said = {name: found.metadata.get_all(name) or [] for name in ("License-Expression", "License")}
    if expression := said["License-Expression"]:
        return re.split(r" AND | OR ", expression[0])
    classified = [
        c.rpartition(" :: ")[2] for c in found.metadata.get_all("Classifier") or [] if "Licen" in c
    ]
    named = [c for c in classified if c not in ("OSI Approved", "DFSG approved")]
    return named or [line for words in said["License"] for line in words.splitlines()[:1]]


def test_every_licence_lets_anybody_run_change_and_pass_this_on() -> None:
    for package in {p for name in FILES[:3] for p in locked(name)}:
        try:
            said = licences(distribution(package))
        except PackageNotFoundError:
            continue
        for each in [SAYS_NOTHING[package]] if package in SAYS_NOTHING else said or ["nothing"]:
            assert ALLOWED.fullmatch(each), f"{package}: {each}"


# what the audit makes of others' answers

HOLE = {"id": "GHSA-x", "fix_versions": ["2.1"], "aliases": [], "description": ""}


def answering(monkeypatch: pytest.MonkeyPatch, *answers: object) -> None:
    """pip check, then for the one file that is locked pip-audit and pip; None: not a word."""
    words = ("" if each is None else json.dumps(each) for each in answers)
    told = iter([subprocess.CompletedProcess([], 0, each) for each in words])
    monkeypatch.setattr(audit, "LOCKED", ("requirements.txt",))
    monkeypatch.setattr(audit, "said", lambda *_: next(told))


def test_a_known_hole_and_a_withdrawn_version_fail_the_audit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = {"dependencies": [{"name": "anything", "version": "2.0", "vulns": [HOLE]}]}
    yanked = {"metadata": {"name": "other", "version": "1"}, "is_yanked": True}
    answering(monkeypatch, "", known, {"install": [yanked]})
    with pytest.raises(SystemExit):
        audit.main()
    told = capsys.readouterr().out
    assert "anything 2.0 has GHSA-x: mended in 2.1." in told
    assert "other 1 was withdrawn by its authors." in told


@pytest.mark.parametrize(
    "answer",
    [None, {"dependencies": []}, {"dependencies": [{"name": "a", "skip_reason": "not found"}]}],
)
def test_an_audit_that_nobody_answers_says_so_and_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: object
) -> None:
    """A service that is not there, and one that knows nothing, which pip-audit calls all right."""
    answering(monkeypatch, "", answer, None)
    audit.main()
    told = capsys.readouterr().out
    assert "requirements.txt: NOT AUDITED." in told
    assert "could not be asked what was withdrawn" in told
    assert "packages audited" not in told
