"""Commands as processes of their own, on a test's database."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from mailer import cli
from mailer.config import Settings

Finished = subprocess.CompletedProcess[str]


async def run(settings: Settings, key: str, *args: str, **more: str) -> Finished:
    """`mailer ARGS` with that secret key; `more`: further settings."""
    assert settings.database_url is not None
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(cli.__file__).parents[2]),
        "MAILER_DATABASE_URL": settings.database_url,
        "MAILER_DATA_DIR": str(settings.data_dir),
        "MAILER_SECRET_KEY": key,
        **more,
    }

    def finish() -> Finished:
        return subprocess.run(
            (sys.executable, "-m", "mailer", *args), env=environ, cwd=settings.data_dir,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    return await asyncio.to_thread(finish)


async def done(settings: Settings, key: str, *args: str) -> str:
    """What a command that succeeds has printed."""
    finished = await run(settings, key, *args)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout
