"""Reach: only a clear no of DNS is one; and what a worker then does.

A real little DNS server on this machine answers; nobody else is asked.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import cast

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from aiohttp.test_utils import unused_port

from mailer.config import Settings
from mailer.db import Connection, Pool
from mailer.reach import Reach
from mailer.subscriptions import request
from mailer.vault import Vault
from mailer.worker import Worker
from tests import world

SOA = "ns.dns.test. host.dns.test. 1 3600 600 86400 60"
ZONE = {
    ("mail.dns.test", "MX"): ["10 mx.dns.test."],
    ("plain.dns.test", "A"): ["192.0.2.1"],
    ("new.dns.test", "AAAA"): ["2001:db8::1"],
    ("null.dns.test", "MX"): ["0 ."],
    ("text.dns.test", "TXT"): ['"nothing else"'],
}


class Server(asyncio.DatagramProtocol):
    """Answers from ZONE; names beginning with what is odd get odd answers. Counts questions."""

    def __init__(self) -> None:
        self.asked = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked += 1
        query = dns.message.from_wire(data)
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        question = query.question[0]
        name, kind = question.name.to_text().rstrip("."), dns.rdatatype.to_text(question.rdtype)
        if name.startswith("silent"):
            return
        records = ZONE.get((name, kind))
        if name.startswith("broken"):
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif records:
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *records))
        else:
            if not any(known == name for known, _ in ZONE):
                answer.set_rcode(dns.rcode.NXDOMAIN)
            if not name.startswith("liar"):
                answer.authority.append(dns.rrset.from_text("dns.test.", 60, "IN", "SOA", SOA))
        self.transport.sendto(answer.to_wire(), addr)


@pytest.fixture
async def dns_server() -> AsyncIterator[tuple[Server, dns.asyncresolver.Resolver]]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(Server, ("127.0.0.1", 0))
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = ["127.0.0.1"]
    resolver.port = transport.get_extra_info("sockname")[1]
    yield server, resolver
    transport.close()


@pytest.fixture(autouse=True)
def nothing_is_reserved(monkeypatch: pytest.MonkeyPatch) -> None:
    """The zone is below .test, which otherwise is not asked for."""
    monkeypatch.setattr("mailer.address.RESERVED", ("example.org",))


@pytest.mark.parametrize(
    ("domain", "dead"),
    [
        ("mail.dns.test", False),
        ("plain.dns.test", False),
        ("new.dns.test", False),
        ("null.dns.test", True),
        ("text.dns.test", True),
        ("nosuch.dns.test", True),
        ("liar.dns.test", False),
        ("broken.dns.test", False),
        ("silent.dns.test", False),
        ("example.org", False),
        ("news.example.org", False),
    ],
)
async def test_only_a_clear_no_is_one(
    dns_server: tuple[Server, dns.asyncresolver.Resolver], domain: str, dead: bool
) -> None:
    reach = Reach(dns_server[1])
    assert await reach.dead([domain]) == (frozenset([domain]) if dead else frozenset())


async def test_a_domain_is_asked_for_once_an_hour(
    dns_server: tuple[Server, dns.asyncresolver.Resolver],
) -> None:
    server, resolver = dns_server
    reach = Reach(resolver)
    for _ in range(3):
        assert await reach.dead(["null.dns.test", "null.dns.test"]) == {"null.dns.test"}
    assert server.asked == 1


async def test_many_silent_ones_take_no_longer_than_one(
    dns_server: tuple[Server, dns.asyncresolver.Resolver],
) -> None:
    reach = Reach(dns_server[1])
    many = [f"silent{n}.dns.test" for n in range(30)]
    async with asyncio.timeout(20):  # one after the other they would take 45 s
        assert await reach.dead([*many, "null.dns.test"]) == {"null.dns.test"}


async def test_without_dns_every_domain_is_tried() -> None:
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], unused_port()
    assert await Reach(resolver).dead(["null.dns.test"]) == frozenset()
    assert await Reach(None).dead(["null.dns.test"]) == frozenset()


async def test_a_worker_tries_no_mail_to_a_domain_that_takes_none(
    conn: Connection,
    pool: Pool,
    vault: Vault,
    settings: Settings,
    dns_server: tuple[Server, dns.asyncresolver.Resolver],
) -> None:
    weekly = await world.make(conn, vault)
    worker = Worker(settings, pool, vault, asyncio.Event())
    worker.forms.domains = Reach(dns_server[1])
    for domain in ("mail.dns.test", "null.dns.test", "broken.dns.test"):
        await request(conn, vault, weekly.wish(f"anna@{domain}"))
    await worker.forms.admit()
    assert await conn.fetchval("select count(*) from request") == 0
    assert await conn.fetchval("select count(*) from subscriber") == 2
    assert await conn.fetchval("select count(*) from outbox") == 2
    worker.forms.settings = replace(settings, dev=True)
    await request(conn, vault, weekly.wish("anna@null.dns.test"))
    await worker.forms.admit()
    assert await conn.fetchval("select count(*) from subscriber") == 3
