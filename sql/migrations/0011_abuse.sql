-- Abuse: requests that have to wait, puzzles that were solved, who was asked in vain, and floods.

-- REQUESTS ---------------------------------------------------------------------------------------

-- Two queues. On the slow one wait those that nothing speaks for: few are taken in a minute, by all
-- workers together; first whose network has asked least.
alter table request
    add column proven boolean not null default false,  -- by a puzzle
    add column slow   boolean not null default false,
    add column weight real not null default 0;    -- forms of its network in the present window
drop index request_order;
create index request_prompt on request (created_at) where not slow;
create index request_slow on request (weight, created_at) where slow;

-- Solutions of puzzles, until they expire: each counts once.
create table spent (
    hash       bytea primary key check (length(hash) = 32),
    expires_at timestamptz not null
);

-- WHO WAS ASKED IN VAIN --------------------------------------------------------------------------

-- Whoever does not answer is forgotten, but not how often they were asked: a keyed hash of the
-- address, so that nobody is asked without end.
create table asked_in_vain (
    hash       bytea not null check (length(hash) = 32),
    newsletter integer not null references newsletter,
    times      integer not null,
    latest     timestamptz not null,
    primary key (hash, newsletter)
);
create index asked_in_vain_latest on asked_in_vain (latest);

-- FLOODS -----------------------------------------------------------------------------------------

-- There while more forms come than people send: then who proves nothing waits.
create table flood (
    newsletter integer references newsletter,     -- null: over all of them together
    forms      integer not null,                  -- in the window that was looked at
    asked      integer not null,                  -- confirmation mails old enough to be answered …
    answered   integer not null,                  -- … and those that were
    since      timestamptz not null default now(),
    seen_at    timestamptz not null default now(),
    unique nulls not distinct (newsletter)
);
