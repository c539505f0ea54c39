"""At the door: who asks behind proxies, what is kept of them, what the access log keeps."""

from ipaddress import ip_address, ip_network

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from mailer.config import Network
from mailer.tokens import Token
from mailer.web import guard

PROXIES: tuple[Network, ...] = (ip_network("10.0.0.0/8"), ip_network("::1/128"))


class Peer:
    """A transport that says who is at the other end."""

    def __init__(self, address: str) -> None:
        self.address = address

    def get_extra_info(self, name: str, default: object = None) -> object:
        return (self.address, 4242) if name == "peername" else default


@pytest.mark.parametrize(
    ("peer", "forwarded", "seen"),
    [
        ("192.0.2.7", "", "192.0.2.7"),
        ("192.0.2.7", "198.51.100.1", "192.0.2.7"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "garbage", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, garbage", "10.0.0.1"),
        ("::1", "2001:db8::5", "2001:db8::5"),
        ("::ffff:10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        ("::1", "[2001:db8::5]", "2001:db8::5"),
    ],
)
def test_only_our_own_proxies_are_believed(peer: str, forwarded: str, seen: str) -> None:
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    request = make_mocked_request("GET", "/", headers=headers, transport=Peer(peer))
    assert guard.client(request, PROXIES) == ip_address(seen)


def test_a_network_is_a_24_or_a_64() -> None:
    assert guard.network(ip_address("192.0.2.77")) == "192.0.2.0/24"
    assert guard.network(ip_address("2001:db8:1:2:3::9")) == "2001:db8:1:2::/64"
    assert guard.network(None) == "unknown"


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/", "/"),
        ("/subscribe", "/subscribe"),
        ("/archive/weekly/12", "/archive/weekly/12"),
        ("/archive/news-of-the-whole-of-our-region", "/archive/news-of-the-whole-of-our-region"),
        ("/confirm/short", "/confirm/-"),
        ("/Me/x/confirmed/weekly", "/Me/-/confirmed/weekly"),
        ("/anna@example.org", "/-"),
        ("/anna%40example.org/x", "/-/x"),
    ],
)
def test_what_the_access_log_keeps_of_a_path(path: str, kept: str) -> None:
    assert guard.scrub(path) == kept


@given(st.integers(-(2**31), 2**31 - 1), st.binary(min_size=16, max_size=16), st.text("/abc"))
def test_no_token_is_logged_wherever_it_stands(handle: int, proof: bytes, before: str) -> None:
    token = str(Token(handle, proof))
    for path in (f"/{before}/{token}", f"/u/{token}x", f"/me/{token}/{before}", f"/{token}="):
        assert token not in guard.scrub(path)
