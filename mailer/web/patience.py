"""Patience: how long a connection may take, and what is answered to what is not HTTP.

aiohttp waits for ever: for the end of a head, for a body, for somebody to read. Whoever opens
thousands of connections and sends a byte now and then, or reads none, would keep them all. So each
is looked at every few seconds, and cut when it has had its time. An idle one is kept for longer
than proxies keep theirs, so that they don't write to one that is just being closed.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from mailer.web import page

LOOK_SECONDS = 2.0
HEAD_SECONDS = 15.0
BODY_SECONDS = 30.0
BODY_BYTES = 65_536
"""Whoever sends a body must have sent as much in that time: all of a form, a piece of a file."""

IDLE_SECONDS = 90.0

READ_SECONDS = 60.0
READ_BYTES = 16_384
"""Who reads must have taken as much in that time."""


HEADERS = {**page.HEADERS, "Server": "mailer"}
"""Without a name of ours aiohttp would say which versions of it and of Python answer."""


class Patient(web.RequestHandler):
    """One connection."""

    def __init__(self, server: web.Server, **options: Any) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(server, loop=loop, keepalive_timeout=IDLE_SECONDS, **options)
        self.wire: asyncio.Transport | None = None
        self.looking: asyncio.TimerHandle | None = None
        self.half = True
        self.since: Mapping[str, float] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.wire = transport
        self.looking = self._loop.call_later(LOOK_SECONDS, self.look)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.wire = None
        if self.looking is not None:
            self.looking.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        heads, waits = self._request_count, self._waiter is not None
        super().data_received(data)
        self.half = waits and self._request_count == heads

    def look(self) -> None:
        """Cut it, if what it is at takes longer than it may, since it was first seen at it."""
        if self.wire is None:
            return
        now, at = self._loop.time(), self.at(self.wire)
        self.since = {what: self.since.get(what, now) for what in at}
        if any(now - self.since[what] > seconds for what, seconds in at.items()):
            self.wire.abort()
            return
        self.looking = self._loop.call_later(LOOK_SECONDS, self.look)

    def at(self, wire: asyncio.Transport) -> Mapping[str, float]:
        """What it is at, under names that change as it gets on, and how many seconds each may take.

        Nothing: it idles, or it is we who are at work.
        """
        found = {}
        if unread := wire.get_write_buffer_size():
            found[f"reading {unread // READ_BYTES}"] = READ_SECONDS
        request, number = self._current_request, self._request_count
        if request is None and self.half:
            found[f"head {number}"] = HEAD_SECONDS
        if request is not None and not request.content.is_eof():
            came = request.content.total_bytes // BODY_BYTES
            found[f"body {number} {came}"] = BODY_SECONDS
        return found

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What can't be read as HTTP comes to no handler of ours: as strict, and quoted nowhere.

        Nor does an expectation that nobody knows: aiohttp quotes it, and fails if it can't.
        """
        if isinstance(exc, UnicodeEncodeError) and "Expect" in request.headers:
            status = 417  # RFC 9110, 10.1.1
        answer = web.Response(status=status, text=f"{status}\n", headers=HEADERS)
        answer.force_close()
        return answer
