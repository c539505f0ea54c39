"""From what is composed to bytes: cast at once, or signed aside while the database is asked."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from mailer.delivery.composing import Composer, Ready
from mailer.dkim.signing import Signing

log = logging.getLogger(__name__)

TOGETHER = 10
"""Mails signed by one process before it answers: more would keep the first waiting."""

Cast: TypeAlias = tuple[bytes, str] | None
"""A mail and its envelope's sender; None: it can't be made."""

Made = TypeVar("Made")


@dataclass
class Casting:
    """`signing`: None if nobody signs; `begun`: what is being signed, by the ids of mails."""

    composer: Composer
    signing: Signing | None
    begun: dict[int, asyncio.Task[Mapping[int, Cast]]] = field(default_factory=dict)

    def begin(self, coming: Iterable[Ready]) -> None:
        """Begin to sign what is not being signed yet."""
        if self.signing is None:
            return
        new = [ready for ready in coming if ready.mail.id not in self.begun]
        for at in range(0, len(new), TOGETHER):
            part = new[at : at + TOGETHER]
            task = asyncio.create_task(self.signed(self.signing, part))
            self.begun |= dict.fromkeys((ready.mail.id for ready in part), task)

    async def cast(self, ready: Ready) -> Cast:
        task = self.begun.pop(ready.mail.id, None)
        return (await task)[ready.mail.id] if task else made(self.composer.cast, ready)

    async def signed(self, signing: Signing, part: Sequence[Ready]) -> Mapping[int, Cast]:
        unsigned = {ready.mail.id: made(self.composer.unsigned, ready) for ready in part}
        asked = [
            (key, hashed)
            for each in unsigned.values()
            if each is not None
            for key, hashed in enumerate(each[0].hashes)
        ]
        signatures = iter(await signing.sign(asked))
        return {
            id_: each and (each[0].sealed([next(signatures) for _ in each[0].hashes]), each[1])
            for id_, each in unsigned.items()
        }


def made(make: Callable[[Ready], Made], ready: Ready) -> Made | None:
    try:
        return make(ready)
    except Exception:  # a fault of ours must not keep it on the wire for ever
        log.exception("mail %s could not be made", ready.mail.id)
        return None
