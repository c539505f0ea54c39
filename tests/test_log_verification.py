"""Verifying everything: what is whole passes, and a thief with every right is found out."""

from collections.abc import Sequence

import pytest

from mailer import consent, log, people, subscriptions
from mailer.config import Settings
from mailer.consent import Finding, Verification
from mailer.db import Connection
from mailer.log import notes, tree, verification
from mailer.log.keep import Keep
from mailer.log.verification import Claim, Sealed
from mailer.vault import Vault
from mailer.verifications import Seen, found
from tests import world
from tests.test_log import events, seal, signed
from tests.world import ANNA, BORIS

TABLES = ("consent_event", "log_tile", "log_checkpoint", "notice")


async def verify(
    conn: Connection, keys: Vault, settings: Settings, given: Sequence[Claim] = ()
) -> tuple[Verification, Sealed, list[Finding]]:
    seen = Seen()
    kept = await verification.kept(conn, keys, Keep(settings.data_dir))
    async with conn.transaction(isolation="repeatable_read"):
        findings = [f async for f in found(conn, keys, [*kept, *given], seen)]
    return seen.record, seen.log, findings


async def people_who_agreed(conn: Connection, keys: Vault, settings: Settings) -> None:
    """Anna stays, Boris leaves; one who came before them fills more than a tile."""
    weekly = await world.make(conn, keys)
    await events(conn, keys, 300)
    await world.confirmed(conn, keys, weekly.wish(ANNA))
    await world.confirmed(conn, keys, weekly.wish(BORIS))
    await subscriptions.leave(conn, keys, await world.link(conn, keys, BORIS, "leave"), "page")
    await seal(conn, keys, Keep(settings.data_dir))


async def meddle(conn: Connection, *statements: str) -> None:
    """As a thief who owns the database, knows its triggers and keys, but not MAILER_SECRET_KEY."""
    await conn.execute("set session_replication_role = replica")
    for statement in statements:
        await conn.execute(statement)
    await conn.execute("reset session_replication_role")


async def event_of(conn: Connection, keys: Vault, email: str, type_: str) -> consent.Event:
    record = (await people.find(conn, keys, email)).record
    return next(event for event in reversed(record) if event.content["type"] == type_)


async def test_what_is_whole_passes(conn: Connection, vault: Vault, settings: Settings) -> None:
    assert await verify(conn, vault, settings) == (Verification(), Sealed(), [])
    await people_who_agreed(conn, vault, settings)
    await events(conn, vault, 2)  # not sealed yet
    seen, sealed, findings = await verify(conn, vault, settings)
    assert findings == []
    assert (seen.events, seen.erased) == (309, 0)
    assert (sealed.entries, sealed.waiting, sealed.checkpoints) == (307, 2, 2)


async def test_what_is_whole_passes_after_an_erasure(
    conn: Connection, vault: Vault, settings: Settings
) -> None:
    await people_who_agreed(conn, vault, settings)
    before = await signed(conn, vault)
    own = await people.find(conn, vault, BORIS)
    await people.erase(conn, vault, own, never_again=True, actor="staff:anna")
    await seal(conn, vault, Keep(settings.data_dir))
    claim = Claim("in a drawer", before.note)
    seen, sealed, findings = await verify(conn, vault, settings, [claim])
    assert (findings, seen.erased, sealed.checkpoints) == ([], 3, 3)


LAST = "(select leaf from consent_event where type = 'consent.withdrawn')"
CUT = (
    "delete from consent_event where type = 'consent.withdrawn'",
    """update subject s set (seq, head) = (select e.seq, e.commitment from consent_event e
       where e.subject = s.id order by e.seq desc limit 1) where seq > 0""",
    """update log_tile set hashes = substring(hashes for length(hashes) - 32)
       where level = 0 and index = 1""",
    "update subscription set state = 'confirmed' where state = 'left'",
)


