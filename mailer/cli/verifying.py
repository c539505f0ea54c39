"""`mailer consent verify`."""

from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress, ProgressColumn, Task, TimeElapsedColumn
from rich.text import Text

from mailer import verifications
from mailer.cli import door
from mailer.errors import Refusal
from mailer.evidence import verify as packs
from mailer.log import notes, verification
from mailer.log.keep import Keep
from mailer.log.verification import Claim
from mailer.verifications import Seen

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("verify")
@click.argument("pack", type=click.Path(exists=True, path_type=Path), required=False)
@click.option("--key", help="The log's verifier key, as you know it from elsewhere; with PACK.")
@click.option("--checkpoint", "checkpoints", type=FILE, multiple=True,
              help="A checkpoint that somebody kept: the log must continue it.")  # fmt: skip
@door.as_json
@door.run
async def verify(
    pack: Path | None, key: str | None, checkpoints: tuple[Path, ...], as_json: bool
) -> None:
    """Recompute every commitment, chain, notice, leaf, tile and checkpoint; replay what they say.

    Exit status 1 if anything was changed, removed, moved or put in. With PACK (a .zip, or the
    folder it was unpacked into), an evidence pack is verified instead, without any database.
    """
    if pack is not None:
        offline(pack, key, checkpoints, as_json=as_json)
        return
    given = [Claim(f"in {path}", path.read_text("utf-8", "replace")) for path in checkpoints]
    seen, findings = Seen(), []
    async with door.house() as house:
        conn, keys = house.conn, house.vault
        given += await verification.kept(conn, keys, Keep(house.settings.data_dir))
        async with conn.transaction(isolation="repeatable_read"):
            with progress(seen):
                async for finding in verifications.found(conn, keys, given, seen):
                    findings.append(finding)
                    if not as_json:
                        door.say(verifications.line(finding))
    counts = seen.counts(findings)
    if as_json:
        door.show_one({**counts, "findings": [asdict(f) for f in findings]}, as_json=True)
    else:
        door.say(
            "{events} events of {subjects} subjects, {erased} erased; {entries} in the log, "
            "{waiting} waiting, {checkpoints} checkpoints; {changed} changed, {missing} "
            "missing.".format(**counts)
        )
    if findings:
        raise Refusal("The record is not as it was written: {n} findings.", n=len(findings))


def offline(pack: Path, key: str | None, checkpoints: tuple[Path, ...], *, as_json: bool) -> None:
    """By our own copy of verify.py, never by the one in the pack."""
    kept = [path.read_text("utf-8", "replace") for path in checkpoints]
    known = str(notes.parse_key(key)) if key is not None else None
    try:
        files = packs.read(pack)
    except packs.Wrong as error:
        count, wrong = 0, [str(error)]
    else:
        count, wrong = packs.examine(files, known, kept)
    if as_json:
        door.show_one({"events": count, "findings": wrong}, as_json=True)
    else:
        for what in wrong:
            door.say(what)
        door.say(f"{count} events in the pack.")
    if wrong:
        raise Refusal("The pack is not as it was made: {n} findings.", n=len(wrong))


class Counted(ProgressColumn):
    """How far verifying has come."""

    def __init__(self, seen: Seen) -> None:
        super().__init__()
        self.seen = seen

    def render(self, task: Task) -> Text:
        return Text(f"{self.seen.record.events} events, {self.seen.log.entries} entries of the log")


def progress(seen: Seen) -> Progress:
    shown = Progress(
        Counted(seen),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=not door.interactive(),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    shown.add_task("verifying", total=None)
    return shown
