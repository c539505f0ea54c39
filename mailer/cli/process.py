"""What processes that stay have in common: a log, a key of their own, an orderly end."""

import asyncio
import json
import logging
import signal
import sys
from datetime import UTC, datetime

from mailer import render, tracing
from mailer.cli import door
from mailer.config import Settings
from mailer.errors import Misconfigured

NAMED = ("mail",)
"""What a line may be told to be about, with `extra`."""


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        said = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "room": record.name,
            "message": record.getMessage(),
        }
        if request := tracing.REQUEST.get():
            said["request"] = request
        for name in NAMED:
            if hasattr(record, name):
                said[name] = str(getattr(record, name))
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False)


class TextLines(logging.Formatter):
    """For people; what belongs to one request ends with its id."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        request = tracing.REQUEST.get()
        return super().formatMessage(record) + (f" [{request}]" if request else "")


def begin(settings: Settings) -> None:
    """Log to standard error, as MAILER_LOG says; speak with the templates it names."""
    render.use(settings.templates_dir)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if settings.log == "json" else TextLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # What the catch-all mailbox is told, line by line, has addresses in it.
    logging.getLogger("mail.log").setLevel(logging.ERROR)


def own_key(settings: Settings) -> str:
    """The secret key; the one that `mailer dev` made is for trying out only."""
    if settings.dev:
        raise Misconfigured(
            "MAILER_SECRET_KEY is not set, and the key that `mailer dev` left in {folder} is for "
            "trying out: set one of your own, or another MAILER_DATA_DIR.",
            folder=settings.data_dir,
        )
    return door.secret_key(settings)


def stop_on_signals(stop: asyncio.Event) -> None:
    """SIGTERM and SIGINT ask for an orderly end."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