@pytest.mark.parametrize(
    ("type_", "statements", "said"),
    [
        ("consent.withdrawn", ["update consent_event set at = at - interval '1 day' where "
         "type = 'consent.withdrawn'"], "not what was committed to"),
        ("consent.confirmed", ["update consent_event set commitment = sha256('') where "
         "type = 'consent.confirmed'"], "not what was sealed"),
        ("consent.confirmed", ["update consent_event set body = set_byte(body, 60, "
         "get_byte(body, 60) # 1) where type = 'consent.confirmed'"], "changed or moved"),
        ("notice.published", ["update consent_event set body = set_byte(body, 60, "
         "get_byte(body, 60) # 1) where type = 'notice.published'"], "not what was sealed"),
        ("consent.confirmed", ["""update consent_event e set body = o.body from consent_event o
         where o.subject <> e.subject and o.type = e.type and e.type = 'consent.confirmed'"""],
         "changed or moved"),
        ("consent.withdrawn", ["update consent_event set body = substring(body for 5) where "
         "type = 'consent.withdrawn'"], "changed or moved"),
        ("consent.withdrawn", ["""update subject set dek = set_byte(dek, 20, get_byte(dek, 20) # 1)
         where id = (select subject from consent_event where type = 'consent.withdrawn')"""],
         "the key of its subject was changed"),
        ("consent.withdrawn", ["""update subject set dek = 'x' where id =
         (select subject from consent_event where type = 'consent.withdrawn')"""],
         "the key of its subject was changed"),
        ("consent.withdrawn", [f"update consent_event set leaf = leaf + 1000 where leaf = {LAST}"],
         "a place in the log that the log does not have"),
        ("consent.withdrawn", ["""update consent_event e set leaf = case leaf when a then b else a
         end from (select min(leaf) a, max(leaf) b from consent_event) x where leaf in (a, b)"""],
         "not what was sealed"),
        ("consent.withdrawn", ["update consent_event set body = null where "
         "type = 'consent.withdrawn'"], "was not erased"),
    ],
)  # fmt: skip
async def test_a_changed_event_is_found_and_named(
    conn: Connection, vault: Vault, settings: Settings,
    type_: str, statements: Sequence[str], said: str,
) -> None:  # fmt: skip
    await people_who_agreed(conn, vault, settings)
    ids = {row["id"] for row in await conn.fetch(
        "select id from consent_event where type = $1", type_)}  # fmt: skip
    await meddle(conn, "alter table consent_event drop constraint consent_event_leaf_key",
                 *statements)  # fmt: skip
    _, _, findings = await verify(conn, vault, settings)
    named = {finding.event for finding in findings if said in finding.what}
    assert named & ids, findings


CHANGES = {
    "id": "gen_random_uuid()",
    "subject": "(select id from subject where id <> subject order by id limit 1)",
    "seq": "seq + 1000",
    "prev": "sha256(commitment)",
    "commitment": "sha256(commitment)",
    "at": "at + interval '1 microsecond'",
    "type": "'consent.confirmed'",
    "newsletter": "'other'",
    "notice": "(select id from notice where id <> notice limit 1)",
    "body": "body || ''::bytea || 'x'",
    "leaf": "null",
    "staff": "'somebody'",
}


async def test_every_column_of_an_event_counts(
    conn: Connection, vault: Vault, settings: Settings
) -> None:
    await people_who_agreed(conn, vault, settings)
    columns = await conn.fetch(
        "select column_name from information_schema.columns where table_name = 'consent_event'"
    )
    assert {row["column_name"] for row in columns} == set(CHANGES)
    last = await conn.fetchrow("select * from consent_event where type = 'consent.withdrawn'")
    assert last is not None
    for column, value in CHANGES.items():
        changed = conn.transaction()
        await changed.start()
        await conn.execute("set local session_replication_role = replica")
        await conn.execute(f"update consent_event set {column} = {value} where id = $1", last["id"])
        findings = [f async for f in found(conn, vault, [], Seen())]
        await changed.rollback()
        named = {value for f in findings for value in (f.event, f.leaf, f.subject)}
        assert named & {last["id"], last["leaf"], last["subject"]}, (column, findings)


