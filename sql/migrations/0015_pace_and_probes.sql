-- When feeds want to be left alone, and whether bounces arrive.

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

-- BOUNCES ----------------------------------------------------------------------------------------

-- Mails to the bounce domain that were sent to see whether they come back; their tokens as hashes.
create table probe (
    fingerprint bytea primary key check (length(fingerprint) = 32),
    sent_at     timestamptz not null default now(),
    returned_at timestamptz,
    channel     text,
    check ((returned_at is null) = (channel is null))
);
