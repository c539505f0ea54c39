"""Hooks: what mail services tell is believed only with their proof, and done once."""

import base64
import hashlib
import hmac
import io
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp.test_utils import TestClient, TestServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.x509.oid import NameOID

from mailer import address, bounces, suppressions
from mailer.db import Connection, Pool
from mailer.hooks import Unproven, mailgun, sendgrid, ses
from mailer.vault import Vault
from mailer.web import app, hooks
from tests import site, world
from tests.site import Client
from tests.world import ANNA

TOPIC = "arn:aws:sns:eu-west-1:123456789012:bounces"
CERTIFICATE = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem"
MAILGUN_KEY = "a-signing-key"
POSTMARK = "postmark:long-password"
RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
EC_PUBLIC = base64.b64encode(
    EC.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
).decode()


def pem(key: rsa.RSAPrivateKey = RSA, days: int = 1) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=days))
    )
    return built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class Amazon(hooks.Fetcher):
    """In place of Amazon: a certificate, and what was asked for."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def get(self, url: str) -> bytes:
        self.asked.append(url)
        return self.answer


@asynccontextmanager
async def opened(
    pool: Pool, vault: Vault, amazon: hooks.Fetcher | None = None
) -> AsyncIterator[Client]:
    settings = site.settings(
        MAILER_HOOK_SES=TOPIC,
        MAILER_HOOK_MAILGUN=MAILGUN_KEY,
        MAILER_HOOK_POSTMARK=POSTMARK,
        MAILER_HOOK_SENDGRID=EC_PUBLIC,
    )
    made = app.make(settings, pool, vault)
    made[hooks.FETCHER] = amazon or Amazon(pem())
    async with TestClient(TestServer(made)) as client:
        yield client


@pytest.fixture
async def client(pool: Pool, vault: Vault, conn: Connection) -> AsyncIterator[Client]:
    """The site, and Anna who reads its newsletter."""
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    async with opened(pool, vault) as client:
        yield client


async def reason(conn: Connection, vault: Vault) -> str | None:
    return await suppressions.reason(conn, vault, address.parse(ANNA))


# what they send


def sns(message: object, version: str = "2", **more: str) -> dict[str, str]:
    said = {
        "Type": "Notification",
        "MessageId": "0b9f1f36-6d0c-4a7c-8f3e-2d1c0b9a8f7e",
        "TopicArn": TOPIC,
        "Message": message if isinstance(message, str) else json.dumps(message),
        "Timestamp": "2026-01-01T00:00:00.000Z",
        "SignatureVersion": version,
        "SigningCertURL": CERTIFICATE,
        **more,
    }
    hash_ = hashes.SHA1() if version == "1" else hashes.SHA256()
    signature = RSA.sign(ses.canonical(said), PKCS1v15(), hash_)
    return {**said, "Signature": base64.b64encode(signature).decode()}


SES_COMPLAINT = {
    "notificationType": "Complaint",
    "complaint": {
        "complainedRecipients": [{"emailAddress": ANNA}],
        "complaintFeedbackType": "abuse",
    },
    "mail": {"source": "news@example.org"},
}
SES_BOUNCE = {
    "notificationType": "Bounce",
    "bounce": {
        "bounceType": "Permanent",
        "bouncedRecipients": [
            {"emailAddress": ANNA, "status": "5.1.1", "diagnosticCode": "smtp; 550 5.1.1 unknown"}
        ],
    },
    "mail": {"source": "news@example.org"},
}


def signed_by_mailgun(data: Mapping[str, object], at: float | None = None) -> dict[str, object]:
    stamp, token = str(int(at or time.time())), "t" * 50
    made = hmac.new(MAILGUN_KEY.encode(), f"{stamp}{token}".encode(), hashlib.sha256).hexdigest()
    signature = {"timestamp": stamp, "token": token, "signature": made}
    return {"signature": signature, "event-data": data}


MAILGUN_COMPLAINT = {"event": "complained", "id": "e1", "timestamp": 1.5, "recipient": ANNA}
MAILGUN_BOUNCE = {
    "event": "failed",
    "severity": "permanent",
    "id": "e2",
    "timestamp": 2.5,
    "recipient": ANNA,
    "delivery-status": {"code": 550, "message": "5.1.1 User unknown", "enhanced-code": "5.1.1"},
}


def signed_by_sendgrid(events: object, at: str = "1700000000") -> tuple[bytes, dict[str, str]]:
    body = json.dumps(events).encode()
    signature = EC.sign(at.encode() + body, ec.ECDSA(hashes.SHA256()))
    headers = {
        sendgrid.SIGNATURE: base64.b64encode(signature).decode(),
        sendgrid.TIMESTAMP: at,
        "Content-Type": "application/json",
    }
    return body, headers


def basic(secret: str = POSTMARK) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(secret.encode()).decode()}


# Amazon


@pytest.mark.parametrize("version", ["1", "2"])
async def test_a_complaint_told_by_amazon_ends_everything(
    client: Client, conn: Connection, vault: Vault, version: str
) -> None:
    answer = await client.post("/hooks/ses", json=sns(SES_COMPLAINT, version))
    assert answer.status == 200
    assert await reason(conn, vault) == "complaint"


async def test_a_bounce_told_by_amazon_is_a_strike(client: Client, conn: Connection) -> None:
    for _ in range(2):  # they tell it again when in doubt
        assert (await client.post("/hooks/ses", json=sns(SES_BOUNCE))).status == 200
    lines = await bounces.latest(conn, None, None, 10)
    assert [(line.channel, line.kind, line.reason) for line in lines] == [
        ("ses", "hard", "no-mailbox")
    ]


@pytest.mark.parametrize(
    "changed",
    [
        {"Message": json.dumps({**SES_COMPLAINT, "more": 1})},
        {"TopicArn": "arn:aws:sns:eu-west-1:999999999999:bounces"},
        {"SigningCertURL": "https://sns.eu-west-1.amazonaws.com.example.org/a.pem"},
        {"SigningCertURL": "https://sns.eu-west-1.amazonaws.com@example.org/a.pem"},
        {"SigningCertURL": "http://sns.eu-west-1.amazonaws.com/a.pem"},
        {"SigningCertURL": "https://sns.eu-west-1.amazonaws.com:8443/a.pem"},
        {"SigningCertURL": "https://example.org/a.pem"},
        {"SignatureVersion": "1"},
        {"SignatureVersion": "3"},
        {"Signature": "AAAA"},
        {"Signature": "?"},
        {"Type": "Else"},
    ],
)
async def test_what_amazon_did_not_sign_for_us_is_refused(
    client: Client, conn: Connection, vault: Vault, changed: dict[str, str]
) -> None:
    answer = await client.post("/hooks/ses", json={**sns(SES_COMPLAINT), **changed})
    assert answer.status == 403
    assert await reason(conn, vault) is None


async def test_a_certificate_out_of_date_or_of_another_key_proves_nothing() -> None:
    said = sns(SES_COMPLAINT)
    ses.verify(said, pem())
    for bad in (pem(days=-1), pem(rsa.generate_private_key(65537, 2048)), b"", b"-----BEGIN"):
        with pytest.raises(Unproven):
            ses.verify(said, bad)


async def test_our_subscription_is_confirmed_and_only_with_amazon(
    pool: Pool, vault: Vault, conn: Connection
) -> None:
    await world.make(conn, vault)
    asked = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=x"
    more = {"Type": "SubscriptionConfirmation", "Token": "x", "SubscribeURL": asked}
    amazon = Amazon(pem())
    async with opened(pool, vault, amazon) as client:
        assert (await client.post("/hooks/ses", json=sns("hello", **more))).status == 200
        assert amazon.asked == [CERTIFICATE, asked]
        more["SubscribeURL"] = "https://example.org/"
        assert (await client.post("/hooks/ses", json=sns("hello", **more))).status == 403
    assert amazon.asked == [CERTIFICATE, asked], "and the certificate was kept"


# Mailgun


async def test_mailgun_is_believed_with_its_signature(
    client: Client, conn: Connection, vault: Vault
) -> None:
    for data, status in ((MAILGUN_BOUNCE, 200), (MAILGUN_COMPLAINT, 200)):
        answer = await client.post("/hooks/mailgun", json=signed_by_mailgun(data))
        assert answer.status == status
    assert await reason(conn, vault) == "complaint"
    kinds = [line.kind for line in await bounces.latest(conn, None, None, 10)]
    assert kinds == ["complaint", "hard"]


async def test_a_signature_of_mailguns_that_is_old_or_changed_is_refused(
    client: Client, conn: Connection, vault: Vault
) -> None:
    old = signed_by_mailgun(MAILGUN_COMPLAINT, time.time() - mailgun.OLDEST_SECONDS - 60)
    changed = signed_by_mailgun(MAILGUN_COMPLAINT)
    changed["signature"] = {**changed["signature"], "token": "u" * 50}  # type: ignore[dict-item]
    sent: list[object] = [old, changed, {"event-data": MAILGUN_COMPLAINT}, [], "x"]
    for said in sent:
        assert (await client.post("/hooks/mailgun", json=said)).status == 403
    assert await reason(conn, vault) is None


async def test_what_was_told_before_is_not_done_again(
    client: Client, conn: Connection, vault: Vault
) -> None:
    said = signed_by_mailgun(MAILGUN_COMPLAINT)
    await client.post("/hooks/mailgun", json=said)
    await suppressions.remove(conn, vault, address.parse(ANNA))
    assert (await client.post("/hooks/mailgun", json=said)).status == 200
    assert await reason(conn, vault) is None


# Postmark


async def test_postmark_is_believed_with_our_password(
    client: Client, conn: Connection, vault: Vault
) -> None:
    bounce = {
        "RecordType": "Bounce", "Type": "HardBounce", "ID": 4, "Email": ANNA,
        "Details": "smtp;550 5.1.1 User unknown", "BouncedAt": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    complaint = {**bounce, "RecordType": "SpamComplaint", "Type": "SpamComplaint", "ID": 5}
    for said in (bounce, complaint):
        assert (await client.post("/hooks/postmark", json=said, headers=basic())).status == 200
    kinds = [line.kind for line in await bounces.latest(conn, None, None, 10)]
    assert kinds == ["complaint", "hard"]
    assert await reason(conn, vault) == "complaint"


@pytest.mark.parametrize(
    "headers", [{}, basic("postmark:another"), {"Authorization": "Basic ?"}, {"Authorization": ""}]
)
async def test_without_it_nobody_is(
    client: Client, conn: Connection, vault: Vault, headers: dict[str, str]
) -> None:
    said = {"RecordType": "SpamComplaint", "ID": 5, "Email": ANNA}
    assert (await client.post("/hooks/postmark", json=said, headers=headers)).status == 403
    assert await reason(conn, vault) is None


# SendGrid


async def test_sendgrid_is_believed_over_the_raw_bytes(
    client: Client, conn: Connection, vault: Vault
) -> None:
    body, headers = signed_by_sendgrid([
        {"event": "bounce", "sg_event_id": "a", "email": ANNA, "status": "5.1.1",
         "reason": "550 5.1.1 unknown user", "type": "bounce"},
        {"event": "delivered", "sg_event_id": "b", "email": ANNA},
        {"event": "spamreport", "sg_event_id": "c", "email": ANNA},
    ])  # fmt: skip
    assert (await client.post("/hooks/sendgrid", data=body, headers=headers)).status == 200
    kinds = [line.kind for line in await bounces.latest(conn, None, None, 10)]
    assert sorted(kinds) == ["complaint", "hard"]
    assert await reason(conn, vault) == "complaint"


async def test_one_byte_changed_or_another_time_is_refused(
    client: Client, conn: Connection, vault: Vault
) -> None:
    body, headers = signed_by_sendgrid([{"event": "spamreport", "sg_event_id": "c", "email": ANNA}])
    later = {**headers, sendgrid.TIMESTAMP: "1700000001"}
    none = {name: text for name, text in headers.items() if name != sendgrid.SIGNATURE}
    for sent, with_ in ((body + b" ", headers), (body, later), (body, none)):
        answer = await client.post("/hooks/sendgrid", data=sent, headers=with_)
        assert answer.status == 403
    assert await reason(conn, vault) is None


# all of them


@pytest.mark.parametrize("name", ["ses", "mailgun", "postmark", "sendgrid"])
async def test_a_hook_that_is_not_set_up_is_not_there(pool: Pool, vault: Vault, name: str) -> None:
    async with site.opened(pool, vault) as bare:
        assert (await bare.post(f"/hooks/{name}", json={})).status == 404
        assert (await bare.get(f"/hooks/{name}")).status == 405


@pytest.mark.parametrize("body", [b"", b"\xff\x00", b"[" * 10_000, b"null", b"{}", b"[{}]"])
@pytest.mark.parametrize("name", ["ses", "mailgun", "postmark", "sendgrid"])
async def test_anything_else_is_refused_and_breaks_nothing(
    client: Client, name: str, body: bytes
) -> None:
    assert (await client.post(f"/hooks/{name}", data=body)).status == 403


@pytest.mark.parametrize("said", [None, {}, [], {"RecordType": 5}, "x", {"RecordType": "Bounce"}])
async def test_what_is_proven_and_makes_no_sense_is_said_to(client: Client, said: object) -> None:
    assert (await client.post("/hooks/postmark", json=said, headers=basic())).status == 422


async def test_nothing_endless_is_read(client: Client) -> None:
    answer = await client.post("/hooks/sendgrid", data=io.BytesIO(b"x" * (hooks.MOST_BYTES + 1)))
    assert answer.status == 413
