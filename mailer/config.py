"""Settings: read once, from the environment, then `.env`, then what `mailer dev` left behind.

Each setting is a field of `Settings` and a line of `read`; each secret may also be given as a file
(`NAME_FILE`). A malformed one stops the start with its name and what was expected.
"""

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import parseaddr
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar, cast, get_args
from urllib.parse import unquote, urlsplit

from dotenv import dotenv_values

from mailer.errors import Misconfigured

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
ConsentIp: TypeAlias = Literal["off", "prefix", "full"]
Log: TypeAlias = Literal["text", "json"]
Value = TypeVar("Value")

DEV_FILE = "dev.env"
"""In MAILER_DATA_DIR: what `mailer dev` runs with, so that other commands can join it."""

DOMAIN = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)+[a-z0-9-]+")

IMAP_PORTS = {"imap": 143, "imap+starttls": 143, "imaps": 993}
SMTP_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465, "lmtp": 24}


@dataclass(frozen=True)
class Smtp:
    """One mail server. `scheme`: smtp, smtp+starttls, smtps or lmtp; `socket`: LMTP over Unix.

    `weight`: its share of the connections beside the others; 0: only while they fail.
    """

    scheme: str
    host: str
    port: int
    user: str | None
    password: str | None
    socket: str | None
    weight: int

    def __repr__(self) -> str:
        return f"{self.scheme}://{self.socket or f'{self.host}:{self.port}'}"


@dataclass(frozen=True)
class OAuth:
    """How a token for a mailbox is made (RFC 6749, 6); `refresh`: the one that lasts."""

    url: str
    client: str
    secret: str = field(repr=False)
    refresh: str = field(repr=False)


@dataclass(frozen=True)
class Imap:
    """A mailbox. `scheme`: imap, imap+starttls or imaps."""

    scheme: str
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    folder: str
    oauth: OAuth | None


@dataclass(frozen=True)
class Oidc:
    """An OpenID provider that staff may sign in with."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True)
class Listen:
    """Where a process listens."""

    host: str
    port: int


@dataclass(frozen=True)
class Settings:
    """Everything a process is told from outside. `secret_key` is None until one is needed."""

    database_url: str | None = field(repr=False)
    data_dir: Path
    listen: Listen
    base_url: str
    smtp: tuple[Smtp, ...]
    smtp_connections: int
    rate: float | None
    sender: str | None
    bounce_domain: str | None
    lmtp_listen: Listen | None
    bounce_imap: Imap | None
    hook_ses: str | None
    hook_mailgun: str | None = field(repr=False)
    hook_postmark: str | None = field(repr=False)
    hook_sendgrid: str | None
    dkim_domain: str | None
    dkim_selector: str | None
    dkim_key: str | None = field(repr=False)
    secret_key: str | None = field(repr=False)
    controller: str | None
    confirm_hours: int
    proof_days: int
    consent_ip: ConsentIp
    trusted_proxies: tuple[Network, ...]
    throwaway_domains: frozenset[str]
    feed_networks: tuple[Network, ...]
    metrics_token: str | None = field(repr=False)
    oidc: Oidc | None
    templates_dir: Path | None
    log: Log
    dev: bool
    """The secret key came from `mailer dev`: good for trying out, refused by serve and work."""

    @property
    def domain(self) -> str:
        """The host of base_url: the right side of Message-ID and List-Id."""
        return urlsplit(self.base_url).hostname or "localhost"


class Source:
    """Named texts, each as itself or as the content of the file that NAME_FILE names."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = texts

    def get(self, name: str) -> str | None:
        path = self.texts.get(f"{name}_FILE", "").strip()
        if path:
            try:
                return Path(path).read_text("utf-8").strip() or None
            except OSError as error:
                raise Misconfigured(
                    "{name}_FILE names {path}, which can't be read: {reason}.",
                    name=name,
                    path=path,
                    reason=error.strerror,
                ) from None
        return self.texts.get(name, "").strip() or None

    def read(
        self, name: str, expected: str, parse: Callable[[str], Value], default: Value
    ) -> Value:
        text = self.get(name)
        if text is None:
            return default
        try:
            return parse(text)
        except (ValueError, KeyError):
            raise Misconfigured(
                "{name} must be {expected}.", name=name, expected=expected
            ) from None


