"""Reach: whether a domain takes mail at all, as DNS tells (RFC 5321, 5.1; null MX: RFC 7505).

Asked by workers, who have the time, and never at the door. Only a clear no counts: that the name
does not exist or has neither mail exchangers nor addresses, told with the SOA record that such an
answer must bear (RFC 2308), or that it takes no mail. Whatever else happens is no answer: then the
mail is tried, and the mail server asks DNS for itself, and again if need be.
"""

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass, field

import dns.asyncresolver
import dns.exception
import dns.message
import dns.rdatatype
import dns.resolver

from mailer import address

SECONDS = 1.5
"""No request waits longer for DNS."""

KNOWN_SECONDS = 3600.0
UNKNOWN_SECONDS = 60.0
MOST_KNOWN = 10_000


def system() -> dns.asyncresolver.Resolver | None:
    """As this machine is set up; None: it is not."""
    try:
        return dns.asyncresolver.Resolver()
    except (dns.exception.DNSException, OSError):
        return None


@dataclass
class Reach:
    """What one worker knows of domains; `known`: until when, and whether it is dead."""

    resolver: dns.asyncresolver.Resolver | None = field(default_factory=system)
    known: dict[str, tuple[float, bool]] = field(default_factory=dict)

    async def dead(self, domains: Collection[str]) -> frozenset[str]:
        """Those of the domains that mail can't reach."""
        now = time.monotonic()
        asked = {
            d
            for d in domains
            if not address.reserved(d) and self.known.get(d, (0.0, False))[0] < now
        }
        await asyncio.gather(*(self.learn(domain) for domain in asked))
        return frozenset(d for d in domains if self.known.get(d, (0.0, False))[1])

    async def learn(self, domain: str) -> None:
        if self.resolver is None:
            return
        try:
            async with asyncio.timeout(SECONDS):
                dead, seconds = await self.is_dead(domain), KNOWN_SECONDS
        except (dns.exception.DNSException, TimeoutError, OSError):
            dead, seconds = False, UNKNOWN_SECONDS
        if len(self.known) >= MOST_KNOWN:
            self.known.clear()
        self.known[domain] = (time.monotonic() + seconds, dead)

    async def is_dead(self, domain: str) -> bool:
        """Raises dnspython's exceptions for what is no answer."""
        exchangers = await self.ask(domain, "MX")
        if exchangers is None:
            return True
        if exchangers:
            return all(host == "." for host in exchangers)
        for kind in ("A", "AAAA"):
            if await self.ask(domain, kind):
                return False
        return True

    async def ask(self, domain: str, kind: str) -> list[str] | None:
        """Where records lead; none: there are none; None: there is no such name."""
        assert self.resolver is not None
        try:
            found = await self.resolver.resolve(domain, kind, lifetime=SECONDS, search=False)
        except dns.resolver.NXDOMAIN as error:
            believe(*error.kwargs.get("responses", {}).values())
            return None
        except dns.resolver.NoAnswer as error:
            believe(error.kwargs["response"])
            return []
        return [record.to_text().rpartition(" ")[2] for record in found]


def believe(*answers: dns.message.Message) -> None:
    """A no without an SOA may come from whoever stands between us and DNS. Raises NoNameservers."""
    for answer in answers:
        if any(rrset.rdtype == dns.rdatatype.SOA for rrset in answer.authority):
            return
    raise dns.resolver.NoNameservers
