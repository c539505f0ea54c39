import asyncio
import contextlib
import datetime
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mailer import config, smtp
from mailer.config import Smtp
from mailer.errors import Refusal
from mailer.smtp import Road, RoadClosed, Times, connecting, session, verdicts

ANNA = "anna@example.org"
BORIS = "boris@example.org"
VERA = "вера@пример.рф"
NEWS = "b+TOKEN@example.org"
MAIL = b"Subject: Hello\r\n\r\nHow are you?\r\n"
QUICK = Times(1, 1, 1, 1, 1)
MOST = 4_000_000
HANG = "hang"
CLOSE = "close"


@dataclass
class Sink:
    """A mail server that misbehaves as told: `says` maps a verb to its reply, HANG or CLOSE.

    The verbs are CONNECT, EHLO, LHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, END (after the dot), RSET.
    """

    says: dict[str, str] = field(default_factory=dict)
    extensions: tuple[str, ...] = ("SIZE 1000000", "SMTPUTF8")
    tls: ssl.SSLContext | None = None
    after: Callable[[int, str], str | None] = lambda count, verb: None
    lines: list[str] = field(default_factory=list)
    mails: list[tuple[str, str, bytes]] = field(default_factory=list)
    connections: int = 0
    most_at_once: int = 0
    now: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.now += 1
        self.most_at_once = max(self.most_at_once, self.now)
        task = asyncio.current_task()
        assert task
        self.tasks.add(task)
        try:
            await self.talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
            pass
        finally:
            self.now -= 1
            writer.close()
            with contextlib.suppress(OSError):  # a time-out too
                await asyncio.wait_for(writer.wait_closed(), 0.2)
            writer.transport.abort()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not await self.answer(writer, "CONNECT", "220 sink ESMTP"):
            return
        sender = recipient = ""
        while line := (await reader.readline()).decode():
            self.lines.append(line.rstrip("\r\n"))
            verb = line.split(":")[0].split()[0].upper()
            if verb == "MAIL":
                sender = line.partition("<")[2].partition(">")[0]
            if verb == "RCPT":
                recipient = line.partition("<")[2].partition(">")[0]
            if not await self.answer(writer, verb, self.usual(verb)):
                return
            if verb == "QUIT":
                return
            if verb == "STARTTLS" and self.tls:
                await writer.start_tls(self.tls)
            if verb == "DATA" and "DATA" not in self.says:
                text = await reader.readuntil(b"\r\n.\r\n")
                if not await self.answer(writer, "END", "250 2.0.0 Ok: queued as 1"):
                    return
                if "END" not in self.says:
                    self.mails.append((sender, recipient, text[:-3]))

    def usual(self, verb: str) -> str:
        if verb in ("EHLO", "LHLO"):
            extensions = [*self.extensions, *(["STARTTLS"] if self.tls else [])]
            return "\r\n".join([*(f"250-{e}" for e in ["sink", *extensions]), "250 HELP"])
        return {
            "DATA": "354 go on",
            "STARTTLS": "220 go on",
            "QUIT": "221 bye",
            "AUTH": "235 2.7.0 welcome",
        }.get(verb, "250 2.1.0 Ok")

    async def answer(self, writer: asyncio.StreamWriter, verb: str, usual: str) -> bool:
        reply = self.after(self.connections, verb) or self.says.get(verb, usual)
        if reply == HANG:
            await asyncio.sleep(30)
        if reply in (HANG, CLOSE):
            return False
        writer.write(f"{reply}\r\n".encode())
        await writer.drain()
        return not reply.startswith("421")


@contextlib.asynccontextmanager
async def running(sink: Sink, scheme: str = "smtp", login: str = "") -> AsyncIterator[Smtp]:
    implicit = sink.tls if scheme == "smtps" else None
    server = await asyncio.start_server(sink.serve, "127.0.0.1", 0, ssl=implicit, limit=MOST)
    port = server.sockets[0].getsockname()[1]
    try:
        yield config.smtp(f"{scheme}://{login}127.0.0.1:{port}")
    finally:
        server.close()
        await sink.stop()


@contextlib.asynccontextmanager
async def road(
    sink: Sink,
    scheme: str = "smtp",
    login: str = "",
    connections: int = 1,
    unrecorded: int | None = None,
) -> AsyncIterator[Road]:
    async with running(sink, scheme, login) as server:
        made = Road([server], connections, times=QUICK, unrecorded=unrecorded)
        try:
            yield made
        finally:
            await made.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For nobody in particular, vouched for by nobody."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.example.org")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


