"""Evidence packs: they prove themselves to whoever has Python, and fail for a single byte."""

import asyncio
import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from mailer import config, db, evidence, log, people, render, subjects, subscriptions
from mailer import vault as vaults
from mailer.config import Settings, Source
from mailer.db import Connection
from mailer.errors import Unavailable
from mailer.evidence import verify
from mailer.evidence.verify import Files
from mailer.log import notes
from mailer.log.keep import Keep
from mailer.vault import Vault
from tests import world
from tests.conftest import named, template
from tests.test_log import events, seal
from tests.world import ANNA, BORIS, VERA


async def recorded(conn: Connection, keys: Vault, settings: Settings) -> None:
    """Anna in English, who left again, and Vera in Russian; others are in the log as well."""
    weekly = await world.make(conn, keys)
    for email, language in ((ANNA, "en"), (VERA, "ru"), (BORIS, "en")):
        asked = {"origin": "https://site.example.org", "boxes": {"consent": "ticked"}}
        await world.ask(conn, keys, weekly.wish(email, language, evidence=asked))
        held = await world.found(conn, keys, email)
        sent = {"template_sha256": render.source_sha256("mail/confirm"), "message_id": "<1@x>"}
        await subscriptions.mailed(conn, keys, held.subscription.id, "confirmation.sent", sent)
        token = await world.link(conn, keys, email, "confirm")
        await subscriptions.confirm(conn, keys, token, {"page": "confirm/1"})
        await events(conn, keys, 120)
    await subscriptions.leave(conn, keys, await world.link(conn, keys, ANNA, "leave"), "one-click")
    await seal(conn, keys, Keep(settings.data_dir))


async def packed(conn: Connection, keys: Vault, settings: Settings, email: str) -> bytes:
    own = await people.find(conn, keys, email)
    return await evidence.pack(conn, keys, own, settings)


def unpacked(pack: bytes, folder: Path) -> Files:
    (folder / "pack.zip").write_bytes(pack)
    return verify.read(folder / "pack.zip")


def wrong(files: Files, key: str | None = None, *kept: str) -> list[str]:
    return verify.examine(files, key, list(kept))[1]


