"""The wire: whatever a mail server does, no mail is called sent that it did not take.

Three mails on one connection, the second to someone the server refuses. What became of each is
held against what the server knows.
"""

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer import smtp
from mailer.config import Smtp
from mailer.smtp import (
    AHEAD,
    DEPTH,
    Outcome,
    Road,
    RoadClosed,
    Times,
    Verdict,
    connecting,
    session,
    verdicts,
)
from mailer.smtp.replies import MOST_BYTES, MOST_LINE, Nonsense, Replies
from tests.servers import ENDLESS, EXTENSIONS, End, Ended, Fault, Server

NEWS = "b+TOKEN@example.org"
ANNA, BORIS, VERA = PEOPLE = ("anna@example.org", "boris@example.org", "vera@example.org")
MAIL = b"Subject: Hi\r\n\r\nHow are you?\r\n"
UNKNOWN = {BORIS: "550 5.1.1 unknown"}
PATIENT = Times(60, 60, 60, 60, 60, 60)
IMPATIENT = Times(60, 0.2, 0.2, 0.2, 0.2, 0.2)
LOCKSTEP = EXTENSIONS[1:]
AT_ONCE = 100
LAST_REPLY = 12
"""About as many replies as three mails get."""


class Told(dict[str, Outcome]):
    """What became of each recipient's mail, told once."""

    def of(self, recipient: str) -> Callable[[Outcome], None]:
        def done(outcome: Outcome) -> None:
            assert recipient not in self, "told twice"
            self[recipient] = outcome

        return done

    def kinds(self) -> dict[str, str]:
        return {to: o.kind if isinstance(o, Verdict) else "closed" for to, o in self.items()}


async def send(
    server: Server,
    times: Times = PATIENT,
    people: Iterable[str] = PEOPLE,
    scheme: str = "smtp",
    connections: int = 1,
) -> Told:
    told = Told()
    async with server.running(scheme) as url, Road([url], connections, times=times) as road:
        for recipient in people:
            await road.hand(MAIL, NEWS, recipient, told.of(recipient))
        await road.drain()
    assert set(told) == set(people), "everybody's fate is told"
    return told


def true(server: Server, told: Told) -> None:
    """What holds whatever happened, however slow the machine."""
    for recipient, outcome in told.items():
        kind = outcome.kind if isinstance(outcome, Verdict) else "closed"
        if kind == "sent":
            assert recipient in server.confirmed
        if kind == "closed":
            assert recipient not in server.accepted
        if kind == "never":
            assert recipient not in server.accepted
        if recipient in server.refused:
            assert kind != "sent"
    twice = [to for to, count in Counter(server.accepted).items() if count > 1]
    assert not twice, "no mail goes a second time by itself"
    unsure = [to for to in server.accepted if told.kinds()[to] != "sent"]
    assert len(unsure) <= server.connections, "a lost connection leaves at most one in doubt"


async def each(runs: Iterable[tuple[Server, Times]]) -> list[tuple[Server, Told]]:
    """Many servers at once, so that those that hang are waited for together."""
    room = asyncio.Semaphore(AT_ONCE)

    async def run(server: Server, times: Times) -> tuple[Server, Told]:
        async with room:
            return server, await send(server, times)

    return await asyncio.gather(*(run(*each) for each in runs))


async def lengths(extensions: tuple[str, ...]) -> tuple[int, int]:
    """Bytes that a good server reads and writes."""
    seen = [0, 0]

    def count(verb: str, number: int, reply: bytes) -> bytes:
        seen[1] += len(reply)
        return reply

    server = Server(Fault(count), UNKNOWN, extensions)
    await send(server)
    seen[0] = sum(len(line) + 2 for line in server.commands) + 2 * (len(MAIL) + 3)
    return seen[0], seen[1]


@pytest.fixture(params=[EXTENSIONS, LOCKSTEP], ids=["pipelining", "lockstep"])
def extensions(request: pytest.FixtureRequest) -> tuple[str, ...]:
    offered: tuple[str, ...] = request.param
    return offered