async def test_a_removed_event_is_missed(
    conn: Connection, vault: Vault, settings: Settings
) -> None:
    await people_who_agreed(conn, vault, settings)
    leaf = await conn.fetchval(f"select {LAST}")
    await meddle(conn, *CUT[:2])  # the subject's chain ends before it, as if it had never been
    _, _, findings = await verify(conn, vault, settings)
    # The log misses it, and so does the subscription, which is left though no event says so.
    assert [(f.leaf, f.missing) for f in findings] == [(None, False), (leaf, True)]


async def test_a_person_erased_by_a_thief_is_missed(
    conn: Connection, vault: Vault, settings: Settings
) -> None:
    weekly = await world.make(conn, vault)
    found = await world.confirmed(conn, vault, weekly.wish(ANNA))
    subject = found.subscriber.id
    await meddle(
        conn,
        "update consent_event set body = null, newsletter = null, notice = null"
        f" where subject = '{subject}'",
        f"update subject set dek = null, erased_at = now() where id = '{subject}'",
        f"delete from subscriber where id = '{subject}'",
    )
    async with conn.transaction():
        findings = [f async for f in consent.verify(conn, vault, Verification())]
    said = [(f.subject, f.what) for f in findings]
    assert said == [(subject, "the subject was erased without a word in the record")]


async def test_an_event_put_in_is_found(conn: Connection, vault: Vault, settings: Settings) -> None:
    await people_who_agreed(conn, vault, settings)
    withdrawn = await event_of(conn, vault, BORIS, "consent.withdrawn")
    await meddle(
        conn,
        """insert into consent_event (id, subject, seq, prev, commitment, at, type, body)
           select gen_random_uuid(), subject, seq + 1, commitment, sha256('x'), now(),
                  'consent.confirmed', body
           from consent_event where type = 'consent.withdrawn'""",
        """update subject set seq = seq + 1, head = sha256('x')
           where id = (select subject from consent_event where type = 'consent.withdrawn')""",
    )
    await seal(conn, vault, Keep(settings.data_dir))
    _, _, findings = await verify(conn, vault, settings)
    put_in = await conn.fetchval("select id from consent_event where commitment = sha256('x')")
    assert [finding.event for finding in findings] == [put_in]
    assert str(put_in) != withdrawn.content["id"]


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("update notice set wording = 'something else' where language = 'en'",
         "the words of notice {id} were changed"),
        ("update notice set valid_from = valid_from - interval '1 year' where language = 'en'",
         "notice {id} was not published, or at another time"),
        ("delete from notice where language = 'en'", "notice {id} is missing"),
    ],
)  # fmt: skip
async def test_an_edited_notice_is_found_and_named(
    conn: Connection, vault: Vault, settings: Settings, statement: str, said: str
) -> None:
    await people_who_agreed(conn, vault, settings)
    id_ = await conn.fetchval("select id from notice where language = 'en'")
    await meddle(conn, statement)
    _, _, findings = await verify(conn, vault, settings)
    assert said.format(id=id_) in [finding.what for finding in findings]


