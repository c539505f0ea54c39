"""The domain as others see it: each thing that can be wrong is named, with what mends it.

A real little DNS server on this machine answers; nobody else is asked.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import cast

import dns.asyncresolver
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset
import pytest

from mailer import config, dkim, domain
from mailer.config import Settings
from mailer.db import Connection
from mailer.domain import Names

HOST = "127.0.0.1"
IP = "8.8.4.4"  # an address of the public internet; only ever spoken of
GOOD = {
    ("bounces.example.org", "TXT"): ['"v=spf1 mx ip4:8.8.4.0/24 -all"'],
    ("bounces.example.org", "MX"): ["10 mx.example.org."],
    ("mx.example.org", "A"): [IP],
    ("4.4.8.8.in-addr.arpa", "PTR"): ["mx.example.org."],
    ("_dmarc.example.org", "TXT"): ['"v=DMARC1; p=quarantine"'],
}

Zone = dict[tuple[str, str], list[str]]


class Server(asyncio.DatagramProtocol):
    """Answers from `zone`; a name without records does not exist."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        question = query.question[0]
        name, kind = question.name.to_text().rstrip("."), dns.rdatatype.to_text(question.rdtype)
        records = self.zone.get((name, kind))
        if records:
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *records))
        elif not any(known == name for known, _ in self.zone):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        assert self.transport is not None
        self.transport.sendto(answer.to_wire(), addr)


class World:
    """A zone, and who asks about it."""

    def __init__(self, server: Server, port: int) -> None:
        self.zone = server.zone
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = [HOST], port
        self.names = Names(resolver)

    async def problems(self, settings: Settings) -> dict[str, str]:
        """What is wrong, by what was looked at."""
        return {
            name: problem
            async for name, problem in domain.findings(settings, self.names)
            if problem is not None
        }


@pytest.fixture
async def dns_world() -> AsyncIterator[World]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(
        lambda: Server({key: list(texts) for key, texts in GOOD.items()}), local_addr=(HOST, 0)
    )
    yield World(server, transport.get_extra_info("sockname")[1])
    transport.close()


@pytest.fixture
def sending(settings: Settings) -> Settings:
    return replace(
        settings,
        sender="News <news@example.org>",
        bounce_domain="bounces.example.org",
        smtp=(config.smtp("smtp+starttls://mx.example.org"),),
    )


async def test_nothing_is_wrong_with_what_is_right(dns_world: World, sending: Settings) -> None:
    assert await dns_world.problems(sending) == {}


@pytest.mark.parametrize(
    ("changed", "what", "says"),
    [
        ({("bounces.example.org", "TXT"): []}, "SPF of bounces.example.org", "no SPF record"),
        ({("bounces.example.org", "TXT"): ['"v=spf1 -all"', '"v=spf1 mx -all"']},
         "SPF of bounces.example.org", "several"),
        ({("bounces.example.org", "TXT"): ['"v=spf1 +all"']}, "SPF of bounces.example.org",
         "whole world"),
        ({("bounces.example.org", "TXT"): ['"v=spf1 ip4:192.0.2.1 -all"']},
         "SPF of bounces.example.org", "add ip4:8.8.4.4"),
        ({("_dmarc.example.org", "TXT"): []}, "DMARC of example.org", "_dmarc.example.org"),
        ({("_dmarc.example.org", "TXT"): ['"v=DMARC1; rua=mailto:x@example.org"']},
         "DMARC of example.org", "add p=none"),
        ({("_dmarc.example.org", "TXT"): ['"v=DMARC1; p=none; aspf=s"']}, "DMARC alignment",
         "MAILER_DKIM_KEY"),
        ({("bounces.example.org", "MX"): ["0 ."]}, "bounce domain bounces.example.org", "null MX"),
        ({("bounces.example.org", "MX"): ["10 gone.example.org."]},
         "bounce domain bounces.example.org", "MX 10"),
        ({("bounces.example.org", "MX"): []}, "bounce domain bounces.example.org", "MX 10"),
        ({("4.4.8.8.in-addr.arpa", "PTR"): []}, f"PTR of {IP}", "ask whoever gave you"),
        ({("4.4.8.8.in-addr.arpa", "PTR"): ["else.example.org."]}, f"PTR of {IP}",
         "else.example.org does not lead back"),
    ],
)  # fmt: skip
async def test_each_fault_is_named_with_its_remedy(
    dns_world: World,
    sending: Settings,
    changed: Mapping[tuple[str, str], list[str]],
    what: str,
    says: str,
) -> None:
    dns_world.zone.update(changed)
    problems = await dns_world.problems(sending)
    assert says in problems.get(what, ""), problems


