"""From a claimed mail to its bytes: opened, composed once for all who get the same words, cast."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from mailer import (
    consent,
    digests,
    dkim,
    letters,
    mime,
    newsletters,
    notices,
    providers,
    rectification,
    renewals,
    staff,
    subscribers,
    subscriptions,
    vault,
)
from mailer.address import Address
from mailer.config import Settings
from mailer.db import Connection
from mailer.delivery import desk
from mailer.dkim import Signed, Signer, Unsigned
from mailer.letters import Letter
from mailer.mime import Mould
from mailer.newsletters import Newsletter
from mailer.outbox import Claimed, Mail, ToStaff
from mailer.renewals import Asked
from mailer.tokens import SLOTS, Purpose, Token
from mailer.vault import Subject, Vault

MOULDS_MOST = 200


@dataclass(frozen=True)
class Came:
    """How somebody came to be asked: from the page of a form, or brought over from a list."""

    origin: str | None
    imported: bool


@dataclass(frozen=True)
class Compiled:
    """A mail as it is for all who get the same words; `purposes`: of the tokens it needs."""

    mould: Mould | Signed
    purposes: Sequence[Purpose]


class Ready(NamedTuple):
    """A mail composed as far as it is the same for all, and the person it goes to.

    `recipient`: their address on the wire; `hash`: by which it may be suppressed; `provider`: the
    large one it is with, if any; `tokens`: those that were made when it was composed.
    """

    mail: Mail
    subject: Subject
    recipient: str
    hash: bytes
    provider: str | None
    compiled: Compiled
    tokens: Mapping[Purpose, Token]


@dataclass
class Composer:
    """Composes; `moulds` keeps what was compiled."""

    settings: Settings
    keys: Vault
    signers: Sequence[Signer]
    moulds: dict[tuple[object, ...], Compiled] = field(default_factory=dict)

    async def ready(self, conn: Connection, mail: Mail) -> Ready | None:
        """Open and compose; None: there is nothing to say any more. Raises what templates and
        broken content raise."""
        if isinstance(mail, ToStaff):
            return await self.to_staff(conn, mail)
        subject = self.keys.unwrap(mail.subscriber, mail.dek)
        place = rectification.PLACE if mail.kind == "address" else subscribers.PLACE
        to = subscribers.open_address(subject, mail.address, place)
        return self.addressed(mail, subject, to, await self.compose(conn, mail, subject), {})

    async def to_staff(self, conn: Connection, mail: ToStaff) -> Ready | None:
        subject = self.keys.unwrap(mail.staff, mail.dek)
        to = subscribers.open_address(subject, mail.address, staff.PLACE)
        written = await desk.WRITERS[mail.kind](conn, self.settings, mail, subject)
        if written is None:
            return None
        return self.addressed(mail, subject, to, self.compiled(written.letter), written.tokens)

    def addressed(
        self,
        mail: Mail,
        subject: Subject,
        to: Address,
        compiled: Compiled,
        tokens: Mapping[Purpose, Token],
    ) -> Ready:
        return Ready(
            mail,
            subject,
            f"{to.given.rpartition('@')[0]}@{to.domain}",
            self.keys.suppression(to.normal),
            providers.of(to.domain),
            compiled,
            tokens,
        )

    async def compose(self, conn: Connection, mail: Claimed, subject: Subject) -> Compiled:
        """The mail as it is for all who get the same words, compiled once."""
        came = await self.came(conn, subject) if mail.kind == "confirm" else None
        asked = await renewals.last_asked(conn, mail.subscription) if mail.kind == "renew" else None
        words = (asked.notice, asked.answer_by) if asked else mail.notice
        shown = mail.edition or words  # an edition reads the same under every notice
        key = (mail.kind, shown, mail.newsletter, mail.language, came)
        if key not in self.moulds:
            if len(self.moulds) >= MOULDS_MOST:
                self.moulds.clear()
            newsletter = await newsletters.get(conn, mail.newsletter)
            letter = await self.write(conn, mail, newsletter, came, asked)
            made = self.compiled(letter)
            bounces: list[Purpose] = ["bounce"] if self.settings.bounce_domain else []
            self.moulds[key] = Compiled(made.mould, [*bounces, *made.purposes])
        return self.moulds[key]

    def compiled(self, letter: Letter) -> Compiled:
        mould = mime.mould(letter, self.settings.domain)
        links = [purpose for purpose in SLOTS if purpose in mould.parts]
        return Compiled(dkim.signed(mould, self.signers), links)

    async def write(
        self,
        conn: Connection,
        mail: Claimed,
        newsletter: Newsletter,
        came: Came | None,
        asked: Asked | None,
    ) -> Letter:
        if mail.edition is not None:
            edition = await digests.edition(conn, mail.edition)
            digest = await digests.get(conn, edition.digest)
            return letters.edition(self.settings, newsletter, digest, edition)
        language = newsletter.offered(mail.language)
        if mail.kind == "already":
            return letters.already(self.settings, newsletter, language)
        if mail.kind == "address":
            return letters.address(self.settings, newsletter, language)
        notice = await notices.find(conn, asked.notice if asked else mail.notice)
        if asked is not None:
            return letters.renew(self.settings, newsletter, notice, language, asked.answer_by)
        assert came is not None, "what is left is a confirmation"
        return letters.confirm(
            self.settings, newsletter, notice, language, came.origin, imported=came.imported
        )

    async def came(self, conn: Connection, subject: Subject) -> Came:
        """As the consent event of the latest request tells."""
        events = await consent.of(conn, subject)
        asked = [e.content for e in events if e.content["type"] == "subscription.requested"]
        evidence = asked[-1]["evidence"] if asked else {}
        return Came(evidence.get("origin"), evidence.get("channel") == "import")

    def cast(self, ready: Ready) -> tuple[bytes, str]:
        """The mail, and its envelope's sender."""
        filled = filling(ready)
        data = ready.compiled.mould.cast(
            ready.recipient, ready.mail.message, filled, datetime.now(UTC)
        )
        return data, letters.return_path(self.settings, filled.get("bounce"))

    def unsigned(self, ready: Ready) -> tuple[Unsigned, str]:
        """The same, up to the signatures, where there are signers."""
        mould, filled = ready.compiled.mould, filling(ready)
        assert isinstance(mould, Signed)
        data = mould.unsigned(ready.recipient, ready.mail.message, filled, datetime.now(UTC))
        return data, letters.return_path(self.settings, filled.get("bounce"))


def filling(ready: Ready) -> Mapping[Purpose, str]:
    """Their own tokens, for each purpose that the mail needs."""
    mac = vault.Mac(ready.subject.dek)
    return {purpose: str(token(ready, mac, purpose)) for purpose in ready.compiled.purposes}


def token(ready: Ready, mac: vault.Mac, purpose: Purpose) -> Token:
    """Their own, for one purpose; `mac`: of their key."""
    mail = ready.mail
    if isinstance(mail, ToStaff):
        return ready.tokens[purpose]
    if purpose == "manage":
        bound = subscribers.bound_to(mail.subscriber, mail.subscriber_handle)
        return Token(mail.subscriber_handle, vault.proven(mac, "manage", bound))
    if purpose == "address":
        bound = rectification.bound_to(mail.subscriber, mail.asked_at)
    else:
        bound = subscriptions.bound_to(purpose, mail.subscription, mail.asked_at)
    return Token(mail.handle, vault.proven(mac, purpose, bound))
