"""Break everything, in turn, under load; say what came of it.

    ./run faults            all of them: about ten minutes
    ./run faults NAME …     some
    ./run faults --quick    the four most likely
    ./run faults --list     their names

Prints a table; ends with 1 if anything was lost, or came twice where nothing was cut.
"""

import argparse
import asyncio
import json
import logging
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from bench import place
from faults import apart, judging
from faults.catalogue import BY_NAME, FAULTS, QUICK, Fault
from faults.house import House
from faults.judging import Row

READERS = 240
PAUSE_SECONDS = 0.25
"""Between two visitors."""

CALM_SECONDS = 2.0
STRIKE_AT = 0.25
"""Of the readers have the digest when it happens."""

COLUMNS = (
    *("fault", "s", "acknowledged", "confirmed", "digest to", "lost", "doubled", "allowed"),
    *("recovery s", "memory MB before", "after"),
)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[*BY_NAME, []])
    parser.add_argument("--quick", action="store_true", help="only " + ", ".join(QUICK))
    parser.add_argument("--list", action="store_true", help="name them and end")
    parser.add_argument("--readers", type=int, default=READERS, help="of the digest")
    parser.add_argument("--json", action="store_true", help="the rows instead of a table")
    return parser.parse_args(given)


def main() -> None:
    given = arguments()
    if given.list:
        for fault in FAULTS:
            print(f"{fault.name:14} {fault.what}")
        return
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))  # nothing is left running
    logging.getLogger("asyncpg").setLevel(logging.CRITICAL)  # that the database is gone we know
    names = given.names or (QUICK if given.quick else BY_NAME)
    rows = [tried(BY_NAME[name], given.readers) for name in names]
    if given.json:
        print(json.dumps([asdict(row) for row in rows]))
    else:
        show(rows)
    sys.exit(any(row.wrong for row in rows))


def tried(fault: Fault, readers: int) -> Row:
    """One fault, whatever it comes to."""
    place.progress(f"{fault.name}: {fault.what}")
    if lacking := fault.lacking():
        place.progress(f"SKIPPED: {lacking}")
        return Row(fault.name, fault.what, skipped=lacking)
    if fault.apart and not apart.inside():
        said = apart.run(fault.name, "--readers", str(readers), "--json")
        row = Row(**json.loads(said)[0]) if said else broke(fault, "it broke off: see above")
    else:
        try:
            row = asyncio.run(under_load(fault, readers))
        except (Exception, SystemExit) as error:  # the others are still to be tried
            row = broke(fault, f"{type(error).__name__}: {error}")
        for each in row.wrong:
            place.progress(f"WRONG: {each}")
    return row


def broke(fault: Fault, why: str) -> Row:
    return Row(fault.name, fault.what, wrong=[why])


async def under_load(fault: Fault, readers: int) -> Row:
    row, began = Row(fault.name, fault.what), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mailer-faults-") as folder:
        async with fault.open(Path(folder)) as house:
            await house.crowd.gather(readers)
            await house.crowd.settled()
            row.memory_before = house.memory()
            await strike(fault, house, row)
            await judging.judge(house, row)
            await fault.afterwards(house)
            row.wrong += house.wrong
    row.seconds = time.monotonic() - began
    return row


async def strike(fault: Fault, house: House, row: Row) -> None:
    crowd = house.crowd
    async with crowd.going(PAUSE_SECONDS):
        await crowd.approve()
        await crowd.arrived(STRIKE_AT)
        await fault.strike(house)
        row.recovery = await crowd.served()
        await asyncio.sleep(CALM_SECONDS)
    row.wrong += await judging.drained(house)
    await crowd.arrive()
    row.memory_after = house.memory()


def show(rows: Sequence[Row]) -> None:
    """The table, and what it was made on."""
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {place.hardware()['cpu']}\n")
    print(f"| {' | '.join(COLUMNS)} |")
    print(f"|{'---|' * len(COLUMNS)}")
    for row in rows:
        print(f"| {' | '.join(cells(row))} |")
    print()
    for row in rows:
        for each in row.wrong:
            print(f"WRONG, {row.fault}: {each}")
        if row.skipped:
            print(f"SKIPPED, {row.fault}: {row.skipped}")


def cells(row: Row) -> Sequence[str]:
    if row.skipped:
        return [row.what, "skipped", *[""] * (len(COLUMNS) - 2)]
    return [
        row.what,
        f"{row.seconds:.0f}",
        *map(str, (row.acknowledged, row.confirmed, row.readers)),
        *map(str, (row.lost, row.doubled, row.allowed)),
        f"{row.recovery:.1f}",
        f"{row.memory_before:.0f}",
        f"{row.memory_after:.0f}",
    ]


if __name__ == "__main__":
    main()
