-- WHO DID WHAT -----------------------------------------------------------------------------------

-- Events that staff caused name them beside what is sealed, so that they can be listed: the id of
-- an account, or who was at the keyboard. Null for all others, and for those older than the column.
alter table consent_event add column staff text;
create index consent_event_staff on consent_event (at desc, id desc) where staff is not null;

-- ACCOUNTS ---------------------------------------------------------------------------------------

alter table staff
    alter column password drop not null,          -- null: invited, and not come yet
    add column totp bytea,                        -- secret of the app that shows codes (RFC 6238); sealed
    add column totp_step bigint not null default 0;  -- the latest code's: each is taken once

-- What is used when the app or the passkey is not at hand, each once. Keyed hashes.
create table recovery_code (
    staff uuid not null references staff on delete cascade,
    hash  bytea not null check (length(hash) = 32),
    primary key (staff, hash)
);

-- Passkeys (WebAuthn): the credential's id and public key, as the authenticator gave them.
create table passkey (
    id         bytea primary key,
    staff      uuid not null references staff on delete cascade,
    public_key bytea not null,
    sign_count bigint not null,
    name       bytea not null,                    -- what its owner calls it; sealed
    created_at timestamptz not null default now(),
    used_at    timestamptz
);
create index passkey_of on passkey (staff);

create view account as
    select f.id, s.dek, f.address, f.role, f.language, f.password, f.totp,
           (select count(*) from passkey p where p.staff = f.id)::integer as passkeys,
           f.disabled_at, f.created_at
    from staff f
    join subject s on s.id = f.id;

-- A link in a letter to staff: to come in for the first time, or to set a new password. The latest
-- of an account is the one that holds, once.
create table staff_link (
    id         bigint generated always as identity primary key,
    staff      uuid not null references staff on delete cascade,
    purpose    text not null check (purpose in ('invitation', 'password')),
    handle     integer not null,                  -- random; finds the row of a token, proves nothing
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at    timestamptz
);
create index staff_link_handle on staff_link (handle);
create index staff_link_of on staff_link (staff, id desc);

alter table outbox
    drop constraint outbox_kind_check,
    add constraint outbox_kind_check check (
        case when staff is null
             then kind in ('confirm', 'already', 'digest', 'renew', 'address')
             else kind in ('trouble', 'invitation', 'password') end
    );

-- SESSIONS ---------------------------------------------------------------------------------------

-- Who is signed in, in which browser. The cookie holds a secret, the row its hash.
create table session (
    id         uuid primary key default gen_random_uuid(),
    sha256     bytea not null unique check (length(sha256) = 32),
    staff      uuid not null references staff on delete cascade,
    stage      text not null check (stage in ('password', 'whole')),  -- half way, or in
    device     bytea not null,                    -- what the browser says it is; sealed
    wanted     text,                              -- the page they were asked to show themselves for
    proven_at  timestamptz not null default now(),  -- when they last showed who they are
    seen_at    timestamptz not null default now(),
    created_at timestamptz not null default now()
);
create index session_of on session (staff);

-- Those that hold: half way for ten minutes; in for a working day, and two hours without a request.
create view session_holding as
    select *
    from session
    where case stage
        when 'password' then created_at > now() - interval '10 minutes'
        else created_at > now() - interval '12 hours' and seen_at > now() - interval '2 hours'
    end;

-- COUNTS -----------------------------------------------------------------------------------------

-- How many there were at the end of each day (UTC): sums, and nobody's row.
create table census (
    day        date not null,
    newsletter integer not null references newsletter,
    language   text not null,
    pending    integer not null,
    confirmed  integer not null,
    left_count integer not null,                  -- who left that day
    primary key (day, newsletter, language)
);

-- What became of a digest, at a glance.
create index bounce_by_digest on bounce (digest) where digest is not null;
create index subscription_gone on subscription (newsletter, left_at) where state = 'left';
