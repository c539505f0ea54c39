-- Mails are claimed by batches: a worker holds a batch, and never writes to a mail but to say what
-- became of it. So a mail costs two writes in its life, one when it is put and one when it is
-- settled, and the second touches no index.

-- BATCHES ----------------------------------------------------------------------------------------

-- Mails that wait together: of one digest, or a single letter to one person. It ends when none of
-- its mails waits any more. A mail to be tried again moves to another batch, due later.
create table batch (
    id       bigint generated always as identity primary key,
    digest   integer references digest on delete cascade,  -- null: a letter
    mails    integer not null,                    -- when it was made
    worker   uuid references worker on delete set null,    -- who holds it
    touched  boolean not null default false,      -- somebody held it: not all of its mails wait
    provider text,                                -- waits until this provider takes more
    due_at   timestamptz not null default now()
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);

alter table outbox
    add column batch bigint;                      -- the one it is in, or was in at the end

insert into batch (digest, mails, due_at)
select digest, count(*), min(due_at) from outbox
where state = 'waiting' and digest is not null
group by digest;

update outbox o set batch = b.id from batch b where b.digest = o.digest and o.state = 'waiting';

alter table batch add column letter bigint;
insert into batch (mails, due_at, letter)
select 1, due_at, id from outbox where state = 'waiting' and digest is null;
update outbox o set batch = b.id from batch b where b.letter = o.id;
alter table batch drop column letter;

create index batch_letters on batch (due_at, id) where worker is null and digest is null;
create index batch_digests on batch (digest, due_at, id);
create index batch_held on batch (worker) where worker is not null;

-- OUTBOX -----------------------------------------------------------------------------------------

drop index outbox_letters, outbox_digests, outbox_held;
alter table outbox drop column worker, drop column due_at;
-- Checked a million times for the one digest that `put_digest` has just read; its batches keep it.
alter table outbox drop constraint outbox_digest_fkey;
create index outbox_batch on outbox (batch);
create index outbox_letters_made on outbox (created_at) where digest is null;

-- No index holds what settling changes, and the pages have room for the second version of a row:
-- it stays in its page, and no index grows (heap-only tuples).
alter table outbox set (
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_vacuum_insert_scale_factor = 0.2,
    autovacuum_analyze_scale_factor = 0.05
);

-- DIGESTS ----------------------------------------------------------------------------------------

-- What became of its mails, for ever; counted batch by batch as they end, and kept when the mails
-- themselves are forgotten.
alter table digest
    add column sent    integer not null default 0,
    add column failed  integer not null default 0,
    add column dropped integer not null default 0;

update digest d
set sent = c.sent, failed = c.failed, dropped = c.dropped
from (
    select digest,
           count(*) filter (where state = 'sent') as sent,
           count(*) filter (where state = 'failed') as failed,
           count(*) filter (where state = 'dropped') as dropped
    from outbox
    where digest is not null
    group by digest
) c
where c.digest = d.id;

-- PROVIDERS --------------------------------------------------------------------------------------

-- Mailbox providers that asked us to go slower, and how many mails may be on their way to each at
-- once, from all workers together. It says nothing of who is with them: that a mail waits for one
-- of them is written on its batch only, while it waits.
create table provider (
    name       text primary key,
    most       integer not null check (most >= 1),
    taken      integer not null default 0,        -- since `most` last changed
    changed_at timestamptz not null default now()
);
