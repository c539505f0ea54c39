"""The supervisor: creates the server if need be, runs it, and stops it when nobody uses it.

Run as `python -m mailer.embedded.supervisor DIR`, with the lock `own` as standard input.
"""

import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO

from mailer.embedded import programs
from mailer.errors import Unavailable

# Ask the kernel for SIGINT (2: a fast shutdown) at the supervisor's death (PR_SET_PDEATHSIG is 1),
# unless it has happened already, and become the program. In here because changing the user,
# which comes before, takes the request back.
BOUND = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 2)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


def supervise(place: Path) -> None:
    """Run the server until nobody holds `use`; `own` is ours and nobody else's server lives."""
    bin_ = programs.binaries(place / "data")
    run_as = programs.unprivileged()
    if not (place / "data").exists():
        create(place, bin_, run_as)
    (place / "data" / "postmaster.pid").unlink(missing_ok=True)
    sockets = socket_directory(place)
    command = [str(bin_ / "postgres"), "-D", str(place / "data"), *options(sockets)]
    bound = [sys.executable, "-I", "-S", "-c", BOUND, str(os.getpid())]
    unused = threading.Event()
    with subprocess.Popen([*run_as, *bound, *command]) as postgres, (place / "use").open() as use:
        waiting = (use, postgres, unused)
        threading.Thread(target=stop_when_unused, args=waiting, daemon=True).start()
        if postgres.wait() == 0 and unused.is_set():
            shutil.rmtree(sockets, ignore_errors=True)  # whoever still uses it is to find it again


def options(sockets: Path) -> list[str]:
    """Terse: what a log line says of an error must not hold the content of a row."""
    return [
        *("-p", "5432", "-k", str(sockets)),
        *("-c", "listen_addresses="),
        *("-c", "log_error_verbosity=terse"),
    ]


def stop_when_unused(
    use: IO[str], postgres: subprocess.Popen[bytes], unused: threading.Event
) -> None:
    """`use` stays locked until we end: who comes meanwhile waits for the next server."""
    fcntl.flock(use, fcntl.LOCK_EX)
    unused.set()
    postgres.send_signal(signal.SIGINT)  # a fast shutdown: transactions roll back


def create(place: Path, bin_: Path, run_as: list[str]) -> None:
    """Under another name first: what a killed initdb leaves is never taken for a database."""
    unfinished = place / "data.new"
    shutil.rmtree(unfinished, ignore_errors=True)
    builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    subprocess.run(
        [
            *run_as,
            str(bin_ / "initdb"),
            f"--pgdata={unfinished}",
            "--username=mailer",
            "--auth=trust",  # the socket's directory is open to us alone
            "--encoding=UTF8",
            "--locale=C",
            *(builtin if programs.version(bin_) >= 17 else []),
            "--no-instructions",
        ],
        check=True,
    )
    unfinished.rename(place / "data")


def socket_directory(place: Path) -> Path:
    """In the temporary directory, as the paths of sockets must be short; after a kill the same."""
    kept = place / "sockets"
    known = Path(kept.read_text()) if kept.exists() else None
    if known and own_and_closed(known):
        return known
    made = Path(tempfile.mkdtemp(prefix="mailer-"))
    kept.write_text(str(made))
    return made


def own_and_closed(directory: Path) -> bool:
    try:
        found = directory.lstat()
    except FileNotFoundError:
        return False
    closed = not found.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    return stat.S_ISDIR(found.st_mode) and closed and found.st_uid == os.getuid()


def main() -> None:
    """Returns at once; a child stays and supervises."""
    if os.fork() == 0:
        try:
            supervise(Path(sys.argv[1]))
        except Unavailable as refusal:
            sys.exit(f"Unavailable: {refusal}")
        except subprocess.CalledProcessError:
            sys.exit("initdb failed")


if __name__ == "__main__":
    main()