@pytest.fixture(scope="module")
def made(server: str, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """One pack for those tests that only look at it."""

    async def make() -> bytes:
        name, folder = f"mailer_evidence_{os.getpid()}", tmp_path_factory.mktemp("evidence")
        async with db.connection(server) as admin:
            await admin.execute(f'create database "{name}" template "{template()}"')
            try:
                async with db.connection(named(server, name)) as conn:
                    keys = await subjects.open_vault(conn, vaults.new_master())
                    given = {"MAILER_CONTROLLER": "Example Rights Watch, 1 Example Street"}
                    settings = config.read(Source(given), folder, dev=False)
                    await recorded(conn, keys, settings)
                    return await packed(conn, keys, settings, ANNA)
            finally:
                await admin.execute(f'drop database "{name}" with (force)')

    return asyncio.run(make())


def test_a_pack_holds_what_it_says(made: bytes, tmp_path: Path) -> None:
    files = unpacked(made, tmp_path)
    count, findings = verify.examine(files, None, [])
    assert (count, findings) == (4, [])
    types = [json.loads(files[f"events/{n:06}.json"])["type"] for n in (1, 2, 3, 4)]
    assert types == ["subscription.requested", "confirmation.sent", "consent.confirmed",
                     "consent.withdrawn"]  # fmt: skip
    notice = json.loads(files["events/000003.json"])["notice"]["id"]
    assert world.WORDING["en"].encode() in files[f"notices/{notice}.json"]
    assert (
        files["template/mail/confirm/body.txt"]
        == render.sources("mail/confirm")["mail/confirm/body.txt"]
    )
    page = files["record.html"].decode()
    assert ANNA in page
    assert world.WORDING["en"] in page
    assert all(ANNA.encode() not in data for name, data in files.items() if name != "record.html")


def test_a_pack_verifies_where_there_is_only_python_and_cryptography(
    made: bytes, tmp_path: Path
) -> None:
    bare(tmp_path)
    unpacked(made, tmp_path)
    with zipfile.ZipFile(tmp_path / "pack.zip") as archive:
        archive.extractall(tmp_path / "pack")
    for arguments in ([], ["../pack.zip"]):
        finished = run_bare(tmp_path, *arguments)
        assert finished.returncode == 0, finished.stdout + finished.stderr
        assert finished.stdout.startswith("All of it holds: 4 events")
    (tmp_path / "pack" / "record.html").write_bytes(b"something else")
    finished = run_bare(tmp_path)
    assert (finished.returncode, finished.stdout) == (1, "WRONG: record.html was changed\n")


def bare(folder: Path) -> None:
    """A place to import from with nothing in it but cryptography and what it is built on."""
    (folder / "site").mkdir()
    installed = Path(sysconfig.get_path("platlib"))
    for path in (installed / "cryptography", *installed.glob("_cffi_backend*")):
        (folder / "site" / path.name).symlink_to(path)


def run_bare(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The pack's own verify.py, as an auditor runs it."""
    return subprocess.run(
        [sys.executable, "-S", "-B", "verify.py", *arguments],
        cwd=folder / "pack", env={"PYTHONPATH": str(folder / "site")},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@hypothesis(deadline=None)
@given(st.data())
def test_a_pack_with_any_one_byte_changed_fails(
    made: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    whole = bytearray(made)
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.getbasetemp() / "changed.zip"
    path.write_bytes(whole)
    with pytest.raises(verify.Wrong, match=r"changed|no archive"):
        verify.read(path)


@hypothesis(deadline=None)
@given(st.data())
def test_a_file_of_a_pack_with_any_one_byte_changed_is_named(
    made: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    files = unpacked(made, tmp_path_factory.getbasetemp())
    name = data.draw(st.sampled_from(sorted(files)))
    content = bytearray(files[name])
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    found = wrong({**files, name: bytes(content)})
    assert found
    if name not in ("MANIFEST", "key"):
        assert any(each.startswith(f"{name} was changed") for each in found)


def test_each_byte_of_the_manifest_and_the_key_counts(made: bytes, tmp_path: Path) -> None:
    files = unpacked(made, tmp_path)
    for name in ("MANIFEST", "key"):
        for at in range(len(files[name])):
            content = bytearray(files[name])
            content[at] ^= 1
            assert wrong({**files, name: bytes(content)}), (name, at)


def signed_anew(files: Files, keys: Vault) -> Files:
    """What the house itself could sign, were it to lie about one file."""
    origin = files["key"].decode().partition("+")[0]
    others = {name: data for name, data in files.items() if name != "MANIFEST"}
    manifest = notes.sign(keys, origin, verify.manifest(origin, others))
    return {**others, "MANIFEST": manifest.encode()}


async def test_even_who_holds_the_key_can_change_nothing_but_the_page(
    conn: Connection, vault: Vault, settings: Settings, tmp_path: Path
) -> None:
    await recorded(conn, vault, settings)
    files = unpacked(await packed(conn, vault, settings, ANNA), tmp_path)
    assert wrong(signed_anew(files, vault)) == []
    notice = json.loads(files["events/000001.json"])["notice"]["id"]
    withdrawn = json.loads(files["events/000004.json"])["id"]

    def without(*names: str) -> Files:
        return {n: data for n, data in files.items() if not n.startswith(names)}

    changed = files["events/000004.json"].replace(b"one-click", b"complaint")
    moved = {name.replace("000002", "000009"): data for name, data in files.items()}
    other = unpacked(await packed(conn, vault, settings, BORIS), tmp_path)
    cases: list[tuple[Files, str]] = [
        ({**files, "events/000004.json": changed}, f"event {withdrawn}"),
        (without("events/000002"), "one is missing or was moved"),
        (without("events/000001"), "one is missing or was moved"),
        (moved, "one is missing or was moved"),
        ({**files, **{n: d for n, d in other.items() if n.startswith("events/000003")}},
         "one is missing or was moved"),
        ({**files, "events/000002.tlog-proof": files["events/000003.tlog-proof"]},
         "not in the log"),
        ({**files, "events/000002.salt": files["events/000003.salt"]}, "not in the log"),
        ({**files, f"notices/{notice}.json": b"{}"}, f"the words of notice {notice} were changed"),
        (without(f"notices/{notice}.published.tlog-proof"), "is missing"),
        ({**files, "checkpoint": other["MANIFEST"]}, "checkpoint of another log"),
        ({**files, "template/mail/base.mjml": b""}, "no mail was made from these"),
        (without("template/mail/base.mjml"), "no mail was made from these"),
    ]  # fmt: skip
    for case, said in cases:
        found = wrong(signed_anew(case, vault))
        assert any(said in each for each in found), (said, found)


async def test_a_pack_of_another_key_or_history_is_known_by_what_was_kept(
    conn: Connection, vault: Vault, settings: Settings, tmp_path: Path
) -> None:
    await recorded(conn, vault, settings)
    files = unpacked(await packed(conn, vault, settings, ANNA), tmp_path)
    key, signed = await log.key(conn, vault), await log.checkpoint(conn, vault)
    assert signed is not None
    assert wrong(files, str(key), signed.note) == []
    thief = Vault([b"t" * 32])
    thief.take_key("log", thief.new_key("log"))
    other = notes.Key(key.name, thief.verifier)
    assert any("another key than yours" in each for each in wrong(files, str(other)))
    forked = notes.sign_checkpoint(vault, key.name, signed.size, b"r" * 32)
    assert any("another one" in each for each in wrong(files, None, forked.note))
    stranger = notes.sign_checkpoint(thief, key.name, signed.size, b"r" * 32)
    assert wrong(files, None, stranger.note)


async def test_a_pack_waits_until_everything_is_in_the_log(
    conn: Connection, vault: Vault, settings: Settings
) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    with pytest.raises(Unavailable, match="Not all events of this person are in the log"):
        await packed(conn, vault, settings, ANNA)


async def test_templates_that_a_mail_was_not_made_from_are_left_out(
    conn: Connection, vault: Vault, settings: Settings, tmp_path: Path
) -> None:
    weekly = await world.make(conn, vault)
    await world.ask(conn, vault, weekly.wish(ANNA))
    held = await world.found(conn, vault, ANNA)
    old = {"template_sha256": "ab" * 32}
    await subscriptions.mailed(conn, vault, held.subscription.id, "confirmation.sent", old)
    await seal(conn, vault, Keep(settings.data_dir))
    files = unpacked(await packed(conn, vault, settings, ANNA), tmp_path)
    assert wrong(files) == []
    assert not [name for name in files if name.startswith("template/")]
    assert "ab" * 32 in files["record.html"].decode()


async def test_the_page_speaks_the_persons_language(
    conn: Connection, vault: Vault, settings: Settings, tmp_path: Path
) -> None:
    await recorded(conn, vault, settings)
    page = unpacked(await packed(conn, vault, settings, VERA), tmp_path)["record.html"].decode()
    assert '<html lang="ru"' in page
    assert "boxes</code>: <bdi>consent: ticked</bdi>" in page
    assert world.WORDING["ru"] in page
    assert VERA in page
    assert "<script" not in page
    assert "http://" not in page.replace(settings.base_url, "")


async def test_a_pack_tells_of_changes_and_of_being_left_alone(
    conn: Connection, vault: Vault, settings: Settings, tmp_path: Path
) -> None:
    await recorded(conn, vault, settings)
    own = await people.find(conn, vault, BORIS)
    found = await subscriptions.find(conn, own, "weekly")
    assert found is not None
    await subscriptions.change(conn, found, "ru", "daily")
    await people.restrict(conn, vault, own, "staff", actor="staff:anna")
    await seal(conn, vault, Keep(settings.data_dir))
    files = unpacked(await packed(conn, vault, settings, BORIS), tmp_path)
    page = files["record.html"].decode()
    assert "You changed the language or how often" in page
    assert "From here on our staff only kept your data" in page
    assert wrong(files) == []
