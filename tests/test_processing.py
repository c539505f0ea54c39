"""The record of processing says what is so in this configuration, and what is not."""

import json
from dataclasses import replace

import pytest

from mailer import config, processing, subjects
from mailer.config import Settings
from mailer.db import Connection
from mailer.processing import Record
from mailer.vault import Vault, new_master
from tests import commands, world


async def record(conn: Connection, settings: Settings, **given: object) -> Record:
    return await processing.record(conn, replace(settings, **given))  # type: ignore[arg-type]  # tests give what they like


def said(sentences: object) -> str:
    return " ".join(sentences)  # type: ignore[arg-type]  # a list of sentences


async def test_it_names_controller_purposes_notices_and_terms(
    conn: Connection, vault: Vault, settings: Settings
) -> None:
    weekly = await world.make(conn, vault)
    made = await record(conn, settings, confirm_hours=48, proof_days=400)
    text = processing.document(made)
    assert settings.controller is not None
    assert settings.controller in text
    assert "- sending the digest" in text
    for notice in weekly.notices.values():
        assert f"/notice/{notice.id}" in text
    assert "48 hours" in text
    assert "400 days" in text


@pytest.mark.parametrize(
    ("url", "sentence", "protects"),
    [
        ("smtps://mail.example.org", "mail.example.org over TLS or not at all", True),
        ("smtp+starttls://mail.example.org", "mail.example.org over TLS or not at all", True),
        ("smtp://mail.example.org", "mail.example.org without TLS being insisted on", False),
        ("smtp://127.0.0.1:2525", "127.0.0.1 without leaving the machine", True),
        ("lmtp:///run/lmtp.sock", "/run/lmtp.sock without leaving the machine", True),
    ],
)
async def test_how_mail_travels_is_said_as_it_is(
    conn: Connection, settings: Settings, url: str, sentence: str, protects: bool
) -> None:
    made = await record(conn, settings, smtp=(config.smtp(url),))
    assert (sentence in said(made.measures), sentence in said(made.gaps)) == (
        protects,
        not protects,
    )
    host = config.smtp(url).socket or config.smtp(url).host
    assert host in said(made.recipients)


@pytest.mark.parametrize(
    ("url", "sentence", "protects"),
    [
        (None, "embedded", True),
        ("postgresql://mailer@/mailer?host=/run/postgresql", "same machine", True),
        ("postgresql://mailer@localhost/mailer", "same machine", True),
        ("postgresql://mailer:secret@db.example.org/mailer", "without TLS", False),
        ("postgresql://mailer:secret@db.example.org/m?sslmode=verify-full", "over TLS", True),
    ],
)
def test_how_the_database_is_reached_is_said_without_its_password(
    url: str | None, sentence: str, protects: bool
) -> None:
    found, good = processing.database_in_transit(url)
    assert sentence in found
    assert good == protects
    assert "secret" not in found


async def test_what_is_missing_is_said(conn: Connection, settings: Settings) -> None:
    made = await record(
        conn, settings, controller=None, base_url="http://news.example.org", consent_ip="full"
    )
    assert "NOT SET" in processing.document(made)
    assert "without TLS (http://news.example.org)" in said(made.gaps)
    assert "does not say who is responsible" in said(made.gaps)
    assert "IP address is kept" in said(made.measures)
    secure = await record(conn, settings, base_url="https://news.example.org")
    assert "Pages are reached over TLS" in said(secure.measures)


async def test_by_command_as_a_document_and_as_json(conn: Connection, settings: Settings) -> None:
    key = new_master()
    await world.make(conn, await subjects.open_vault(conn, key))
    text = await commands.done(settings, key, "consent", "processing")
    assert text.startswith("# Record of processing activities")
    made = json.loads(await commands.done(settings, key, "consent", "processing", "--json"))
    assert [each["newsletter"] for each in made["in_force"]] == ["weekly", "weekly"]
    assert made["purposes"] == ["sending the digest"]
