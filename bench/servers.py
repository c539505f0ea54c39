"""PostgreSQL servers of a benchmark's own, on TCP, of which one may die."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

from bench import place
from mailer.embedded import programs

SETTINGS = {
    "wal_level": "replica",
    "log_error_verbosity": "terse",
}


class Server:
    """A PostgreSQL of its own, in a folder of its own; `environ`: what its processes inherit."""

    def __init__(
        self,
        folder: Path,
        stack: ExitStack,
        host: str = "127.0.0.1",
        settings: Mapping[str, str] = SETTINGS,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.host = host
        self.settings, self.environ = settings, environ
        self.port = place.free_port()
        self.stack = stack
        self.bin = programs.binaries(folder / "none")
        self.as_nobody = programs.unprivileged()

    def run(self, program: str, *arguments: str) -> None:
        command = [*self.as_nobody, str(self.bin / program), *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{program} failed: {done.stderr}")

    def create(self) -> None:
        self.run("initdb", f"--pgdata={self.folder}", "--username=mailer", "--auth=trust")
        with (self.folder / "pg_hba.conf").open("a") as known:
            known.write("host all all samenet trust\n")

    def follow(self, other: "Server") -> None:
        where = f"host={other.host} port={other.port} user=mailer application_name=standby"
        self.run("pg_basebackup", "-D", str(self.folder), "-R", "-X", "stream", "-d", where)

    def start(self) -> None:
        told = [f"-c{name}={value}" for name, value in self.settings.items()]
        told.append(f"-clisten_addresses={self.host}")
        sockets = ["-k", str(self.folder)]
        command = [
            *(*self.as_nobody, str(self.bin / "postgres"), "-D", str(self.folder)),
            *("-p", str(self.port), *sockets, *told),
        ]
        self.running = self.stack.enter_context(place.process(command, self.environ, mortal=True))
        ready = [str(self.bin / "pg_isready"), "-q", "-h", self.host, "-p", str(self.port)]
        while subprocess.run(ready, check=False).returncode:
            time.sleep(0.1)

    def stop(self, how: Literal["fast", "immediate"]) -> None:
        """In order, or as if it had crashed; returns when it is gone."""
        self.run("pg_ctl", "stop", "-D", str(self.folder), "-m", how)

    def die(self) -> None:
        """At once, all of it, as a machine does."""
        pid = int((self.folder / "postmaster.pid").read_text().splitlines()[0])
        everyone = [pid, *place.children(pid)]
        for each in everyone:
            os.kill(each, signal.SIGKILL)

    def promote(self) -> None:
        self.run("pg_ctl", "promote", "-D", str(self.folder))

    @property
    def url(self) -> str:
        return f"postgresql://mailer@{self.host}:{self.port}/postgres"
