"""The commands: a table of contents. A room is imported only when one of its commands is used."""

import importlib

import click

from mailer import __version__
from mailer.cli import door
from mailer.errors import Refusal
from mailer.render.shelf import BadTemplate

ROOMS = {
    "dev": "Run everything on this machine, to try it out.",
    "serve": "Run the web process.",
    "work": "Run a worker: sends mail, polls feeds.",
    "migrate": "Bring the database to this version's schema.",
    "check": "Check configuration, database, mail server and DNS.",
    "newsletter": "Add, list and show newsletters.",
    "notice": "Publish, list and show versions of the consent wording.",
    "feed": "Add, list, poll and remove feeds; decide on floods.",
    "article": "Add articles (JSON on standard input), list and withdraw them.",
    "digest": "Create, preview, approve, send and watch digests.",
    "bounce": "Take what comes back (one message on standard input); see and undo it.",
    "health": "How digests fared, provider by provider; alarms.",
    "subscribers": "Import, export, count and show subscribers.",
    "consent": "Show, export and verify the consent record.",
    "person": "Answer one person's request: export, correct, restrict, erase.",
    "request": "What people ask about their data, and by when they must have an answer.",
    "backup": "Write the whole database to one encrypted file.",
    "restore": "Make an empty database what a backup says, or check that it could be done.",
    "keys": "Replace the secret key while everything runs.",
    "retention": "Delete what has had its time; say what would go, and when.",
    "suppress": "Addresses never to write to.",
    "dkim": "Make keys that sign the mails.",
    "staff": "Accounts of the staff.",
    "token": "Tokens with which other programs use the API.",
}


class Contents(click.Group):
    """Commands by name; `mailer NAME` is `command` in mailer/cli/NAME.py."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(ROOMS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in ROOMS:
            return None
        found: click.Command = importlib.import_module(f"mailer.cli.{cmd_name}").command
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the table, so that help imports nothing."""
        with formatter.section("Commands"):
            formatter.write_dl(list(ROOMS.items()))


@click.group(cls=Contents, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mailer")
def contents() -> None:
    """A newsletter service that mails only those who asked, and can prove it."""


def main() -> None:
    """Exit status: 0 done, 1 refused or failed (with one sentence), 2 usage."""
    try:
        contents.main(prog_name="mailer", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from None
    except click.Abort:
        door.complain("Interrupted.")
        raise SystemExit(1) from None
    except (Refusal, BadTemplate) as error:
        door.complain(str(error))
        raise SystemExit(1) from None
    except BrokenPipeError:
        raise SystemExit(1) from None
