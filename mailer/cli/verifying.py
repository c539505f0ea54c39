"""`mailer consent verify`."""

from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress, ProgressColumn, Task, TimeElapsedColumn
from rich.text import Text

from mailer import consent, notices, replay, subjects
from mailer.cli import door
from mailer.cli.door import House
from mailer.consent import Finding, Verification
from mailer.errors import Refusal
from mailer.evidence import verify as packs
from mailer.log import notes, verification
from mailer.log.keep import Keep
from mailer.log.verification import Claim, Sealed

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
    seen, sealed = Verification(), Sealed()
    findings = []
    async with door.house() as house, house.conn.transaction(isolation="repeatable_read"):
        with progress(seen, sealed):
            async for finding in found(house, given, seen, sealed):
                findings.append(finding)
                if not as_json:
                    door.say(line(finding))
    changed, missing = (
        len({where(f) for f in findings if f.missing is gone}) for gone in (False, True)
    )
    counts = {**asdict(seen), **asdict(sealed), "changed": changed, "missing": missing}
    if as_json:
        door.show_one({**counts, "findings": [asdict(f) for f in findings]}, as_json=True)
    else:
        door.say(
            f"{seen.events} events of {seen.subjects} subjects, {seen.erased} erased; "
            f"{sealed.entries} in the log, {sealed.waiting} waiting, "
            f"{sealed.checkpoints} checkpoints; {changed} changed, {missing} missing."
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


async def found(
    house: House, given: list[Claim], seen: Verification, sealed: Sealed, *, earlier: bool = False
) -> AsyncIterator[Finding]:
    """What does not hold, from every noun that keeps a part of the record.

    `earlier`: it is as it was at an earlier time, and this machine may have seen the log go on.
    """
    conn, keys = house.conn, house.vault
    keep = None if earlier else Keep(house.settings.data_dir)
    claimed = [*await verification.claims(conn, keys, keep), *given]
    for part in (
        consent.verify(conn, keys, seen),
        replay.check(conn, keys),
        notices.verify(conn, await subjects.house(conn, keys)),
        verification.verify(conn, keys, claimed, sealed),
    ):
        async for finding in part:
            yield finding


def line(finding: Finding) -> str:
    parts = (
        f"event {finding.event}" if finding.event else "",
        f"number {finding.seq} of subject {finding.subject}" if finding.subject else "",
        f"entry {finding.leaf} of the log" if finding.leaf is not None else "",
    )
    return f"{', '.join(filter(None, parts)) or 'record'}: {finding.what}"


def where(finding: Finding) -> object:
    """Two findings at one place count as one thing that was changed."""
    return finding.event or finding.leaf or (finding.subject, finding.seq, finding.what)


class Counted(ProgressColumn):
    """How far verifying has come."""

    def __init__(self, seen: Verification, sealed: Sealed) -> None:
        super().__init__()
        self.seen, self.sealed = seen, sealed

    def render(self, task: Task) -> Text:
        return Text(f"{self.seen.events} events, {self.sealed.entries} entries of the log")


def progress(seen: Verification, sealed: Sealed) -> Progress:
    shown = Progress(
        Counted(seen, sealed),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=not door.interactive(),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    shown.add_task("verifying", total=None)
    return shown
