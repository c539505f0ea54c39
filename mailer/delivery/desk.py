"""Letters to staff: what each says at the moment it is sent. One writer a kind."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from mailer import digests, invitations, letters, newsletters, render, troubles
from mailer.config import Settings
from mailer.db import Connection
from mailer.letters import Letter
from mailer.outbox import StaffKind, ToStaff
from mailer.tokens import PROOF_BYTES, SLOTS, Purpose, Token
from mailer.vault import Subject

NOBODYS = Token(0, bytes(PROOF_BYTES))
"""Opens nothing."""


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


async def trial(conn: Connection, settings: Settings, mail: ToStaff, _: Subject) -> Written | None:
    """An edition as its readers would get it, but for a word in the subject and links that lead
    nowhere."""
    asked = await digests.trial(conn, mail.staff)
    if asked is None:
        return None
    digest = await digests.get(conn, asked.digest)
    newsletter = await newsletters.get(conn, digest.newsletter)
    had = (await digests.had(conn, digest)).get(asked.language, ())
    items = await digests.contents(conn, digest)
    shown = digests.in_language(items, asked.language, newsletter, had)
    if not shown:
        return None
    letter = letters.digest(settings, newsletter, digest, shown, asked.language)
    subject = render.translate("Test: {subject}", mail.language).format(subject=letter.subject)
    return Written(replace(letter, subject=subject), dict.fromkeys(SLOTS, NOBODYS))


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
    "trial": trial,
}
