"""Signing aside: processes that know the keys, and nothing else of us."""

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from mailer import dkim
from mailer.dkim import Signer
from mailer.dkim.signing import PROCESSES, Signing, signing

SIGNERS = [
    Signer("example.org", "one", dkim.make("rsa")),
    Signer("example.org", "two", dkim.make("ed25519")),
]
HASHES = [hashlib.sha256(bytes((n,))).digest() for n in range(9)]


async def test_many_ask_at_once_and_each_gets_their_own() -> None:
    async with signing(SIGNERS) as hands:
        asked = [
            [(key, hashed) for hashed in HASHES[:many]] for many in (9, 1, 5) for key in (0, 1)
        ]
        answers = await asyncio.gather(*map(hands.sign, asked))
    for questions, answer in zip(asked, answers, strict=True):
        assert list(answer) == [SIGNERS[key].sign_hash(hashed) for key, hashed in questions]


async def test_a_process_that_was_killed_is_replaced_and_nobody_goes_without() -> None:
    async with signing(SIGNERS) as hands:
        await hands.sign([(1, HASHES[0])])
        asked = [asyncio.create_task(hands.sign([(0, hashed)] * 20)) for hashed in HASHES]
        await asyncio.sleep(0)
        for pid in processes(hands):
            os.kill(pid, signal.SIGKILL)
        for hashed, answer in zip(HASHES, await asyncio.gather(*asked), strict=True):
            assert list(answer) == [SIGNERS[0].sign_hash(hashed)] * 20


async def test_they_run_from_the_beginning_but_where_nobody_signs() -> None:
    async with signing(SIGNERS) as hands:
        assert len(processes(hands)) == PROCESSES
    async with signing([]) as none:
        assert processes(none) == []


async def test_the_keys_are_on_no_command_line_and_in_no_environment() -> None:
    async with signing(SIGNERS) as hands:
        await hands.sign([(0, HASHES[0])])
        for pid in processes(hands):
            told = (
                Path(f"/proc/{pid}/cmdline").read_bytes()
                + Path(f"/proc/{pid}/environ").read_bytes()
            )
            for signer in SIGNERS:
                assert dkim.written(signer.key).encode() not in told


async def test_signals_to_a_whole_group_leave_it_to_the_worker_when_it_ends() -> None:
    async with signing(SIGNERS) as hands:
        await hands.sign([(1, HASHES[0])])
        before = processes(hands)
        for pid in before:
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGINT)
        await hands.sign([(1, HASHES[0])])
        assert processes(hands) == before


ORPHAN = """
import asyncio, os, signal, sys
from mailer import dkim
from mailer.dkim.signing import Signing

async def main():
    hands = Signing([dkim.Signer("example.org", "s", dkim.make("ed25519"))], 1)
    await hands.sign([(0, bytes(32))])
    print(hands.hands[0].running.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_it_ends_with_a_worker_that_was_killed() -> None:
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", ORPHAN], capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    while lives(int(done.stdout)):
        await asyncio.sleep(0.05)


def processes(hands: Signing) -> list[int]:
    return [hand.running.pid for hand in hands.hands if hand.running is not None]


def lives(pid: int) -> bool:
    """A dead one that nobody has collected does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
