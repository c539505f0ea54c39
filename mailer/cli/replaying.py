"""After a restore: what the journals of MAILER_DATA_DIR say is done once more."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mailer import erasures, journal, withdrawals
from mailer.cli import door
from mailer.cli.door import House


@dataclass
class Replayed:
    """How many the journals name, and for how many it had to be done."""

    erasures: int = 0
    erased: int = 0
    withdrawals: int = 0
    ended: int = 0
    suppressions: int = 0

    def __str__(self) -> str:
        return (
            f"{self.erasures} erasures in the journals, {self.erased} erased again. "
            f"{self.withdrawals} withdrawals, {self.ended} ended again. "
            f"{self.suppressions} suppressions, all in force."
        )


async def everything(house: House, others: Iterable[Path] = ()) -> Replayed:
    """From this machine's folder and copies of others'; then its own journals are brought up."""
    told = Replayed()
    for folder in (house.settings.data_dir, *others):
        await forget(house, folder, told)
        await end(house, folder, told)
        await suppress(house, folder, told)
    await erasures.keep_up(house.conn, house.settings.data_dir, None)
    await withdrawals.keep_up(house.conn, house.settings.data_dir, None)
    return told


async def forget(house: House, folder: Path, told: Replayed) -> None:
    for batch in journal.batches(erasures.read(erasures.file(folder))):
        async with house.conn.transaction():
            gone = await erasures.replay(house.conn, house.vault, batch, actor=door.actor())
        told.erasures += len(batch)
        told.erased += len(gone)


async def end(house: House, folder: Path, told: Replayed) -> None:
    for batch in journal.batches(withdrawals.read(folder / withdrawals.LEFT)):
        async with house.conn.transaction():
            ended = await withdrawals.replay(house.conn, house.vault, batch, actor=door.actor())
        told.withdrawals += len(batch)
        told.ended += ended


async def suppress(house: House, folder: Path, told: Replayed) -> None:
    hashes = withdrawals.suppressed(folder / withdrawals.NEVER)
    async with house.conn.transaction():
        await withdrawals.suppress(house.conn, hashes)
    told.suppressions += len(hashes)
