"""The mail server: gone, slow, or refusing."""

import asyncio

from faults.house import House

SECONDS = 6.0
LATE_SECONDS = 2.0

NOT_NOW = b"451 4.3.0 Try again later\r\n"
NEVER = b"550 5.1.1 No such user here\r\n"
CLOSING = b"421 4.3.2 Not available, closing\r\n"


async def gone(house: House) -> None:
    house.post.go()
    house.cuts += len(house.workers)
    await asyncio.sleep(SECONDS)
    await house.post.come()


async def slow(house: House) -> None:
    house.post.late = LATE_SECONDS
    await asyncio.sleep(SECONDS * 2)
    house.post.late = 0.0


async def not_now(house: House) -> None:
    await refusing(house, NOT_NOW)


async def never(house: House) -> None:
    await refusing(house, NEVER)


async def closing(house: House) -> None:
    await refusing(house, CLOSING)


async def refusing(house: House, refusal: bytes) -> None:
    house.post.refusal = refusal
    await asyncio.sleep(SECONDS)
    house.post.refusal = None