@pytest.mark.parametrize(
    "record",
    ["v=spf1 a:mx.example.org -all", "v=spf1 include:all.example.org ~all", "v=spf1 mx/24 -all",
     "v=spf1 redirect=all.example.org", "v=spf1 -ip6:::1 ip4:8.8.4.4 -all"],
)  # fmt: skip
async def test_spf_is_understood_as_it_is_written(
    dns_world: World, sending: Settings, record: str
) -> None:
    dns_world.zone["bounces.example.org", "TXT"] = [f'"{record}"']
    dns_world.zone["all.example.org", "TXT"] = ['"v=spf1 ip4:8.8.4.4 -all"']
    assert await dns_world.problems(sending) == {}


async def test_an_spf_record_that_turns_in_a_ring_ends(dns_world: World, sending: Settings) -> None:
    dns_world.zone["bounces.example.org", "TXT"] = ['"v=spf1 include:bounces.example.org -all"']
    problems = await dns_world.problems(sending)
    assert "more than 10 look-ups" in problems["SPF of bounces.example.org"]


async def test_the_published_key_must_be_the_one_that_signs(
    dns_world: World, sending: Settings
) -> None:
    key = dkim.make("ed25519")
    signing = replace(sending, dkim_key=dkim.written(key), dkim_selector="s1")
    name = "s1._domainkey.example.org"
    record = dkim.signers(signing)[0].record()
    assert record in (await dns_world.problems(signing))[f"DKIM record {name}"]
    dns_world.zone[name, "TXT"] = [" ".join(f'"{text}"' for text in dkim.strings(record))]
    assert await dns_world.problems(signing) == {}
    dns_world.zone[name, "TXT"] = ['"v=DKIM1; k=ed25519; p=AAAA"']
    assert "another key" in (await dns_world.problems(signing))[f"DKIM record {name}"]


async def test_a_bounce_domain_elsewhere_is_fine_once_we_sign(
    dns_world: World, sending: Settings
) -> None:
    dns_world.zone["bounces.example.net", "TXT"] = ['"v=spf1 ip4:8.8.4.4 -all"']
    dns_world.zone["bounces.example.net", "MX"] = ["10 mx.example.org."]
    elsewhere = replace(sending, bounce_domain="bounces.example.net")
    assert list(await dns_world.problems(elsewhere)) == ["DMARC alignment"]
    signing = replace(elsewhere, dkim_key=dkim.written(dkim.make("ed25519")), dkim_selector="s1")
    assert list(await dns_world.problems(signing)) == ["DKIM record s1._domainkey.example.org"]


async def test_mails_in_the_clear_to_a_server_elsewhere_are_named(
    dns_world: World, sending: Settings
) -> None:
    plain = replace(sending, smtp=(config.smtp("smtp://mx.example.org"),))
    assert "smtp+starttls" in (await dns_world.problems(plain))["TLS to smtp://mx.example.org:25"]
    near = replace(sending, smtp=(config.smtp("smtp://127.0.0.1"),))
    assert await dns_world.problems(near) == {}


async def test_without_a_bounce_domain_that_is_said(dns_world: World, sending: Settings) -> None:
    dns_world.zone["example.org", "TXT"] = ['"v=spf1 ip4:8.8.4.4 -all"']
    problems = await dns_world.problems(replace(sending, bounce_domain=None))
    assert list(problems) == ["bounce domain"]


async def test_a_dns_that_does_not_answer_is_a_finding(
    dns_world: World, sending: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domain, "SECONDS", 0.2)
    dns_world.names.resolver.port = 1
    assert "does not answer" in (await dns_world.problems(sending))["DNS"]


# what is known of it


async def test_one_worker_looks_now_and_then_and_what_is_wrong_is_kept(
    conn: Connection, dns_world: World, sending: Settings
) -> None:
    assert not await domain.due(conn), "whoever sets up a service is given a little time"
    await conn.execute("update domain_look set due_at = now()")
    assert [await domain.due(conn) for _ in range(2)] == [True, False]
    del dns_world.zone["_dmarc.example.org", "TXT"]
    found = await domain.wrong(sending, dns_world.names)
    assert found is not None
    await domain.keep(conn, found)
    ((what, why),) = await domain.known(conn)
    assert what == "DMARC of example.org"
    assert why is not None
    assert "publish the TXT record" in why


async def test_a_dns_that_does_not_answer_says_nothing_of_the_domain(
    dns_world: World, sending: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domain, "SECONDS", 0.2)
    dns_world.names.resolver.port = 1
    assert await domain.wrong(sending, dns_world.names) is None
