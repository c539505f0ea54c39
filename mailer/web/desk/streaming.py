"""How something stands, told to a page while it is open (server-sent events; HTML, section 9.2)."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TypeAlias

from aiohttp import web

from mailer.db import Connection
from mailer.errors import Unknown
from mailer.web import page

SECONDS = 1.0
STREAM_SECONDS = 55
"""Then the browser asks again: nothing is held for ever, and whoever was signed out learns it."""

Standing: TypeAlias = tuple[Mapping[str, object], bool]
"""What the page's script is told, and whether it goes on."""

Look: TypeAlias = Callable[[Connection], Awaitable[Standing]]


async def live(request: web.Request, look: Look) -> web.StreamResponse:
    """Look and tell, each second, as long as it goes on. Raises what the first look raises."""
    said, goes_on = await looked(request, look)
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
    )
    await response.prepare(request)
    end = time.monotonic() + STREAM_SECONDS
    with suppress(ConnectionError, Unknown):  # nobody looks any more, or it was removed
        while True:
            await response.write(f"retry: 1000\ndata: {json.dumps(said)}\n\n".encode())
            if not goes_on or time.monotonic() > end:
                break
            await asyncio.sleep(SECONDS)
            said, goes_on = await looked(request, look)
    return response


async def looked(request: web.Request, look: Look) -> Standing:
    async with request.app[page.POOL].acquire() as conn:
        return await look(conn)