# what goes well


async def test_each_mail_gets_what_the_server_said_of_it(extensions: tuple[str, ...]) -> None:
    server = Server(refused=UNKNOWN, extensions=extensions)
    told = await send(server)
    assert told.kinds() == {ANNA: "sent", BORIS: "never", VERA: "sent"}
    refused = told[BORIS]
    assert isinstance(refused, Verdict)
    assert (refused.stage, refused.code, refused.enhanced) == ("rcpt", 550, "5.1.1")
    assert server.confirmed == [ANNA, VERA]
    assert server.texts == [MAIL, MAIL]
    assert server.connections == 1


async def test_a_server_that_takes_data_for_nobody_gets_a_lone_dot() -> None:
    server = Server(refused=UNKNOWN, lenient=True)
    told = await send(server)
    assert told.kinds() == {ANNA: "sent", BORIS: "never", VERA: "sent"}
    assert server.accepted == [ANNA, VERA]
    assert server.connections == 1


async def test_lmtp_answers_for_the_one_recipient(extensions: tuple[str, ...]) -> None:
    server = Server(refused=UNKNOWN, extensions=extensions)
    told = await send(server, scheme="lmtp")
    assert told.kinds() == {ANNA: "sent", BORIS: "never", VERA: "sent"}


@pytest.mark.parametrize("mails", [1, 2, 3])
async def test_a_server_that_closes_after_some_mails_gets_the_rest_anew(
    mails: int, extensions: tuple[str, ...]
) -> None:
    people = [f"reader{n}@example.org" for n in range(8)]
    server = Server(Fault(after=mails), extensions=extensions)
    told = await send(server, people=people)
    assert set(told.kinds().values()) == {"sent"}
    assert sorted(server.accepted) == people
    assert server.connections == 2


# refused and dismissed


@pytest.mark.parametrize("number", range(LAST_REPLY))
@pytest.mark.parametrize("code", ["450 4.2.0", "550 5.7.1", "550"])
async def test_a_refusal_at_any_command_is_that_mails_alone(
    number: int, code: str, extensions: tuple[str, ...]
) -> None:
    where: list[str] = []

    def refuse(verb: str, at: int, reply: bytes) -> bytes:
        if at != number:
            return reply
        where.append(verb)
        return f"{code} no\r\n".encode()

    server = Server(Fault(refuse), extensions=extensions)
    told = await send(server)
    true(server, told)
    if where in (["QUIT"], []):
        assert set(told.kinds().values()) == {"sent"}
        return
    kinds = Counter(told.kinds().values())
    assert kinds == {"sent": 2, "later" if code.startswith("4") else "never": 1}
    (verdict,) = (o for o in told.values() if isinstance(o, Verdict) and o.kind != "sent")
    stages = {"MAIL": "mail", "RCPT": "rcpt"}
    assert verdict.stage == stages.get(where[0], "data")
    assert verdict.enhanced == (code[4:] or None)


@pytest.mark.parametrize("number", range(LAST_REPLY))
async def test_421_anywhere_costs_no_mail_anything(
    number: int, extensions: tuple[str, ...]
) -> None:
    def dismiss(verb: str, at: int, reply: bytes) -> bytes:
        return b"421 4.3.2 going down\r\n" if at == number else reply

    server = Server(Fault(dismiss), extensions=extensions)
    told = await send(server)
    true(server, told)
    if number < 4:  # at the first mail of a new connection; who is handed over later may try anew
        problem = told[ANNA]
        assert isinstance(problem, RoadClosed)
        assert problem.code == 421
        assert set(told.kinds().values()) <= {"closed", "sent"}
    else:
        assert told.kinds() == dict.fromkeys(PEOPLE, "sent")


# closes and hangs


