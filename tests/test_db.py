"""The database: which server is asked, and that a silent one is noticed."""

import socket

import pytest

from mailer import db


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("postgresql://mailer@one.example.org/mailer", {}),
        (
            "postgresql://mailer@one.example.org,two.example.org/mailer",
            {"target_session_attrs": "read-write"},
        ),
        ("postgresql:///mailer?host=one&host=two", {"target_session_attrs": "read-write"}),
        ("postgresql://one,two/mailer?target_session_attrs=any", {}),
    ],
)
def test_of_several_servers_the_one_that_takes_writes_is_used(
    url: str, asked: dict[str, str]
) -> None:
    assert db.writable(url) == asked


class Tcp:
    """As much of a connection over TCP as is looked at."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._transport = self

    def get_extra_info(self, name: str) -> socket.socket | None:
        return self.sock if name == "socket" else None


def test_a_server_that_was_cut_off_is_noticed_in_seconds() -> None:
    with socket.socket() as sock:
        db.notice_silence(Tcp(sock))  # type: ignore[arg-type]  # all that it looks at
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            waits = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
            assert waits == db.SILENCE["TCP_USER_TIMEOUT"]
