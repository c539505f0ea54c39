"""Many confirmed readers, quickly: rows as the real road makes them, really sealed, by COPY.

Left out is their consent record, which sending does not read.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from bench import place
from bench.place import Place
from mailer import address, subscribers, vault
from mailer.tokens import new_handle

AT_ONCE = 20_000


async def seed(here: Place, many: int, *, first: int = 0) -> None:
    """Confirmed readers number `first` to `first` + `many` of the place's newsletter."""
    async with here.pool.acquire() as conn:
        for start in range(first, first + many, AT_ONCE):
            place.progress(f"readers: {start - first} of {many}")
            numbers = range(start, min(start + AT_ONCE, first + many))
            people = list(sealed(here, numbers))
            async with conn.transaction():
                await conn.copy_records_to_table(
                    "subject", records=[(id_, dek) for id_, dek, _, _ in people],
                    columns=("id", "dek"),
                )  # fmt: skip
                await conn.copy_records_to_table(
                    "subscriber",
                    records=[
                        (id_, lookup, sent, "en", new_handle()) for id_, _, lookup, sent in people
                    ],
                    columns=("id", "lookup", "address", "language", "handle"),
                )
                await conn.copy_records_to_table(
                    "subscription",
                    records=[subscription(here, id_) for id_, _, _, _ in people],
                    columns=(
                        *("subscriber", "newsletter", "state", "language", "cadence", "notice"),
                        *("handle", "expires_at", "confirmed_at"),
                    ),
                )
        for table in ("subject", "subscriber", "subscription"):
            await conn.execute(f"vacuum analyze {table}")


def sealed(here: Place, numbers: range) -> Iterator[tuple[UUID, bytes, bytes, bytes]]:
    """Id, wrapped key, index and sealed address of each."""
    for number in numbers:
        reached = address.known(f"reader{number}@example.org")
        subject = here.vault.new_subject(uuid4())
        yield (
            subject.id,
            here.vault.wrap(subject),
            here.vault.lookup(reached.normal),
            vault.seal(subject, subscribers.PLACE, reached.given.encode()),
        )


def subscription(here: Place, subscriber: UUID) -> tuple[object, ...]:
    now = datetime.now(UTC)
    return (
        *(subscriber, here.newsletter.id, "confirmed", "en", "weekly", here.notice.id),
        *(new_handle(), now + timedelta(hours=72), now),
    )