# what goes well


async def test_a_mail_arrives_as_it_was(tmp_path: Path) -> None:
    sink = Sink()
    async with road(sink) as way:
        verdict = await way.send(MAIL, NEWS, ANNA)
    assert (verdict.kind, verdict.stage, verdict.code, verdict.enhanced) == (
        "sent", "data", 250, "2.0.0",
    )  # fmt: skip
    assert verdict.reply == "2.0.0 Ok: queued as 1"
    assert sink.mails == [(NEWS, ANNA, MAIL)]
    assert f"MAIL FROM:<{NEWS}> SIZE={len(MAIL)}" in sink.lines
    assert sink.lines[-1] == "QUIT"


async def test_lines_that_begin_with_a_dot_are_doubled() -> None:
    sink = Sink()
    async with road(sink) as way:
        await way.send(b".one\r\n..two\r\nthree.\r\n", NEWS, ANNA)
    assert sink.mails[0][2] == b"..one\r\n...two\r\nthree.\r\n"


async def test_a_connection_is_kept_for_a_hundred_mails() -> None:
    sink = Sink()
    async with road(sink) as way:
        for _ in range(101):
            assert (await way.send(MAIL, NEWS, ANNA)).kind == "sent"
    assert sink.connections == 2
    assert len(sink.mails) == 101


async def test_an_old_connection_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = Sink()
    async with road(sink) as way:
        await way.send(MAIL, NEWS, ANNA)
        monkeypatch.setattr(session, "MOST_SECONDS", 0)
        await way.send(MAIL, NEWS, ANNA)
    assert sink.connections == 2


async def test_no_more_connections_than_allowed() -> None:
    sink = Sink()
    async with road(sink, connections=3) as way:
        verdicts = await asyncio.gather(*(way.send(MAIL, NEWS, ANNA) for _ in range(30)))
    assert {v.kind for v in verdicts} == {"sent"}
    assert sink.connections == sink.most_at_once == 3
    assert len(sink.mails) == 30


@pytest.mark.parametrize("scheme", ["smtps", "smtp+starttls"])
@pytest.mark.parametrize("extensions", [(), ("PIPELINING",)])
async def test_mails_go_by_tls(
    scheme: str, extensions: tuple[str, ...], tls: ssl.SSLContext
) -> None:
    sink = Sink(tls=tls, extensions=extensions)
    big = MAIL + b"A line of a long text.\r\n" * 50_000
    async with road(sink, scheme) as way:
        both = await asyncio.gather(*(way.send(mail, NEWS, ANNA) for mail in (MAIL, big)))
    assert [verdict.kind for verdict in both] == ["sent", "sent"]
    assert [len(mail) for _, _, mail in sink.mails] == [len(MAIL), len(big)]
    assert sink.connections == 1
    assert ("STARTTLS" in sink.lines) == (scheme == "smtp+starttls")


@pytest.mark.parametrize(
    ("url", "vouched"),
    [
        ("smtps://mail.example.org", True),
        ("smtp+starttls://192.0.2.1", True),
        ("smtps://localhost.example.org", True),
        ("smtps://localhost", False),
        ("smtps://127.0.0.2", False),
        ("smtp+starttls://[::1]", False),
    ],
)
def test_certificates_are_checked_except_of_this_machine(url: str, vouched: bool) -> None:
    context = connecting.trust(config.smtp(url))
    assert context is not None
    assert context.check_hostname is vouched
    assert (context.verify_mode == ssl.CERT_REQUIRED) is vouched


async def test_a_certificate_nobody_vouches_for_closes_the_road(
    tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "local", lambda server: False)
    connecting.trust.cache_clear()
    for scheme in ("smtps", "smtp+starttls"):
        sink = Sink(tls=tls)
        async with road(sink, scheme) as way:
            with pytest.raises(RoadClosed, match="certificate"):
                await way.send(MAIL, NEWS, ANNA)
        assert not sink.mails
    connecting.trust.cache_clear()


async def test_a_server_without_the_starttls_asked_for_gets_nothing() -> None:
    sink = Sink()
    async with road(sink, "smtp+starttls") as way:
        with pytest.raises(RoadClosed, match="STARTTLS"):
            await way.send(MAIL, NEWS, ANNA)
    assert not sink.mails


async def test_it_logs_in() -> None:
    sink = Sink(extensions=("AUTH PLAIN",))
    async with road(sink, login="news:secret@") as way:
        assert (await way.send(MAIL, NEWS, ANNA)).kind == "sent"
    assert any(line.startswith("AUTH PLAIN") for line in sink.lines)


