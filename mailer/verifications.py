"""Verifying the whole record: every noun that keeps a part of it recomputes its own.

A page and a command say the same of what they find, and count it in the same way.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass, field

from mailer import consent, notices, replay, subjects
from mailer.consent import Finding, Verification
from mailer.db import Connection
from mailer.log import verification
from mailer.log.verification import Claim, Sealed
from mailer.vault import Vault


@dataclass
class Seen:
    """How far it has come: events of the record, and entries of the log that was made of them."""

    record: Verification = field(default_factory=Verification)
    log: Sealed = field(default_factory=Sealed)

    @property
    def done(self) -> int:
        return self.record.events + self.log.entries

    def counts(self, findings: Sequence[Finding]) -> dict[str, int]:
        """In numbers, what was looked at and what was found."""
        changed, missing = (
            len({where(f) for f in findings if f.missing is gone}) for gone in (False, True)
        )
        return {**asdict(self.record), **asdict(self.log), "changed": changed, "missing": missing}


async def found(
    conn: Connection, keys: Vault, given: Sequence[Claim], seen: Seen
) -> AsyncIterator[Finding]:
    """What does not hold. `given`: checkpoints from outside the database, read before the caller's
    transaction began (repeatable read), so that none is ahead of what it sees."""
    claimed = [*await verification.claims(conn), *given]
    for part in (
        consent.verify(conn, keys, seen.record),
        replay.check(conn, keys),
        notices.verify(conn, await subjects.house(conn, keys)),
        verification.verify(conn, keys, claimed, seen.log),
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
