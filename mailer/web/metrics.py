"""For Prometheus: GET /metrics, and what a web process counts of itself.

A number names a route, a newsletter or a provider, and nobody: no address, no token, no network.
"""

import asyncio
import hmac
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from aiohttp import web
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily

from mailer import metrics, tracing
from mailer.errors import Unauthenticated, Unknown
from mailer.web import page
from mailer.web.page import Handler

TICK_SECONDS = 0.5
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
"""Anybody can send any word as a method; each would be a number of its own for ever."""

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)


@dataclass(eq=False)
class Read:
    """What was last read from the database, as a collector."""

    families: list[GaugeMetricFamily] = field(default_factory=list)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        return self.families


class Gauges:
    """What one web process knows of itself, and `read`, which all of them see alike."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.read = Read()
        self.registry.register(self.read)
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "mailer_http_requests",
            "Requests answered by this process, by route, method and status.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "mailer_http_seconds",
            "How long they took.",
            ("route",),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.connections = Gauge(
            "mailer_database_connections",
            "Connections of this process to the database: idle, or used.",
            ("state",),
            registry=self.registry,
        )
        self.lag = Gauge(
            "mailer_event_loop_lag_seconds",
            "The longest that this process had no time for anything new, since it was last asked.",
            registry=self.registry,
        )
        self.longest = 0.0


GAUGES = web.AppKey("gauges", Gauges)


@web.middleware
async def counted(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Outermost: what it counts is what was answered, and what is logged meanwhile has its id."""
    tracing.begin()
    begun = time.perf_counter()
    response = await handler(request)
    gauges, route = request.app[GAUGES], page.where(request)
    method = request.method if request.method in METHODS else "other"
    gauges.requests.labels(route, method, str(response.status)).inc()
    gauges.seconds.labels(route).observe(time.perf_counter() - begun)
    return response


async def ticking(app: web.Application) -> AsyncIterator[None]:
    """Measure while the process lives how late a timer rings."""

    async def tick() -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + TICK_SECONDS
            await asyncio.sleep(TICK_SECONDS)
            gauges = app[GAUGES]
            gauges.longest = max(gauges.longest, loop.time() - due)

    task = asyncio.create_task(tick())
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def show(request: web.Request) -> web.Response:
    """GET /metrics, for who has MAILER_METRICS_TOKEN as bearer token (RFC 6750, 2.1)."""
    token = request.app[page.SETTINGS].metrics_token
    if token is None:
        raise Unknown("There are no metrics here: set MAILER_METRICS_TOKEN to have some.")
    if not hmac.compare_digest(given(request).encode(), token.encode()):
        raise Unauthenticated("Send the token of MAILER_METRICS_TOKEN as a bearer token.")
    gauges, pool = request.app[GAUGES], request.app[page.POOL]
    async with pool.acquire() as conn:
        gauges.read.families = await metrics.read(conn)
    gauges.connections.labels("idle").set(pool.get_idle_size())
    gauges.connections.labels("used").set(pool.get_size() - pool.get_idle_size())
    gauges.lag.set(gauges.longest)
    gauges.longest = 0.0
    text = generate_latest(gauges.registry)
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})


def given(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