async def test_a_wrong_password_closes_the_road_and_is_not_repeated() -> None:
    sink = Sink({"AUTH": "535 5.7.8 news: secret@example.org is wrong"}, ("AUTH PLAIN",))
    async with road(sink, login="news:secret@") as way:
        with pytest.raises(RoadClosed, match="535") as caught:
            await way.send(MAIL, NEWS, ANNA)
    assert "secret" not in str(caught.value)
    assert "news" not in str(caught.value)


async def test_a_password_does_not_cross_the_network_in_the_clear() -> None:
    way = Road([config.smtp("smtp://news:secret@mail.example.org")], 1)
    with pytest.raises(RoadClosed, match="unencrypted"):
        await way.send(MAIL, NEWS, ANNA)


async def test_lmtp_over_tcp() -> None:
    sink = Sink()
    async with road(sink, "lmtp") as way:
        assert (await way.send(MAIL, NEWS, ANNA)).kind == "sent"
    assert sink.lines[0] == "LHLO localhost"
    assert not any(line.startswith(("EHLO", "HELO")) for line in sink.lines)


async def test_lmtp_over_a_unix_socket(tmp_path: Path) -> None:
    sink = Sink()
    path = tmp_path / "lmtp"
    server = await asyncio.start_unix_server(sink.serve, path)
    way = Road([config.smtp(f"lmtp://{path}")], 1, times=QUICK)
    assert (await way.send(MAIL, NEWS, ANNA)).kind == "sent"
    await way.close()
    server.close()
    await sink.stop()
    assert sink.mails == [(NEWS, ANNA, MAIL)]


async def test_an_address_beyond_ascii_goes_where_it_is_taken() -> None:
    sink = Sink()
    async with road(sink) as way:
        assert (await way.send(MAIL, NEWS, VERA)).kind == "sent"
        assert (await way.send(MAIL, NEWS, "vera@пример.рф")).kind == "sent"
    assert "RCPT TO:<вера@xn--e1afmkfd.xn--p1ai>" in sink.lines
    assert [line.endswith("SMTPUTF8") for line in sink.lines if line.startswith("MAIL")] == [
        True, False,
    ]  # fmt: skip


async def test_an_address_beyond_ascii_never_goes_where_it_is_not() -> None:
    sink = Sink(extensions=())
    async with road(sink) as way:
        verdict = await way.send(MAIL, NEWS, VERA)
        assert (verdict.kind, verdict.enhanced) == ("never", "5.6.7")
        assert "SMTPUTF8" in verdict.reply
        assert (await way.send(MAIL, NEWS, ANNA)).kind == "sent"
    assert len([line for line in sink.lines if line.startswith("MAIL")]) == 1


# what does not


@pytest.mark.parametrize(
    ("verb", "reply", "kind", "stage", "enhanced"),
    [
        ("MAIL", "550 5.1.8 no such sender", "never", "mail", "5.1.8"),
        ("MAIL", "451 4.3.0 later", "later", "mail", "4.3.0"),
        ("RCPT", "550 5.1.1 unknown", "never", "rcpt", "5.1.1"),
        ("RCPT", "550 unknown", "never", "rcpt", None),
        ("RCPT", "450-4.2.0 grey\r\n450 4.2.0 listed", "later", "rcpt", "4.2.0"),
        ("DATA", "554 5.5.1 no", "never", "data", "5.5.1"),
        ("END", "554 5.7.1 spam", "never", "data", "5.7.1"),
        ("END", "452 4.2.2 full", "later", "data", "4.2.2"),
    ],
)
async def test_a_refused_mail_is_one_verdict_and_the_road_goes_on(
    verb: str, reply: str, kind: str, stage: str, enhanced: str | None
) -> None:
    sink = Sink({verb: reply})
    async with road(sink) as way:
        verdict = await way.send(MAIL, NEWS, ANNA)
        assert (verdict.kind, verdict.stage, verdict.enhanced) == (kind, stage, enhanced)
        assert verdict.code == int(reply[:3])
        sink.says.clear()
        assert (await way.send(MAIL, NEWS, BORIS)).kind == "sent"
    assert sink.connections == 1
    assert [recipient for _, recipient, _ in sink.mails] == [BORIS]


@pytest.mark.parametrize("verb", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "END"])
async def test_421_closes_the_road_wherever_it_is_said(verb: str) -> None:
    sink = Sink({verb: "421 4.3.2 shutting down"})
    async with road(sink) as way:
        with pytest.raises(RoadClosed, match="421"):
            await way.send(MAIL, NEWS, ANNA)
        sink.says.clear()
        assert (await way.send(MAIL, NEWS, ANNA)).kind == "sent"
    assert len(sink.mails) == 1


