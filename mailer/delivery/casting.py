"""From what is composed to bytes: cast at once, or signed aside while the database is asked."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from mailer.delivery.composing import Composer, Ready
from mailer.dkim.signing import PROCESSES, Signing

log = logging.getLogger(__name__)

Cast: TypeAlias = tuple[bytes, str] | None
"""A mail and its envelope's sender; None: it can't be made."""

Made = TypeVar("Made")


@dataclass(frozen=True)
class Casting:
    """`signing`: None if nobody signs."""

    composer: Composer
    signing: Signing | None

    def cast(self, ready: Ready) -> Cast:
        return made(self.composer.cast, ready)

    def begin(self, picked: Sequence[Ready]) -> Mapping[int, asyncio.Task[Mapping[int, Cast]]]:
        """Begin to sign them, a part in each process; by ids. Empty: nobody signs."""
        begun: dict[int, asyncio.Task[Mapping[int, Cast]]] = {}
        if self.signing is None:
            return begun
        share = -(-len(picked) // PROCESSES)
        for at in range(0, len(picked), share):
            part = picked[at : at + share]
            task = asyncio.create_task(self.signed(self.signing, part))
            begun |= dict.fromkeys((ready.mail.id for ready in part), task)
        return begun

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
