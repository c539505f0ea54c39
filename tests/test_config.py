"""Settings: read from the environment, files and `.env`; refused by name."""

from pathlib import Path

import pytest

from mailer import config
from mailer.config import Listen, Settings
from mailer.errors import Misconfigured


def load(tmp_path: Path, dotenv: str = "", **environ: str) -> Settings:
    (tmp_path / ".env").write_text(dotenv)
    given = {"MAILER_DATA_DIR": str(tmp_path / "var"), **environ}
    return config.load(given, tmp_path / ".env")


def test_without_any_setting_the_defaults_are_for_trying_out(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert settings.listen == Listen("127.0.0.1", 8080)
    assert (settings.database_url, settings.secret_key, settings.smtp) == (None, None, ())
    assert (settings.confirm_hours, settings.consent_ip) == (72, "off")


def test_the_environment_goes_before_dotenv_and_dotenv_before_what_dev_left(
    tmp_path: Path,
) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / config.DEV_FILE).write_text(
        'MAILER_BASE_URL="http://dev.example.org"\nMAILER_RATE="1"\nMAILER_CONFIRM_HOURS="1"\n'
    )
    dotenv = "MAILER_RATE=2\nMAILER_CONFIRM_HOURS=2\n"
    settings = load(tmp_path, dotenv, MAILER_CONFIRM_HOURS="3")
    assert settings.base_url == "http://dev.example.org"
    assert (settings.rate, settings.confirm_hours) == (2, 3)


def test_the_key_that_dev_made_is_known_as_such(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / config.DEV_FILE).write_text('MAILER_SECRET_KEY="abc"\n')
    assert load(tmp_path).dev
    assert not load(tmp_path, MAILER_SECRET_KEY="own").dev


def test_a_secret_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret\n")
    settings = load(tmp_path, MAILER_SECRET_KEY_FILE=str(tmp_path / "key"))
    assert settings.secret_key == "secret"
    with pytest.raises(Misconfigured, match="MAILER_SECRET_KEY_FILE"):
        load(tmp_path, MAILER_SECRET_KEY_FILE=str(tmp_path / "nosuch"))


def test_mail_servers_are_several_with_logins(tmp_path: Path) -> None:
    text = "smtp+starttls://anna:p%40ss@mail.example.org lmtp:///run/lmtp.sock smtps://[::1]"
    first, second, third = load(tmp_path, MAILER_SMTP_URL=text).smtp
    assert (first.port, first.user, first.password) == (587, "anna", "p@ss")
    assert second.socket == "/run/lmtp.sock"
    assert (third.host, third.port) == ("::1", 465)
    assert "p@ss" not in repr(first)


def test_mail_servers_have_weights(tmp_path: Path) -> None:
    text = "smtp://a.example.org?weight=3 smtp://b.example.org lmtp:///run/lmtp?weight=0"
    assert [s.weight for s in load(tmp_path, MAILER_SMTP_URL=text).smtp] == [3, 1, 0]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("MAILER_DATABASE_URL", "mysql://localhost/mailer"),
        ("MAILER_DATABASE_URL", "postgresql://one.example.org,/mailer"),
        ("MAILER_LISTEN", "8080"),
        ("MAILER_BASE_URL", "news.example.org"),
        ("MAILER_SMTP_URL", "smtp://example.org?weight=-1"),
        ("MAILER_SMTP_URL", "smtp://example.org?wieght=1"),
        ("MAILER_SMTP_URL", "mail.example.org"),
        ("MAILER_SMTP_CONNECTIONS", "0"),
        ("MAILER_RATE", "fast"),
        ("MAILER_CONFIRM_HOURS", "0"),
        ("MAILER_CONSENT_IP", "yes"),
        ("MAILER_TRUSTED_PROXIES", "proxy.example.org"),
        ("MAILER_FEED_NETWORKS", "10.0.0.1/8"),
        ("MAILER_THROWAWAY_DOMAINS", "anna@example.net"),
        ("MAILER_THROWAWAY_DOMAINS", "net"),
        ("MAILER_LOG", "xml"),
    ],
)
def test_a_malformed_setting_is_refused_by_its_name(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(Misconfigured, match=name):
        load(tmp_path, **{name: text})


def test_secrets_show_in_no_log_by_accident(tmp_path: Path) -> None:
    url = "postgresql://mailer:hunter2@db.example.org/mailer"
    shown = repr(load(tmp_path, MAILER_SECRET_KEY="topsecret", MAILER_DATABASE_URL=url))
    assert "topsecret" not in shown
    assert "hunter2" not in shown
