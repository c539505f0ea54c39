"""The record of processing activities (GDPR, Article 30), as the service is really configured.

What can't be known here (where machines stand, who else has access to them) is said to be missing,
so that somebody completes it; and what the configuration leaves open is said as plainly as what it
protects.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from ipaddress import ip_address
from urllib.parse import parse_qs, urlsplit

from mailer import db, newsletters, notices, render, retention, subscriptions
from mailer.config import Settings, Smtp
from mailer.db import Connection
from mailer.newsletters import Newsletter

SQL = db.statements("processing")

LEGAL_BASIS = (
    "Explicit consent: Article 6(1)(a) and, where being on the list says something of the kind, "
    "Article 9(2)(a) GDPR. The record of it: Articles 7(1) and 5(2)."
)
SUBJECTS = (
    "People who asked for a newsletter",
    "People whose address somebody else gave in a form, until it is confirmed or deleted",
    "Staff with an account",
)
DATA = (
    "E-mail address, as it was given",
    "Chosen newsletters, language and cadence",
    "The record of consent: what was asked, shown, agreed to, changed and withdrawn, and when",
    "Delivery: which mail is waiting, sent or refused, and the mail server's reply without address",
    "Bounces and complaints: which mail, why, what was done; the report, sealed, addresses masked",
    "Staff: e-mail address, role, a hash of the password, what they looked at and exported",
)
ALWAYS = (
    "Every address is sealed (AES-256-GCM) under a key of its own, wrapped by a key derived from "
    "MAILER_SECRET_KEY, which is not in the database. A copy of the database shows no address.",
    "People are found by a keyed hash of the address (HMAC-SHA-256).",
    "Erasure destroys the person's key. A journal outside of the database repeats erasures when a "
    "backup is restored.",
    "The record of consent is append-only, enforced by the database; every change is found out by "
    "`mailer consent verify`.",
    "Links in mails can't be made from a copy of the database.",
    "No opening or clicking is followed; no page or mail asks a third party for anything.",
    "Logs hold no address, token or secret.",
    "Looks at addresses, exports and erasures by staff are put on record.",
)
ADDRESSES = {
    "off": "No IP address of a visitor is kept.",
    "prefix": "Of a visitor's IP address the network (/24 or /64) is kept as evidence of consent.",
    "full": "A visitor's IP address is kept as evidence of consent.",
}


@dataclass(frozen=True)
class InForce:
    """The words that the form of a newsletter shows at present in a language."""

    newsletter: str
    language: str
    notice: str
    valid_from: datetime
    purposes: Sequence[str]
    recipients: str
    retention: str


@dataclass(frozen=True)
class Term:
    """How long what is kept."""

    what: str
    how_long: str


@dataclass(frozen=True)
class Record:
    """Article 30(1), (a) to (g). `gaps`: what protects less than it could, or is not known here."""

    at: datetime
    controller: str | None
    service: str
    newsletters: Sequence[str]
    in_force: Sequence[InForce]
    purposes: Sequence[str]
    legal_basis: str
    subjects: Sequence[str]
    data: Sequence[str]
    recipients: Sequence[str]
    transfers: str
    terms: Sequence[Term]
    measures: Sequence[str]
    gaps: Sequence[str]


async def record(conn: Connection, settings: Settings) -> Record:
    """As of now."""
    series = await newsletters.all_(conn)
    in_force = [each async for each in shown(conn, series)]
    stated = dict.fromkeys(each.recipients for each in in_force)
    return Record(
        at=await conn.fetchval(SQL.now),
        controller=settings.controller,
        service=settings.base_url,
        newsletters=[f"{each.slug}: {each.title(each.fallback)}" for each in series],
        in_force=in_force,
        purposes=list(dict.fromkeys(p for each in in_force for p in each.purposes)),
        legal_basis=LEGAL_BASIS,
        subjects=SUBJECTS,
        data=DATA,
        recipients=[
            *map(mail_server, settings.smtp),
            *(f"As the notices say: {s}" for s in stated),
        ],
        transfers="Not known here: complete it if a machine or mail server named above is outside "
        "of the EU or EEA.",
        terms=terms(settings),
        measures=[
            *ALWAYS,
            ADDRESSES[settings.consent_ip],
            *(s for s, good in checks(settings) if good),
        ],
        gaps=[s for s, good in checks(settings) if not good],
    )


async def shown(conn: Connection, series: Sequence[Newsletter]) -> AsyncIterator[InForce]:
    for newsletter in series:
        for language in newsletter.languages:
            notice = await notices.current(conn, newsletter.id, language)
            if notice is not None:
                yield InForce(
                    newsletter.slug,
                    language,
                    notice.id,
                    notice.valid_from,
                    notice.purposes,
                    notice.recipients,
                    notice.retention,
                )


def mail_server(server: Smtp) -> str:
    return f"The mail server {server.socket or server.host}, which gets every mail with its address"


def terms(settings: Settings) -> list[Term]:
    hours, days = settings.confirm_hours, settings.proof_days
    return [
        Term("Unconfirmed requests and new addresses", f"{hours} hours, then erased"),
        Term("Subscriptions and the record of consent", "as long as the person is subscribed"),
        Term(
            "After the last withdrawal", f"{days} days, only as proof of the consent; then erased"
        ),
        Term("On the person's demand", "erased at once"),
        Term("Settled mails", f"{retention.DELIVERY_DAYS} days; totals of each issue stay"),
        Term(
            "Bounces and complaints",
            f"{retention.BOUNCE_DAYS} days; what was reported, {retention.REPORT_DAYS} days",
        ),
        Term("Counts against abuse", "one day"),
        Term(
            "How often an address was asked in vain",
            f"{subscriptions.IN_VAIN.days} days; a keyed hash, no address",
        ),
        Term("“Never write to me again”, if chosen", "until taken back; a keyed hash, no address"),
        Term("Positions in the consent log", "for ever; after an erasure they say nothing"),
    ]


def checks(settings: Settings) -> Iterator[tuple[str, bool]]:
    """Sentences about this configuration, and whether they speak of protection."""
    if settings.base_url.startswith("https:"):
        yield "Pages are reached over TLS, and browsers are told to insist on it.", True
    elif not is_local(urlsplit(settings.base_url).hostname):
        yield f"Pages are reached without TLS ({settings.base_url}).", False
    for server in settings.smtp:
        yield mail_in_transit(server)
    yield database_in_transit(settings.database_url)
    if settings.controller is None:
        yield "MAILER_CONTROLLER does not say who is responsible.", False
    if settings.dev:
        yield "The secret key is the one that `mailer dev` made for trying out.", False
    yield (
        "Not known here: who has access to the machines, how disks and backups are protected, and "
        "where the secret key is kept apart from them.",
        False,
    )


def mail_in_transit(server: Smtp) -> tuple[str, bool]:
    if server.scheme in ("smtps", "smtp+starttls"):
        return f"Mail goes to {server.host} over TLS or not at all.", True
    if server.socket or is_local(server.host):
        return f"Mail goes to {server.socket or server.host} without leaving the machine.", True
    return f"Mail goes to {server.host} without TLS being insisted on.", False


def database_in_transit(url: str | None) -> tuple[str, bool]:
    if url is None:
        return "The database is embedded and listens to nobody outside of the machine.", True
    parts = urlsplit(url)
    asked = parse_qs(parts.query)
    host = asked.get("host", [parts.hostname or ""])[0]
    if not host or host.startswith("/") or is_local(host):
        return "The database is on the same machine.", True
    if asked.get("sslmode", [""])[0] in ("require", "verify-ca", "verify-full"):
        return f"The database on {host} is reached over TLS or not at all.", True
    return f"The database on {host} is reached without TLS being insisted on.", False


def is_local(host: str | None) -> bool:
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return host == "localhost"


def document(made: Record) -> str:
    """As Markdown, in English, for the file of the data protection officer."""
    return render.text("processing.txt", "en", **plain(made))


def plain(made: Record) -> Mapping[str, object]:
    return asdict(made)