@pytest.mark.parametrize("reply", ["530 5.7.0 Must issue STARTTLS first", "535 5.7.8 log in"])
async def test_what_is_asked_of_us_is_no_mails_fault(reply: str) -> None:
    async with road(Sink({"MAIL": reply})) as way:
        with pytest.raises(RoadClosed):
            await way.send(MAIL, NEWS, ANNA)


@pytest.mark.parametrize("how", [CLOSE, HANG])
@pytest.mark.parametrize(("verb", "stage"), [("RCPT", "rcpt"), ("DATA", "data"), ("END", "data")])
async def test_a_connection_lost_in_the_middle_means_later(how: str, verb: str, stage: str) -> None:
    sink = Sink({verb: how})
    async with road(sink) as way:
        verdict = await way.send(MAIL, NEWS, ANNA)
        assert (verdict.kind, verdict.stage, verdict.code) == ("later", stage, 0)
        sink.says.clear()
        assert (await way.send(MAIL, NEWS, BORIS)).kind == "sent"
    assert sink.connections == 2
    assert [recipient for _, recipient, _ in sink.mails] == [BORIS]


@pytest.mark.parametrize("how", [CLOSE, HANG, "554 no service", "nonsense"])
@pytest.mark.parametrize("verb", ["CONNECT", "EHLO"])
async def test_a_server_that_does_not_begin_closes_the_road(how: str, verb: str) -> None:
    sink = Sink({verb: how, "HELO": how})
    async with road(sink) as way:
        with pytest.raises(RoadClosed):
            await way.send(MAIL, NEWS, ANNA)


@pytest.mark.parametrize("how", [CLOSE, HANG])
async def test_a_connection_lost_at_mail_closes_the_road(how: str) -> None:
    async with road(Sink({"MAIL": how})) as way:
        with pytest.raises(RoadClosed, match="lost or timed out"):
            await way.send(MAIL, NEWS, ANNA)


@pytest.mark.parametrize("how", [CLOSE, "421 4.7.0 enough of you"])
async def test_a_kept_connection_that_ended_meanwhile_costs_nothing(how: str) -> None:
    sink = Sink()
    async with road(sink) as way:
        await way.send(MAIL, NEWS, ANNA)
        sink.after = lambda connections, verb: how if connections == 1 and verb == "MAIL" else None
        assert (await way.send(MAIL, NEWS, BORIS)).kind == "sent"
    assert sink.connections == 2
    assert len(sink.mails) == 2


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "END"])
async def test_after_a_cancel_nobody_gets_anothers_answer(verb: str) -> None:
    sink = Sink({verb: HANG})
    async with road(sink) as way:
        sending = asyncio.create_task(way.send(MAIL, NEWS, ANNA))
        await asyncio.sleep(0.1)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        sink.says = {"RCPT": "550 5.1.1 unknown"}
        assert (await way.send(MAIL, NEWS, BORIS)).kind == "never"
    assert sink.connections == 2


async def test_an_answer_out_of_step_is_believed_by_nobody() -> None:
    sink = Sink({"DATA": "250 2.1.5 Ok"})
    async with road(sink) as way:
        assert (await way.send(MAIL, NEWS, ANNA)).kind == "later"
        sink.says.clear()
        assert (await way.send(MAIL, NEWS, ANNA)).kind == "sent"
    assert sink.connections == 2


async def test_the_first_server_that_works_is_taken() -> None:
    broken, working = Sink({"MAIL": "421 4.3.2 not now"}), Sink()
    async with running(broken) as first, running(working) as second:
        nobody = replace(first, port=1)
        way = Road([nobody, first, second], 1, times=QUICK)
        with pytest.raises(RoadClosed):
            await way.send(MAIL, NEWS, ANNA)
        verdict = await way.send(MAIL, NEWS, ANNA)
        await way.close()
    assert verdict.server == repr(second)
    assert broken.connections == working.connections == 1


async def test_without_a_server_it_says_what_to_set() -> None:
    with pytest.raises(RoadClosed, match="MAILER_SMTP_URL"):
        await Road([], 1).send(MAIL, NEWS, ANNA)


# what is kept of a reply


