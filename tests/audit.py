"""The audit of what we build on: known holes, what was withdrawn, what does not fit together.

    ./run audit

tests/test_dependencies.py looks at what needs nobody else. Here others are asked: the advisory
service of pip-audit, and the package index whether it has withdrawn (yanked) a version. Neither can
be reached from everywhere. Then nothing is known, which is said so that nobody takes it for good
news, and is no failure: exit status 1 is for what somebody has to mend.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parent.parent
RUNTIME = "requirements.txt"
LOCKED = (RUNTIME, "requirements-test.txt", "requirements-audit.txt")
SECONDS = 180
NOBODY = "!" * 78


def main() -> None:
    broken = said("-m", "pip", "check")
    found = [broken.stdout] if broken.returncode else []
    for name in LOCKED:
        found += holes(name)
    found += withdrawn(RUNTIME)
    for fault in found:
        print(fault)
    if found:
        sys.exit("The audit found something: see above.")


def said(*command: str) -> "subprocess.CompletedProcess[str]":
    """What a module says, whether it ends well or not."""
    return subprocess.run(
        [sys.executable, *command], cwd=TOP, capture_output=True, text=True, check=False,
        timeout=SECONDS,
    )  # fmt: skip


def holes(name: str) -> Sequence[str]:
    """Advisories about what a file locks."""
    try:
        told = said(
            "-m", "pip_audit", "--requirement", name, "--disable-pip", "--require-hashes",
            "--format", "json", "--progress-spinner", "off", "--timeout", "15",
        )  # fmt: skip
        known = json.loads(told.stdout)["dependencies"]
    except (ValueError, KeyError, subprocess.TimeoutExpired):
        known = []
    unasked = [each["name"] for each in known if "vulns" not in each]
    if len(unasked) == len(known):
        unknown(f"{name}: NOT AUDITED. The advisory service could not be reached.")
    elif unasked:
        unknown(f"{name}: the advisory service does not know {', '.join(unasked)}.")
    else:
        print(f"{name}: {len(known)} packages audited.")
    return list(advisories(known))


def advisories(known: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for each in known:
        for hole in each.get("vulns", ()):
            mended = ", ".join(hole["fix_versions"]) or "no version yet"
            yield f"{each['name']} {each['version']} has {hole['id']}: mended in {mended}."


def withdrawn(name: str) -> Sequence[str]:
    """Versions that their authors have taken back (PEP 592)."""
    try:
        told = said(
            "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps",
            "--only-binary=:all:", "--require-hashes", "--report=-", "--requirement", name,
        )  # fmt: skip
        offered = json.loads(told.stdout)["install"]
    except (ValueError, KeyError, subprocess.TimeoutExpired):
        unknown(f"{name}: the package index could not be asked what was withdrawn.")
        return []
    return [
        f"{each['metadata']['name']} {each['metadata']['version']} was withdrawn by its authors."
        for each in offered
        if each["is_yanked"]
    ]


def unknown(sentence: str) -> None:
    print(f"{NOBODY}\n! {sentence}\n{NOBODY}")


if __name__ == "__main__":
    main()
