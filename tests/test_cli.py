"""The commands, each as a process of its own: what they print, and how they end."""

import csv
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pyrage  # type: ignore[import-untyped]  # it comes without types
import pytest

from mailer import cli, feeds, subjects, vault
from mailer.articles import Draft
from mailer.cli import ROOMS
from mailer.db import Connection
from mailer.feeds import Document
from tests import world

Run = Callable[..., subprocess.CompletedProcess[str]]
PYTHON = (sys.executable, "-m", "mailer")
KEY = pyrage.x25519.Identity.generate()

NOTICE = (
    "--wording", "Yes, write to me.", "--controller", "Example Rights Watch",
    "--purpose", "the digest", "--recipients", "nobody", "--retention", "until you leave",
    "--withdrawal", "one click",
)  # fmt: skip


@pytest.fixture
def secret() -> str:
    return vault.new_master()


@pytest.fixture
def mailer(database_url: str, tmp_path: Path, secret: str) -> Run:
    """Run `mailer …` on this test's database."""
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(cli.__file__).parents[2]),
        "MAILER_DATABASE_URL": database_url,
        "MAILER_DATA_DIR": str(tmp_path),
        "MAILER_SECRET_KEY": secret,
    }

    def run(
        *args: str, given: str = "", command: Sequence[str] = PYTHON, **more: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (*command, *args), input=given, env={**environ, **more}, cwd=tmp_path,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    return run


def done(finished: subprocess.CompletedProcess[str]) -> str:
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def set_up(mailer: Run) -> None:
    done(mailer("newsletter", "add", "weekly", "--title", "en=Weekly", "--title", "ru=Неделя"))
    for language in ("en", "ru"):
        done(mailer("notice", "add", "--language", language, *NOTICE))


def article(**more: object) -> str:
    return json.dumps(
        {"external_id": "660", "language": "en", "title": "Order 660",
         "url": "https://site.example.org/660", "summary": "<p>What it says.</p>", **more}
    )  # fmt: skip


def test_help_lists_every_command_and_imports_none(mailer: Run) -> None:
    listed = done(mailer("--help"))
    assert all(name in listed for name in ROOMS)
    assert not listed.startswith("Traceback")


@pytest.mark.parametrize("name", ROOMS)
def test_each_command_of_the_contents_is_there(name: str) -> None:
    found = cli.contents.get_command(None, name)  # type: ignore[arg-type]  # it needs no context
    assert found is not None
    assert found.name == name


def test_the_road_by_command_from_newsletter_to_preview(mailer: Run, tmp_path: Path) -> None:
    set_up(mailer)
    listed = json.loads(done(mailer("newsletter", "list", "--json")))
    assert listed[0]["titles"] == {"en": "Weekly", "ru": "Неделя"}
    notices = json.loads(done(mailer("notice", "list", "--json")))
    assert [n["language"] for n in notices] == ["en", "ru"]
    assert json.loads(done(mailer("article", "add", "weekly", "--json", given=article())))["new"]
    again = done(mailer("article", "add", "weekly", "--json", given=article(title="Order No. 660")))
    assert json.loads(again) == {"id": 1, "new": False, "changed": True}
    assert "1 articles" in done(mailer("digest", "create", "weekly"))
    done(mailer("digest", "preview", "weekly", "1", "--out", str(tmp_path / "out")))
    assert "Order No. 660" in (tmp_path / "out" / "weekly-1-en.txt").read_text()
    assert json.loads(done(mailer("digest", "status", "weekly", "1", "--json")))["state"] == "draft"
    assert done(mailer("consent", "verify")).startswith("2 events")


def test_a_draft_is_edited_previewed_and_approved_for_a_time(mailer: Run, tmp_path: Path) -> None:
    set_up(mailer)
    for id_ in ("1", "2", "3"):
        done(mailer("article", "add", "weekly", given=article(external_id=id_, title=f"No. {id_}")))
    done(mailer("digest", "create", "weekly"))
    said = done(mailer("digest", "edit", "weekly", "1", "--skip", "2", "--order", "3",
                       "--introduction", "en=Hello.", "--version", "1"))  # fmt: skip
    assert said.startswith("Version ")
    shown = json.loads(done(mailer("digest", "show", "weekly", "1", "--json")))
    assert [a["title"] for a in shown["articles"]] == ["No. 3", "No. 1"]
    late = mailer("digest", "edit", "weekly", "1", "--pin", "1", "--version", "1")
    assert late.returncode == 1
    assert f"look at version {shown['version']}" in late.stderr
    preview = mailer("digest", "preview", "weekly", "1", "--out", str(tmp_path / "out"))
    assert "warning: The introduction is missing in ru." in preview.stderr
    page = (tmp_path / "out" / "weekly-1.html").read_text()
    assert 'src="weekly-1-ru.html" width="360"' in page
    assert "Hello." in (tmp_path / "out" / "weekly-1-en.txt").read_text()
    refused = mailer("digest", "approve", "weekly", "1")
    assert refused.returncode == 1
    assert "despite warnings" in refused.stderr
    assert mailer("digest", "approve", "weekly", "1", "--at", "2020-01-01").returncode == 1
    at = ("--at", "2099-03-01T09:00")
    assert "2099-03-01 09:00 UTC" in done(
        mailer("digest", "approve", "weekly", "1", "--despite-warnings", *at)
    )
    status = json.loads(done(mailer("digest", "status", "weekly", "1", "--json")))
    assert (status["state"], status["send_at"][:10]) == ("approved", "2099-03-01")
    assert (status["delivered"], status["bounced"], status["providers"]) == (0, 0, [])
    done(mailer("digest", "recall", "weekly", "1"))
    done(mailer("digest", "cancel", "weekly", "1"))
    assert "2 articles" in done(mailer("digest", "create", "weekly"))  # and what was skipped is not


def test_a_newsletter_is_changed_and_given_a_schedule(mailer: Run) -> None:
    done(mailer("newsletter", "add", "weekly", "--title", "en=Weekly", "--schedule", "weekly",
                "--timezone", "Europe/Berlin", "--approval", "automatic"))  # fmt: skip
    found = json.loads(done(mailer("newsletter", "show", "weekly", "--json")))
    assert (found["approval"], found["schedule"]) == ("automatic", {"weekly": "0 9 * * 1"})
    done(mailer("newsletter", "change", "weekly", "--schedule", "weekly=0 18 * * 1,4",
                "--cadence", "weekly", "--cadence", "published", "--schedule", "published",
                "--fewest", "3", "--untranslated", "omitted", "--images"))  # fmt: skip
    found = json.loads(done(mailer("newsletter", "show", "weekly", "--json")))
    assert found["schedule"] == {"weekly": "0 18 * * 1,4", "published": "as published"}
    assert (found["fewest"], found["untranslated"], found["images"]) == (3, "omitted", True)
    assert found["timezone"] == "Europe/Berlin"
    done(mailer("newsletter", "change", "weekly", "--schedule", "weekly=off"))
    found = json.loads(done(mailer("newsletter", "show", "weekly", "--json")))
    assert list(found["schedule"]) == ["published"]
    wrong = mailer("newsletter", "change", "weekly", "--schedule", "weekly=soon")
    assert wrong.returncode == 1
    assert "cron" in wrong.stderr


def test_check_names_a_mistake_in_a_template_with_file_and_line(
    mailer: Run, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    (own / "mail" / "digest").mkdir(parents=True)
    (own / "mail" / "digest" / "subject.txt").write_text("{{ title }}\n{{ titel }}")
    checked = mailer("check", MAILER_TEMPLATES_DIR=str(own))
    assert re.search(r"FAIL  templates: \S+subject\.txt, line 2: 'titel'", checked.stdout)
    missing = mailer("check", MAILER_TEMPLATES_DIR=str(tmp_path / "nothing"))
    assert "MAILER_TEMPLATES_DIR must be a folder" in missing.stderr


def test_articles_are_listed_and_withdrawn(mailer: Run) -> None:
    set_up(mailer)
    done(mailer("article", "add", "weekly", given=article()))
    refused = mailer("article", "add", "weekly", given=article(title="", url="/660"))
    assert refused.returncode == 1
    assert "title is missing" in refused.stderr
    assert "url must be a web address" in refused.stderr
    done(mailer("article", "withdraw", "weekly", "660"))
    (listed,) = json.loads(done(mailer("article", "list", "weekly", "--json")))
    assert (listed["title"], listed["withdrawn_at"] is not None) == ("Order 660", True)
    assert mailer("article", "withdraw", "weekly", "661").returncode == 1
    assert mailer("digest", "create", "weekly").returncode == 1


def test_a_token_is_shown_once(mailer: Run) -> None:
    set_up(mailer)
    made = mailer("token", "add", "cms", "--scope", "articles:write", "--newsletter", "weekly")
    words = done(made).strip()
    assert words.startswith("mailer_1_")
    assert "not shown again" in made.stderr
    assert words not in made.stderr
    listed = done(mailer("token", "list", "--json"))
    assert words.rpartition("_")[2] not in listed
    assert json.loads(listed)[0]["newsletter"] == "weekly"
    done(mailer("token", "revoke", "cms"))
    assert mailer("token", "revoke", "cms").returncode == 1
    assert mailer("token", "add", "cms", "--scope", "everything").returncode == 2


async def test_an_editor_decides_on_a_flood_by_command(mailer: Run, conn: Connection) -> None:
    set_up(mailer)
    done(mailer("feed", "add", "weekly", "https://site.example.org/feed.xml"))
    feed = await feeds.find(conn, 1)
    await feeds.store(conn, feed, Document("News", "en", ()))
    for first in (0, 20):
        drafts = (Draft(str(n), f"Story {n}", None) for n in range(first, first + 12))
        await feeds.store(conn, feed, Document("News", "en", tuple(drafts)))
        waiting = json.loads(done(mailer("feed", "held", "1", "--json")))
        assert len(waiting) == 12
        (listed,) = json.loads(done(mailer("feed", "list", "--json")))
        assert "mailer feed release 1" in listed["trouble"]
        if first:
            assert "12" in done(mailer("feed", "dismiss", "1"))
        else:
            assert "12" in done(mailer("feed", "release", "1"))
    assert mailer("feed", "release", "1").returncode == 1
    assert await conn.fetchval("select count(*) from article where not known") == 12


def test_versions_of_a_notice_are_told_apart_and_readers_asked_to_renew(mailer: Run) -> None:
    set_up(mailer)
    old = json.loads(done(mailer("notice", "list", "--json")))[0]
    newer = ("--wording", "Yes, write to me weekly.", *NOTICE[2:])
    new = json.loads(done(mailer("notice", "add", "--language", "en", *newer, "--json")))
    told = done(mailer("notice", "diff", old["id"], new["id"]))
    assert told == "wording:\n  Yes, write to me{+ weekly+}.\n\n"
    assert "They say the same" in done(mailer("notice", "diff", old["id"], old["id"]))
    shown = json.loads(done(mailer("notice", "show", old["id"], "--json")))
    assert (shown["current"], shown["confirmed"]) == (False, 0)
    for args, status, said in (
        (("weekly", "--until", "2020-01-01"), 1, "at least 7 days"),
        (("weekly", "--until", "2099-01-01"), 1, "agreed to current words"),
        (("weekly", "--stop"), 1, "No renewal of weekly is running"),
        (("weekly",), 2, "--until"),
        (("nosuch", "--until", "2099-01-01"), 1, "no newsletter nosuch"),
    ):
        refused = mailer("notice", "renew", *args)
        assert refused.returncode == status
        assert said in refused.stderr
    assert json.loads(done(mailer("notice", "renewals", "--json"))) == []


def test_people_are_imported_shown_suppressed_and_erased(mailer: Run, tmp_path: Path) -> None:
    set_up(mailer)
    file = tmp_path / "people.csv"
    file.write_text("\ufeffName,Email\r\nAnna,anna@example.org\nBoris,not an address\r\n")
    imported = mailer("subscribers", "import", str(file), "--newsletter", "weekly")
    assert imported.returncode == 1
    assert "line 3: Enter an e-mail address" in imported.stderr
    assert "1 people will be asked" in imported.stdout
    assert "not an address" not in imported.stderr
    done(mailer("suppress", "add", "vera@example.org"))
    checked = json.loads(done(mailer("suppress", "check", "Vera@example.org", "--json")))
    assert checked == {"suppressed": True, "reason": "staff"}
    done(mailer("suppress", "remove", "vera@example.org"))
    assert mailer("suppress", "remove", "vera@example.org").returncode == 1
    assert mailer("person", "erase", "vera@example.org", "--yes").returncode == 1


def test_an_export_with_addresses_wants_a_reason_and_is_recorded(
    mailer: Run, tmp_path: Path
) -> None:
    set_up(mailer)
    refused = mailer("consent", "export", "--with-addresses")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "--reason" in refused.stderr
    out = tmp_path / "consent.jsonl"
    done(mailer("consent", "export", "--format", "jsonl", "--out", str(out)))
    assert out.stat().st_mode & 0o777 == 0o600
    types = [json.loads(line)["type"] for line in out.read_text().splitlines()]
    assert types == ["notice.published", "notice.published"]
    assert [path.name for path in tmp_path.glob("*consent*")] == ["consent.jsonl"]
    again = done(mailer("consent", "export", "--format", "jsonl", "--type", "staff.exported"))
    recorded = json.loads(again)
    assert recorded["actor"].startswith("staff:")
    said = recorded["evidence"]
    assert said["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert (said["rows"], said["filter"]["type"], said["addresses"]) == (2, None, False)


def test_an_export_of_something_mistyped_is_refused(mailer: Run) -> None:
    set_up(mailer)
    for options in (("--newsletter", "weakly"), ("--notice", "0" * 32), ("--encrypt-to", "age1x")):
        refused = mailer("consent", "export", *options)
        assert (refused.returncode, refused.stdout) == (1, ""), options
        assert len(refused.stderr.splitlines()) == 1, options
    assert mailer("consent", "export", "--type", "consent.confirmd").returncode == 2


def test_an_export_that_fails_leaves_no_file_and_no_entry(mailer: Run, tmp_path: Path) -> None:
    set_up(mailer)
    refused = mailer("consent", "export", "--out", str(tmp_path / "nowhere" / "consent.csv"))
    assert refused.returncode == 1
    assert "nowhere/consent.csv can't be written: No such file" in refused.stderr
    assert done(mailer("consent", "export", "--type", "staff.exported")).count("\n") == 1


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_disk_that_fills_is_said_and_leaves_nothing(
    mailer: Run, tmp_path: Path, encrypted: bool
) -> None:
    set_up(mailer)
    options = ("--encrypt-to", str(KEY.to_public())) if encrypted else ()
    full = ("bash", "-c", 'ulimit -f 0; exec "$@"', "bash", *PYTHON)
    out = tmp_path / "consent.csv"
    refused = mailer("consent", "export", "--out", str(out), *options, command=full)
    assert refused.returncode == 1
    assert refused.stderr == f"{out} can't be written: File too large.\n"
    assert list(tmp_path.glob("*consent.csv*")) == []
    assert done(mailer("consent", "export", "--type", "staff.exported")).count("\n") == 1


def test_an_encrypted_export_is_read_by_its_recipient_alone(mailer: Run, tmp_path: Path) -> None:
    set_up(mailer)
    out = tmp_path / "consent.csv.age"
    done(mailer("consent", "export", "--out", str(out), "--encrypt-to", str(KEY.to_public())))
    assert b"notice.published" not in out.read_bytes()
    opened = pyrage.decrypt(out.read_bytes(), [KEY]).decode()
    assert [row["type"] for row in csv.DictReader(opened.splitlines())] == ["notice.published"] * 2
    shown = done(mailer("consent", "export", "--format", "jsonl", "--type", "staff.exported"))
    assert json.loads(shown)["evidence"]["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()


def test_what_was_exported_to_the_screen_is_recorded_by_its_hash(mailer: Run) -> None:
    set_up(mailer)
    named = ("--with-addresses", "--reason", "the board asks")
    shown = done(mailer("subscribers", "export", *named))
    assert shown.startswith("subject_id,newsletter,state,language,cadence,confirmed_at,left_at,")
    assert shown.endswith(",email\n")  # read as text
    said = json.loads(
        done(mailer("consent", "export", "--format", "jsonl", "--type", "staff.exported"))
    )["evidence"]
    assert said["sha256"] == hashlib.sha256(shown.replace("\n", "\r\n").encode()).hexdigest()
    assert (said["what"], said["reason"], said["addresses"]) == (
        "subscribers", "the board asks", True)  # fmt: skip


@pytest.mark.parametrize(
    ("args", "status", "said"),
    [
        (("newsletter", "show", "nosuch"), 1, "There is no newsletter nosuch."),
        (("newsletter", "add", "UPPER", "--title", "en=T"), 1, "small letters"),
        (("newsletter", "add", "x", "--title", "T"), 2, "LANG=TITLE"),
        (("digest", "create", "nosuch"), 1, "There is no newsletter"),
        (("digest", "status", "x", "notanumber"), 2, "notanumber"),
        (("nosuch",), 2, "No such command"),
        (("article", "add", "nosuch"), 1, "JSON"),
        (("feed", "remove", "7"), 1, "There is no feed 7"),
    ],
)
def test_what_is_refused_ends_with_a_sentence_and_its_status(
    mailer: Run, args: Sequence[str], status: int, said: str
) -> None:
    finished = mailer(*args)
    assert finished.returncode == status
    assert said in finished.stderr
    assert "Traceback" not in finished.stderr
    assert finished.stdout == ""


@pytest.mark.parametrize("command", ["serve", "work"])
def test_what_stays_refuses_to_start_without_a_key_of_its_own(mailer: Run, command: str) -> None:
    finished = mailer(command, MAILER_SECRET_KEY="")
    assert finished.returncode == 1
    assert "MAILER_SECRET_KEY is not set" in finished.stderr


def test_another_key_than_the_database_was_written_with_is_refused(mailer: Run) -> None:
    set_up(mailer)
    finished = mailer("newsletter", "list", MAILER_SECRET_KEY=vault.new_master())
    assert finished.returncode == 1
    assert "MAILER_SECRET_KEY is not the key" in finished.stderr


def test_a_database_that_does_not_answer_is_said_without_its_password(mailer: Run) -> None:
    away = "postgresql://mailer:hunter2@127.0.0.1:1/mailer"
    finished = mailer("newsletter", "list", MAILER_DATABASE_URL=away)
    assert finished.returncode == 1
    assert "MAILER_DATABASE_URL" in finished.stderr
    assert "hunter2" not in finished.stderr


def test_check_names_each_thing_and_fails_for_what_is_missing(mailer: Run) -> None:
    finished = mailer("check")
    assert finished.returncode == 1
    assert "ok    database" in finished.stdout
    assert "FAIL  MAILER_CONTROLLER: is not set" in finished.stdout
    assert "FAIL  mail server: MAILER_SMTP_URL is not set" in finished.stdout


async def asked(conn: Connection, secret: str) -> None:
    """A newsletter, its notices, and Anna, who has not answered yet."""
    keys = await subjects.open_vault(conn, secret)
    await world.ask(conn, keys, (await world.make(conn, keys)).wish(world.ANNA))


async def test_a_proof_is_packed_verified_and_put_on_record(
    mailer: Run, conn: Connection, secret: str, tmp_path: Path
) -> None:
    await asked(conn, secret)
    pack = tmp_path / "anna.zip"
    done(mailer("consent", "proof", world.ANNA, "--out", str(pack), "--reason", "a suit"))
    assert pack.stat().st_mode & 0o777 == 0o600
    key = done(mailer("consent", "key")).strip()
    offline = {"MAILER_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"}
    verified = mailer("consent", "verify", str(pack), "--key", key, "--json", **offline)
    assert json.loads(done(verified)) == {"events": 1, "findings": []}
    exported = json.loads(done(mailer("consent", "export", "--format", "jsonl")).splitlines()[-1])
    assert exported["type"] == "staff.exported"
    assert exported["evidence"]["sha256"] == hashlib.sha256(pack.read_bytes()).hexdigest()
    assert exported["evidence"]["reason"] == "a suit"

    pack.write_bytes(pack.read_bytes().replace(b"weekly", b"weakly", 1))
    changed = mailer("consent", "verify", str(pack), **offline)
    assert changed.returncode == 1
    assert "no archive that can be read" in changed.stdout
    assert "The pack is not as it was made" in changed.stderr


async def test_a_checkpoint_that_somebody_kept_must_hold(
    mailer: Run, conn: Connection, secret: str, tmp_path: Path
) -> None:
    await asked(conn, secret)
    done(mailer("consent", "proof", world.ANNA, "--out", str(tmp_path / "anna.zip")))
    kept = next((tmp_path / "log").glob("*.checkpoint"))
    elsewhere = tmp_path / "kept.txt"
    elsewhere.write_text(kept.read_text("utf-8"), "utf-8")
    said = json.loads(done(mailer("consent", "verify", "--json", "--checkpoint", str(elsewhere))))
    assert (said["entries"], said["waiting"], said["checkpoints"]) == (3, 1, 3)
    assert (said["changed"], said["missing"], said["findings"]) == (0, 0, [])
    elsewhere.write_text(kept.read_text("utf-8").replace("\n3\n", "\n4\n"), "utf-8")
    refused = mailer("consent", "verify", "--checkpoint", str(elsewhere))
    assert refused.returncode == 1
    assert f"the checkpoint in {elsewhere} does not count" in refused.stdout
    assert "1 findings" in refused.stderr


def test_a_proof_of_nobody_is_refused(mailer: Run, tmp_path: Path) -> None:
    set_up(mailer)
    finished = mailer("consent", "proof", "anna@example.org", "--out", str(tmp_path / "x.zip"))
    assert finished.returncode == 1
    assert "Nobody with this address" in finished.stderr
    assert not (tmp_path / "x.zip").exists()


def test_a_key_that_was_made_signs_the_mails(mailer: Run) -> None:
    made = json.loads(done(mailer("dkim", "key", "--json", MAILER_FROM="news@example.org")))
    assert made["record"]["name"].endswith("._domainkey.example.org")
    assert "".join(made["record"]["strings"]).startswith("v=DKIM1; k=rsa; p=")
    checked = mailer("check", **made["settings"])
    assert "ok    DKIM (rsa-sha256 by rsa-" in checked.stdout


def test_a_key_is_printed_as_it_goes_into_dns_and_env(mailer: Run) -> None:
    said = done(mailer("dkim", "key", "--type", "ed25519", MAILER_FROM="news@example.org"))
    record, *settings = said.splitlines()
    assert '._domainkey.example.org. IN TXT ( "v=DKIM1; k=ed25519; p=' in record
    assert [line.partition("=")[0] for line in settings] == [
        "MAILER_DKIM_DOMAIN", "MAILER_DKIM_SELECTOR", "MAILER_DKIM_KEY",
    ]  # fmt: skip


def test_check_names_what_is_wrong_with_a_key(mailer: Run) -> None:
    assert "FAIL  DKIM: MAILER_DKIM_KEY must be" in mailer("check", MAILER_DKIM_KEY="x").stdout
    assert "ok    DKIM: no key is set" in mailer("check").stdout


def test_a_key_needs_a_domain(mailer: Run) -> None:
    refused = mailer("dkim", "key")
    assert refused.returncode == 1
    assert "MAILER_DKIM_DOMAIN" in refused.stderr


BOUNCE = """\
From: MAILER-DAEMON@mx.example.net
Subject: failure notice

550 5.1.1 <anna@example.org>: User unknown
"""


def test_a_bounce_is_told_what_it_is_and_strikes_nobody_without_a_token(mailer: Run) -> None:
    said = done(mailer("bounce", "--dry-run", given=BOUNCE))
    assert said == "hard: there is no such mailbox\n"
    told = json.loads(done(mailer("bounce", "--json", given=BOUNCE)))
    assert (told["kind"], told["reason"], told["bounce"]) == ("hard", "no-mailbox", None)
    assert "it was told before" in done(mailer("bounce", given=BOUNCE))
    assert "1 in the last 30 days" in done(mailer("bounce", "list"))
    assert json.loads(done(mailer("bounce", "list", "--json"))) == []


def test_what_there_is_not_can_be_neither_shown_nor_undone_nor_lifted(mailer: Run) -> None:
    set_up(mailer)
    for args in (("show", "7"), ("undo", "7"), ("lift", "weekly", "1", "google")):
        finished = mailer("bounce", *args)
        assert finished.returncode == 1, args
        assert "no" in finished.stderr.lower()


def test_the_health_of_a_list_without_mails_is_empty(mailer: Run) -> None:
    assert not any(json.loads(done(mailer("health", "--json"))).values())
    assert done(mailer("health")) == ""
