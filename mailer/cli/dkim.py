"""`mailer dkim …`."""

from datetime import UTC, datetime
from typing import cast, get_args

import click

from mailer import config, dkim
from mailer.cli import door
from mailer.dkim import KeyType, Signer


@click.group("dkim")
def command() -> None:
    """Keys that sign the mails."""


@command.command()
@click.option("--type", "kind", type=click.Choice(get_args(KeyType)), default="rsa",
              show_default=True, help="Servers that know no ed25519 pass it over.")  # fmt: skip
@door.as_json
def key(kind: str, as_json: bool) -> None:
    """Make a key; print its DNS record and what to set. It is kept nowhere."""
    settings = config.load()
    made = dkim.make(cast("KeyType", kind))
    selector = f"{kind}-{datetime.now(UTC):%Y%m%d}"
    signer = Signer(dkim.signing_domain(settings), selector, made)
    strings = dkim.strings(signer.record())
    settings_to_set = {
        "MAILER_DKIM_DOMAIN": signer.domain,
        "MAILER_DKIM_SELECTOR": signer.selector,
        "MAILER_DKIM_KEY": dkim.written(made),
    }
    if as_json:
        record = {"name": signer.name, "type": "TXT", "strings": strings}
        door.show_one({"record": record, "settings": settings_to_set}, as_json=True)
        return
    door.complain("Publish this record in DNS:")
    quoted = " ".join(f'"{part}"' for part in strings)
    door.say(f"{signer.name}. IN TXT ( {quoted} )")
    door.complain(
        "Then set, for every worker (a second key, of the other type, goes behind the first "
        "after a space, and so does its selector):"
    )
    for name, text in settings_to_set.items():
        door.say(f"{name}={text}")
