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
