"""Letters to staff: what each says at the moment it is sent. One writer a kind."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from mailer import invitations, letters, troubles
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


def linked(kind: invitations.Purpose) -> Writer:
    """A letter with a link to set a password behind, as long as that holds."""

    async def write(
        conn: Connection, settings: Settings, mail: ToStaff, subject: Subject
    ) -> Written | None:
        link = await invitations.holding(conn, mail.staff, kind)
        if link is None:
            return None
        hours = invitations.HOURS[kind]
        letter = letters.to_staff(kind, settings, mail.language, hours=hours)
        return Written(letter, {"desk": link.token(subject)})

    return write


WRITERS: Mapping[StaffKind, Writer] = {
    "trouble": trouble,
    "invitation": linked("invitation"),
    "password": linked("password"),
}
