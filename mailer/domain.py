"""The sending domain as other mail servers see it in DNS: what is wrong, and how to mend it.

SPF (RFC 7208), DKIM (RFC 6376), DMARC with its alignment (RFC 7489), the names of the mail
server's addresses (PTR, forward-confirmed), and a bounce domain that mail reaches (RFC 5321, 7505).
Each finding is what was looked at, and a sentence if something is wrong.
"""

import ipaddress
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias

import dns.asyncresolver
import dns.exception
import dns.resolver
import dns.reversename

from mailer import db, dkim
from mailer.config import Settings, Smtp
from mailer.db import Connection
from mailer.errors import Misconfigured, Unavailable

Finding: TypeAlias = tuple[str, str | None]
IP: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

SQL = db.statements("domain")

EVERY = timedelta(hours=2)
SECONDS = 5.0
UNANSWERED = "DNS"
MOST_LOOKUPS = 10
"""Of one SPF record (RFC 7208, 4.6.4)."""


@dataclass
class Names:
    """DNS, asked through `resolver`; that of the system by default."""

    resolver: dns.asyncresolver.Resolver = field(default_factory=dns.asyncresolver.Resolver)

    async def ask(self, name: str, kind: str) -> list[str]:
        """Records as text; none if there are none. Raises Unavailable if nobody answers."""
        try:
            found = await self.resolver.resolve(name, kind, lifetime=SECONDS, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except dns.exception.DNSException as error:
            raise Unavailable(
                "DNS does not answer for {name} ({why}).", name=name, why=type(error).__name__
            ) from None
        if kind == "TXT":
            return [b"".join(record.strings).decode("utf-8", "replace") for record in found]
        return [record.to_text() for record in found]

    async def addresses(self, host: str) -> list[IP]:
        try:
            return [ipaddress.ip_address(host.strip("[]"))]
        except ValueError:
            texts = [*await self.ask(host, "A"), *await self.ask(host, "AAAA")]
            return [ipaddress.ip_address(text) for text in texts]

    async def exchangers(self, domain: str) -> list[str]:
        """Hosts that take mail for a domain, best first; "" of a null MX."""
        pairs = [text.split() for text in await self.ask(domain, "MX")]
        return [host.rstrip(".") for _, host in sorted(pairs, key=lambda pair: int(pair[0]))]


async def findings(settings: Settings, names: Names) -> AsyncIterator[Finding]:
    """Everything; what can't be asked is a finding as well."""
    sender = dkim.sent_from(settings)
    if sender is None:
        return
    envelope = settings.bounce_domain or sender
    servers = [server for server in settings.smtp if server.socket is None]
    for look in (
        spf(names, envelope, servers),
        signature(names, settings),
        dmarc(names, sender, envelope, signed=bool(settings.dkim_key)),
        comes_back(names, settings),
        reverse(names, servers),
        encrypted(names, servers),
    ):
        try:
            async for found in look:
                yield found
        except (Unavailable, Misconfigured) as error:
            yield UNANSWERED, str(error)


# what is known of it: a worker looks from time to time, and pages ask the database


async def due(conn: Connection) -> bool:
    """Whether it is time to look again; whoever is told so does."""
    await conn.execute(SQL.begin)
    return bool(await conn.fetchval(SQL.claim, EVERY))


async def wrong(settings: Settings, names: Names) -> list[Finding] | None:
    """What is wrong. None: DNS did not answer, which says nothing of the domain."""
    found = [each async for each in findings(settings, names) if each[1] is not None]
    return None if any(what == UNANSWERED for what, _ in found) else found


async def keep(conn: Connection, found: Sequence[Finding]) -> None:
    await conn.execute(SQL.keep, list(found))


async def known(conn: Connection) -> list[Finding]:
    """What was wrong when somebody looked last."""
    kept = await conn.fetchval(SQL.wrong)
    return [(what, why) for what, why in kept or ()]


# SPF


async def spf(names: Names, domain: str, servers: list[Smtp]) -> AsyncIterator[Finding]:
    what = f"SPF of {domain}"
    records = await spf_records(names, domain)
    if len(records) != 1:
        many = "has no SPF record" if not records else "has several SPF records, so none counts"
        yield what, f'{domain} {many}: publish one TXT record, such as "v=spf1 mx -all"'
        return
    terms = records[0].split()[1:]
    if any(term.lower() in ("all", "+all", "?all") for term in terms):
        yield what, "it allows the whole world to send for you: end it in -all (or ~all)"
        return
    ips = [ip for server in servers for ip in await names.addresses(server.host) if ip.is_global]
    for ip in ips:
        count = Count()
        allowed = await allows(names, domain, ip, count)
        if count.lookups > MOST_LOOKUPS:
            yield what, f"it needs more than {MOST_LOOKUPS} look-ups, so others give up: shorten it"
            return
        if not allowed:
            yield what, f"it does not allow your mail server {ip}: add ip{ip.version}:{ip}"
            return
    yield what, None


@dataclass
class Count:
    """Look-ups that an SPF record has cost so far."""

    lookups: int = 0


async def spf_records(names: Names, domain: str) -> list[str]:
    texts = await names.ask(domain, "TXT")
    return [text for text in texts if text.lower().split()[:1] == ["v=spf1"]]


async def allows(names: Names, domain: str, ip: IP, count: Count) -> bool:
    """Whether the record lets this address pass (RFC 7208, 4.6), macros left out."""
    records = await spf_records(names, domain)
    if len(records) != 1:
        return False
    redirect = None
    for term in records[0].split()[1:]:
        if term.lower().startswith("redirect="):
            redirect = term.partition("=")[2]
        elif term[0] not in "-~?" and await matches(names, term.lstrip("+"), domain, ip, count):
            return True
        if count.lookups > MOST_LOOKUPS:
            return False
    if redirect is None:
        return False
    count.lookups += 1
    return await allows(names, redirect, ip, count)


async def matches(names: Names, term: str, domain: str, ip: IP, count: Count) -> bool:
    name, _, rest = term.partition(":")
    name, slash, length = name.partition("/")
    name = name.lower()
    if name in ("ip4", "ip6"):
        return within(ip, rest)
    if name not in ("a", "mx", "include"):
        return False
    count.lookups += 1
    if count.lookups > MOST_LOOKUPS:
        return False
    target, slash2, length2 = rest.partition("/")
    target, mask = target or domain, (length2 or length).split("/")[0] if slash or slash2 else ""
    if name == "include":
        return await allows(names, target, ip, count)
    hosts = await names.exchangers(target) if name == "mx" else [target]
    found = [each for host in hosts[:10] for each in await names.addresses(host)]
    return any(within(ip, f"{each}/{mask}" if mask else str(each)) for each in found)


def within(ip: IP, network: str) -> bool:
    try:
        return ip in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


# DKIM


async def signature(names: Names, settings: Settings) -> AsyncIterator[Finding]:
    for signer in dkim.signers(settings):
        what = f"DKIM record {signer.name}"
        wanted = tags(signer.record())["p"]
        texts = await names.ask(signer.name, "TXT")
        if not texts:
            yield what, f"is not there: publish this TXT record: {signer.record()}"
        elif wanted not in [tags(text).get("p") for text in texts]:
            yield what, f"is of another key than MAILER_DKIM_KEY: publish {signer.record()}"
        else:
            yield what, None


def tags(record: str) -> dict[str, str]:
    """A list of tags (RFC 6376, 3.2); white space in values means nothing here."""
    parts = (part.partition("=") for part in record.split(";"))
    return {name.strip().lower(): "".join(value.split()) for name, _, value in parts}


# DMARC


async def dmarc(
    names: Names, sender: str, envelope: str, *, signed: bool
) -> AsyncIterator[Finding]:
    what = f"DMARC of {sender}"
    found, at = await policy(names, sender)
    if found is None:
        yield (
            what,
            f"there is no record, and large providers want one: publish the TXT record "
            f'_dmarc.{sender} "v=DMARC1; p=none; rua=mailto:postmaster@{sender}"',
        )
        return
    if found.get("p", "").lower() not in ("none", "quarantine", "reject"):
        yield what, "it has no policy: add p=none (later p=quarantine or p=reject)"
        return
    yield what, None
    spf_fits = fits(envelope, sender, at, strict=found.get("aspf", "r").lower() == "s")
    if not spf_fits and not signed:
        yield (
            "DMARC alignment",
            f"bounces go to {envelope} and mails are from {sender}, so SPF does not count; set "
            "MAILER_DKIM_KEY, or a MAILER_BOUNCE_DOMAIN below the sender's domain (unless your "
            "mail server signs)",
        )
    else:
        yield "DMARC alignment", None


async def policy(names: Names, domain: str) -> tuple[dict[str, str] | None, str]:
    """The record of the domain or of one above it, and whose it is (RFC 7489, 6.6.3)."""
    labels = domain.split(".")
    for start in range(len(labels) - 1):
        above = ".".join(labels[start:])
        texts = await names.ask(f"_dmarc.{above}", "TXT")
        found = [tags(text) for text in texts if text.replace(" ", "").startswith("v=DMARC1")]
        if found:
            return found[0], above
    return None, domain


def fits(domain: str, sender: str, organisation: str, *, strict: bool) -> bool:
    """Whether both are of one organisation: that of the record (RFC 7489, 3.1)."""
    if strict:
        return domain == sender
    return all(
        each == organisation or each.endswith(f".{organisation}") for each in (domain, sender)
    )


# the way back


async def comes_back(names: Names, settings: Settings) -> AsyncIterator[Finding]:
    domain = settings.bounce_domain
    if domain is None:
        yield (
            "bounce domain",
            "MAILER_BOUNCE_DOMAIN is not set, so nobody learns which addresses are dead: see "
            "docs/bounces.md",
        )
        return
    what = f"bounce domain {domain}"
    hosts = await names.exchangers(domain) or [domain]
    if hosts == [""]:
        yield what, "its MX says that it takes no mail (a null MX): point it at your mail server"
        return
    for host in hosts:
        if await names.addresses(host):
            yield what, None
            return
    yield (
        what,
        f"no mail reaches it: publish the record {domain} MX 10 and the name of the mail server "
        "that hands bounces on to MAILER_LMTP_LISTEN",
    )


# the mail server


async def reverse(names: Names, servers: list[Smtp]) -> AsyncIterator[Finding]:
    for server in servers:
        for ip in await names.addresses(server.host):
            if ip.is_global:
                yield await confirmed(names, server.host, ip)


async def confirmed(names: Names, host: str, ip: IP) -> Finding:
    """Whether an address has a name that leads back to it."""
    what = f"PTR of {ip}"
    pointers = await names.ask(dns.reversename.from_address(str(ip)).to_text(), "PTR")
    if not pointers:
        return what, f"it has no name: ask whoever gave you {ip} to let it point to {host}"
    for pointer in pointers:
        if ip in await names.addresses(pointer.rstrip(".")):
            return what, None
    name = pointers[0].rstrip(".")
    return what, f"{name} does not lead back to it: publish an address record {name} with {ip}"


async def encrypted(names: Names, servers: list[Smtp]) -> AsyncIterator[Finding]:
    for server in servers:
        far = [ip for ip in await names.addresses(server.host) if not ip.is_loopback]
        if server.scheme in ("smtp", "lmtp") and (server.user or far):
            yield (
                f"TLS to {server}",
                "mails and passwords go there unencrypted: use smtp+starttls:// or smtps:// in "
                "MAILER_SMTP_URL",
            )
        else:
            yield f"TLS to {server}", None
