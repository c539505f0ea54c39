"""Receipts and records: in the forms that others read, and on one's own page."""

import io
import json
import os
import zipfile
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it comes without types
import pytest

from mailer import people, receipts, renewals, subscriptions
from mailer.db import Connection, Pool
from mailer.errors import Unknown
from mailer.receipts import Controller, Record
from mailer.vault import Vault
from tests import site, test_renewals, world
from tests.site import Client
from tests.world import ANNA, VERA, World

BASE = "https://news.example.org"
CORPUS = Path(os.environ.get("MAILER_CORPUS", Path(__file__).parents[2] / "shared" / "corpus"))
SCHEMA = CORPUS / "consent" / "kantara-consent-receipt-v1_1-schema.json"
REQUIRED = {
    "version", "jurisdiction", "consentTimestamp", "collectionMethod", "consentReceiptID",
    "piiPrincipalId", "piiControllers", "services", "policyUrl", "sensitive", "spiCat",
}  # fmt: skip


async def gathered(conn: Connection, vault: Vault, email: str = ANNA) -> Record:
    own = await people.find(conn, vault, email)
    return await receipts.gather(conn, own, {"weekly": "Rights Weekly"}, BASE)


def without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(pairs) == len({name for name, _ in pairs})
    return dict(pairs)


# Kantara


async def test_a_receipt_has_every_field_that_kantara_requires(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    held = await world.confirmed(conn, vault, weekly.wish(ANNA))
    receipt = receipts.kantara.receipt(await gathered(conn, vault), "weekly")
    assert set(receipt) >= REQUIRED
    assert receipt["version"] == "KI-CR-v1.1.0"
    assert receipt["piiPrincipalId"] == str(held.subject.id)
    assert receipt["policyUrl"] == f"{BASE}/notice/{weekly.notices['en'].id}"
    assert receipt["piiControllers"][0]["piiController"] == "Example Rights Watch"
    assert receipt["piiControllers"][0]["email"] == "rights@example.org"
    assert receipt["services"][0]["purposes"][0]["thirdPartyDisclosure"] is False
    assert ANNA not in json.dumps(receipt)


@pytest.mark.skipif(not SCHEMA.exists(), reason="the published schema is not on this machine")
@pytest.mark.parametrize("recipients", ["nobody", "our printer, Example Print Ltd"])
async def test_a_receipt_is_valid_by_the_published_schema(
    conn: Connection, vault: Vault, recipients: str
) -> None:
    lines = SCHEMA.read_text("utf-8").splitlines()
    schema = json.loads("\n".join(line for line in lines if not line.strip().startswith("//")))
    weekly = await world.make(conn, vault)
    notice = await test_renewals.newer(conn, vault, recipients=recipients)
    await world.confirmed(conn, vault, replace(weekly.wish(ANNA), notice=notice.id))
    await world.confirmed(conn, vault, weekly.wish(VERA, "ru"))
    jsonschema.Draft4Validator.check_schema(schema)
    for email in (ANNA, VERA):
        receipt = receipts.kantara.receipt(await gathered(conn, vault, email), "weekly")
        jsonschema.Draft4Validator(schema).validate(receipt)


async def test_a_receipt_speaks_the_language_of_what_was_agreed_to(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(VERA, "ru"))
    receipt = receipts.kantara.receipt(await gathered(conn, vault, VERA), "weekly")
    assert receipt["language"] == "ru"
    assert receipt["collectionMethod"].startswith("Форма на сайте")
    (record,) = receipts.linked.records(await gathered(conn, vault, VERA))["@graph"]
    (process,) = record["dpv:hasProcess"]
    titles = [right["dct:title"] for right in process["dpv:hasRight"]]
    assert titles[0] == {"@value": "Право отозвать согласие", "@language": "ru"}


@pytest.mark.parametrize(
    "recipients", ["Nobody else.", "ніхто", "Nikt inny", "ешкім", "Personne d’autre.", "niemand"]
)
async def test_a_notice_may_say_in_any_language_that_nobody_else_gets_the_data(
    conn: Connection, vault: Vault, recipients: str
) -> None:
    weekly = await world.make(conn, vault)
    notice = await test_renewals.newer(conn, vault, recipients=recipients)
    await world.confirmed(conn, vault, replace(weekly.wish(ANNA), notice=notice.id))
    receipt = receipts.kantara.receipt(await gathered(conn, vault), "weekly")
    assert receipt["services"][0]["purposes"][0]["thirdPartyDisclosure"] is False


async def test_there_is_no_receipt_without_a_consent(conn: Connection, vault: Vault) -> None:
    weekly = await world.make(conn, vault)
    await world.ask(conn, vault, weekly.wish(ANNA))
    with pytest.raises(Unknown):
        receipts.kantara.receipt(await gathered(conn, vault), "weekly")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Example Rights Watch", ("Example Rights Watch", "", "", "")),
        (
            "Example Rights Watch, 1 Example Street, Example City, rights@example.org",
            ("Example Rights Watch", "1 Example Street, Example City", "rights@example.org", ""),
        ),
        (
            "Rights, Law and Sons\\n1 Example Street\\n+1 555 010 0000\\nlaw@example.org",
            ("Rights, Law and Sons", "1 Example Street", "law@example.org", "+1 555 010 0000"),
        ),
    ],
)
def test_who_is_responsible_is_read_out_of_the_notice(
    text: str, parts: tuple[str, str, str, str]
) -> None:
    said = receipts.controller(text)
    assert said == Controller(text.replace("\\n", "\n"), *parts)


