"""`mailer digest …`."""

import click

from mailer.cli.digest.drafting import create, edit, show
from mailer.cli.digest.going import approve, cancel, pause, recall, resume
from mailer.cli.digest.looking import preview, test
from mailer.cli.digest.sending import send
from mailer.cli.digest.standing import status


@click.group("digest")
def command() -> None:
    """Issues of a newsletter, named by NEWSLETTER and NUMBER."""


COMMANDS = (
    *(create, show, edit),
    *(preview, test),
    *(approve, recall, pause, resume, cancel),
    *(send, status),
)
for each in COMMANDS:
    command.add_command(each)
