-- Letters to those who run the service, and what they should look at.

-- STAFF ------------------------------------------------------------------------------------------

alter table staff add column language text not null default 'en';  -- of letters to them

-- OUTBOX -----------------------------------------------------------------------------------------

-- A mail goes to a reader (about one of their subscriptions), or to one of the staff.
alter table outbox
    alter column subscription drop not null,
    add column staff uuid references staff on delete cascade,
    add constraint outbox_one_person check ((subscription is null) <> (staff is null)),
    drop constraint outbox_kind_check,
    add constraint outbox_kind_check check (
        case when staff is null
             then kind in ('confirm', 'already', 'digest', 'renew', 'address')
             else kind in ('trouble') end
    );
create index outbox_of_staff on outbox (staff) where staff is not null;

-- FEEDS ------------------------------------------------------------------------------------------

-- When a feed asks not to be asked, as it said when it was last read: hours in UTC; days, Sunday as 0.
alter table feed
    add column skip_hours integer[] not null default '{}',
    add column skip_days  integer[] not null default '{}';

-- The first moment from `at` on that is in none of those; `at` itself, if there is none in a week.
create function feed_open(at timestamptz, skip_hours integer[], skip_days integer[])
returns timestamptz language sql stable
return coalesce(
    (
        select min(greatest(at, hour))
        from generate_series(
            date_trunc('hour', at, 'UTC'), at + interval '7 days', interval '1 hour'
        ) hour
        where extract(hour from hour at time zone 'UTC') <> all (skip_hours)
          and extract(dow from hour at time zone 'UTC') <> all (skip_days)
    ),
    at
);

-- TROUBLES ---------------------------------------------------------------------------------------

-- What staff should look at, as long as it lasts. What it is in words is told by what it is about.
create table trouble (
    kind  text not null check (kind in ('failing', 'gone', 'held', 'silent', 'waiting', 'storm',
                                        'complaints', 'many-complaints')),
    about text not null,                          -- which one of its kind: ids
    since timestamptz not null default now(),     -- when it was first seen
    primary key (kind, about)
);

-- When each of the staff was last written to about troubles: at most once a day, and only if one of
-- them began since.
create table trouble_told (
    staff uuid primary key references staff on delete cascade,
    at    timestamptz not null default now()
);

-- BOUNCES ----------------------------------------------------------------------------------------

-- Mails to the bounce domain that were sent to see whether they come back; their tokens as hashes.
create table probe (
    fingerprint bytea primary key check (length(fingerprint) = 32),
    sent_at     timestamptz not null default now(),
    returned_at timestamptz,
    channel     text,
    check ((returned_at is null) = (channel is null))
);
