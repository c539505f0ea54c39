"""Namespaces of its own, for a fault that mounts something or lays cables: nothing of it is seen
outside, and all of it is gone with its last process. An ordinary user is root in there."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

INSIDE = "MAILER_FAULTS_APART"
READY = "mount -t tmpfs none /run && ip link set lo up"
"""`ip netns` keeps its names below /run."""


def unshare() -> Sequence[str]:
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *user, "--mount", "--net", "--"]


def lacking() -> str | None:
    """Why it can't be had here."""
    for program in ("unshare", "ip"):
        if shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
            return f"{program} is missing (on Debian: apt-get install util-linux iproute2)"
    tried = subprocess.run(
        [*unshare(), "sh", "-c", READY], env=environ(), capture_output=True, check=False
    )
    return None if tried.returncode == 0 else "namespaces are not allowed here, not even as root"


def environ() -> dict[str, str]:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return {**os.environ, "PATH": path, INSIDE: "1"}


def inside() -> bool:
    return INSIDE in os.environ


def run(*arguments: str) -> str:
    """What this suite prints when it is run in there."""
    command = [sys.executable, "-m", "faults", *arguments]
    ready = [*unshare(), "sh", "-c", f'{READY} && exec "$@"', "sh", *command]
    done = subprocess.run(ready, env=environ(), stdout=subprocess.PIPE, text=True, check=False)
    return done.stdout