# ISO/IEC TS 27560


async def test_a_record_tells_the_whole_story_in_arrays_without_doubled_keys(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    new = await test_renewals.newer(conn, vault)
    await test_renewals.begun(conn, weekly)
    await renewals.ask(conn, 100)
    link = await world.link(conn, vault, ANNA, "renew")
    await renewals.renew(conn, vault, link, new.id, {})
    await subscriptions.leave(conn, vault, await world.link(conn, vault, ANNA, "leave"), "page")
    text = receipts.pretty(receipts.linked.records(await gathered(conn, vault)))
    whole = json.loads(text, object_pairs_hook=without_doubles)
    (record,) = whole["@graph"]
    assert record["dct:conformsTo"] == ["https://w3id.org/dpv/schema/dpv-27560#record-eu-gdpr"]
    assert [status["@type"][0] for status in record["dpv:hasConsentStatus"]] == [
        "dpv:ConsentRequested",
        "dpv:ConsentGiven",
        "dpv:RenewedConsentGiven",
        "dpv:ConsentWithdrawn",
    ]
    assert len(record["dpv:hasNotice"]) == 2
    assert all(isinstance(v, list) for name, v in record.items() if name.startswith("dpv:"))
    assert set(prefixes(record)) <= set(whole["@context"])
    assert ANNA not in text


def prefixes(node: object) -> Iterable[str]:
    """Of every name and every shortened IRI in a JSON-LD node."""
    if isinstance(node, dict):
        for name, value in node.items():
            if ":" in name:
                yield name.partition(":")[0]
            if name == "@type":
                yield from (kind.partition(":")[0] for kind in value)
            yield from prefixes(value)
    elif isinstance(node, list):
        for value in node:
            yield from prefixes(value)


async def test_what_the_controller_ended_is_revoked_and_not_withdrawn(
    conn: Connection, vault: Vault
) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    await people.suppress(conn, vault, ANNA, actor="staff:boris")
    (record,) = receipts.linked.records(await gathered(conn, vault))["@graph"]
    last = record["dpv:hasConsentStatus"][-1]
    assert last["@type"] == ["dpv:ConsentRevoked"]
    assert last["dpv:isIndicatedBy"] == ["dpv:DataController"]


async def test_a_complaint_is_the_persons_own_withdrawal(conn: Connection, vault: Vault) -> None:
    weekly = await world.make(conn, vault)
    await world.confirmed(conn, vault, weekly.wish(ANNA))
    await world.ended(conn, vault, await world.link(conn, vault, ANNA, "bounce"), "complaint")
    (record,) = receipts.linked.records(await gathered(conn, vault))["@graph"]
    last = record["dpv:hasConsentStatus"][-1]
    assert last["@type"] == ["dpv:ConsentWithdrawn"]
    assert last["dpv:hasIndicationMethod"] == "complaint"


# one's own page


@dataclass(frozen=True)
class Here:
    """The site; Anna has confirmed, and `me` is her page."""

    client: Client
    conn: Connection
    vault: Vault
    weekly: World
    me: str

    async def types(self) -> list[str]:
        own = await people.find(self.conn, self.vault, ANNA)
        return [event.content["type"] for event in own.record]


@pytest.fixture
async def here(pool: Pool, vault: Vault) -> AsyncIterator[Here]:
    async with site.opened(pool, vault) as client, pool.acquire() as conn:
        weekly = await world.make(conn, vault)
        await world.confirmed(conn, vault, weekly.wish(ANNA))
        own = await people.find(conn, vault, ANNA)
        me = f"/me/{own.subscriber.manage_token(vault)}"
        yield Here(client, conn, vault, weekly, me)


async def test_the_record_is_told_in_plain_words_with_the_words_agreed_to(here: Here) -> None:
    answer = await here.client.get(f"{here.me}/record")
    page = await answer.text()
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "You confirmed “Rights Weekly”" in page
    assert world.WORDING["en"] in page
    assert "https://site.example.org" in page
    assert f"{here.me}/receipt/weekly.json" in page
    assert ANNA not in page
    russian = await (await here.client.get(f"{here.me}/record?lang=ru")).text()
    assert "Вы подтвердили подписку" in russian
    assert "Скачать всё" in russian


async def test_what_staff_did_is_told_as_theirs(here: Here) -> None:
    other = await world.make(here.conn, here.vault, "other")
    await world.bring(here.conn, here.vault, other, ANNA, by="staff:boris")
    await people.view(here.conn, here.vault, ANNA, what="record", reason="a call", actor="staff:b")
    page = await (await here.client.get(f"{here.me}/record")).text()
    assert "Your subscription was brought over from another list." in page
    assert "Our staff asked for a subscription" in page
    assert "Our staff looked at your record." in page
    assert "a call" in page
    assert "boris" not in page


async def test_looking_and_taking_receipts_changes_nothing(here: Here) -> None:
    before = await site.content(here.conn)
    for path in ("record", "record.jsonld", "receipt/weekly.json"):
        for method in ("GET", "HEAD"):
            answer = await here.client.request(method, f"{here.me}/{path}")
            assert answer.status == 200
            assert answer.headers["Cache-Control"] == "no-store"
    assert await site.content(here.conn) == before


async def test_receipts_are_files_of_their_kind(here: Here) -> None:
    record = await here.client.get(f"{here.me}/record.jsonld")
    assert record.content_type == "application/ld+json"
    assert "consent-record.jsonld" in record.headers["Content-Disposition"]
    assert json.loads(await record.text())["@graph"]
    receipt = await here.client.get(f"{here.me}/receipt/weekly.json")
    assert (await receipt.json())["services"][0]["service"] == "Rights Weekly"
    assert (await here.client.get(f"{here.me}/receipt/nosuch.json")).status == 404


async def test_everything_is_one_download_that_is_recorded(here: Here) -> None:
    answer = await here.client.post(f"{here.me}/record")
    assert answer.status == 200
    archive = zipfile.ZipFile(io.BytesIO(await answer.read()))
    assert set(archive.namelist()) == {
        "my-record.html",
        "everything.json",
        "consent-record.jsonld",
        "receipt-weekly.json",
        f"notices/{here.weekly.notices['en'].id}.json",
    }
    held = json.loads(archive.read("everything.json"))
    assert held["email"] == ANNA
    assert held["events"][-1]["type"] == "subject.exported"
    assert held["events"][-1]["actor"] == "subject"
    told = archive.read("my-record.html").decode()
    assert ANNA in told
    assert "You confirmed “Rights Weekly”" in told
    assert "src=" not in told
    assert (await here.types())[-1] == "subject.exported"


async def test_nobody_without_the_link_sees_or_takes_anything(here: Here) -> None:
    before = await site.content(here.conn)
    for path in ("record", "record.jsonld", "receipt/weekly.json"):
        assert (await here.client.get(f"/me/{'x' * 27}/{path}")).status == 404
    assert (await here.client.post(f"/me/{'x' * 27}/record")).status == 404
    assert await site.content(here.conn) == before


# the page of a renewal


async def test_the_page_of_a_renewal_shows_what_changed_and_only_its_button_acts(
    here: Here,
) -> None:
    new = await test_renewals.newer(here.conn, here.vault)
    await test_renewals.begun(here.conn, here.weekly)
    await renewals.ask(here.conn, 100)
    link = f"/renew/{await world.link(here.conn, here.vault, ANNA, 'renew')}"
    before = await site.content(here.conn)
    for method in ("GET", "HEAD"):
        answer = await here.client.request(method, link)
        assert answer.status == 200
    assert await site.content(here.conn) == before
    page = await (await here.client.get(link)).text()
    assert test_renewals.NEWER in page
    assert "<ins>" in page
    assert f'name="notice" value="{new.id}"' in page
    stale = await here.client.post(link, data={"notice": "0" * 32})
    assert "changed once more" in await stale.text()
    assert "consent.renewed" not in await here.types()
    done = await here.client.post(link, data={"notice": new.id})
    assert "everything goes on" in await done.text()
    assert (await here.types())[-1] == "consent.renewed"
    again = await here.client.post(link, data={"notice": new.id})
    assert "everything goes on" in await again.text()
    assert (await here.types()).count("consent.renewed") == 1


async def test_a_renewal_link_of_nobody_gets_the_answer_of_its_kind(here: Here) -> None:
    for method in ("GET", "POST"):
        answer = await here.client.request(method, f"/renew/{'x' * 27}")
        assert answer.status == 404
