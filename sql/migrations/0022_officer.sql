-- expand
-- The privacy officer's desk: what people ask about their data, and long work that staff set going.

-- REQUESTS ABOUT DATA ----------------------------------------------------------------------------

-- What somebody asked under Articles 12 to 22 of the GDPR, and what came of it. `subject`: who asks,
-- if we know them; else a subject of the request's own. Their key seals what was noted of them.
create table subject_request (
    id          integer generated always as identity primary key,
    subject     uuid not null references subject,
    asks        text[] not null check (cardinality(asks) > 0 and asks <@ array[
                    'access', 'portability', 'correction', 'erasure', 'restriction', 'objection',
                    'withdrawal']),
    road        text not null check (road in ('letter', 'mail', 'spoken', 'page')),
    received_on date not null,
    details     bytea,                            -- sealed; null: nothing was noted, or forgotten
    recorded_by text not null,
    recorded_at timestamptz not null default now(),
    extended_at timestamptz,                      -- when the person was told that it takes longer
    outcome     text check (outcome in ('done', 'nothing', 'refused', 'taken-back')),
    closed_by   text,
    closed_at   timestamptz,
    due_on      date not null generated always as (
                    (received_on + case when extended_at is null then interval '1 month'
                                        else interval '3 months' end)::date) stored,
    check ((outcome is null) = (closed_at is null) and (closed_at is null) = (closed_by is null))
);
create index subject_request_open on subject_request (due_on, id) where closed_at is null;
create index subject_request_closed on subject_request (closed_at desc, id desc)
    where closed_at is not null;
create index subject_request_of on subject_request (subject);

-- With what is known of who asks: `known`, on the list; `erased`, not any more. Days in UTC.
create view subject_request_seen as
    select r.id, r.subject, s.dek, p.id is not null as known, s.erased_at is not null as erased,
           r.asks, r.road, r.received_on, r.due_on, r.details, r.recorded_by, r.recorded_at,
           r.extended_at, r.outcome, r.closed_by, r.closed_at,
           r.due_on - (now() at time zone 'utc')::date as days_left
    from subject_request r
    join subject s on s.id = r.subject
    left join subscriber p on p.id = r.subject;

-- Whoever erases a person erases what was noted of their requests. That there were some stays.
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
    update subject_request set details = null where subject = erased;
    update subject set dek = null, erased_at = now() where id = erased;
end $$;

-- JOBS -------------------------------------------------------------------------------------------

-- Long work that one of the staff sets going on a page and a worker does: one of a kind at a time.
-- It has a subject of its own, whose key seals what it was asked for and the file that it makes; the
-- subject is deleted with the file.
create table job (
    id          uuid primary key references subject on delete cascade,
    kind        text not null check (kind in ('verification', 'extract')),
    wanted      bytea not null,                   -- sealed
    asked_by    text not null,
    asked_at    timestamptz not null default now(),
    worker      uuid references worker on delete set null,  -- who does it
    done        bigint not null default 0,        -- of `total`; null: not counted yet
    total       bigint,
    result      jsonb,                            -- what came of it: numbers and sentences of ours
    finished_at timestamptz
);
create unique index job_unfinished on job (kind) where finished_at is null;
create index job_latest on job (kind, asked_at desc);

-- The file that a job made, in pieces; each sealed.
create table job_piece (
    job    uuid not null references job on delete cascade,
    number integer not null,
    body   bytea not null,
    primary key (job, number)
);
alter table job_piece alter column body set storage external;  -- what is sealed can't be compressed
