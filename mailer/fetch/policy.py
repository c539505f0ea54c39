"""Which addresses may be asked for a feed: those of the public internet, and no other.

Anyone who may add a feed could otherwise have us ask machines that only we can reach. It is judged
at the last moment, when a socket is made for one address: no name and no redirect leads round it.
"""

import ipaddress
import socket
from dataclasses import dataclass
from typing import TypeAlias

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

# Our own list: what `ipaddress` calls global differs between Pythons and lets some of these pass.
DENIED: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carriers' NAT
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's own services to the machine
        "169.254.0.0/16",  # link-local, and clouds' metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments, and Oracle's metadata
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        # All but 2000::/3, the only part in use in public: with loopback, IPv4 mapped and
        # compatible, NAT64 (64:ff9b::/96 and 64:ff9b:1::/48), discard, local, multicast.
        "::/3",
        "4000::/2",
        "8000::/1",
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: any IPv4 address inside
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)


class Forbidden(OSError):
    """The address is not one to ask."""

    def __init__(self) -> None:
        super().__init__("not a public address")


@dataclass(frozen=True)
class Policy:
    """Public addresses, and those in `allow`: `mailer dev` reads its own feed on loopback."""

    allow: tuple[Network, ...] = ()

    def permits(self, text: str) -> bool:
        try:
            ip = ipaddress.ip_address(text)
        except ValueError:
            return False
        return inside(ip, self.allow) or not inside(ip, DENIED)

    def socket(self, info: "tuple[int, int, int, str, tuple[object, ...]]") -> socket.socket:
        """What aiohttp calls for each address that it is about to connect to."""
        family, kind, protocol, _, address = info
        if not self.permits(str(address[0])):
            raise Forbidden
        return socket.socket(family, kind, protocol)


def inside(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address, networks: tuple[Network, ...]
) -> bool:
    return any(ip in network for network in networks)
