"""Letters to staff: what each says at the moment it is sent. One writer a kind."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from mailer import letters, troubles
from mailer.config import Settings
from mailer.db import Connection
from mailer.letters import Letter
from mailer.outbox import StaffKind, ToStaff
from mailer.tokens import Purpose, Token
from mailer.vault import Subject


@dataclass(frozen=True)
class Written:
    """A letter, and the tokens of the links in it."""

    letter: Letter
    tokens: Mapping[Purpose, Token] = field(default_factory=dict)


Writer: TypeAlias = Callable[[Connection, Settings, ToStaff, Subject], Awaitable[Written | None]]
"""`Subject`: of the account; it proves tokens. None: there is nothing to say any more."""


async def trouble(
    conn: Connection, settings: Settings, mail: ToStaff, _: Subject
) -> Written | None:
    found = await troubles.present(conn)
    if not found:
        return None
    return Written(letters.to_staff("trouble", settings, mail.language, troubles=found))


WRITERS: Mapping[StaffKind, Writer] = {"trouble": trouble}
