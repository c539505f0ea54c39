"""Evidence packs: what one person agreed to, as a file that proves itself to anybody.

A pack is a .zip with every event of the person, the salt and the proof of each, the notices, the
templates of the confirmation mail, the checkpoint, a page to print, a signed manifest, and
`verify.py`, which needs nothing of ours. docs/consent-log.md has all of it byte by byte.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from mailer import consent, log, newsletters, notices, render, subjects, vault
from mailer.config import Settings
from mailer.consent import Event
from mailer.db import Connection
from mailer.errors import Unavailable
from mailer.evidence import verify
from mailer.evidence.verify import Files
from mailer.log import notes
from mailer.log.notes import Checkpoint
from mailer.notices import Notice
from mailer.subscriptions import Own
from mailer.vault import Subject, Vault

TEMPLATE = "mail/confirm"


@dataclass(frozen=True)
class Entry:
    """One event as the page tells it. `at`: to the microsecond, as recorded; `time` for people."""

    number: int
    type: str
    at: str
    time: datetime
    actor: str
    newsletter: str | None
    notice: str | None
    channel: str | None
    restricted: bool | None
    pause: consent.Pause | None
    evidence: Mapping[str, str]
    leaf: int | None
    commitment: str


async def pack(conn: Connection, keys: Vault, own: Own, settings: Settings) -> bytes:
    """A pack about one person, under the latest checkpoint.

    Raises Unavailable as long as it does not cover all of the person's events.
    """
    signed = await log.checkpoint(conn, keys)
    if signed is None or not covers(signed, own.record):
        raise unsealed(await log.objection(conn))
    key = await log.key(conn, keys)
    shown = await named(conn, own.record)
    files: Files = {
        "verify.py": Path(verify.__file__).read_bytes(),
        "key": f"{key}\n".encode(),
        "checkpoint": signed.note.encode(),
        **await events(conn, own.subscriber.subject(keys), own.record, signed),
        **await publications(conn, keys, shown, signed),
        **templates(own.record),
    }
    files["record.html"] = page(own, shown, signed, key, await titles(conn, own), settings).encode()
    manifest = verify.manifest(key.name, files)
    files["MANIFEST"] = notes.sign(keys, key.name, manifest).encode()
    return verify.packed(files)


def covers(signed: Checkpoint, record: Sequence[Event]) -> bool:
    """Whether every event is in the tree that was signed."""
    return all(event.leaf is not None and event.leaf < signed.size for event in record)


def unsealed(why: str | None) -> Unavailable:
    return Unavailable(
        "Not all events of this person are in the log yet: {why}",
        why=why or "start a worker (mailer work), or wait a second and try again.",
    )


async def events(
    conn: Connection, subject: Subject, record: Sequence[Event], signed: Checkpoint
) -> Files:
    """Each event with its salt and its proof."""
    files: Files = {}
    for event in record:
        files |= await proven(conn, subject, event, signed, f"events/{event.content['seq']:06}")
    return files


async def proven(
    conn: Connection, subject: Subject, event: Event, signed: Checkpoint, name: str
) -> Files:
    """An event as it was committed to, what its entry is made from, and the proof of that."""
    assert event.leaf is not None
    body = consent.canonical(event.content)
    files = {
        f"{name}.json": body,
        f"{name}.tlog-proof": str(await log.prove(conn, signed, event.leaf)).encode(),
    }
    if not log.is_public(event.content["type"], body):
        salt = vault.salt(subject, UUID(event.content["id"]))
        files[f"{name}.salt"] = f"{salt.hex()}\n".encode()
    return files


async def named(conn: Connection, record: Sequence[Event]) -> list[Notice]:
    """The notices that the events name, in the order in which they do."""
    ids = dict.fromkeys(e.content["notice"]["id"] for e in record if e.content["notice"])
    return [await notices.find(conn, id_) for id_ in ids]


async def publications(
    conn: Connection, keys: Vault, shown: Sequence[Notice], signed: Checkpoint
) -> Files:
    """The words of each notice, and the proof that they were published."""
    house = await subjects.house(conn, keys)
    published = {
        event.content["notice"]["id"]: event
        for event in await consent.of_type(conn, house, "notice.published")
    }
    files: Files = {}
    for notice in shown:
        name = f"notices/{notice.id}"
        files[f"{name}.json"] = notices.form(notice)
        event = published[notice.id]
        files |= await proven(conn, house, event, signed, f"{name}.published")
    return files


def templates(record: Sequence[Event]) -> Files:
    """Those of the confirmation mail, if they are still the ones it was made from."""
    if render.source_sha256(TEMPLATE) not in sent_from(record):
        return {}
    return {f"template/{name}": source for name, source in render.sources(TEMPLATE).items()}


def sent_from(record: Sequence[Event]) -> set[str]:
    """The versions of templates that confirmations to the person were made from."""
    sent = (e.content["evidence"] for e in record if e.content["type"] == "confirmation.sent")
    return {evidence["template_sha256"] for evidence in sent}


async def titles(conn: Connection, own: Own) -> Mapping[str, str]:
    language = own.subscriber.language
    return {found.slug: found.title(language) for found in await newsletters.all_(conn)}


def page(
    own: Own,
    shown: Sequence[Notice],
    signed: Checkpoint,
    key: notes.Key,
    titles_: Mapping[str, str],
    settings: Settings,
) -> str:
    """The record to read and to print, in the person's language."""
    return render.page(
        "evidence/record.html",
        render.spoken(own.subscriber.language),
        address=own.address.given,
        subject=own.subscriber.id,
        controller=settings.controller,
        entries=[entry(event.content, event) for event in own.record],
        notices=shown,
        titles=titles_,
        sent_from=sorted(sent_from(own.record)),
        templates_here=render.source_sha256(TEMPLATE) in sent_from(own.record),
        checkpoint=signed,
        key=key,
        log_url=f"{settings.base_url}/log/checkpoint",
    )


def entry(content: Mapping[str, Any], event: Event) -> Entry:
    return Entry(
        content["seq"],
        content["type"],
        content["at"],
        datetime.fromisoformat(content["at"]),
        content["actor"].partition(":")[0],
        content["newsletter"],
        (content["notice"] or {}).get("id"),
        content["evidence"].get("channel"),
        content["evidence"].get("to", {}).get("restricted"),
        consent.pause(content),
        {name: plainly(value) for name, value in content["evidence"].items()},
        event.leaf,
        event.commitment.hex(),
    )


def plainly(value: object) -> str:
    """What is in the evidence, on one line."""
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {plainly(each)}" for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(plainly, value))
    return "-" if value is None else str(value)
