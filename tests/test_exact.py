"""Everything breaks that can under a digest, with real processes: each reader gets it once."""

import asyncio

from bench import exact

SMALL = "--readers 1500 --kills 5 --postgres 1 --smtp 1 --pauses 1 --leaves 15 --gap 1 --grace 3"


def test_kills_restarts_outages_and_pauses_cost_nobody_their_mail() -> None:
    """A small version of `python -m bench.exact`, which kills fifty times."""
    result = asyncio.run(exact.run(exact.arguments(SMALL.split())))
    assert result["good"], result