@pytest.mark.parametrize("direction", ["read", "write"])
async def test_it_may_close_at_every_byte(direction: str, extensions: tuple[str, ...]) -> None:
    read, write = await lengths(extensions)
    servers = [
        Server(Fault(**{direction: most}), UNKNOWN, extensions)  # type: ignore[arg-type]  # read or write
        for most in range(1, read if direction == "read" else write)
    ]
    for server, told in await each((server, PATIENT) for server in servers):
        true(server, told)
        sent = {to for to, kind in told.kinds().items() if kind == "sent"}
        assert sent == set(server.confirmed), "who was told to be taken is sent"


@pytest.mark.parametrize("direction", ["read", "write"])
async def test_it_may_hang_at_every_byte(direction: str, extensions: tuple[str, ...]) -> None:
    read, write = await lengths(extensions)
    how: End = "hang"
    servers = [
        Server(Fault(**{direction: most}, how=how), UNKNOWN, extensions)  # type: ignore[arg-type]  # read or write
        for most in range(1, read if direction == "read" else write)
    ]
    for server, told in await each((server, IMPATIENT) for server in servers):
        true(server, told)


async def test_it_may_answer_late() -> None:
    for late in (0.1, 0.21, 0.3):
        server = Server(Fault(late=late), UNKNOWN)
        true(server, await send(server, IMPATIENT))


# answers that make no sense


def twice(reply: bytes) -> bytes:
    return reply + reply


def nonsense(reply: bytes) -> bytes:
    return b"\xff\xfe nonsense \r\n"


def after_nonsense(reply: bytes) -> bytes:
    return reply + b"nonsense\r\n"


def http(reply: bytes) -> bytes:
    return b"HTTP/1.1 400 Bad Request\r\n\r\n"


def two_codes(reply: bytes) -> bytes:
    return b"250-one\r\n550 two\r\n"


def short(reply: bytes) -> bytes:
    return b"25\r\n"


def odd_code(reply: bytes) -> bytes:
    return b"199 odd\r\n"


def go_on(reply: bytes) -> bytes:
    return b"354 go on\r\n"


def out_of_step(reply: bytes) -> bytes:
    return b"503 5.5.1 out of step\r\n"


def endless_line(reply: bytes) -> bytes:
    return b"250 " + b"x" * ENDLESS