def inherited() -> Mapping[str, str]:
    """What a process of ours that is to know no setting and no secret takes over from us."""
    needed = ("PATH", "LANG", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    root = str(Path(__file__).parents[1])
    kept = {name: os.environ[name] for name in needed if name in os.environ}
    return {**kept, "PYTHONPATH": root, "PYTHONUTF8": "1"}


def load(environ: Mapping[str, str] = os.environ, dotenv: Path = Path(".env")) -> Settings:
    """Settings of this process. Raises Misconfigured, naming the setting."""
    named = {**content(dotenv), **environ}
    data_dir = Path(named.get("MAILER_DATA_DIR", "").strip() or "var").absolute()
    left_by_dev = content(data_dir / DEV_FILE)
    own_key = any(named.get(n) for n in ("MAILER_SECRET_KEY", "MAILER_SECRET_KEY_FILE"))
    return read(Source({**left_by_dev, **named}), data_dir, dev=bool(left_by_dev) and not own_key)


def content(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    return {name: text for name, text in dotenv_values(path).items() if text is not None}


def read(source: Source, data_dir: Path, *, dev: bool) -> Settings:
    """Raises Misconfigured, naming the setting."""
    found = settings(source, data_dir, dev=dev)
    if found.lmtp_listen and not found.bounce_domain:
        raise Misconfigured(
            "MAILER_LMTP_LISTEN needs MAILER_BOUNCE_DOMAIN: the domain that bounces go to."
        )
    return found


def settings(source: Source, data_dir: Path, *, dev: bool) -> Settings:
    return Settings(
        database_url=source.read(
            "MAILER_DATABASE_URL",
            "a URL such as postgresql://user@host/database, or with several hosts: host1,host2",
            database,
            None,
        ),
        data_dir=data_dir,
        listen=source.read(
            "MAILER_LISTEN", "HOST:PORT, such as 127.0.0.1:8080", listen, Listen("127.0.0.1", 8080)
        ),
        base_url=source.read(
            "MAILER_BASE_URL",
            "the address of this service as its visitors see it, such as https://news.example.org",
            base_url,
            "http://127.0.0.1:8080",
        ),
        smtp=source.read(
            "MAILER_SMTP_URL",
            "smtp://, smtps://, smtp+starttls:// or lmtp:// with host and port, "
            "several separated by spaces, each with ?weight=NUMBER if they are to share unequally",
            lambda text: tuple(smtp(part) for part in text.split()),
            (),
        ),
        smtp_connections=source.read(
            "MAILER_SMTP_CONNECTIONS", "a whole number from 1 to 1000", connections, 4
        ),
        rate=source.read("MAILER_RATE", "a number of mails a second above 0", rate, None),
        sender=source.read(
            "MAILER_FROM", "an address such as News <news@example.org>", sender, None
        ),
        bounce_domain=source.get("MAILER_BOUNCE_DOMAIN"),
        lmtp_listen=source.read(
            "MAILER_LMTP_LISTEN", "HOST:PORT, such as 127.0.0.1:8024", listen, None
        ),
        bounce_imap=mailbox(source),
        hook_ses=source.get("MAILER_HOOK_SES"),
        hook_mailgun=source.get("MAILER_HOOK_MAILGUN"),
        hook_postmark=source.read("MAILER_HOOK_POSTMARK", "user:password", user_password, None),
        hook_sendgrid=source.get("MAILER_HOOK_SENDGRID"),
        dkim_domain=source.get("MAILER_DKIM_DOMAIN"),
        dkim_selector=source.get("MAILER_DKIM_SELECTOR"),
        dkim_key=source.get("MAILER_DKIM_KEY"),
        secret_key=source.get("MAILER_SECRET_KEY"),
        controller=source.get("MAILER_CONTROLLER"),
        confirm_hours=source.read(
            "MAILER_CONFIRM_HOURS", "a whole number of hours from 1 to 720", hours, 72
        ),
        proof_days=source.read(
            "MAILER_PROOF_DAYS", "a whole number of days from 0 to 36500", days, 1095
        ),
        consent_ip=source.read("MAILER_CONSENT_IP", "off, prefix or full", consent_ip, "off"),
        trusted_proxies=source.read(
            "MAILER_TRUSTED_PROXIES",
            "networks such as 10.0.0.0/8, separated by spaces or commas",
            networks,
            (),
        ),
        throwaway_domains=source.read(
            "MAILER_THROWAWAY_DOMAINS",
            "domains such as example.net (xn--… where they are not ASCII), separated by spaces, "
            "commas or ends of lines",
            domains,
            frozenset(),
        ),
        feed_networks=source.read(
            "MAILER_FEED_NETWORKS",
            "networks besides the public internet that feeds may be on, such as 10.1.0.0/16",
            networks,
            (),
        ),
        metrics_token=source.read(
            "MAILER_METRICS_TOKEN", "at least 16 characters without spaces", token, None
        ),
        oidc=provider(source),
        templates_dir=source.read("MAILER_TEMPLATES_DIR", "a folder that is there", folder, None),
        log=source.read("MAILER_LOG", "text or json", log, "text"),
        dev=dev,
    )


# what each is made of; ValueError: not that


def database(text: str) -> str | None:
    """One server, or several separated by commas: the one that takes writes is used."""
    url = urlsplit(text)
    if url.scheme not in ("postgresql", "postgres"):
        raise ValueError
    hosts = url.netloc.rpartition("@")[2].split(",")
    if len(hosts) > 1 and not all(hosts):
        raise ValueError
    return text


def listen(text: str) -> Listen:
    url = urlsplit(f"//{text}")
    if not url.hostname or url.port is None or url.path:
        raise ValueError
    return Listen(url.hostname, url.port)


def base_url(text: str) -> str:
    url = urlsplit(text)
    if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
        raise ValueError
    if not text.isascii():  # it stands in mail headers: a domain goes as xn--…
        raise ValueError
    return text.rstrip("/")


def sender(text: str) -> str | None:
    local, at, domain = parseaddr(text)[1].rpartition("@")
    if not (local and at and domain) or " " in local + domain or not text.isprintable():
        raise ValueError
    return text


def smtp(text: str) -> Smtp:
    url = urlsplit(text)
    if url.scheme not in SMTP_PORTS:
        raise ValueError
    unix = url.path if url.scheme == "lmtp" and not url.hostname else None
    if not unix and (not url.hostname or url.path not in ("", "/")):
        raise ValueError
    return Smtp(
        url.scheme,
        url.hostname or "localhost",
        url.port or SMTP_PORTS[url.scheme],
        unquote(url.username) if url.username else None,
        unquote(url.password) if url.password else None,
        unix,
        weight(url.query),
    )


def provider(source: Source) -> Oidc | None:
    where = source.read(
        "MAILER_OIDC_ISSUER",
        "the provider's address as it names itself, with https:// (http:// on this machine alone)",
        issuer,
        None,
    )
    id_, secret = source.get("MAILER_OIDC_CLIENT_ID"), source.get("MAILER_OIDC_CLIENT_SECRET")
    if where and id_ and secret:
        return Oidc(where, id_, secret)
    if where or id_ or secret:
        raise Misconfigured(
            "MAILER_OIDC_ISSUER, MAILER_OIDC_CLIENT_ID and MAILER_OIDC_CLIENT_SECRET go together: "
            "set all three, or none."
        )
    return None


def issuer(text: str) -> str | None:
    url = urlsplit(text)
    near = url.scheme == "http" and url.hostname in ("127.0.0.1", "::1", "localhost")
    if not url.hostname or url.query or url.fragment or not (url.scheme == "https" or near):
        raise ValueError
    return text


def mailbox(source: Source) -> Imap | None:
    oauth = source.read(
        "MAILER_BOUNCE_IMAP_OAUTH",
        "four words: the token endpoint (https://…), client id, client secret, refresh token",
        oauth_,
        None,
    )
    found = source.read(
        "MAILER_BOUNCE_IMAP", "imaps://USER:PASSWORD@HOST/FOLDER, imap+starttls:// or imap://",
        imap, None,
    )  # fmt: skip
    if found and not (oauth or found.password):
        raise Misconfigured(
            "MAILER_BOUNCE_IMAP has no password: set one, or MAILER_BOUNCE_IMAP_OAUTH."
        )
    return replace(found, oauth=oauth) if found else None


def imap(text: str) -> Imap | None:
    url = urlsplit(text)
    folder = unquote(url.path.strip("/")) or "INBOX"
    if url.scheme not in IMAP_PORTS or not url.hostname or not url.username:
        raise ValueError
    if not folder.isprintable() or not folder.isascii() or set(folder) & set('"\\'):
        raise ValueError
    return Imap(
        url.scheme,
        url.hostname,
        url.port or IMAP_PORTS[url.scheme],
        unquote(url.username),
        unquote(url.password or ""),
        folder,
        None,
    )


def oauth_(text: str) -> OAuth | None:
    url, client, secret, refresh = text.split()
    if urlsplit(url).scheme != "https" and urlsplit(url).hostname not in ("127.0.0.1", "localhost"):
        raise ValueError
    return OAuth(url, client, secret, refresh)


def user_password(text: str) -> str:
    user, colon, password = text.partition(":")
    if not (user and colon and len(password) >= 8):
        raise ValueError
    return text


def weight(query: str) -> int:
    """Of `?weight=3`; 1 if nothing is said."""
    name, _, number = query.partition("=")
    if query and name != "weight":
        raise ValueError
    within(0, 1000, int(number or 1))
    return int(number or 1)


def within(low: float, high: float, number: float) -> None:
    if not low <= number <= high:
        raise ValueError


def connections(text: str) -> int:
    within(1, 1000, int(text))
    return int(text)


def hours(text: str) -> int:
    within(1, 720, int(text))
    return int(text)


def days(text: str) -> int:
    within(0, 36_500, int(text))
    return int(text)


def rate(text: str) -> float | None:
    within(0.001, 1_000_000, float(text))
    return float(text)


def consent_ip(text: str) -> ConsentIp:
    if text not in get_args(ConsentIp):
        raise ValueError
    return cast("ConsentIp", text)


def log(text: str) -> Log:
    if text not in get_args(Log):
        raise ValueError
    return cast("Log", text)


def token(text: str) -> str | None:
    within(16, 1000, len(text))
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError
    return text


def folder(text: str) -> Path | None:
    if not Path(text).is_dir():
        raise ValueError
    return Path(text).absolute()


def networks(text: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(part) for part in text.replace(",", " ").split())


def domains(text: str) -> frozenset[str]:
    """What stands behind a # says what it is about, in lists as people keep them."""
    lines = (line.partition("#")[0] for line in text.lower().splitlines())
    found = frozenset(" ".join(lines).replace(",", " ").split())
    if not all(DOMAIN.fullmatch(each) for each in found):
        raise ValueError
    return found
