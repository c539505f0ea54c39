-- The consent log: every event gets a place in one Merkle tree (RFC 6962), kept as tiles
-- (C2SP tlog-tiles) under a signed checkpoint. docs/consent-log.md has the formats byte by byte.

-- PLACES -----------------------------------------------------------------------------------------

alter table consent_event add column leaf bigint unique check (leaf >= 0);  -- null until sealed
create index consent_event_waiting on consent_event (at, id) where leaf is null;

-- The time of a subject's latest event: the next one is later, whatever the clock does, so that the
-- order of time is an order in which every event comes after its subject's earlier ones.
alter table subject add column latest timestamptz;
update subject set latest = (select max(at) from consent_event e where e.subject = subject.id);

-- TILES ------------------------------------------------------------------------------------------

-- The hashes of tile `index` at `level`, 256 when it is full; those on the right edge grow.
create table log_tile (
    level  smallint not null check (level between 0 and 7),
    index  bigint not null check (index >= 0),
    hashes bytea not null check (length(hashes) between 32 and 8192 and length(hashes) % 32 = 0),
    primary key (level, index)
);
alter table log_tile alter column hashes set storage external;  -- hashes can't be compressed

-- The latest: a signed note. Only ever replaced by that of a larger tree.
create table log_checkpoint (
    latest    boolean primary key default true check (latest),
    size      bigint not null check (size > 0),
    note      text not null,
    signed_at timestamptz not null default now()
);

-- A worker that keeps a checkpoint which the log does not continue says so here, and nobody seals.
create table log_objection (
    worker   uuid primary key references worker on delete cascade,
    sentence text not null,
    at       timestamptz not null default now()
);

-- WHAT MAY CHANGE --------------------------------------------------------------------------------

-- An event may be sealed, once, and erased; nothing else.
create or replace function refuse_change() returns trigger language plpgsql as $$
begin
    if tg_table_name = 'consent_event' and tg_op = 'UPDATE' then
        if old.leaf is null then
            old.leaf := new.leaf;
        end if;
        if current_setting('mailer.erasing', true) = old.subject::text then
            old.body := null;
            old.newsletter := null;
            old.notice := null;
        end if;
        if old is not distinct from new then
            return new;
        end if;
    end if;
    raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
end $$;

create function refuse_shrinking() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' and tg_table_name = 'log_tile' then
        if substring(new.hashes for length(old.hashes)) = old.hashes
                and (new.level, new.index) = (old.level, old.index) then
            return new;
        end if;
    elsif tg_op = 'UPDATE' then
        if new.size > old.size then
            return new;
        end if;
    end if;
    raise exception '% only grows', tg_table_name using errcode = 'insufficient_privilege';
end $$;

create trigger log_tile_grows before update or delete on log_tile
    for each row execute function refuse_shrinking();
create trigger log_tile_no_truncate before truncate on log_tile
    execute function refuse_shrinking();
create trigger log_checkpoint_grows before update or delete on log_checkpoint
    for each row execute function refuse_shrinking();
create trigger log_checkpoint_no_truncate before truncate on log_checkpoint
    execute function refuse_shrinking();

-- Roles without the right to update events (sql/roles.sql) may call these two, which do no more
-- than they say.

-- Give events their places, in the order named, from `first` on.
create function seal_events(sealed uuid[], first bigint) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    placed bigint;
begin
    update consent_event e set leaf = first + s.place - 1
    from unnest(sealed) with ordinality as s (id, place)
    where e.id = s.id and e.leaf is null;
    get diagnostics placed = row_count;
    if placed <> cardinality(sealed) then
        raise exception 'of % events % could be sealed', cardinality(sealed), placed
            using errcode = 'serialization_failure';
    end if;
end $$;

create or replace function erase_subject(erased uuid) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if erased = '00000000-0000-0000-0000-000000000000' then
        raise exception 'the house itself is not erased' using errcode = 'insufficient_privilege';
    end if;
    -- Beside a sealer it would lock the same events in another order: it waits for the sealer's
    -- transaction to end (the lock is the one of sql/log.sql, shared, as erasures may be many).
    perform pg_advisory_xact_lock_shared(7016395);
    perform set_config('mailer.erasing', erased::text, true);
    update consent_event set body = null, newsletter = null, notice = null where subject = erased;
    perform set_config('mailer.erasing', '', true);
    update subject set dek = null, erased_at = now() where id = erased;
end $$;

revoke execute on function seal_events(uuid[], bigint), erase_subject(uuid) from public;
