import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiosmtplib
import pytest

from mailer.mailbox import Mailbox

ANNA = "anna@example.org"
VERA = "вера@example.org"
PLAIN = b"Subject: Hello\r\nX-Long: a\r\n b\r\n\r\nHow are you?\r\n.dot\r\n"
BOTH = (
    (
        "Subject: =?utf-8?b?{}?=\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/alternative; boundary="=_x"\r\n\r\n'
        "--=_x\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n=D0=94=D0=B0\r\n"
        "--=_x\r\nContent-Type: text/html; charset=utf-8\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n<p>=D0=94=D0=B0</p>\r\n--=_x--\r\n"
    )
    .format("0J/RgNC40LLQtdGC")
    .encode()
)


@pytest.fixture
async def mailbox(tmp_path: Path) -> AsyncIterator[Mailbox]:
    made = Mailbox(tmp_path / "inbox", most=5)
    yield made
    await made.stop()


async def send(port: int, mail: bytes, *recipients: str) -> None:
    client = aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False)
    options = [] if all(r.isascii() for r in recipients) else ["SMTPUTF8"]
    async with client:
        await client.sendmail("b+token@example.org", recipients, mail, mail_options=options)


async def test_a_mail_taken_can_be_read(mailbox: Mailbox) -> None:
    await send(await mailbox.start(), PLAIN, ANNA)
    [mail] = mailbox.list()
    assert (mail.sender, mail.recipient, mail.subject) == ("b+token@example.org", ANNA, "Hello")
    assert datetime.now(UTC) - mail.at < timedelta(minutes=1)
    read = mailbox.read(mail.id)
    assert read is not None
    assert read.mail == mail
    assert read.text == "How are you?\n.dot\n"
    assert read.html is None
    assert read.raw.endswith(PLAIN)
    assert ("X-Long", "a b") in read.headers


async def test_both_bodies_and_the_subject_are_decoded(mailbox: Mailbox) -> None:
    await send(await mailbox.start(), BOTH, VERA)
    [mail] = mailbox.list()
    assert (mail.recipient, mail.subject) == (VERA, "Привет")
    read = mailbox.read(mail.id)
    assert read is not None
    assert (read.text, read.html) == ("Да", "<p>Да</p>")


async def test_each_recipient_gets_a_mail_and_the_newest_is_first(mailbox: Mailbox) -> None:
    port = await mailbox.start()
    await send(port, PLAIN, ANNA, "boris@example.org")
    await send(port, BOTH, ANNA)
    assert [mail.subject for mail in mailbox.list()] == ["Привет", "Hello", "Hello"]


async def test_a_restart_keeps_what_was_there(mailbox: Mailbox) -> None:
    await send(await mailbox.start(), PLAIN, ANNA)
    await mailbox.stop()
    again = Mailbox(mailbox.folder)
    port = await again.start()
    await send(port, BOTH, ANNA)
    assert [mail.subject for mail in again.list()] == ["Привет", "Hello"]
    assert again.list()[1:] == mailbox.list()
    await again.stop()


async def test_only_the_latest_are_kept(mailbox: Mailbox) -> None:
    port = await mailbox.start()
    for n in range(7):
        await send(port, f"Subject: {n}\r\n\r\nx\r\n".encode(), ANNA)
    assert [mail.subject for mail in mailbox.list()] == ["6", "5", "4", "3", "2"]
    assert len(list(mailbox.folder.iterdir())) == 5


async def test_many_at_once_lose_none(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path)
    port = await mailbox.start()
    await asyncio.gather(
        *(send(port, f"Subject: {n}\r\n\r\nx\r\n".encode(), ANNA) for n in range(30))
    )
    assert {mail.subject for mail in mailbox.list()} == {str(n) for n in range(30)}
    await mailbox.stop()


async def test_files_are_only_the_owners(mailbox: Mailbox) -> None:
    await send(await mailbox.start(), PLAIN, ANNA)
    assert mailbox.folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in mailbox.folder.iterdir())


@pytest.mark.parametrize("id_", ["", "../secret", "00000000000000000001", "\0"])
async def test_there_is_nothing_under_other_names(mailbox: Mailbox, id_: str) -> None:
    await mailbox.start()
    (mailbox.folder.parent / "secret.eml").write_text("secret")
    assert mailbox.read(id_) is None


async def test_odd_bytes_are_still_shown(mailbox: Mailbox) -> None:
    odd = b"Subject: \xff\xfe\r\nContent-Type: text/plain; charset=no-such\r\n\r\n\xff\x00\r\n"
    await send(await mailbox.start(), odd, ANNA)
    [mail] = mailbox.list()
    read = mailbox.read(mail.id)
    assert read is not None
    assert read.text is not None


async def test_it_listens_on_this_machine_only(mailbox: Mailbox) -> None:
    with pytest.raises(ValueError, match="only from this machine"):
        await mailbox.start("0.0.0.0")
