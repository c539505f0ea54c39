"""Every fault, by the name under which it can be run."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from faults import (
    apart,
    breaking_clocks,
    breaking_databases,
    breaking_disks,
    breaking_mail,
    breaking_networks,
    breaking_processes,
    moving_on,
)
from faults import house as houses
from faults.house import House


@asynccontextmanager
async def embedded(folder: Path) -> AsyncIterator[House]:
    async with houses.opened(parent=str(folder)) as house:
        yield house


def nothing() -> str | None:
    return None


async def nobody(house: House) -> None:
    """Nothing more is to be seen to."""


@dataclass(frozen=True)
class Fault:
    """`what` happens to whom; `strike` makes it so and ends it; `afterwards` looks at more than is
    judged of each, and says what is wrong in `house.wrong`.

    `lacking`: why it can't be tried here; `apart`: it needs namespaces of its own.
    """

    name: str
    what: str
    strike: Callable[[House], Awaitable[None]]
    open: Callable[[Path], AbstractAsyncContextManager[House]] = embedded
    afterwards: Callable[[House], Awaitable[None]] = nobody
    lacking: Callable[[], str | None] = nothing
    apart: bool = False


FAULTS = (
    Fault("web", "`kill -9` of the web process", breaking_processes.web),
    Fault("worker", "`kill -9` of a worker", breaking_processes.worker),
    Fault("postgres", "`kill -9` of the embedded PostgreSQL", breaking_processes.postgres),
    Fault("random", "twelve of these at random", breaking_processes.at_random),
    Fault("restart", "PostgreSQL restarted (fast)",
          breaking_databases.restarted, breaking_databases.one),
    Fault("crash", "PostgreSQL restarted (immediate)",
          breaking_databases.crashed, breaking_databases.one),
    Fault("failover", "PostgreSQL's primary dies, the standby is promoted",
          breaking_databases.failed_over, breaking_databases.pair),
    Fault("exhausted", "the web's pool exhausted for 8 s", breaking_databases.exhausted),
    Fault("connections", "PostgreSQL out of connections for 8 s",
          breaking_databases.full, breaking_databases.one),
    Fault("smtp-gone", "mail server gone for 6 s", breaking_mail.gone),
    Fault("smtp-slow", "mail server answers 2 s late", breaking_mail.slow),
    Fault("smtp-4xx", "mail server puts everybody off (451)", breaking_mail.not_now),
    Fault("smtp-5xx", "mail server refuses everybody (550)", breaking_mail.never),
    Fault("smtp-421", "mail server closes at once (421)", breaking_mail.closing),
    Fault("disk", "data directory full for 8 s", breaking_disks.full, breaking_disks.opened,
          lacking=apart.lacking, apart=True),
    Fault("clock-forward", "clock an hour ahead", breaking_clocks.forward,
          breaking_clocks.opened, lacking=breaking_clocks.lacking),
    Fault("clock-back", "clock an hour back", breaking_clocks.back,
          breaking_clocks.opened, lacking=breaking_clocks.lacking),
    Fault("partition", "one of two hosts cut off for 20 s", breaking_networks.cut_off,
          breaking_networks.opened, lacking=apart.lacking, apart=True),
    Fault("backup", "restored from a backup made under load",
          moving_on.back_up, afterwards=moving_on.restore),
    Fault("upgrade", "schema expanded under the old version",
          moving_on.expand, afterwards=moving_on.contract),
)  # fmt: skip
BY_NAME = {fault.name: fault for fault in FAULTS}
QUICK = ("web", "worker", "postgres", "smtp-gone")