@pytest.mark.parametrize(
    ("reply", "kept"),
    [
        ("<anna@example.org>: user unknown", "<…>: user unknown"),
        ("User anna not found, see https://x.example/", "User … not found, see https://x.example/"),
        ("ANNA@EXAMPLE.ORG\nsecond\tline", "… second line"),
        ("annabel is not anna+list", "annabel is not …"),
        ("anna=40example.org via b+TOKEN@example.org", "… via …"),
        ("mailto:other@example.net", "mailto:…"),
        ("x" * 400, "x" * 299 + "…"),
        ("\x1b[31mred\x00", "[31mred"),
    ],
)
def test_a_reply_is_kept_without_addresses(reply: str, kept: str) -> None:
    assert verdicts.masked(reply, "anna+list@example.org") == kept


async def test_a_verdict_holds_no_address_that_the_server_echoes() -> None:
    sink = Sink({"RCPT": f"550 5.1.1 <{ANNA}> (anna) is not here; told {NEWS}"})
    async with road(sink) as way:
        verdict = await way.send(MAIL, NEWS, ANNA)
    assert verdict.reply == "5.1.1 <…> (…) is not here; told …"


@pytest.mark.parametrize("odd", ["anna@example.org>\r\nRSET", "a b@example.org", "anna", "<a@b>"])
async def test_nothing_can_be_slipped_into_the_envelope(odd: str) -> None:
    async with road(sink := Sink()) as way:
        for sender, recipient in ((NEWS, odd), (odd, ANNA)):
            with pytest.raises((ValueError, Refusal)):
                await way.send(MAIL, sender, recipient)
    assert not sink.lines


@pytest.mark.parametrize("odd", [b"a\nb\r\n", b"a\rb\r\n", b"a", b"a\r\n\n.\r\nMAIL\r\n"])
async def test_no_second_mail_can_be_smuggled_in_the_text(odd: bytes) -> None:
    async with road(sink := Sink()) as way:
        with pytest.raises(ValueError, match="CRLF"):
            await way.send(odd, NEWS, ANNA)
    assert not sink.lines


# room


async def test_there_is_room_on_open_connections_only() -> None:
    sink = Sink()
    async with road(sink, connections=2) as opened:
        # Without PIPELINING a mail at a time on each; the others wait in the row.
        assert await opened.room(10) <= 2 * (1 + smtp.AHEAD)
        assert sink.connections >= 1
        assert sink.mails == []
    sink = Sink(extensions=("PIPELINING",))
    async with road(sink) as opened:
        assert await opened.room(10) == smtp.DEPTH + smtp.AHEAD
        assert await opened.room(1) == 1


async def test_room_is_waited_for_until_the_row_gets_shorter() -> None:
    async with road(Sink()) as opened:
        done: list[object] = []
        for _ in range(await opened.room(10)):
            await opened.hand(MAIL, NEWS, ANNA, done.append)
        assert await opened.room(1) == 1
        assert len(done) >= 1


async def test_no_text_is_written_beyond_what_may_be_unrecorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session, "HELD_SECONDS", 60)
    sink = Sink(extensions=("PIPELINING",))
    async with road(sink, connections=3, unrecorded=2) as way:
        told: dict[int, object] = {}
        for n in range(5):
            await way.hand(MAIL, NEWS, ANNA, partial(told.__setitem__, n), n)
        for many, recorded in ((2, 1), (3, 3), (5, 5)):
            while len(told) < many:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            assert len(sink.mails) == len(told) == many
            way.recorded(list(told)[:recorded])


async def test_what_is_held_for_too_long_comes_back_untried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session, "HELD_SECONDS", 0.01)
    sink, told = Sink(extensions=("PIPELINING",)), list[object]()
    async with road(sink, unrecorded=1) as way:
        for n in range(3):
            await way.hand(MAIL, NEWS, ANNA, told.append, n)
        await way.drain()
        way.recorded(range(3))
        assert (await way.send(MAIL, NEWS, ANNA)).kind == "sent"
    assert told.count(None) == 2
    assert len(sink.mails) == 2


async def test_what_waited_for_too_long_comes_back_untried() -> None:
    told: list[object] = []
    async with road(sink := Sink()) as way:
        await way.hand(MAIL, NEWS, ANNA, told.append, until=0)
        await way.drain()
    assert told == [None]
    assert not sink.mails


@pytest.mark.parametrize("servers", [(), (config.smtp("smtp://127.0.0.1:1"),)])
async def test_where_no_connection_is_to_be_had_there_is_no_room(
    servers: tuple[Smtp, ...],
) -> None:
    async with Road(servers, 2) as closed:
        for _ in range(2):
            with pytest.raises(RoadClosed, match="MAILER_SMTP_URL"):
                await closed.room(1)
