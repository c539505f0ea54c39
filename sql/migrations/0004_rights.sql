-- What people may demand (GDPR, Articles 16 to 18), how long things are kept, keys that change.

-- KEYS -------------------------------------------------------------------------------------------

-- Which process knows which keys. Each says so every few seconds, so that a key is not put to use
-- before everybody can open what it wraps. A key is known by its name (`vault.key_id`), four bytes.
create table key_holder (
    id      uuid primary key,
    kind    text not null check (kind in ('web', 'worker')),
    holds   bytea[] not null,
    wraps   bytea not null,                       -- the one it wraps new keys with
    seen_at timestamptz not null default now()
);

-- RIGHTS -----------------------------------------------------------------------------------------

-- Restricted (Article 18): kept, and nothing else; nothing is sent, nothing goes by itself.
alter table subscriber add column restricted_at timestamptz;

-- A new address, until whoever reads it there says that it is theirs. One at a time a person.
create table address_change (
    subscriber uuid primary key references subscriber on delete cascade,
    handle     integer not null,                  -- random; finds the row of a token, proves nothing
    address    bytea not null,                    -- as given; sealed
    lookup     bytea not null check (length(lookup) = 32),  -- HMAC of the normal address
    language   text not null,
    actor      text not null,
    asked_at   timestamptz not null default now(),  -- binds the link
    expires_at timestamptz not null,
    confirmed_at timestamptz                      -- it is theirs, and moved
);
create index address_change_handle on address_change (handle);
create index address_change_lookup on address_change (lookup);
create index address_change_expires on address_change (expires_at);

alter table outbox drop constraint outbox_kind_check;
alter table outbox add constraint outbox_kind_check
    check (kind in ('confirm', 'already', 'digest', 'renew', 'address'));

-- Nothing changes for who is restricted: neither do they lapse for want of an answer.
create or replace view renewal_overdue as
    select a.renewal, a.subscription, a.notice, a.asked_at, r.answer_by
    from renewal r
    join renewal_asked a on a.renewal = r.id
    join subscription s on s.id = a.subscription
    join subscriber p on p.id = s.subscriber
    where r.ended_at is null and r.answer_by <= now() and a.outcome is null
      and s.state = 'confirmed' and s.confirmed_at < a.asked_at
      and p.restricted_at is null
      and not exists (
          select from outbox o
          where o.subscription = a.subscription and o.kind = 'renew'
            and o.created_at >= a.asked_at and o.state <> 'sent'
      );

-- RETENTION --------------------------------------------------------------------------------------

create index subscription_left on subscription (left_at) where state = 'left';
create index subject_erased on subject (erased_at) where erased_at is not null;
