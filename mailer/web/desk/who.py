"""Who asks for a page of the staff."""

from dataclasses import dataclass

from mailer.consent import Actor
from mailer.sessions import Session
from mailer.staff import Account, Role


@dataclass(frozen=True)
class Who:
    """Somebody of the staff, as their session shows: who they are and what they may."""

    session: Session
    account: Account
    email: str

    @property
    def actor(self) -> Actor:
        return self.account.actor

    @property
    def role(self) -> Role:
        return self.account.role