async def test_a_notice_edited_with_its_hash_no_longer_is_what_was_agreed_to(
    conn: Connection, vault: Vault, settings: Settings
) -> None:
    await people_who_agreed(conn, vault, settings)
    confirmed = await event_of(conn, vault, ANNA, "consent.confirmed")
    await meddle(conn, "update notice set wording = 'x', sha256 = sha256(sha256)")
    _, _, findings = await verify(conn, vault, settings)
    named = {str(finding.event) for finding in findings}
    assert confirmed.content["id"] in named


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("update log_tile set hashes = sha256('') || substring(hashes from 33) "
         "where (level, index) = (0, 0)", "not what was sealed"),
        ("update log_tile set hashes = sha256('') where level = 1", "tile 1/0"),
        ("delete from log_tile where level = 1", "tile 1/0"),
        ("insert into log_tile values (1, 7, sha256(''))", "other tiles"),
        ("insert into log_tile values (0, 7, sha256(''))", "missing"),
        ("delete from log_tile where (level, index) = (0, 0)", "a place in the log"),
        ("delete from log_checkpoint", "no checkpoint in the database"),
        ("update log_checkpoint set note = replace(note, '307', '306')", "not signed by the key"),
    ],
)  # fmt: skip
async def test_a_changed_log_is_found(
    conn: Connection, vault: Vault, settings: Settings, statement: str, said: str
) -> None:
    await people_who_agreed(conn, vault, settings)
    await meddle(conn, statement)
    _, _, findings = await verify(conn, vault, settings)
    assert any(said in finding.what for finding in findings), findings


async def forged(conn: Connection, size: int) -> None:
    """The last entries cut off, tiles and all."""
    await meddle(conn, *CUT, "update log_checkpoint set size = 306")
    assert await conn.fetchval("select max(leaf) + 1 from consent_event") == size


async def test_a_checkpoint_signed_with_another_key_does_not_count(
    conn: Connection, vault: Vault, settings: Settings
) -> None:
    await people_who_agreed(conn, vault, settings)
    await forged(conn, 306)
    thief = Vault([b"t" * 32])
    thief.take_key("log", thief.new_key("log"))
    origin = (await log.read(conn)).origin
    tiles = await log.edge(conn, 306)
    resigned = notes.sign_checkpoint(thief, origin, 306, tree.root_of_span(tiles, (0, 306)))
    await conn.execute("alter table log_checkpoint disable trigger user")
    await conn.execute("update log_checkpoint set note = $1", resigned.note)
    Keep(settings.data_dir).path(await log.key(conn, vault)).unlink()
    _, _, findings = await verify(conn, vault, settings)
    assert [f.what for f in findings] == [
        "the checkpoint in the database does not count: It is not signed by the key of the log."
    ]


async def test_a_log_cut_off_together_with_its_checkpoint_is_missed_by_whoever_kept_one(
    conn: Connection, vault: Vault, settings: Settings
) -> None:
    """All that a thief can do who has an older backup: nothing inside the database tells."""
    weekly = await world.make(conn, vault)
    keep = Keep(settings.data_dir)
    await events(conn, vault, 301)
    await world.confirmed(conn, vault, weekly.wish(BORIS))
    await seal(conn, vault, keep)
    old = await signed(conn, vault)
    await subscriptions.leave(conn, vault, await world.link(conn, vault, BORIS, "leave"), "page")
    await seal(conn, vault, keep)
    last = await signed(conn, vault)
    await meddle(conn, *CUT)
    await conn.execute("alter table log_checkpoint disable trigger user")
    await conn.execute("update log_checkpoint set size = $1, note = $2", old.size, old.note)

    kept = keep.path(await log.key(conn, vault))
    said = f"the last 1 of {last.size} entries that the checkpoint {{}} signs are missing"
    _, _, findings = await verify(conn, vault, settings)
    assert [f.what for f in findings] == [said.format(f"kept in {kept}")]
    kept.unlink()
    assert (await verify(conn, vault, settings))[2] == []
    _, _, findings = await verify(conn, vault, settings, [Claim("in a drawer", last.note)])
    assert [(f.what, f.missing) for f in findings] == [(said.format("in a drawer"), True)]


async def test_an_older_checkpoint_of_another_history_is_found_out(
    conn: Connection, vault: Vault, settings: Settings
) -> None:
    await people_who_agreed(conn, vault, settings)
    origin = (await log.read(conn)).origin
    other = notes.sign_checkpoint(vault, origin, 256, b"r" * 32)
    _, _, findings = await verify(conn, vault, settings, [Claim("in a drawer", other.note)])
    assert [f.what for f in findings] == ["the log is not what the checkpoint in a drawer signs"]
