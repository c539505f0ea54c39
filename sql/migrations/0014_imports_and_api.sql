-- Lists of people brought over from elsewhere; what other programs do through the API.

-- IMPORTS ----------------------------------------------------------------------------------------

-- One file brought over. `reading`: its lines are being staged, and nothing has come of it; `going`:
-- workers take its lines in; it may be stopped. Numbers only; what is kept of the file is its hash.
create table import (
    id          integer generated always as identity primary key,
    newsletter  integer not null references newsletter,
    state       text not null default 'reading'
                    check (state in ('reading', 'going', 'done', 'stopped')),
    notices     jsonb not null,                   -- {"en": "…"}: the words people are asked to agree to
    sha256      bytea check (length(sha256) = 32),
    staged      integer not null default 0,       -- people that were staged, each once
    wrong       integer not null default 0,       -- lines left out: something in them is wrong
    passed      integer not null default 0,       -- lines about another newsletter, or not subscribed
    repeated    integer not null default 0,       -- lines with an address that came before
    suppressed  integer not null default 0,       -- people never to be written to
    asked       integer not null default 0,
    confirmed   integer not null default 0,       -- with evidence of an earlier consent
    known       integer not null default 0,       -- subscribed, or asked, already: left as they were
    gone        integer not null default 0,       -- had left: left as they were
    capped      integer not null default 0,       -- were written to enough lately
    created_by  text not null,
    created_at  timestamptz not null default now(),
    touched_at  timestamptz not null default now(),
    started_at  timestamptz,
    finished_at timestamptz,
    check (state = 'reading' or state = 'stopped' or (sha256 is not null and started_at is not null))
);
create index import_going on import (id) where state = 'going';
create index import_of_file on import (newsletter, sha256) where started_at is not null;

-- Its people until a worker takes them in; then the row is gone. As in `request`: id and dek become
-- the subject's own if the address turns out to be new.
create table import_line (
    id      uuid primary key,
    import  integer not null references import on delete cascade,
    number  integer not null,                     -- of the line in the file
    dek     bytea not null,
    lookup  bytea not null check (length(lookup) = 32),  -- HMAC of the normal address
    payload bytea not null                        -- address, choices and evidence; sealed and padded
);
create index import_line_order on import_line (import, lookup, number);
create index import_line_of on import_line (lookup);

-- API --------------------------------------------------------------------------------------------

-- What was answered to a request with an Idempotency-Key, for a day: the same again gets the same.
-- Of key and request keyed hashes only.
create table answer (
    token      integer not null references access_token on delete cascade,
    key        bytea not null check (length(key) = 32),
    request    bytea not null check (length(request) = 32),
    status     integer not null,
    headers    jsonb not null,
    body       text not null,
    created_at timestamptz not null default now(),
    primary key (token, key)
);
create index answer_old on answer (created_at);