def endless_lines(reply: bytes) -> bytes:
    return b"250-and\r\n" * (ENDLESS // 9)


def endless_replies(reply: bytes) -> bytes:
    return reply * (ENDLESS // len(reply))


def also_the_next(reply: bytes) -> bytes:
    return reply + b"250 2.0.0 Ok: queued\r\n"


ODD = [
    twice, nonsense, after_nonsense, http, two_codes, short, odd_code, go_on, out_of_step,
    endless_line, endless_lines, endless_replies, also_the_next,
]  # fmt: skip


@pytest.mark.parametrize("odd", ODD)
async def test_an_answer_that_makes_no_sense_is_believed_by_nobody(
    odd: Callable[[bytes], bytes], extensions: tuple[str, ...]
) -> None:
    def twisting(number: int) -> Callable[[str, int, bytes], bytes]:
        return lambda verb, at, reply: odd(reply) if at == number else reply

    servers = [
        Server(Fault(twisting(number)), refused, extensions)
        for number in range(LAST_REPLY)
        for refused in ({}, UNKNOWN, {ANNA: "450 4.2.0 later", VERA: "550 no"})
    ]
    for server, told in await each((server, IMPATIENT) for server in servers):
        true(server, told)


async def test_a_mail_taken_before_its_text_was_written_is_not_sent() -> None:
    server = Server(Fault(lambda v, n, r: r + b"250 Ok\r\n" if v == "DATA" else r))
    told = await send(server, people=[ANNA])
    assert told.kinds() == {ANNA: "later"}
    assert not server.accepted


async def test_what_comes_unasked_ends_the_connection() -> None:
    server = Server(Fault(lambda v, n, r: r + b"250 Ok\r\n" if v == "END" else r))
    told = Told()
    async with server.running() as url, Road([url], 1, times=PATIENT) as road:
        for recipient in PEOPLE:
            await road.hand(MAIL, NEWS, recipient, told.of(recipient))
            await road.drain()
    assert told.kinds() == dict.fromkeys(PEOPLE, "sent")
    assert server.connections == 2


# only what is offered


@pytest.mark.parametrize(
    ("recipient", "mail", "missing", "code", "enhanced"),
    [
        ("вера@example.org", MAIL, "SMTPUTF8", 553, "5.6.7"),
        (ANNA, "Тема\r\n".encode(), "8BITMIME", 554, "5.6.3"),
    ],
)
async def test_what_a_server_does_not_offer_is_not_asked(
    recipient: str, mail: bytes, missing: str, code: int, enhanced: str
) -> None:
    server = Server(extensions=tuple(e for e in EXTENSIONS if e != missing))
    async with server.running() as url, Road([url], 1, times=PATIENT) as road:
        verdict = await road.send(mail, NEWS, recipient)
    assert (verdict.kind, verdict.code, verdict.enhanced) == ("never", code, enhanced)
    assert missing in verdict.reply
    assert not server.commands or server.commands == ["QUIT"]


async def test_a_mail_too_big_for_the_server_never_goes() -> None:
    server = Server(extensions=("SIZE 100",))
    async with server.running() as url, Road([url], 1, times=PATIENT) as road:
        assert (await road.send(b"x" * 98 + b"\r\n", NEWS, ANNA)).kind == "sent"
        verdict = await road.send(b"x" * 99 + b"\r\n", NEWS, ANNA)
    assert (verdict.kind, verdict.code, verdict.enhanced) == ("never", 552, "5.3.4")


@pytest.mark.parametrize(
    ("recipient", "mail", "parameters"),
    [
        (ANNA, MAIL, f" SIZE={len(MAIL)}"),
        (ANNA, "Тема\r\n".encode(), " SIZE=10 BODY=8BITMIME"),
        ("вера@example.org", MAIL, f" SIZE={len(MAIL)} SMTPUTF8"),
    ],
)
async def test_parameters_go_only_where_they_are_needed(
    recipient: str, mail: bytes, parameters: str
) -> None:
    server = Server()
    async with server.running() as url, Road([url], 1, times=PATIENT) as road:
        await road.send(mail, NEWS, recipient)
    assert server.commands[0] == f"MAIL FROM:<{NEWS}>{parameters}"


# how much is on the way


async def test_no_more_is_on_the_wire_than_it_says() -> None:
    """The server hangs when it has the first text."""

    def hang(verb: str, number: int, reply: bytes) -> bytes:
        if verb == "END":
            raise Ended
        return reply

    stuck, told = Server(Fault(hang, how="hang")), Told()
    async with stuck.running() as url, Road([url], 1, times=PATIENT) as road:
        handing = asyncio.create_task(hand_all(road, told, 10))
        while not stuck.unread.endswith(b"DATA\r\n"):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert not handing.done(), "there is no room for all"
        written = "\n".join(stuck.commands) + stuck.unread.decode()
        assert written.count("MAIL FROM") == written.count("DATA") == DEPTH
        handing.cancel()
        await road.close()
    assert set(told.kinds().values()) == {"later", "closed"}
    assert list(told.kinds().values()).count("later") == 1, "the one whose text was written"


async def test_who_asks_for_room_hands_over_what_need_not_wait() -> None:
    told = Told()
    async with Server().running() as url, Road([url], 2, times=PATIENT) as road:
        assert 1 <= await road.room(100) <= (DEPTH + AHEAD) * 2
        while await road.room(100) < (DEPTH + AHEAD) * 2:
            await asyncio.sleep(0.01)
        assert await road.room(3) == 3
        await hand_all(road, told, 4)
        assert await road.room(100) >= 1
        await road.drain()
    assert len(told) == 4


async def test_what_is_handed_over_at_once_goes_in_few_writes() -> None:
    told = Told()
    async with Server().running() as url, Road([url], 2, times=PATIENT) as road:
        while await road.room(100) < (DEPTH + AHEAD) * 2:
            await asyncio.sleep(0.01)
        await hand_all(road, told, 2)
        await road.drain()
        assert sorted(session.mails for session in road.sessions) == [0, 2]


async def test_no_mail_waits_for_long_to_go_along_with_another() -> None:
    told, server = Told(), Server(Fault(read=0, how="hang"))
    async with server.running() as url, Road([url], 1, times=PATIENT) as road:
        await road.hand(MAIL, NEWS, ANNA, told.of(ANNA))
        while not any(session.flight for session in road.sessions):
            await asyncio.sleep(0.01)
        road.connections = 2
        await road.hand(MAIL, NEWS, VERA, told.of(VERA))
        while VERA not in told:
            await asyncio.sleep(0.01)
        assert told.kinds() == {VERA: "sent"}


async def test_there_is_no_room_where_no_connection_is_to_be_had() -> None:
    async with Server().running() as url:
        nobody = replaced(url, port=1)
    async with Road([nobody], 2, times=PATIENT) as road:
        for _ in range(2):
            with pytest.raises(RoadClosed):
                await road.room(10)


async def test_connections_that_had_their_time_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()
    async with server.running() as url, Road([url], 1, times=PATIENT) as road:
        await road.send(MAIL, NEWS, ANNA)
        monkeypatch.setattr(session, "MOST_SECONDS", 0)
        assert await road.room(10) == DEPTH + AHEAD
    assert server.connections == 2


async def hand_all(road: Road, told: Told, many: int) -> None:
    for n in range(many):
        to = f"reader{n}@example.org"
        await road.hand(MAIL, NEWS, to, told.of(to))


async def test_many_mails_on_many_connections_are_each_told_once() -> None:
    people = [f"reader{n}@example.org" for n in range(500)]
    server = Server()
    told = await send(server, people=people, connections=7)
    assert set(told.kinds().values()) == {"sent"}
    assert sorted(server.accepted) == sorted(people)


async def test_a_caller_whose_ear_fails_does_not_break_the_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def deaf(outcome: Outcome) -> None:
        raise ZeroDivisionError

    server, told = Server(), Told()
    async with server.running() as url, Road([url], 1, times=PATIENT) as road:
        await road.hand(MAIL, NEWS, ANNA, deaf)
        await road.hand(MAIL, NEWS, VERA, told.of(VERA))
        await road.drain()
    assert told.kinds() == {VERA: "sent"}
    assert server.connections == 1
    assert "could not be told" in caplog.text


async def test_a_road_that_is_closed_tells_what_waits() -> None:
    told = Told()
    async with Server().running() as url:
        road = Road([url], 1, times=PATIENT)
        await road.hand(MAIL, NEWS, ANNA, told.of(ANNA))
        await road.close()
        assert isinstance(told[ANNA], RoadClosed)
        await road.hand(MAIL, NEWS, VERA, told.of(VERA))
        await road.drain()
        assert told.kinds()[VERA] == "sent"
        await road.close()


async def test_a_connection_made_while_the_road_closes_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """asyncio.wait_for may lose a cancel that comes together with what it waits for."""
    began = asyncio.Event()

    async def deaf(*given: object) -> object:
        began.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        return await connecting.connect(*given)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(smtp, "connect", deaf)
    told = Told()
    async with Server().running() as url:
        road = Road([url], 1, times=PATIENT)
        await road.hand(MAIL, NEWS, ANNA, told.of(ANNA))
        await began.wait()
        await asyncio.wait_for(road.close(), 30)
    assert told.kinds() == {ANNA: "closed"}


# several servers


@asynccontextmanager
async def three(*queries: str) -> AsyncIterator[tuple[list[Server], list[Smtp]]]:
    servers = [Server() for _ in queries]
    async with (
        servers[0].running(query=queries[0]) as first,
        servers[1].running(query=queries[1]) as second,
        servers[2].running(query=queries[2]) as third,
    ):
        yield servers, [first, second, third]


async def test_servers_share_the_connections_by_weight() -> None:
    told = Told()
    async with three("?weight=3", "", "?weight=0") as (servers, urls):
        async with Road(urls, 8, times=PATIENT) as road:
            await hand_all(road, told, 200)
            await road.drain()
        assert [server.connections for server in servers] == [6, 2, 0]
    assert set(told.kinds().values()) == {"sent"}


async def test_a_spare_server_is_taken_while_the_others_fail() -> None:
    told = Told()
    async with three("?weight=0", "", "?weight=2") as (servers, urls):
        nobody = [urls[0], *(replaced(url, port=1) for url in urls[1:])]
        async with Road(nobody, 2, times=PATIENT) as road:
            await hand_all(road, told, 20)
            await road.drain()
        assert len(servers[0].accepted) == 20
    assert set(told.kinds().values()) == {"sent"}


def replaced(url: Smtp, port: int) -> Smtp:
    return Smtp(url.scheme, url.host, port, url.user, url.password, url.socket, url.weight)


async def test_a_server_that_limits_connections_is_content_with_fewer() -> None:
    """What is refused is a connection, not the road."""
    server = Server()
    people = [f"reader{n}@example.org" for n in range(50)]
    busy = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal busy
        if busy == 2:
            writer.write(b"421 4.7.0 too many connections\r\n")
            writer.close()
            return
        busy += 1
        await server.serve(reader, writer)
        busy -= 1

    told = Told()
    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = Smtp("smtp", "127.0.0.1", listening.sockets[0].getsockname()[1], None, None, None, 1)
    async with Road([url], 5, times=PATIENT) as road:
        for recipient in people:
            await road.hand(MAIL, NEWS, recipient, told.of(recipient))
        await road.drain()
    listening.close()
    assert set(told.kinds().values()) == {"sent"}
    assert server.connections == 2


# replies as bytes


@given(st.lists(st.tuples(st.integers(200, 599), st.lists(st.text("ab -\t"), min_size=1))),
       st.lists(st.integers(0, 400)))  # fmt: skip
def test_replies_come_out_however_they_are_cut(
    said: list[tuple[int, list[str]]], cuts: list[int]
) -> None:
    raw = b""
    for code, lines in said:
        raw += b"".join(f"{code}-{line}\r\n".encode() for line in lines[:-1])
        raw += f"{code} {lines[-1]}\r\n".encode()
    replies, found = Replies(), []
    edges = [0, *sorted(c for c in cuts if c < len(raw)), len(raw)]
    for begin, end in pairwise(edges):
        replies.feed(raw[begin:end])
        while (reply := replies.take()) is not None:
            found.append(reply)
    assert found == [(code, " ".join(line.strip() for line in lines)) for code, lines in said]
    assert not replies.more


@given(st.binary(max_size=4000))
def test_any_bytes_are_replies_or_nonsense(raw: bytes) -> None:
    replies = Replies()
    replies.feed(raw)
    try:
        while (reply := replies.take()) is not None:
            assert re.match(r"\d{3}$", str(reply[0]).zfill(3))
    except Nonsense:
        return


@pytest.mark.parametrize(
    "raw", [b"x" * (MOST_LINE + 1), b"250-" + b"x" * MOST_LINE, b"250-a\r\n" * MOST_BYTES]
)
def test_a_reply_has_bounds(raw: bytes) -> None:
    replies = Replies()
    replies.feed(raw)
    with pytest.raises(Nonsense):
        replies.take()


@given(
    st.one_of(st.text(), st.text("annA+list @=%40<>.:1\t")),
    st.sampled_from(["anna", "anna+list", "a", "анна", ""]),
)
def test_what_is_seen_at_a_glance_is_what_a_close_look_says(reply: str, local: str) -> None:
    cleaned = verdicts.cleaned(reply, f"{local}@example.org")
    assert verdicts.masked(reply, f"{local}@example.org") == cleaned
    assert len(cleaned) <= verdicts.MOST_REPLY
    assert cleaned.isprintable()
